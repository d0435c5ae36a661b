//! Any text is refused with a pointer, or becomes XML in which nothing can break out of its place.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ncgate::json::{ConfigDialect, Mapping, Target, ToXmlOptions, to_xml};
use ncgate::xml::Limits;
use ncgate::xml::tree::Element;

const TARGETS: [Target; 6] = [
    Target::Document,
    Target::Rpc,
    Target::Arguments,
    Target::Filter,
    Target::Config(ConfigDialect::EditConfig),
    Target::Config(ConfigDialect::LoadConfiguration),
];

fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else { return };
    let Ok(json) = std::str::from_utf8(data) else { return };
    let mut options = ToXmlOptions {
        mapping: if choice & 1 == 0 { Mapping::Ncj } else { Mapping::Junos },
        junos: choice & 2 != 0,
        exact_text: choice & 4 != 0,
        ..ToXmlOptions::default()
    };
    options.prefixes.insert("p".to_owned(), "urn:p".to_owned());
    options.modules.insert("m".to_owned(), "urn:m".to_owned());
    for target in TARGETS {
        match to_xml(json, target, &options) {
            Ok(fragment) => {
                assert!(!fragment.as_str().contains("]]>"));
                let document = format!("<r>{}</r>", fragment.as_str());
                let limits = Limits { depth: 101, ..Limits::default() };
                Element::parse(&document, &limits).expect("what is written is XML");
            }
            Err(error) => assert!(error.pointer.is_empty() || error.pointer.starts_with('/')),
        }
    }
});
