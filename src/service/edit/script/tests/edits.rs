//! One edit each: every action and body, and what is wrong with one.

use super::*;

/// S12: the actions and bodies of an edit on Junos.
#[test]
fn edits_on_junos() {
    let only = |edit: Edit| -> String {
        let lines = lines(&junos(), &of(vec![edit]));
        lines[2].strip_prefix("edit ").expect("an edit").to_owned()
    };
    let path = |path: &str, edit: Edit| Edit {
        path: Some(path.to_owned()),
        ..edit
    };
    let acting = |action: Action, edit: Edit| Edit {
        action: Some(action),
        ..edit
    };
    assert_eq!(
        only(acting(
            Action::Replace,
            path(
                "system/login/user[name=bob]",
                json("{\"system\":{\"login\":{\"user\":[{\"name\":\"bob\",\"class\":\"operator\"}]}}}")
            )
        )),
        "<load-configuration action=\"replace\" format=\"xml\"><configuration><system><login>\
         <user replace=\"replace\"><name>bob</name><class>operator</class></user></login></system></configuration>\
         </load-configuration>"
    );
    assert_eq!(
        only(json(
            "{\"snmp\":{\"@\":{\"operation\":\"replace\"},\"name\":\"x\"}}"
        )),
        "<load-configuration action=\"replace\" format=\"xml\"><configuration><snmp replace=\"replace\">\
         <name>x</name></snmp></configuration></load-configuration>"
    );
    assert_eq!(
        only(acting(
            Action::None,
            json("{\"snmp\":{\"@\":{\"operation\":\"delete\"}}}")
        )),
        "<load-configuration format=\"xml\"><configuration><snmp delete=\"delete\"/></configuration>\
         </load-configuration>"
    );
    let whole = Edit {
        whole_configuration: true,
        ..acting(
            Action::Override,
            Edit::new(EditFormat::Text, EditBody::Config("system { a; }".into())),
        )
    };
    assert_eq!(
        only(whole),
        "<load-configuration action=\"override\" format=\"text\"><configuration-text>system { a; }\
         </configuration-text></load-configuration>"
    );
    let xml = Edit::new(
        EditFormat::Xml,
        EditBody::Config("<system><host-name>a</host-name></system>".into()),
    );
    assert_eq!(
        only(xml),
        "<load-configuration format=\"xml\"><configuration><system><host-name>a</host-name></system></configuration>\
         </load-configuration>"
    );
    assert_eq!(
        only(Edit::new(EditFormat::Json, EditBody::Rollback(2))),
        "<load-configuration rollback=\"2\"/>"
    );
    assert_eq!(
        only(Edit::new(EditFormat::Json, EditBody::Rescue)),
        "<load-configuration rescue=\"rescue\"/>"
    );
    assert_eq!(
        only(Edit::new(
            EditFormat::Text,
            EditBody::Url("ftp://192.0.2.1/x".into())
        )),
        "<load-configuration url=\"ftp://192.0.2.1/x\" format=\"text\"/>"
    );
    let pattern = EditBody::ReplacePattern {
        pattern: "10\\.0".into(),
        with: "10.1".into(),
        path: Some("interfaces".into()),
    };
    assert_eq!(
        only(Edit::new(EditFormat::Json, pattern)),
        "<load-configuration format=\"xml\"><configuration><interfaces replace-pattern=\"10\\.0\" with=\"10.1\"/>\
         </configuration></load-configuration>"
    );
    let rfc = Edit {
        protocol: Some(Protocol::Rfc),
        ..json("{\"system\":{\"host-name\":\"a\"}}")
    };
    assert_eq!(
        only(rfc),
        "<edit-config><target><candidate/></target><default-operation>merge</default-operation><config>\
         <configuration><system><host-name>a</host-name></system></configuration></config></edit-config>"
    );
}

/// S12, X1, X2, X8: what is wrong with an edit is told by its place.
#[test]
fn wrong_edits_are_refused_by_place() {
    let place = |edit: Edit| refused(&junos(), &of(vec![set("delete a"), edit]));
    let acting = |action: Action, edit: Edit| Edit {
        action: Some(action),
        ..edit
    };
    let at = |pointer: &str| (ErrorCode::InvalidArgument, pointer.to_owned());
    let good = || json("{\"system\":{\"host-name\":\"a\"}}");
    assert_eq!(
        place(acting(Action::Override, good())),
        at("/edits/1/whole_configuration")
    );
    assert_eq!(place(acting(Action::Replace, good())), at("/edits/1/path"));
    assert_eq!(place(acting(Action::None, good())), at("/edits/1/config"));
    assert_eq!(
        place(json("{\"system\":{\"1a\":\"x\"}}")),
        at("/edits/1/config/system/1a")
    );
    let bad_path = Edit {
        path: Some("a/<b/>".into()),
        ..good()
    };
    assert_eq!(place(bad_path), at("/edits/1/path"));
    let set_in_path = Edit {
        path: Some("system".into()),
        ..set("delete a")
    };
    assert_eq!(place(set_in_path), at("/edits/1/path"));
    let instruction = Edit::new(EditFormat::Xml, EditBody::Config("<?x y?><a/>".into()));
    assert_eq!(place(instruction), at("/edits/1/config"));
    let both = Edit {
        error_option: Some(ErrorOption::StopOnError),
        ..set("delete a")
    };
    assert_eq!(place(both), at("/edits/1/protocol"));
    for url in ["http://169.254.169.254/", "/etc/passwd", "ftp://192.0.2.2/x"] {
        assert_eq!(
            place(Edit::new(EditFormat::Text, EditBody::Url(url.into()))),
            at("/edits/1/url"),
            "{url}"
        );
    }
    assert_eq!(
        place(Edit::new(EditFormat::Json, EditBody::Rollback(50))),
        at("/edits/1/rollback")
    );
    let pattern = EditBody::ReplacePattern {
        pattern: String::new(),
        with: "b".into(),
        path: None,
    };
    assert_eq!(
        place(Edit::new(EditFormat::Json, pattern)),
        at("/edits/1/replace_pattern")
    );
    assert_eq!(
        place(acting(
            Action::Replace,
            Edit::new(EditFormat::Json, EditBody::Rescue)
        )),
        at("/edits/1/action")
    );
}
