//! The device's form: keys that would be there twice, and keys of ours.

use super::*;

/// J10: no key is there twice, whatever the elements are called.
#[test]
fn the_names_that_the_device_form_has_taken() {
    for (xml, json) in [
        (
            "<a x='1'><attributes>t</attributes><attributes/></a>",
            r##"{"a":[{"attributes":{"x":"1"},"#attributes":[{"data":"t"},{"data":[null]}]}]}"##,
        ),
        (
            "<a><attributes>t</attributes></a>",
            r#"{"a":[{"attributes":[{"data":"t"}]}]}"#,
        ),
        (
            "<a><!-- c --><comment>yes</comment><data>d</data>text</a>",
            r##"{"a":[{"comment":[{"data":"yes"}],"data":[{"data":"d"}],"#data":"text","#comment":"c"}]}"##,
        ),
        (
            "<a x='1'><b/><attributes>1</attributes><b/><attributes>2</attributes></a>",
            r##"{"a":[{"attributes":{"x":"1"},"b":[{"data":[null]},{"data":[null]}],"#attributes":[{"data":"1"},{"data":"2"}]}]}"##,
        ),
    ] {
        assert_eq!(junos(xml), json);
        assert_eq!(there_and_back(json), json);
    }
}

/// J1, J10: keys are local names, and text between elements is one text.
#[test]
fn the_device_form_has_no_keys_of_ours() {
    for (xml, json) in [
        (
            "<r xmlns='urn:r' xmlns:p='urn:p'><a>1</a><p:a>2</p:a><b/><a xmlns='urn:q'>3</a></r>",
            r#"{"r":[{"attributes":{"xmlns":"urn:r"},"a":[{"data":"1"},{"data":"2"},{"data":"3","attributes":{"xmlns":"urn:q"}}],"b":[{"data":[null]}]}]}"#,
        ),
        (
            "<p>see <b>this</b> now</p>",
            r#"{"p":[{"b":[{"data":"this"}],"data":"see  now"}]}"#,
        ),
    ] {
        assert_eq!(junos(xml), json);
        assert_eq!(there_and_back(json), json);
    }
}

/// The device's form, through XML.
fn there_and_back(json: &str) -> String {
    let options = ToXmlOptions {
        mapping: Mapping::Junos,
        ..ToXmlOptions::default()
    };
    junos(to_xml(json, Target::Document, &options).unwrap().as_str())
}
