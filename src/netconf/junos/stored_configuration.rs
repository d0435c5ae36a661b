//! Configurations that the device keeps: the rollbacks and the rescue configuration (S11).

use super::Format;
use super::get_configuration::MAX_ROLLBACK;
use super::require;
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// One stored configuration (`show system rollback N`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetRollback {
    /// 0, the active one, to 49.
    pub number: u8,
    pub format: Format,
}

/// Two stored configurations (`show system rollback N compare M`); the answer is text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompareRollbacks {
    pub rollback: u8,
    pub compare: u8,
}

/// The rescue configuration (`show system configuration rescue`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetRescue {
    pub format: Format,
}

impl GetRollback {
    /// The request.
    ///
    /// # Errors
    /// No Junos device; a number above 49; a format that stored configurations do not come in.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        require(capabilities, "get-rollback-information")?;
        let mut writer = Writer::new();
        writer
            .open("get-rollback-information")?
            .leaf("rollback", &number("rollback", self.number)?)?;
        write_format(&mut writer, self.format)?;
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}

impl CompareRollbacks {
    /// The request.
    ///
    /// # Errors
    /// No Junos device; a number above 49.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        require(capabilities, "get-rollback-information")?;
        let mut writer = Writer::new();
        writer
            .open("get-rollback-information")?
            .leaf("rollback", &number("rollback", self.rollback)?)?
            .leaf("compare", &number("compare", self.compare)?)?
            .leaf("format", Format::Text.as_str())?
            .close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}

impl GetRescue {
    /// The request.
    ///
    /// # Errors
    /// No Junos device; a format that stored configurations do not come in.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        require(capabilities, "get-rescue-information")?;
        let mut writer = Writer::new();
        writer.open("get-rescue-information")?;
        write_format(&mut writer, self.format)?;
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}

fn number(parameter: &'static str, value: u8) -> Result<String, RequestError> {
    if value > MAX_ROLLBACK {
        let detail = format!("stored configurations are numbered from 0 to {MAX_ROLLBACK}");
        return Err(RequestError::invalid(parameter, detail));
    }
    Ok(value.to_string())
}

/// Here the format is an element, and XML goes without saying.
fn write_format(writer: &mut Writer, format: Format) -> Result<(), RequestError> {
    match format {
        Format::Xml => Ok(()),
        Format::Text | Format::Json => {
            writer.leaf("format", format.as_str())?;
            Ok(())
        }
        Format::Set => Err(RequestError::invalid(
            "format",
            "stored configurations do not come in set format",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netconf::capability::Capability;

    /// S11: rollback, rescue, two rollbacks.
    #[test]
    fn requests_are_byte_exact() {
        let junos = Capabilities::new([Capability::JunosXml.uri()]);
        let written = |rpc: Result<Rpc, RequestError>| rpc.expect("it can be asked").body.as_str().to_owned();
        let rollback = GetRollback {
            number: 1,
            format: Format::Xml,
        };
        assert_eq!(
            written(rollback.rpc(&junos)),
            "<get-rollback-information><rollback>1</rollback></get-rollback-information>"
        );
        let text = GetRollback {
            number: 49,
            format: Format::Text,
        };
        assert_eq!(
            written(text.rpc(&junos)),
            "<get-rollback-information><rollback>49</rollback><format>text</format></get-rollback-information>"
        );
        let compare = CompareRollbacks {
            rollback: 3,
            compare: 0,
        };
        assert_eq!(
            written(compare.rpc(&junos)),
            "<get-rollback-information><rollback>3</rollback><compare>0</compare><format>text</format></get-rollback-information>"
        );
        let rescue = |format| GetRescue { format }.rpc(&junos);
        assert_eq!(written(rescue(Format::Xml)), "<get-rescue-information/>");
        assert_eq!(
            written(rescue(Format::Json)),
            "<get-rescue-information><format>json</format></get-rescue-information>"
        );
        assert!(matches!(rescue(Format::Set), Err(RequestError::Invalid { .. })));
        let beyond = GetRollback {
            number: 50,
            format: Format::Xml,
        };
        assert!(matches!(beyond.rpc(&junos), Err(RequestError::Invalid { .. })));
        assert!(matches!(
            compare.rpc(&Capabilities::default()),
            Err(RequestError::MissingCapability(_))
        ));
    }
}
