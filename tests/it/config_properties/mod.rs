//! Properties of JSON that becomes configuration (issue 3, item 5): with the marks and metadata of elements, text between
//! elements, members that are there twice, and numbers that no machine holds, as they are written.

mod generated;
mod model;

use ncgate::json::to_xml;
use ncgate::xml::tree::{Element, Node};
use ncgate::xml::{Fragment, Limits};
use proptest::prelude::*;

use self::generated::{any_json, meant};
use self::model::canonical;

/// As many as `NCGATE_TEST_CASES` says, where that is set.
fn cases(most: u32) -> ProptestConfig {
    let wanted = std::env::var("NCGATE_TEST_CASES").ok();
    ProptestConfig {
        cases: wanted.map_or(most, |number| number.parse().expect("a number of cases")),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// What the XML says when it is read again.
fn read(fragment: &Fragment) -> Vec<Node> {
    let document = format!("<r>{}</r>", fragment.as_str());
    let found = Element::parse(&document, &Limits::default());
    found
        .unwrap_or_else(|error| panic!("{error}: {document}"))
        .children
}

proptest! {
    #![proptest_config(cases(600))]

    /// W1 to W8, X1: what means something becomes the XML that says it.
    #[test]
    fn what_means_something_becomes_what_it_means((peer, json) in meant()) {
        let text = json.text();
        let meaning = peer.meaning(&json);
        prop_assert!(meaning.is_some(), "{peer:?}: {text}");
        let fragment = to_xml(&text, peer.target(), &peer.options());
        let fragment = fragment.unwrap_or_else(|error| panic!("{peer:?}: {error} in {text}"));
        prop_assert_eq!(
            canonical(&read(&fragment)), canonical(&meaning.unwrap_or_default()), "{:?}: {}", peer, text
        );
    }

    /// W1 to W8, X1: any JSON becomes the XML that it says, or is refused with a pointer to something that is there; a
    /// member that is there twice is refused with its own (W3).
    #[test]
    fn any_json_becomes_what_it_means_or_is_refused_by_place((peer, json) in any_json()) {
        let text = json.text();
        match (to_xml(&text, peer.target(), &peer.options()), json.twice()) {
            (Ok(fragment), twice) => {
                prop_assert_eq!(twice, None, "{}", text);
                let meaning = peer.meaning(&json);
                prop_assert!(meaning.is_some(), "{peer:?}: {} for {text}", fragment.as_str());
                prop_assert_eq!(
                    canonical(&read(&fragment)), canonical(&meaning.unwrap_or_default()), "{:?}: {}", peer, text
                );
            }
            (Err(error), Some(twice)) => prop_assert_eq!(error.pointer, twice, "{} in {}", error.detail, text),
            (Err(error), None) => {
                let there = json.pointer(&error.pointer).is_some();
                prop_assert!(there, "{peer:?}: {error} in {text}");
            }
        }
    }
}
