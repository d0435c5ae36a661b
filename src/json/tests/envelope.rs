//! What of `cli` is told by the envelope, and what is payload.

use proptest::prelude::*;

use super::*;

/// N1, J8: of `cli` the banner is left out, and what else it holds is payload.
#[test]
fn only_the_banner_of_cli_is_left_out() {
    for (reply, ncj, device) in [
        (
            "<cli><working-directory>/var/tmp</working-directory></cli>",
            r#"{"cli":{"working-directory":"/var/tmp"}}"#,
            r#"{"cli":[{"working-directory":[{"data":"/var/tmp"}]}]}"#,
        ),
        // Each one is judged by itself.
        (
            "<cli><working-directory>/var/tmp</working-directory></cli><cli><banner>{master}</banner></cli>",
            r#"{"cli":{"working-directory":"/var/tmp"}}"#,
            r#"{"cli":[{"working-directory":[{"data":"/var/tmp"}]}]}"#,
        ),
        (
            "<cli><a/></cli><cli><banner/></cli><cli/><cli><b/></cli>",
            r#"{"cli":[{"a":null},{"b":null}]}"#,
            r#"{"cli":[{"a":[{"data":[null]}]},{"b":[{"data":[null]}]}]}"#,
        ),
        (
            "<cli><banner>{master}</banner><a>1</a><banner/><a>2</a></cli>",
            r#"{"cli":{"a":["1","2"]}}"#,
            r#"{"cli":[{"a":[{"data":"1"},{"data":"2"}]}]}"#,
        ),
        (
            "<cli><a>1</a><banner/><b/><a>2</a></cli>",
            r##"{"cli":{"a":["1","2"],"b":null,"#order":["a","b","a"]}}"##,
            r#"{"cli":[{"a":[{"data":"1"},{"data":"2"}],"b":[{"data":[null]}]}]}"#,
        ),
        // Also where the reply has to be read out of order.
        (
            "<x>1</x><cli><banner/></cli><cli x='1'><a/></cli><x>2</x><cli><banner/><a/></cli>",
            r##"{"x":["1","2"],"cli":[{"@":{"x":"1"},"a":null},{"a":null}],"#order":["x","cli","x","cli"]}"##,
            r#"{"x":[{"data":"1"},{"data":"2"}],"cli":[{"attributes":{"x":"1"},"a":[{"data":[null]}]},{"a":[{"data":[null]}]}]}"#,
        ),
        // Text is no banner.
        (
            "<cli>text</cli><cli>\n</cli>",
            r#"{"cli":"text"}"#,
            r#"{"cli":[{"data":"text"}]}"#,
        ),
        (
            "<cli x='1'>a</cli><cli>  </cli><cli y='2'>b</cli>",
            r#"{"cli":["a","b"],"@cli":[{"x":"1"},{"y":"2"}]}"#,
            r#"{"cli":[{"data":"a","attributes":{"x":"1"}},{"data":"b","attributes":{"y":"2"}}]}"#,
        ),
        (
            "<cli>\n<banner/>text</cli>",
            r##"{"cli":{"#text":["text"]}}"##,
            r#"{"cli":[{"data":"text"}]}"#,
        ),
        // A banner elsewhere is data.
        (
            "<cli><a><banner>1</banner></a></cli><banner>2</banner>",
            r#"{"cli":{"a":{"banner":"1"}},"banner":"2"}"#,
            r#"{"cli":[{"a":[{"banner":[{"data":"1"}]}]}],"banner":[{"data":"2"}]}"#,
        ),
        ("<cli><banner><a>1</a></banner></cli>", "{}", "{}"),
        ("<cli x='1'>\n <banner/>\n <banner/>\n</cli>", "{}", "{}"),
    ] {
        let xml = format!("<rpc-reply>{reply}</rpc-reply>");
        assert_eq!(payload(&xml), ncj, "{xml}");
        assert_eq!(junos(&xml), device, "{xml}");
    }
}

/// N1: a `cli` that holds data stands beside `<data>` as any other element does, and is none of ours in a vendor's
/// namespace.
#[test]
fn a_cli_with_data_is_a_member_like_others() {
    for (reply, expected) in [
        (
            "<data><a/></data><cli><b/></cli>",
            r#"{"data":{"a":null},"cli":{"b":null}}"#,
        ),
        (
            "<cli><b/></cli><data><a/></data>",
            r#"{"cli":{"b":null},"data":{"a":null}}"#,
        ),
        ("<cli><banner/></cli><data><a/></data><cli/>", r#"{"a":null}"#),
        (
            "<data><cli><banner>1</banner></cli></data>",
            r#"{"cli":{"banner":"1"}}"#,
        ),
        (
            "<cli xmlns='urn:vendor'><banner>1</banner></cli>",
            r#"{"cli":{"banner":"1"}}"#,
        ),
        (
            "<cli><banner xmlns='urn:vendor'>1</banner></cli>",
            r#"{"cli":{"banner":"1"}}"#,
        ),
        (
            "<j:cli xmlns:j='http://xml.juniper.net/junos/1/junos'><j:a>1</j:a><j:banner/></j:cli>",
            r#"{"cli":{"a":"1"}}"#,
        ),
    ] {
        assert_eq!(
            payload(&format!("<rpc-reply>{reply}</rpc-reply>")),
            expected,
            "{reply}"
        );
    }
    // What wraps a stored configuration holds no envelope but the mark of success.
    assert_eq!(
        with(
            "<rpc-reply><rollback-information><ok/><cli><banner>1</banner></cli></rollback-information></rpc-reply>",
            Selection::StoredConfiguration,
            &Options::api_default()
        ),
        r#"{"cli":{"banner":"1"}}"#
    );
    // A whole document keeps its banner.
    assert_eq!(
        ncj("<rpc-reply><cli><banner>1</banner></cli></rpc-reply>"),
        r#"{"rpc-reply":{"cli":{"banner":"1"}}}"#
    );
}

/// N1: errors in `<data>` are told by the envelope, and what stands around them keeps its shape.
#[test]
fn errors_among_data_leave_no_trace() {
    for (reply, expected) in [
        ("<data><rpc-error/><a/><a/></data>", r#"{"a":[null,null]}"#),
        ("<data><a>1</a><rpc-error/><a>2</a></data>", r#"{"a":["1","2"]}"#),
        (
            "<data><a>1</a><rpc-error/><b/><rpc-error/><a>2</a></data>",
            r##"{"a":["1","2"],"b":null,"#order":["a","b","a"]}"##,
        ),
        ("<data><rpc-error/></data>", "{}"),
        // Also in what is not taken off.
        (
            "<data><rpc-error/><a/><a/></data><b/>",
            r#"{"data":{"a":[null,null]},"b":null}"#,
        ),
        // In a data model's namespace, and further inside, it is data.
        (
            "<data><rpc-error xmlns='urn:m'/><a><rpc-error/></a></data>",
            r#"{"rpc-error":null,"a":{"rpc-error":null}}"#,
        ),
    ] {
        assert_eq!(
            payload(&format!("<rpc-reply>{reply}</rpc-reply>")),
            expected,
            "{reply}"
        );
    }
    for (reply, expected) in [
        ("<ok/><a/><a/>", r#"{"a":[null,null]}"#),
        (
            "<a/><ok/><rpc-error/><b/><a/>",
            r##"{"a":[null,null],"b":null,"#order":["a","b","a"]}"##,
        ),
    ] {
        let xml = format!("<rpc-reply><rollback-information>{reply}</rollback-information></rpc-reply>");
        let stored = with(&xml, Selection::StoredConfiguration, &Options::api_default());
        assert_eq!(stored, expected, "{reply}");
    }
}

/// N1, J8: what a `cli` holds may stand further behind its tag than is looked ahead.
#[test]
fn a_long_cli_is_judged_as_a_short_one() {
    let blanks = " \n".repeat(100_000);
    let text = "x".repeat(200_000);
    for (reply, expected) in [
        (
            format!("<cli>{blanks}<a/></cli>"),
            r#"{"cli":{"a":null}}"#.to_owned(),
        ),
        (
            format!("<cli>{blanks}<banner/>{blanks}<a/></cli>"),
            r#"{"cli":{"a":null}}"#.to_owned(),
        ),
        (
            format!("<cli><banner>{text}</banner><a/></cli>"),
            r#"{"cli":{"a":null}}"#.to_owned(),
        ),
        (format!("<cli>{text}</cli>"), format!(r#"{{"cli":"{text}"}}"#)),
        (
            format!("<cli>{blanks}<banner>{text}</banner>{blanks}</cli><cli>{blanks}</cli>"),
            "{}".to_owned(),
        ),
    ] {
        let xml = format!("<rpc-reply>{reply}<b/></rpc-reply>");
        let expected = match expected.as_str() {
            "{}" => r#"{"b":null}"#.to_owned(),
            some => format!("{},\"b\":null}}", &some[..some.len() - 1]),
        };
        assert!(payload(&xml) == expected, "{}", &xml[..40]);
        let source = spooled(&xml);
        let from_file = to_json(&source, Selection::ReplyPayload, &Options::api_default()).unwrap();
        assert!(from_file == expected, "{}", &xml[..40]);
    }
}

/// N1, J8, W1: what the device shows of `show cli directory` is the same after a way there and back.
#[test]
fn what_was_in_cli_survives_the_way_there_and_back() {
    let xml = "<rpc-reply><cli><working-directory>/var/tmp</working-directory></cli><cli><banner/></cli></rpc-reply>";
    let there = payload(xml);
    let back = to_xml(&there, Target::Document, &ToXmlOptions::default()).unwrap();
    assert_eq!(
        back.as_str(),
        "<cli><working-directory>/var/tmp</working-directory></cli>"
    );
    assert_eq!(
        with(back.as_str(), Selection::Document, &Options::api_default()),
        there
    );
}

/// Children of a `cli`, with banners among them.
fn cli() -> impl Strategy<Value = (String, String)> {
    let piece = prop::sample::select(vec![
        "<banner/>",
        "<banner>{master}</banner>",
        "<banner><a/></banner>",
        "<a>1</a>",
        "<a x='1'>2</a>",
        "<b><banner/></b>",
        "<n:a xmlns:n='urn:n'/>",
        "<!-- c -->",
        "\n",
    ]);
    prop::collection::vec(piece, 0..5).prop_map(|pieces| {
        let without: String = pieces
            .iter()
            .filter(|piece| !piece.starts_with("<banner"))
            .copied()
            .collect();
        let bare = !without.contains("</a>") && !without.contains("</b>") && !without.contains("<n:a");
        let stripped = match bare {
            true => String::new(),
            false => format!("<cli>{without}</cli>"),
        };
        (format!("<cli>{}</cli>", pieces.concat()), stripped)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// N1, J8: a reply becomes what it would become if its device had sent no banners.
    #[test]
    fn banners_make_no_difference(members in prop::collection::vec(
        prop_oneof![
            3 => cli(),
            1 => prop::sample::select(vec!["<a>1</a>", "<b/>", "<data><a/><a/></data>"])
                .prop_map(|member| (member.to_owned(), member.to_owned())),
        ],
        0..6,
    )) {
        let (with_banners, without): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        let reply = |members: Vec<String>| format!("<rpc-reply>{}</rpc-reply>", members.concat());
        let (with_banners, without) = (reply(with_banners), reply(without));
        for arrays in [Arrays::Hints, Arrays::All] {
            let options = Options { arrays, comments: true, ..Options::convert_default() };
            prop_assert_eq!(
                with(&with_banners, Selection::ReplyPayload, &options),
                with(&without, Selection::ReplyPayload, &options),
                "{}", with_banners
            );
        }
        prop_assert_eq!(junos(&with_banners), junos(&without), "{}", with_banners);
    }
}
