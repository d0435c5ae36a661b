//! `<get>`: running configuration and state (RFC 6241 section 7.7).

use super::{Filter, WithDefaults};
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::xml::Writer;

/// `<get>`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Get {
    pub filter: Option<Filter>,
    pub with_defaults: Option<WithDefaults>,
}

impl Get {
    /// The request.
    ///
    /// # Errors
    /// What the device does not offer, or cannot be written.
    pub fn rpc(&self, capabilities: &Capabilities) -> Result<Rpc, RequestError> {
        let mut writer = Writer::new();
        writer.open("get")?;
        if let Some(filter) = &self.filter {
            filter.require(capabilities, "get")?;
            filter.write(&mut writer)?;
        }
        if let Some(mode) = self.with_defaults {
            mode.require(capabilities, "get")?;
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

    /// S11: `<get>` with each kind of filter.
    #[test]
    fn requests_are_byte_exact() {
        let all = everything();
        let written = |get: Get| {
            get.rpc(&all)
                .expect("the device offers it")
                .body
                .as_str()
                .to_owned()
        };
        assert_eq!(written(Get::default()), "<get/>");
        let subtree = Get {
            filter: Some(Filter::Subtree(fragment("<a xmlns=\"urn:a\"><b/></a>"))),
            with_defaults: Some(WithDefaults::ReportAll),
        };
        assert_eq!(
            written(subtree),
            "<get><filter type=\"subtree\"><a xmlns=\"urn:a\"><b/></a></filter>\
             <with-defaults xmlns=\"urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults\">report-all</with-defaults></get>"
        );
        let xpath = Get {
            filter: Some(Filter::XPath {
                select: "/a:b[a:c>'1']".into(),
                namespaces: vec![("a".into(), "urn:a".into())],
            }),
            with_defaults: None,
        };
        assert_eq!(
            written(xpath),
            "<get><filter type=\"xpath\" select=\"/a:b[a:c&gt;'1']\" xmlns:a=\"urn:a\"/></get>"
        );
    }

    /// S7: nothing is written that the device does not offer.
    #[test]
    fn guards_name_what_is_missing() {
        let none = Capabilities::default();
        let xpath = Filter::XPath {
            select: "/a".into(),
            namespaces: Vec::new(),
        };
        let get = Get {
            filter: Some(xpath),
            with_defaults: None,
        };
        let error = get.rpc(&none).expect_err("xpath is not offered");
        assert!(matches!(&error, RequestError::MissingCapability(missing) if missing.parameter == "xpath"));
        let get = Get {
            filter: None,
            with_defaults: Some(WithDefaults::Trim),
        };
        assert!(get.rpc(&none).is_err());
        let error = get.rpc(&everything()).expect_err("the mode is not offered");
        assert!(
            error
                .to_string()
                .contains("with-defaults:1.0?also-supported=trim"),
            "{error}"
        );
    }

    /// X1: a prefix that is no name.
    #[test]
    fn bad_prefixes_are_refused() {
        for prefix in ["", "1", "a b", "xmlns", "a:b"] {
            let filter = Filter::XPath {
                select: "/a".into(),
                namespaces: vec![(prefix.into(), "urn:a".into())],
            };
            let get = Get {
                filter: Some(filter),
                with_defaults: None,
            };
            assert!(
                matches!(get.rpc(&everything()), Err(RequestError::Invalid { .. })),
                "{prefix}"
            );
        }
    }
}
