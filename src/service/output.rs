//! How a reply is to be returned: the caller's options, judged.

use std::collections::BTreeSet;

use crate::device::Request;
use crate::device::model::Partial as PartialSetting;
use crate::error::Error;
use crate::json::{Arrays, HintTable, Mapping, Options, Selection};
use crate::netconf::capability::Capabilities;
use crate::netconf::rpc::{RequestError, Rpc};
use crate::service::request::{Format, OutputOptions, Partial};
use crate::xml;

/// The options of one answer, all valid.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub format: Format,
    pub json: Options,
    pub keep_partial: bool,
    pub whole_reply: bool,
}

impl Output {
    /// # Errors
    /// Words that are none of an option's values, with the option's name.
    pub fn new(options: &OutputOptions, device_default: PartialSetting) -> Result<Self, Error> {
        let mut json = Options::api_default();
        if let Some(mapping) = &options.mapping {
            json.mapping = match mapping.as_str() {
                "ncj" => Mapping::Ncj,
                "junos" => Mapping::Junos,
                _ => return Err(not_one_of("mapping", mapping, "ncj, junos")),
            };
        }
        if let Some(arrays) = &options.arrays {
            json.arrays = arrays_of(arrays)?;
        }
        if let Some(text) = &options.text {
            json.exact_text = match text.as_str() {
                "trimmed" => false,
                "exact" => true,
                _ => return Err(not_one_of("text", text, "trimmed, exact")),
            };
        }
        if let Some(ns) = &options.ns {
            json.namespaces = match ns.as_str() {
                "off" => false,
                "on" => true,
                _ => return Err(not_one_of("ns", ns, "on, off")),
            };
        }
        if let Some(version) = &options.hints {
            json.hints = HintTable::version(version)
                .ok_or_else(|| not_one_of("hints", version, &HintTable::versions().join(", ")))?;
        }
        let keep_partial = match options.partial {
            Some(Partial::Keep) => true,
            Some(Partial::Discard) => false,
            None => device_default == PartialSetting::Keep,
        };
        Ok(Self { format: options.format, json, keep_partial, whole_reply: options.whole_reply })
    }
}

impl Output {
    /// The request for the device layer, whose first pass then finds what this answer needs.
    pub fn request(
        &self,
        build: impl FnOnce(&Capabilities) -> Result<Rpc, RequestError> + Send + 'static,
        attributes: Vec<(String, String)>,
    ) -> Request {
        let json = !self.whole_reply && self.format == Format::Json;
        Request { build: Box::new(build), attributes, selection: json.then_some(Selection::ReplyPayload) }
    }
}

fn arrays_of(text: &str) -> Result<Arrays, Error> {
    match text {
        "hints" => Ok(Arrays::Hints),
        "all" => Ok(Arrays::All),
        names => {
            let names: BTreeSet<String> = names.split(',').map(|name| name.trim().to_owned()).collect();
            match names.iter().find(|name| !xml::name::is_ncname(name)) {
                Some(bad) => {
                    Err(Error::invalid("?arrays", format!("{bad:?} is neither hints, all nor the name of an element")))
                }
                None => Ok(Arrays::Named(names)),
            }
        }
    }
}

fn not_one_of(option: &str, got: &str, words: &str) -> Error {
    Error::invalid(format!("?{option}"), format!("{got:?} is none of {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H1: an option with an unknown value is refused, by its name.
    #[test]
    fn unknown_words_are_refused_by_option() {
        let options = |change: fn(&mut OutputOptions)| {
            let mut options = OutputOptions::default();
            change(&mut options);
            Output::new(&options, PartialSetting::Discard).map(|_| ()).map_err(|error| error.fields()[0].pointer.clone())
        };
        assert_eq!(options(|o| o.mapping = Some("xml2js".into())), Err("?mapping".into()));
        assert_eq!(options(|o| o.arrays = Some("a,b c".into())), Err("?arrays".into()));
        assert_eq!(options(|o| o.ns = Some("yes".into())), Err("?ns".into()));
        assert_eq!(options(|o| o.hints = Some("junos-1.0".into())), Err("?hints".into()));
        assert_eq!(options(|o| o.text = Some("raw".into())), Err("?text".into()));
        assert_eq!(options(|o| o.arrays = Some("interface,unit".into())), Ok(()));
    }

    /// S19: the caller's word on partial data goes before the device's setting.
    #[test]
    fn partial_setting_of_the_device_is_a_default() {
        let mut options = OutputOptions::default();
        assert!(Output::new(&options, PartialSetting::Keep).expect("valid").keep_partial);
        options.partial = Some(Partial::Discard);
        assert!(!Output::new(&options, PartialSetting::Keep).expect("valid").keep_partial);
    }
}
