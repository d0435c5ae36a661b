//! Tests of where settings come from and what they may be.

use std::path::Path;

use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn serve(settings: SettingArgs, config: Option<&Path>) -> ServeArgs {
    ServeArgs {
        config: config.map(Path::to_owned),
        settings,
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn refused(settings: SettingArgs) -> String {
    Config::for_serve(&serve(settings, None), &Environment::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = Config::for_serve(&ServeArgs::default(), &Environment::default()).unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:8830".parse().unwrap());
    assert_eq!(config.server.drain, Duration::from_secs(30));
    assert_eq!(config.server.max_body_bytes, 4 << 20);
    assert_eq!(config.database.url, "sqlite://ncgate.db");
    assert_eq!((config.devices.networks, config.devices.ports), (None, vec![]));
    assert_eq!(config.devices.idle_session, Duration::from_secs(300));
    assert_eq!(config.devices.record_age, Duration::from_secs(1));
    assert_eq!(
        (config.spool.memory_per_reply, config.spool.max_reply),
        (8 << 20, 1 << 30)
    );
    assert_eq!(
        config.log,
        Log {
            filter: "info".to_owned(),
            format: LogFormat::Json
        }
    );
}

/// U3: flag before environment before file before default.
#[test]
fn precedence_is_flag_environment_file_default() {
    let file = file(
        "listen = '127.0.0.1:1'\ndrain_seconds = 1\nmax_connections = 1\ndevice_networks = ['10.0.0.0/8', '192.0.2.1']",
    );
    let environment = environment(&[
        ("NCGATE_LISTEN", "127.0.0.1:2"),
        ("NCGATE_DRAIN_SECONDS", "2"),
        ("NCGATE_LOG", ""),
        ("NCGATE_SERVER", "http://127.0.0.1:1"),
        ("NCGATE_PORT_8830_TCP", "tcp://192.0.2.1:8830"),
        ("PATH", "/bin"),
    ]);
    let flags = SettingArgs {
        listen: Some("127.0.0.1:3".to_owned()),
        ..SettingArgs::default()
    };
    let config = Config::for_serve(&serve(flags, Some(file.path())), &environment).unwrap();
    assert_eq!(config.server.listen.port(), 3);
    assert_eq!(config.server.drain, Duration::from_secs(2));
    assert_eq!(config.server.max_connections, 1);
    assert_eq!(config.log.filter, "info");
    let networks: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "192.0.2.1/32".parse().unwrap()];
    assert_eq!(config.devices.networks, Some(networks));
}

#[test]
fn the_file_can_be_named_by_a_variable() {
    let file = file("log = 'debug'");
    let environment = environment(&[("NCGATE_CONFIG", file.path().to_str().unwrap())]);
    let config = Config::for_serve(&ServeArgs::default(), &environment).unwrap();
    assert_eq!(config.log.filter, "debug");
}

/// U3: unknown names are errors, with the nearest known one.
#[test]
fn unknown_names_are_refused() {
    let file = file("databse = 'x'");
    let refused = Config::for_serve(
        &serve(SettingArgs::default(), Some(file.path())),
        &Environment::default(),
    );
    let text = refused.unwrap_err().to_string();
    assert!(
        text.ends_with("unknown setting 'databse'; did you mean 'database'?"),
        "{text}"
    );
    let refused = Config::for_serve(&ServeArgs::default(), &environment(&[("NCGATE_LISTNE", "x")]));
    let text = refused.unwrap_err().to_string();
    let expected = "the environment: unknown variable 'NCGATE_LISTNE'; did you mean 'NCGATE_LISTEN'?";
    assert_eq!(text, expected);
    // The key is no setting of the file.
    let file = self::file("key = 'canary'");
    let refused = Config::for_serve(
        &serve(SettingArgs::default(), Some(file.path())),
        &Environment::default(),
    );
    assert!(!refused.unwrap_err().to_string().contains("canary"));
}

/// Issue 2, item 2: without access control, loopback only.
#[test]
fn anything_but_loopback_is_refused() {
    for listen in [
        "127.0.0.1:0",
        "127.9.9.9:80",
        "[::1]:8830",
        "[::ffff:127.0.0.1]:1",
    ] {
        let settings = SettingArgs {
            listen: Some(listen.to_owned()),
            ..SettingArgs::default()
        };
        assert!(
            Config::for_serve(&serve(settings, None), &Environment::default()).is_ok(),
            "{listen}"
        );
    }
    for listen in ["0.0.0.0:8830", "[::]:8830", "192.0.2.1:8830"] {
        let text = refused(SettingArgs {
            listen: Some(listen.to_owned()),
            ..SettingArgs::default()
        });
        let start = "listen must be a loopback address, such as 127.0.0.1:8830 or [::1]:8830";
        assert!(
            text.starts_with(start) && text.ends_with("(from --listen)"),
            "{text}"
        );
    }
    let text = refused(SettingArgs {
        auth: Some("jwt".to_owned()),
        ..SettingArgs::default()
    });
    assert_eq!(
        text,
        "auth must be 'none', the only way there is yet, not 'jwt' (from --auth)"
    );
}

#[test]
fn wrong_values_name_the_setting_and_its_origin() {
    let wrong = |name: &str, value: &str| {
        let refused = Config::for_serve(&ServeArgs::default(), &environment(&[(name, value)]));
        refused.expect_err(value).to_string()
    };
    for (name, value) in [
        ("NCGATE_DRAIN_SECONDS", "0"),
        ("NCGATE_DRAIN_SECONDS", "1.5"),
        ("NCGATE_DEVICE_RECORD_SECONDS", "61"),
        ("NCGATE_MAX_BODY_BYTES", "8MB"),
        ("NCGATE_MAX_BODY_BYTES", "99999999999GiB"),
        ("NCGATE_MAX_CONNECTIONS", "-1"),
        ("NCGATE_DEVICE_NETWORKS", "10.0.0.0/33"),
        ("NCGATE_DEVICE_PORTS", "830-22"),
        ("NCGATE_READ_ONLY_RPCS", "a b"),
        ("NCGATE_LOG", "ncgate=loud"),
        ("NCGATE_LOG_FORMAT", "xml"),
        ("NCGATE_DATABASE", "mysql://u:canary@h"),
    ] {
        let text = wrong(name, value);
        assert!(
            text.ends_with(&format!("(from {name})")) && !text.contains("canary"),
            "{text}"
        );
    }
    assert!(wrong("NCGATE_DATABASE", "ncgate.db").contains("sqlite://PATH"));
}

#[test]
fn sizes_and_ports_are_understood() {
    let settings = SettingArgs {
        max_body_bytes: Some("512 KiB".to_owned()),
        max_reply_bytes: Some("1024".to_owned()),
        device_ports: Some("22, 830,4000-4100".to_owned()),
        ..SettingArgs::default()
    };
    let config = Config::for_serve(&serve(settings, None), &Environment::default()).unwrap();
    assert_eq!(
        (config.server.max_body_bytes, config.spool.max_reply),
        (512 << 10, 1024)
    );
    assert_eq!(config.devices.ports, [22..=22, 830..=830, 4000..=4100]);
}

#[test]
fn demo_keeps_nothing_and_dials_loopback() {
    let environment = environment(&[("NCGATE_DATABASE", "sqlite://precious.db")]);
    let args = DemoArgs {
        listen: Some("127.0.0.1:0".to_owned()),
        log: None,
    };
    let config = Config::for_demo(&args, &environment).unwrap();
    assert_eq!(config.database.url, "sqlite::memory:");
    assert_eq!(config.server.listen.port(), 0);
    assert_eq!(config.devices.networks.unwrap().len(), 2);
    assert_eq!(
        config.log,
        Log {
            filter: "warn".to_owned(),
            format: LogFormat::Text
        }
    );
    let args = DemoArgs {
        listen: None,
        log: Some("debug".to_owned()),
    };
    assert_eq!(Config::for_demo(&args, &environment).unwrap().log.filter, "debug");
}

/// U3: what is shown can be pasted into a file; passwords and keys are left out.
#[test]
fn shown_settings_hide_secrets_and_read_back() {
    let environment = environment(&[
        ("NCGATE_KEY", "canary-key"),
        (
            "NCGATE_DATABASE",
            "postgres://ncgate:canary@db.example.net/ncgate?password=canary/x",
        ),
        ("NCGATE_DRAIN_SECONDS", "9"),
    ]);
    let show = SettingsCommand::Show {
        origin: true,
        serve: ServeArgs::default(),
    };
    let text = show.run(&environment).unwrap();
    assert!(!text.contains("canary"), "{text}");
    assert!(
        text.contains("database = \"postgres://ncgate:…@db.example.net/ncgate?…\"  # NCGATE_DATABASE\n"),
        "{text}"
    );
    assert!(
        text.contains("drain_seconds = \"9\"  # NCGATE_DRAIN_SECONDS\n"),
        "{text}"
    );
    assert!(
        text.contains("listen = \"127.0.0.1:8830\"  # the default\n"),
        "{text}"
    );
    let file = file(&text);
    let again = SettingsCommand::Check {
        serve: serve(SettingArgs::default(), Some(file.path())),
    };
    assert_eq!(
        again.run(&Environment::default()).unwrap(),
        "the settings are good\n"
    );
    let config = Config::for_serve(&ServeArgs::default(), &environment).unwrap();
    assert!(!format!("{config:?} {environment:?}").contains("canary"));
    assert_eq!(config.database.key.unwrap().as_str(), "canary-key");
}
