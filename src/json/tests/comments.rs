//! Comments (N10, J6): where they are shown, and what is none.

use super::*;

fn with_comments(xml: &str) -> String {
    let options = Options {
        comments: true,
        ..Options::convert_default()
    };
    with(xml, Selection::Document, &options)
}

/// N10: comments only when asked for.
#[test]
fn comments() {
    let xml = "<!-- 0 --><r><!-- 1 --><a x='1'>t<!--2-->u</a><b><!--3--></b><!--4--><c/></r>";
    assert_eq!(ncj(xml), r#"{"r":{"a":"tu","@a":{"x":"1"},"b":null,"c":null}}"#);
    let on = Options {
        comments: true,
        ..Options::convert_default()
    };
    assert_eq!(
        with(xml, Selection::Document, &on),
        r##"{"r":{"a":"tu","@a":{"x":"1","#comment":["2"]},"b":null,"@b":{"#comment":["3"]},"c":null,"#comment":[" 1 ","4"]}}"##
    );
}

/// J6
#[test]
fn the_device_shows_a_comment_as_a_string() {
    let json = junos;
    assert_eq!(
        json("<r><!-- keepalive --><a/></r>"),
        r#"{"r":[{"a":[{"data":[null]}],"comment":"keepalive"}]}"#
    );
    assert_eq!(
        json(
            "<r><!-- one --><!-- two --><a x='1'>t<!--3-->u<!-- 4 --></a><b>\n<!--5-->\n</b><c y='6'><!--7--></c></r>"
        ),
        r#"{"r":[{"a":[{"data":"tu","attributes":{"x":"1"},"comment":"3\n4"}],"b":[{"comment":"5"}],"c":[{"attributes":{"y":"6"},"comment":"7"}],"comment":"one\ntwo"}]}"#
    );
}

/// N10, J6: the comments of a leaf are its comments, not what looks like one in an instruction or in CDATA; one may begin
/// with `>` or be empty, and its lines end as XML 1.0 section 2.11 has it.
#[test]
fn comments_of_a_leaf_are_told_from_what_looks_like_one() {
    for (content, ours, device) in [
        ("x<?pi <!-- y -->?>", None, None),
        ("x<?p <!-- ?>y<!-- real -->", Some(r#"[" real "]"#), Some("real")),
        (
            "x<?p <![CDATA[ ?>y<!-- real -->",
            Some(r#"[" real "]"#),
            Some("real"),
        ),
        ("x<![CDATA[<!-- y --><?]]><!--r-->", Some(r#"["r"]"#), Some("r")),
        ("q<!---> z-->", Some(r#"["-> z"]"#), Some("-> z")),
        ("q<!---->", Some(r#"[""]"#), Some("")),
        ("q<!----><!--r-->", Some(r#"["","r"]"#), Some("\\nr")),
        (
            "q<!-- l1\r\nl2\rl3 -->",
            Some(r#"[" l1\nl2\nl3 "]"#),
            Some("l1\\nl2\\nl3"),
        ),
    ] {
        let xml = format!("<r><a>{content}</a></r>");
        let read = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        let found = read(&with_comments(&xml));
        let expected = ours.map_or(serde_json::Value::Null, read);
        assert_eq!(found["r"]["@a"]["#comment"], expected, "{content}");
        let found = read(&junos(&xml));
        let expected = device.map_or(serde_json::Value::Null, |text| read(&format!("\"{text}\"")));
        assert_eq!(found["r"][0]["a"][0]["comment"], expected, "{content}");
    }
}

/// N10, J6: among children, behind CDATA and instructions too.
#[test]
fn comments_of_a_container_are_told_from_what_looks_like_one() {
    let xml = "<r><?p <!-- 1 -->?><!-- 2 --><a/><![CDATA[<!-- 3 -->]]><!--l1\r\nl2--><?p?><!----></r>";
    assert!(
        with_comments(xml).contains(r##""#comment":[" 2 ","l1\nl2",""]"##),
        "{}",
        with_comments(xml)
    );
    assert!(
        junos(xml).contains(r#""comment":"2\nl1\nl2\n""#),
        "{}",
        junos(xml)
    );
}

/// N10, J6: a long leaf has its comments too, wherever they stand in it, and repeated leaves each their own.
#[test]
fn comments_of_long_leaves_are_shown() {
    let long = "x".repeat(70_000);
    let blanks = " ".repeat(70_000);
    for (content, value, comments) in [
        (format!("<!-- c -->{long}"), Some(&long), vec![" c "]),
        (
            format!("{long}<!--d\r\ne-->{long}<!--f-->"),
            None,
            vec!["d\ne", "f"],
        ),
        (format!("<!-- c -->{blanks}\n"), None, vec![" c "]),
        (format!("t<!--{long}-->"), None, vec![long.as_str()]),
    ] {
        let xml = format!("<r><a>{content}</a></r>");
        let found: serde_json::Value = serde_json::from_str(&with_comments(&xml)).unwrap();
        assert_eq!(found["r"]["@a"]["#comment"], serde_json::json!(comments));
        if let Some(value) = value {
            assert_eq!(found["r"]["a"].as_str(), Some(value.as_str()));
        }
        let found: serde_json::Value = serde_json::from_str(&junos(&xml)).unwrap();
        let joined = comments
            .iter()
            .map(|text| text.trim())
            .collect::<Vec<_>>()
            .join("\n");
        assert_eq!(found["r"][0]["a"][0]["comment"].as_str(), Some(joined.as_str()));
        let xml = format!("<r><a>{content}</a><a>s<!--g--></a><a>{long}</a></r>");
        let found: serde_json::Value = serde_json::from_str(&with_comments(&xml)).unwrap();
        assert_eq!(
            found["r"]["@a"],
            serde_json::json!([{"#comment": comments}, {"#comment": ["g"]}, null])
        );
    }
}

/// N11: comments of long leaves are kept up to a bound; beyond it they are an error where they are asked for, and
/// nobody's concern where they are not.
#[test]
fn comments_of_long_leaves_are_bounded() {
    let comment = format!("<!--{}-->", "c".repeat(3 << 20));
    let leaf = |times: usize| format!("<a>{}</a>", comment.repeat(times));
    let convert = |xml: String, options: &Options| to_json(&Source::from(xml), Selection::Document, options);
    let on = Options {
        comments: true,
        ..Options::convert_default()
    };
    let too_many = format!("<r><b/>{}</r>", leaf(3));
    let refused = convert(too_many.clone(), &on);
    assert!(
        matches!(refused, Err(ConvertError::CommentsTooLong { offset: 7, .. })),
        "{refused:?}"
    );
    assert_eq!(
        convert(too_many, &Options::convert_default()).unwrap(),
        r#"{"r":{"b":null,"a":null}}"#
    );
    // Those of containers and of what was looked at whole do not count.
    let container = format!("<r>{}<b/></r>", comment.repeat(3));
    assert_eq!(convert(container, &on).unwrap().matches("ccc\"").count(), 3);
    let small = format!(
        "<r>{}{}</r>",
        format!("<a><!--{}--></a>", "c".repeat(60_000)).repeat(150),
        leaf(2)
    );
    assert_eq!(convert(small, &on).unwrap().matches("ccc\"").count(), 152);
}
