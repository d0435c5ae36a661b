//! Tests of reading, patching and showing a device.

use serde_json::json;

use super::*;

const PASSPHRASE: &str = "open sesame";
const ED25519: &str = include_str!("testdata/ed25519.openssh");
const ED25519_PUBLIC: &str = include_str!("testdata/ed25519.openssh.pub");
const ED25519_SEALED: &str = include_str!("testdata/ed25519.encrypted.openssh");
const RSA_PKCS1: &str = include_str!("testdata/rsa.pkcs1.pem");
const RSA_PKCS8: &str = include_str!("testdata/rsa.pkcs8.pem");
const RSA_PKCS8_SEALED: &str = include_str!("testdata/rsa.encrypted.pkcs8.pem");
const RSA_AES128: &str = include_str!("testdata/rsa.aes128.pkcs1.pem");
const RSA_AES256: &str = include_str!("testdata/rsa.aes256.pkcs1.pem");
const ECDSA_SEC1: &str = include_str!("testdata/ecdsa.sec1.pem");

fn least() -> Value {
    json!({"name": "r1", "address": "192.0.2.1", "username": "admin", "auth": {"password": "s3cret"}})
}

/// `least` with members replaced or added.
fn with(members: Value) -> Value {
    let mut document = least();
    for (name, value) in members.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

fn faults(document: &Value) -> Vec<(String, String)> {
    let found = read_device(document).expect_err("the document is faulty");
    found
        .into_iter()
        .map(|fault| (fault.pointer, fault.detail))
        .collect()
}

fn pointers(document: &Value) -> Vec<String> {
    faults(document).into_iter().map(|(pointer, _)| pointer).collect()
}

/// S1: address, user and authentication are explicit; port 830 and the pinned policy are the defaults.
#[test]
fn least_document_gets_the_documented_defaults() {
    let (settings, secrets) = read_device(&least()).unwrap();
    assert_eq!(
        document(&settings, &secrets),
        json!({
            "name": "r1", "address": "192.0.2.1", "port": 830, "transport": "ssh", "username": "admin",
            "auth": {"password": true, "private_key": false, "passphrase": false, "keyboard_interactive": false},
            "host_key": {"policy": "pinned", "keys": []}, "ssh_profile": "modern", "proxy_jump": [],
            "compatibility": {"policy": "adapt",
                              "require": {"capabilities": [], "version": {"min": null, "max": null}}},
            "pool": {"max_sessions": 4, "queue_length": 64}, "profile": "auto",
            "quirks": {"pipelining": true, "validate": true, "verify_after_commit": false},
            "partial": "discard", "credential_domain": null,
            "timeouts": {"connect_seconds": 10, "rpc_seconds": 30, "commit_seconds": 300,
                         "keepalive_seconds": 15, "auth_retry_seconds": 900},
            "labels": {}
        })
    );
    let members: Vec<String> = document(&settings, &secrets)
        .as_object()
        .unwrap()
        .keys()
        .take(6)
        .cloned()
        .collect();
    assert_eq!(
        members,
        ["name", "address", "port", "transport", "username", "auth"]
    );
}

/// S3: the pseudo-terminal way uses SSH's own port unless told otherwise.
#[test]
fn pty_transport_defaults_to_port_22() {
    let port = |document| read_device(&document).unwrap().0.port;
    assert_eq!(port(with(json!({"transport": "ssh_pty"}))), 22);
    assert_eq!(port(with(json!({"transport": "ssh_pty", "port": 2222}))), 2222);
}

/// S1: each missing prerequisite is named, all of them at once.
#[test]
fn missing_prerequisites_are_named() {
    let found = faults(&json!({}));
    let expected = [
        ("/name", "is required"),
        ("/address", "is required"),
        ("/username", "is required"),
        (
            "/auth",
            "is required: give password, private_key or keyboard_interactive",
        ),
    ];
    assert_eq!(found, expected.map(|(p, d)| (p.to_owned(), d.to_owned())));
    assert_eq!(
        faults(&json!([])),
        [(String::new(), "must be an object, not an array".to_owned())]
    );
}

/// H1, quality §3 row 3: unknown members are refused where they stand, with the nearest known one.
#[test]
fn unknown_members_are_refused_at_every_depth() {
    let document = with(json!({
        "adress": "x", "host_key": {"keyz": []}, "auth": {"password": "a", "Passwort": "b"},
        "proxy_jump": [{"address": "h", "username": "u", "auth": {"password": "c"}, "via": 1}],
        "compatibility": {"require": {"version": {"minimum": "1"}}}, "a/b~c": null
    }));
    let found = faults(&document);
    let expected = [
        (
            "/auth/Passwort",
            "unknown member 'Passwort'; did you mean 'password'?",
        ),
        ("/host_key/keyz", "unknown member 'keyz'; did you mean 'keys'?"),
        ("/proxy_jump/0/via", "unknown member 'via'"),
        (
            "/compatibility/require/version/minimum",
            "unknown member 'minimum'",
        ),
        ("/adress", "unknown member 'adress'; did you mean 'address'?"),
        ("/a~1b~0c", "unknown member 'a/b~c'"),
    ];
    assert_eq!(found, expected.map(|(p, d)| (p.to_owned(), d.to_owned())));
}

#[test]
fn wrong_types_and_values_say_where() {
    let document = with(json!({
        "name": "no spaces", "port": 70000, "transport": "telnet", "username": "a\nb", "auth": "x",
        "host_key": {"policy": 1, "keys": ["SHA256:short", 5]}, "ssh_profile": "ancient",
        "pool": {"max_sessions": 0}, "quirks": {"validate": "yes"}, "profile": "ios", "partial": true,
        "credential_domain": "a b", "timeouts": {"rpc_seconds": -1, "connect_seconds": 1.5},
        "labels": {"site": 1, "": "x"}, "compatibility": {"require": {"version": {"min": "new"}}}
    }));
    assert_eq!(
        pointers(&document),
        [
            "/name",
            "/transport",
            "/port",
            "/username",
            "/auth",
            "/host_key/policy",
            "/host_key/keys/1",
            "/host_key/keys/0",
            "/ssh_profile",
            "/compatibility/require/version/min",
            "/pool/max_sessions",
            "/profile",
            "/quirks/validate",
            "/partial",
            "/credential_domain",
            "/timeouts/connect_seconds",
            "/timeouts/rpc_seconds",
            "/labels/site",
            "/labels/",
        ]
    );
}

/// X8: whatever a resolver would read as an address must be written as one.
#[test]
fn addresses_in_disguise_are_refused() {
    for address in [
        "192.0.2.1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "r1.example.net",
        "r1.example.net.",
        "core_1",
    ] {
        assert!(
            read_device(&with(json!({"address": address}))).is_ok(),
            "{address}"
        );
    }
    for address in [
        "",
        "2130706433",
        "0x7f000001",
        "127.1",
        "0177.0.0.1",
        "1.2.3.4.",
        "host.0x1f",
        "[::1]",
        "a b",
        "user@host",
        "host:830",
        "a..b",
        "host/24",
        "fe80::1%eth0",
        "h\u{e9}te",
    ] {
        assert_eq!(
            pointers(&with(json!({"address": address}))),
            ["/address"],
            "{address}"
        );
    }
}

#[test]
fn names_are_safe_in_a_path() {
    for name in [".", "..", "", "a/b", "é", &"x".repeat(65)] {
        assert_eq!(pointers(&with(json!({"name": name}))), ["/name"], "{name}");
    }
    assert!(read_device(&with(json!({"name": "MX-1.lab_2"}))).is_ok());
}

/// S1: keys of every common kind and form are understood when the device is stored.
#[test]
fn private_keys_are_decoded() {
    for (text, passphrase, algorithm) in [
        (ED25519, None, "ssh-ed25519"),
        (ED25519_SEALED, Some(PASSPHRASE), "ssh-ed25519"),
        (RSA_PKCS1, None, "ssh-rsa"),
        (RSA_PKCS8, None, "ssh-rsa"),
        (RSA_PKCS8_SEALED, Some(PASSPHRASE), "ssh-rsa"),
        (RSA_AES128, Some(PASSPHRASE), "ssh-rsa"),
        (ECDSA_SEC1, None, "ecdsa-sha2-nistp256"),
        // A passphrase beside an open key does no harm.
        (ED25519, Some("unused"), "ssh-ed25519"),
        (RSA_PKCS1, Some("unused"), "ssh-rsa"),
        (RSA_PKCS8, Some("unused"), "ssh-rsa"),
        (ECDSA_SEC1, Some("unused"), "ecdsa-sha2-nistp256"),
    ] {
        let key =
            decode_private_key(text, passphrase).unwrap_or_else(|fault| panic!("{algorithm}: {fault:?}"));
        assert_eq!(key.algorithm().as_str(), algorithm);
    }
}

/// S1: a bad key or a wrong passphrase is an error that names which of the two it is.
#[test]
fn bad_keys_and_passphrases_are_told_apart() {
    let auth = |auth: Value| faults(&with(json!({"auth": auth}))).remove(0);
    let wrong = (
        "/auth/passphrase".to_owned(),
        "does not open the private key".to_owned(),
    );
    let missing = (
        "/auth/passphrase".to_owned(),
        "is required: the private key is encrypted".to_owned(),
    );
    for sealed in [ED25519_SEALED, RSA_PKCS8_SEALED, RSA_AES128] {
        assert_eq!(auth(json!({"private_key": sealed, "passphrase": "wrong"})), wrong);
        assert_eq!(auth(json!({"private_key": sealed})), missing);
    }
    let cut = &RSA_PKCS8[..RSA_PKCS8.len() / 2];
    for bad in [
        "hello",
        cut,
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
    ] {
        let (pointer, detail) = auth(json!({"private_key": bad}));
        assert_eq!(pointer, "/auth/private_key");
        assert_eq!(
            detail,
            "is not a private key in OpenSSH, PKCS#1, PKCS#8 or SEC1 form"
        );
    }
    assert!(
        auth(json!({"private_key": ED25519_PUBLIC}))
            .1
            .starts_with("is a public key")
    );
    let (_, detail) = auth(json!({"private_key": RSA_AES256, "passphrase": PASSPHRASE}));
    assert!(detail.contains("ssh-keygen -p"), "{detail}");
    assert_eq!(
        auth(json!({"passphrase": "x", "password": "y"})).0,
        "/auth/passphrase"
    );
}

/// X7: keys to pin are public keys or fingerprints.
#[test]
fn host_keys_are_checked() {
    let fingerprint = "SHA256:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ";
    let keys = json!({"policy": "pinned", "keys": [format!(" {} ", ED25519_PUBLIC.trim()), fingerprint]});
    let (settings, _) = read_device(&with(json!({"host_key": keys}))).unwrap();
    assert_eq!(settings.host_key.keys, [ED25519_PUBLIC.trim(), fingerprint]);
    let keys = json!({"keys": ["MD5:00", "ssh-ed25519 AAAA", ED25519]});
    let expected = ["/host_key/keys/0", "/host_key/keys/1", "/host_key/keys/2"];
    assert_eq!(pointers(&with(json!({"host_key": keys}))), expected);
}

#[test]
fn stored_settings_read_back_and_older_rows_get_defaults() {
    let (settings, secrets) = read_device(&with(json!({
        "labels": {"site": "fra"}, "auth": {"keyboard_interactive": [{"prompt": "Password:", "answer": "a"}],
        "private_key": ED25519}, "proxy_jump": [{"address": "j", "username": "u", "auth": {"password": "p"}}]
    })))
    .unwrap();
    let text = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<DeviceSettings>(&text).unwrap(), settings);
    assert_eq!(
        DeviceSecrets::from_plaintext(&secrets.to_plaintext()).unwrap(),
        secrets
    );
    assert!(DeviceSecrets::from_plaintext(b"{\"other\": 1}").is_none());
    let old = r#"{"name": "r1", "address": "a", "port": 830, "username": "u"}"#;
    assert_eq!(
        serde_json::from_str::<DeviceSettings>(old).unwrap().timeouts,
        Timeouts::default()
    );
}

/// X6: neither answers nor `Debug` show a secret.
#[test]
fn secrets_are_never_shown() {
    let (settings, secrets) = read_device(&with(json!({
        "auth": {"password": "canary-1", "private_key": ED25519_SEALED, "passphrase": PASSPHRASE,
                 "keyboard_interactive": [{"prompt": "Token:", "answer": "canary-2"}]},
        "proxy_jump": [{"address": "j", "username": "u", "auth": {"password": "canary-3"}}]
    })))
    .unwrap();
    let shown = document(&settings, &secrets);
    let all_set =
        json!({"password": true, "private_key": true, "passphrase": true, "keyboard_interactive": true});
    assert_eq!(shown["auth"], all_set);
    assert_eq!(shown["proxy_jump"][0]["auth"]["password"], json!(true));
    let seen = format!("{shown} {settings:?} {secrets:?} {:?}", secrets.auth.password);
    for canary in ["canary", PASSPHRASE, "PRIVATE KEY"] {
        assert!(!seen.contains(canary), "{canary} shows in {seen}");
    }
    let refused = faults(&with(
        json!({"auth": {"password": "canary-4", "private_key": "canary-5", "x": "canary-6"}}),
    ));
    assert!(!format!("{refused:?}").contains("canary"), "{refused:?}");
}

fn patched(patch: Value) -> Result<(DeviceSettings, DeviceSecrets), Vec<FieldFault>> {
    let (settings, secrets) = read_device(&with(json!({
        "labels": {"site": "fra", "rack": "7"}, "timeouts": {"rpc_seconds": 60},
        "auth": {"password": "old", "private_key": ED25519},
        "proxy_jump": [{"address": "j1", "username": "u", "auth": {"password": "hop"}}]
    })))
    .unwrap();
    apply_merge_patch(&settings, &secrets, &patch)
}

/// H9: merge patch sets, removes with null, and leaves the rest alone.
#[test]
fn patch_merges_settings() {
    let (settings, secrets) = patched(
        json!({"labels": {"rack": null, "role": "pe"}, "timeouts": {"rpc_seconds": null}, "port": 22}),
    )
    .unwrap();
    let labels = [("role", "pe"), ("site", "fra")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(settings.labels, BTreeMap::from(labels));
    assert_eq!((settings.timeouts.rpc_seconds, settings.port), (30, 22));
    assert_eq!(secrets.auth.password.unwrap().expose(), "old");
}

/// X6: credentials can be replaced and removed one by one, and never all of them.
#[test]
fn patch_changes_credentials() {
    let (_, secrets) = patched(json!({"auth": {"password": null}})).unwrap();
    assert_eq!(
        (secrets.auth.password, secrets.auth.private_key),
        (None, Some(Secret::new(ED25519)))
    );
    let (_, secrets) = patched(json!({"auth": {"password": "new", "private_key": null}})).unwrap();
    assert_eq!(
        (secrets.auth.password, secrets.auth.private_key),
        (Some(Secret::new("new")), None)
    );
    for everything in [
        json!({"auth": null}),
        json!({"auth": {"password": null, "private_key": null}}),
    ] {
        assert_eq!(patched(everything).unwrap_err()[0].pointer, "/auth");
    }
    let faults = patched(json!({"auth": {"private_key": ED25519_SEALED}})).unwrap_err();
    assert_eq!(faults[0].pointer, "/auth/passphrase");
}

#[test]
fn patch_refuses_what_is_not_a_setting() {
    let pointer = |patch| patched(patch).unwrap_err().remove(0).pointer;
    assert_eq!(pointer(json!({"id": "x"})), "/id");
    assert_eq!(pointer(json!({"id": null})), "/id");
    assert_eq!(pointer(json!({"auth": {"token": null}})), "/auth/token");
    assert_eq!(pointer(json!({"name": "r2"})), "/name");
    assert_eq!(pointer(json!({"username": null})), "/username");
    assert_eq!(pointer(json!({"auth": {"password": true}})), "/auth/password");
    assert_eq!(pointer(json!("x")), "");
    assert!(patched(json!({"name": "r1"})).is_ok());
    assert!(patched(json!({"labels": {"never-was": null}})).is_ok());
}

/// Arrays are replaced whole, but what answers show can be sent back without losing a credential.
#[test]
fn patch_keeps_credentials_of_known_jump_hosts() {
    let hop = json!({"address": "j1", "username": "u"});
    let other = json!({"address": "j2", "username": "u", "port": 2022, "auth": {"password": "new"}});
    let (settings, secrets) = patched(json!({"proxy_jump": [other, hop]})).unwrap();
    let addresses: Vec<&str> = settings
        .proxy_jump
        .iter()
        .map(|jump| jump.address.as_str())
        .collect();
    assert_eq!(addresses, ["j2", "j1"]);
    let passwords: Vec<&str> = secrets
        .proxy_jump
        .iter()
        .map(|c| c.password.as_ref().unwrap().expose())
        .collect();
    assert_eq!(passwords, ["new", "hop"]);
    let stranger = json!({"proxy_jump": [{"address": "j1", "username": "other"}]});
    assert_eq!(patched(stranger).unwrap_err()[0].pointer, "/proxy_jump/0/auth");
}
