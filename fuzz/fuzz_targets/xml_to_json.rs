//! Any bytes are refused, or become valid JSON, which becomes XML again that becomes the same JSON.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use ncgate::json::{Arrays, Mapping, Options, Selection, Target, ToXmlOptions, convert, to_json, to_xml};
use ncgate::xml::Source;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else { return };
    let source = Source::Memory(data.to_vec().into());
    let options = Options {
        mapping: if choice & 1 == 0 { Mapping::Ncj } else { Mapping::Junos },
        arrays: match choice >> 1 & 3 {
            0 => Arrays::All,
            1 => Arrays::Named(BTreeSet::from(["a".to_owned()])),
            _ => Arrays::Hints,
        },
        exact_text: choice & 8 != 0,
        namespaces: choice & 16 != 0,
        comments: choice & 32 != 0,
        ..Options::convert_default()
    };
    for selection in [Selection::Document, Selection::ReplyPayload, Selection::JunosReply] {
        if let Ok(json) = to_json(&source, selection, &options) {
            let _: serde_json::Value = serde_json::from_str(&json).expect("what is written is JSON");
        }
    }
    // Without comments and with namespaces the way back is known.
    let options = Options { mapping: Mapping::Ncj, namespaces: true, comments: false, ..options };
    let mut json = Vec::new();
    if convert::convert_to_json(&source, &options, &mut json).is_ok() {
        let json = String::from_utf8(json).expect("JSON is UTF-8");
        let back = ToXmlOptions { exact_text: options.exact_text, ..ToXmlOptions::default() };
        // A namespace of many names or attributes can be beyond the limits once it is declared.
        if let Ok(xml) = to_xml(&json, Target::Document, &back) {
            let mut again = Vec::new();
            let source = Source::from(xml.as_str().to_owned());
            convert::convert_to_json(&source, &options, &mut again).expect("what is written is XML");
        }
    }
});
