//! Configuration, read with every option of S11.

use ncgate::emulator::{Fault, Profile, Rule};
use serde_json::{Value, json};

use crate::support::doors::{DOORS, bad, good, plain};
use crate::support::{TestGateway, assert_sent, junos};

/// The names of the members of an object, metadata apart.
fn names(value: &Value) -> Vec<&str> {
    let members = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    members
        .keys()
        .map(String::as_str)
        .filter(|name| !name.starts_with('@'))
        .collect()
}

fn interfaces(reply: &Value) -> Vec<&str> {
    let list = &reply["data"]["configuration"]["interfaces"]["interface"];
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {reply}"));
    list.iter().filter_map(|entry| entry["name"].as_str()).collect()
}

/// S11: running unless asked otherwise, and the candidate.
#[tokio::test]
async fn running_and_candidate_are_told_apart() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let running = good(door, gateway.config(door, "mx1", &[]).await);
        assert_sent(
            &device,
            "get-configuration",
            "<get-configuration database=\"committed\"/>",
        );
        let configuration = &running["data"]["configuration"];
        assert_eq!(configuration["system"]["host-name"], "mx1");
        assert_eq!(
            configuration["@"]["junos:commit-user"], "admin",
            "{configuration}"
        );
        assert_eq!(
            configuration["system"]["root-authentication"]["encrypted-password"],
            "$6$demo$not-a-password"
        );
        let candidate = good(
            door,
            gateway.config(door, "mx1", &[("source", "candidate")]).await,
        );
        assert_sent(
            &device,
            "get-configuration",
            "<get-configuration database=\"candidate\"/>",
        );
        let configuration = &candidate["data"]["configuration"];
        assert!(
            configuration["@"].get("junos:changed-seconds").is_some(),
            "{configuration}"
        );
        assert!(
            configuration["@"].get("junos:commit-user").is_none(),
            "{configuration}"
        );
    }
}

/// S11: a level of the hierarchy, a single object, all objects of a type.
#[tokio::test]
async fn path_selects_a_level_an_object_or_all_of_a_type() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let read = async |path| good(door, gateway.config(door, "mx1", &[("path", path)]).await);
        let level = read("system/login").await;
        assert_eq!(names(&level["data"]["configuration"]), ["system"]);
        assert_eq!(names(&level["data"]["configuration"]["system"]), ["login"]);
        let users = level["data"]["configuration"]["system"]["login"]["user"].as_array();
        assert_eq!(users.map(Vec::len), Some(2), "{level}");

        let object = read("interfaces/interface[name='ge-0/0/0']").await;
        assert_sent(
            &device,
            "get-configuration",
            "<configuration><interfaces><interface><name>ge-0/0/0</name></interface></interfaces></configuration>",
        );
        assert_eq!(interfaces(&object), ["ge-0/0/0"]);
        assert_eq!(
            object["data"]["configuration"]["interfaces"]["interface"][0]["description"],
            "to mx2 ge-0/0/0"
        );

        let all = read("interfaces/interface").await;
        assert_eq!(
            interfaces(&all),
            ["ge-0/0/0", "ge-0/0/1", "ge-0/0/3", "fxp0", "lo0", "ge-0/0/2"]
        );
    }
}

/// S11: filters in JSON and XML with several elements at once are one request.
#[tokio::test]
async fn filter_takes_several_elements_as_json_or_xml() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    const XML: &str = "<configuration><system><host-name/><services/></system><snmp/></configuration>";
    let json = json!({"configuration": {"system": {"host-name": null, "services": null}, "snmp": null}});
    for door in DOORS {
        let mut answers = Vec::new();
        for filter in [XML, &json.to_string()] {
            let read = good(door, gateway.config(door, "mx1", &[("filter", filter)]).await);
            assert_sent(
                &device,
                "get-configuration",
                &format!("<get-configuration database=\"committed\">{XML}</get-configuration>"),
            );
            answers.push(read["data"].clone());
        }
        assert_eq!(answers[0], answers[1]);
        let configuration = &answers[0]["configuration"];
        assert_eq!(names(configuration), ["system", "snmp"]);
        assert_eq!(names(&configuration["system"]), ["host-name", "services"]);
        assert_eq!(configuration["snmp"]["contact"], "noc@example.net");

        let one = good(
            door,
            gateway
                .config(door, "mx1", &[("filter", r#"{"snmp": {"location": null}}"#)])
                .await,
        );
        assert_eq!(
            one["data"]["configuration"]["snmp"],
            json!({"location": "rack 5, room 12"})
        );
    }
}

/// S11: identifiers only, so many of them from one on, and those that fit an expression.
#[tokio::test]
async fn objects_are_listed_counted_and_matched() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let read = async |options: &[(&str, &str)]| good(door, gateway.config(door, "mx1", options).await);
        let path = ("path", "interfaces/interface");
        let identifiers = read(&[path, ("recurse", "false")]).await;
        assert_sent(&device, "get-configuration", "<interface recurse=\"false\"/>");
        assert_eq!(interfaces(&identifiers).len(), 6);
        for entry in identifiers["data"]["configuration"]["interfaces"]["interface"]
            .as_array()
            .into_iter()
            .flatten()
        {
            assert_eq!(names(entry), ["name"]);
        }
        let some = read(&[path, ("count", "2"), ("start", "3")]).await;
        assert_sent(
            &device,
            "get-configuration",
            "<interface count=\"2\" start=\"3\"/>",
        );
        assert_eq!(interfaces(&some), ["ge-0/0/3", "fxp0"]);
        let first = &some["data"]["configuration"]["interfaces"]["interface"][0]["@"];
        assert_eq!(
            *first,
            json!({"junos:position": "3", "junos:total": "6"}),
            "what was asked for stays"
        );

        let fitting = read(&[
            ("path", "interfaces"),
            ("matching", "interface[name='ge-0/0/[02]']"),
        ])
        .await;
        assert_sent(
            &device,
            "get-configuration",
            "<interfaces matching=\"interface[name='ge-0/0/[02]']\"/>",
        );
        assert_eq!(interfaces(&fitting), ["ge-0/0/0", "ge-0/0/2"]);
        let keys = [
            ("path", "interfaces"),
            ("matching", "interface[name='ge-.*']"),
            ("recurse", "false"),
        ];
        let keys = read(&keys).await;
        assert_eq!(interfaces(&keys).len(), 4);
        assert!(
            keys["data"]["configuration"]["interfaces"]["interface"][0]
                .get("description")
                .is_none(),
            "{keys}"
        );
    }
}

/// S11: groups inherited and named, identifiers marked.
#[tokio::test]
async fn inheritance_and_indicators_are_shown() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let read = async |more: &[(&str, &str)]| {
            let path = [("path", "interfaces/interface[name='ge-0/0/0']")];
            let reply = good(door, gateway.config(door, "mx1", &[&path, more].concat()).await);
            reply["data"]["configuration"]["interfaces"]["interface"][0].clone()
        };
        assert!(read(&[]).await.get("mtu").is_none());
        let inherited = read(&[("inherit", "inherit")]).await;
        assert_sent(&device, "get-configuration", " inherit=\"inherit\">");
        assert_eq!(inherited["mtu"], "9192");
        assert!(inherited.get("@mtu").is_none(), "{inherited}");
        let named = read(&[("inherit", "inherit"), ("groups", "true")]).await;
        assert_eq!(named["@mtu"], json!({"junos:group": "edge-ports"}));
        let keyed = read(&[("key", "true")]).await;
        assert_eq!(keyed["@name"], json!({"junos:key": "key"}));
    }
}

/// S11: every option is on the wire as Junos names it, alone and together.
#[tokio::test]
async fn options_are_sent_as_junos_names_them() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let cases: [(&[(&str, &str)], &str); 9] = [
        (&[("inherit", "defaults")], "inherit=\"defaults\"/>"),
        (
            &[("inherit", "inherit"), ("interface_ranges", "true")],
            "inherit=\"inherit\" interface-ranges=\"interface-ranges\"/>",
        ),
        (
            &[("source", "candidate"), ("changed", "true")],
            "database=\"candidate\" changed=\"changed\"/>",
        ),
        (&[("commit_scripts", "apply")], "commit-scripts=\"apply\"/>"),
        (
            &[("commit_scripts", "apply-no-transients")],
            "commit-scripts=\"apply-no-transients\"/>",
        ),
        (&[("commit_scripts", "view")], "commit-scripts=\"view\"/>"),
        (&[("key", "true")], " junos:key=\"key\"/>"),
        (&[("format", "set")], "format=\"set\"/>"),
        (
            &[
                ("inherit", "defaults"),
                ("groups", "true"),
                ("interface_ranges", "true"),
                ("changed", "true"),
                ("commit_scripts", "view"),
            ],
            "<get-configuration database=\"committed\" inherit=\"defaults\" groups=\"groups\" \
             interface-ranges=\"interface-ranges\" changed=\"changed\" commit-scripts=\"view\"/>",
        ),
    ];
    for door in DOORS {
        for (options, wire) in cases {
            good(door, gateway.config(door, "mx1", options).await);
            assert_sent(&device, "get-configuration", wire);
        }
    }
}

/// S11, S17: configuration as text, as set lines, as XML and as the device's own JSON.
#[tokio::test]
async fn configuration_comes_in_every_format() {
    let (gateway, _device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let read = async |format| {
            let options = [("path", "snmp"), ("format", format)];
            let reply = good(door, gateway.config(door, "mx1", &options).await);
            reply["data"].as_str().expect("a string").to_owned()
        };
        let text = read("text").await;
        assert!(
            text.starts_with("snmp {\n") && text.contains("    location \"rack 5, room 12\";\n"),
            "{text}"
        );
        let set = read("set").await;
        assert!(
            set.lines().any(|line| line == "set snmp contact noc@example.net"),
            "{set}"
        );
        assert!(set.lines().all(|line| line.starts_with("set snmp ")), "{set}");
        let xml = read("xml").await;
        assert!(xml.contains("<contact>noc@example.net</contact>"), "{xml}");
        let own: Value = serde_json::from_str(&read("device_json").await).expect("JSON");
        assert_eq!(own["configuration"]["snmp"]["contact"], "noc@example.net");
    }
}

/// S11: the XML schema of the hierarchy.
#[tokio::test]
async fn schema_of_the_hierarchy_is_read() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    for door in DOORS {
        let reply = gateway
            .config(door, "mx1", &[("schema", "true"), ("format", "xml")])
            .await;
        let xml = good(door, reply)["data"].as_str().expect("a string").to_owned();
        assert_sent(
            &device,
            "get-xnm-information",
            "<get-xnm-information><type>xml-schema</type><namespace>junos-configuration</namespace>\
             </get-xnm-information>",
        );
        assert!(xml.contains("name=\"configuration\""), "{xml}");
    }
}

/// S11: `get-config` with a subtree filter on the same device, and `get`.
#[tokio::test]
async fn rfc_operations_read_the_same_configuration() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    const FILTER: &str = "<configuration><system><host-name/></system></configuration>";
    for door in DOORS {
        let read = gateway
            .config(door, "mx1", &[("protocol", "rfc"), ("filter", FILTER)])
            .await;
        let read = good(door, read);
        assert_sent(
            &device,
            "get-config",
            &format!(
                "<get-config><source><running/></source><filter type=\"subtree\">{FILTER}</filter></get-config>"
            ),
        );
        assert_eq!(
            names(&read["data"]),
            ["configuration"],
            "the wrapper <data> is taken off: {read}"
        );
        assert_eq!(
            read["data"]["configuration"]["system"],
            json!({"host-name": "mx1"})
        );
        let candidate = [
            ("protocol", "rfc"),
            ("source", "candidate"),
            ("path", "system/host-name"),
        ];
        let candidate = good(door, gateway.config(door, "mx1", &candidate).await);
        assert_sent(&device, "get-config", "<source><candidate/></source>");
        assert_eq!(
            candidate["data"]["configuration"]["system"],
            json!({"host-name": "mx1"})
        );

        let get = json!({"get": {"filter": {"@": {"type": "subtree"}, "configuration": {"snmp": null}}}});
        let got = good(door, gateway.rpc(door, "mx1", get, plain()).await);
        assert_sent(
            &device,
            "get",
            "<get><filter type=\"subtree\"><configuration><snmp/></configuration></filter></get>",
        );
        assert_eq!(got["data"]["configuration"]["snmp"]["contact"], "noc@example.net");
    }
}

/// S11: what only RFC servers have: startup, with-defaults; and what no filter may be without.
#[tokio::test]
async fn rfc_server_is_read_with_its_own_options() {
    let (gateway, device) = TestGateway::with_device(junos().profile(Profile::Rfc)).await;
    for door in DOORS {
        let read = good(door, gateway.config(door, "mx1", &[]).await);
        assert_sent(
            &device,
            "get-config",
            "<get-config><source><running/></source></get-config>",
        );
        assert_eq!(read["data"]["configuration"]["system"]["host-name"], "mx1");
        let startup = good(door, gateway.config(door, "mx1", &[("source", "startup")]).await);
        assert_sent(&device, "get-config", "<source><startup/></source>");
        assert_eq!(startup["data"]["configuration"]["system"]["host-name"], "mx1");
        good(
            door,
            gateway
                .config(door, "mx1", &[("with_defaults", "report-all")])
                .await,
        );
        assert_sent(
            &device,
            "get-config",
            "<with-defaults xmlns=\"urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults\">report-all</with-defaults>",
        );
        let filter = r#"{"example-router:configuration": {"system": {"host-name": null}}}"#;
        let filtered = good(door, gateway.config(door, "mx1", &[("filter", filter)]).await);
        assert_sent(
            &device,
            "get-config",
            "<configuration xmlns=\"urn:example:router\">",
        );
        assert_eq!(
            filtered["data"]["configuration"],
            json!({"system": {"host-name": "mx1"}})
        );
    }
}

/// S11, X8: configuration at a URL, where the operator allows it; nowhere otherwise.
#[tokio::test]
async fn url_is_read_only_where_the_operator_allows_it() {
    let gateway = TestGateway::with(|settings| {
        settings.device_urls = Some("http://config.example.net".to_owned());
    })
    .await;
    let device = crate::support::listen(junos()).await;
    gateway.add("mx1", &device, json!({})).await;
    let reply = "<data><configuration><system><host-name>stored</host-name></system></configuration></data>";
    device
        .faults()
        .add(Rule::on("get-config", Fault::ReplyWith(reply.to_owned())));
    for door in DOORS {
        let source = [("source", "url:http://config.example.net/mx1.xml")];
        let read = good(door, gateway.config(door, "mx1", &source).await);
        assert_sent(
            &device,
            "get-config",
            "<source><url>http://config.example.net/mx1.xml</url></source>",
        );
        assert_eq!(read["data"]["configuration"]["system"]["host-name"], "stored");
        let before = device.stats().rpcs.len();
        for url in [
            "url:http://other.example.net/a",
            "url:/etc/passwd",
            "url:ftp://config.example.net/a",
        ] {
            let refusal = bad(door, gateway.config(door, "mx1", &[("source", url)]).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{url}");
            assert!(refusal.fields[0].ends_with("source"), "{refusal:?}");
        }
        assert_eq!(device.stats().rpcs.len(), before);
    }
}

/// S7, S11: what the device does not offer is refused with the name of the capability, before anything is sent.
#[tokio::test]
async fn missing_capability_is_named() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let rfc = crate::support::listen(junos().profile(Profile::RfcRunning)).await;
    gateway.add("rfc1", &rfc, json!({})).await;
    for door in DOORS {
        for (name, options, capability) in [
            ("mx1", ("source", "startup"), "startup"),
            ("mx1", ("xpath", "/configuration/system"), "xpath"),
            ("mx1", ("with_defaults", "trim"), "with-defaults"),
            ("rfc1", ("source", "candidate"), "candidate"),
            (
                "rfc1",
                ("inherit", "inherit"),
                "http://xml.juniper.net/netconf/junos/1.0",
            ),
            (
                "rfc1",
                ("format", "text"),
                "http://xml.juniper.net/netconf/junos/1.0",
            ),
            (
                "rfc1",
                ("source", "rollback:1"),
                "http://xml.juniper.net/netconf/junos/1.0",
            ),
        ] {
            let refusal = bad(door, gateway.config(door, name, &[options]).await);
            assert_eq!(
                refusal.verdict(),
                ("capability-missing", "not_sent"),
                "{options:?}"
            );
            assert!(
                refusal.detail.contains(capability)
                    || refusal
                        .hint
                        .as_deref()
                        .is_some_and(|hint| hint.contains(capability)),
                "{options:?}: {refusal:?}"
            );
        }
        let refusal = bad(
            door,
            gateway
                .compare(door, "rfc1", "rollback:1", "candidate", plain())
                .await,
        );
        assert_eq!(refusal.verdict(), ("capability-missing", "not_sent"));
        let refusal = bad(door, gateway.cli(door, "rfc1", "show version", plain()).await);
        assert_eq!(refusal.verdict(), ("capability-missing", "not_sent"));
    }
    assert_eq!(
        device.stats().count("get-config") + rfc.stats().count("get-config"),
        0
    );
    assert_eq!(rfc.stats().count("get-configuration"), 0);
}

/// S11: options that exclude each other, or that are none, are refused by name.
#[tokio::test]
async fn options_that_do_not_fit_are_refused_by_name() {
    let (gateway, device) = TestGateway::with_device(junos()).await;
    let cases: [(&[(&str, &str)], &str); 22] = [
        (&[("path", "system"), ("filter", "<system/>")], "filter"),
        (&[("path", "system["), ("key", "true")], "path"),
        (&[("source", "yesterday")], "source"),
        (&[("inherit", "everything")], "inherit"),
        (&[("commit_scripts", "run")], "commit_scripts"),
        (&[("groups", "true")], "groups"),
        (&[("count", "3")], "path"),
        (&[("path", "interfaces/interface"), ("start", "0")], "start"),
        (&[("protocol", "rfc"), ("changed", "true")], "protocol"),
        (&[("source", "rescue"), ("path", "system")], "source"),
        (&[("filter", "<system>")], "filter"),
        (&[("key", "true"), ("format", "text")], "key"),
        (&[("changed", "true"), ("format", "set")], "changed"),
        (&[("xpath_namespace", "a=urn:a")], "xpath_namespace"),
        (&[("schema", "true"), ("source", "candidate")], "schema"),
        (&[("schema", "true"), ("path", "system")], "schema"),
        (&[("schema", "true"), ("format", "text")], "schema"),
        (&[("schema", "true"), ("inherit", "inherit")], "schema"),
        (&[("schema", "true"), ("changed", "true")], "schema"),
        (&[("schema", "true"), ("key", "true")], "schema"),
        (&[("schema", "true"), ("recurse", "false")], "schema"),
        (&[("schema", "true"), ("with_defaults", "trim")], "schema"),
    ];
    for door in DOORS {
        for (options, field) in cases {
            let refusal = bad(door, gateway.config(door, "mx1", options).await);
            assert_eq!(refusal.verdict(), ("invalid-argument", "not_sent"), "{options:?}");
            // A list of the message has the name of many.
            let told = refusal.fields[0].replace("xpath_namespaces", "xpath_namespace");
            assert!(told.ends_with(field), "{options:?}: {refusal:?}");
        }
    }
    assert_eq!(device.stats().count("get-configuration"), 0);
    assert_eq!(device.stats().count("get-xnm-information"), 0);
    let (status, problem) = gateway.get("/v1/devices/mx1/config?sauce=running").await;
    assert_eq!(status, 400);
    assert_eq!(problem["errors"][0]["pointer"], "?sauce");
}
