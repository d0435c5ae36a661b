//! `<get-config>`: configuration of one datastore (RFC 6241 section 7.1).

use super::place::write_url;
use super::{Filter, WithDefaults};
use crate::netconf::capability::Capabilities;
use crate::netconf::datastore::Datastore;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// Where configuration is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSource {
    Datastore(Datastore),
    /// A file or URL of the device (RFC 6241 section 8.8).
    Url(String),
}

/// `<get-config>`.
#[derive(Debug, Clone, PartialEq)]
pub struct GetConfig {
    pub source: ConfigSource,
    pub filter: Option<Filter>,
    pub with_defaults: Option<WithDefaults>,
}

impl GetConfig {
    /// All of one datastore.
    pub fn of(datastore: Datastore) -> Self {
        Self {
            source: ConfigSource::Datastore(datastore),
            filter: None,
            with_defaults: None,
        }
    }

    /// The request.
    ///
    /// # Errors
    /// What the device does not offer, or cannot be written.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        let mut writer = Writer::new();
        writer.open("get-config")?.open("source")?;
        match &self.source {
            ConfigSource::Datastore(datastore) => {
                datastore.require(capabilities, "get-config", "source")?;
                writer.empty(datastore.as_str())?;
            }
            ConfigSource::Url(url) => {
                write_url(&mut writer, capabilities, "get-config", "source url", url)?;
            }
        }
        writer.close()?;
        if let Some(filter) = &self.filter {
            filter.require(capabilities, "get-config")?;
            filter.write(&mut writer)?;
        }
        if let Some(mode) = self.with_defaults {
            mode.require(capabilities, "get-config")?;
            mode.write(&mut writer)?;
        }
        writer.close()?;
        Ok(Rpc::new(writer.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{everything, fragment};
    use super::*;

    /// S11: `<get-config>` from each source.
    #[test]
    fn requests_are_byte_exact() {
        let all = everything();
        let written = |get: GetConfig| {
            get.rpc(&all)
                .expect("the device offers it")
                .body
                .as_str()
                .to_owned()
        };
        assert_eq!(
            written(GetConfig::of(Datastore::Running)),
            "<get-config><source><running/></source></get-config>"
        );
        let filtered = GetConfig {
            filter: Some(Filter::Subtree(fragment(
                "<configuration><system/></configuration>",
            ))),
            ..GetConfig::of(Datastore::Candidate)
        };
        assert_eq!(
            written(filtered),
            "<get-config><source><candidate/></source>\
             <filter type=\"subtree\"><configuration><system/></configuration></filter></get-config>"
        );
        let url = GetConfig {
            source: ConfigSource::Url("ftp://u:p@h/f?a&b".into()),
            filter: None,
            with_defaults: Some(WithDefaults::Explicit),
        };
        assert_eq!(
            written(url),
            "<get-config><source><url>ftp://u:p@h/f?a&amp;b</url></source>\
             <with-defaults xmlns=\"urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults\">explicit</with-defaults></get-config>"
        );
    }

    /// S7
    #[test]
    fn guards_name_what_is_missing() {
        let none = Capabilities::default();
        assert!(GetConfig::of(Datastore::Running).rpc(&none).is_ok());
        for (get, parameter) in [
            (GetConfig::of(Datastore::Candidate), "source candidate"),
            (GetConfig::of(Datastore::Startup), "source startup"),
            (
                GetConfig {
                    source: ConfigSource::Url("/f".into()),
                    ..GetConfig::of(Datastore::Running)
                },
                "source url",
            ),
        ] {
            let error = get.rpc(&none).expect_err("nothing is offered");
            assert!(
                matches!(&error, RequestError::MissingCapability(missing) if missing.parameter == parameter),
                "{error}"
            );
        }
    }
}
