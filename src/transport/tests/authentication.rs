//! S1: every way to log in, and what is said when none works.

use std::sync::Arc;

use russh::MethodKind;
use russh::keys::{Algorithm, PublicKey};

use super::server::{Plan, ed25519_key, rsa_key};
use super::support::{ENCRYPTED_KEY, RSA_KEY, connect_to, failure, host, target};
use crate::transport::{
    AuthAttempt, Credentials, PromptAnswer, Secret, SshProfile, SshTarget, TransportError, UserKey,
};

fn with(auth: Credentials) -> SshTarget {
    SshTarget {
        host: host(auth),
        ..target()
    }
}

fn answer(prompt: &str, answer: &str) -> PromptAnswer {
    PromptAnswer {
        prompt: prompt.to_owned(),
        answer: Secret::new(answer),
    }
}

fn attempt(method: &'static str, outcome: &str) -> AuthAttempt {
    AuthAttempt {
        method,
        outcome: outcome.to_owned(),
    }
}

/// Offered, tried, partial success.
fn auth_parts(error: &TransportError) -> (Vec<&str>, Vec<AuthAttempt>, bool) {
    match error {
        TransportError::Auth {
            user,
            offered,
            tried,
            partial_success,
        } => {
            assert_eq!(user, "u");
            (
                offered.iter().map(String::as_str).collect(),
                tried.clone(),
                *partial_success,
            )
        }
        other => panic!("{other:?}"),
    }
}

/// S1
#[tokio::test]
async fn wrong_password_is_sent_once_and_told_without_the_password() {
    let plan = Plan {
        methods: vec![MethodKind::Password, MethodKind::KeyboardInteractive],
        prompts: vec![vec![("Password:", "pw")]],
        ..Plan::default()
    };
    let target = with(Credentials::password("canary-7181"));
    let error = failure(&plan, &target).await;
    let (offered, tried, partial) = auth_parts(&error);
    assert_eq!(offered, ["password", "keyboard-interactive"]);
    assert_eq!(tried, [attempt("password", "refused")]);
    assert!(!partial);
    assert_eq!(plan.log.auth_attempts(), 1, "{:?}", plan.log.all());
    assert_eq!(
        error.to_string(),
        "authentication of u refused: offered password, keyboard-interactive, tried password (refused)"
    );
    for text in [format!("{error:?}"), format!("{target:?}")] {
        assert!(!text.contains("canary"), "{text}");
    }
}

/// Q4: a server that hangs up on a wrong password has refused it.
#[tokio::test]
async fn hanging_up_on_a_password_is_a_refusal() {
    let plan = Plan {
        hangs_up: true,
        ..Plan::default()
    };
    let error = failure(&plan, &with(Credentials::password("wrong"))).await;
    let (offered, tried, partial) = auth_parts(&error);
    assert_eq!(offered, ["password", "publickey"]);
    assert_eq!(tried, [attempt("password", "the server closed the connection")]);
    assert!(!partial);
    // Nothing was offered that it could have refused.
    let nothing_sent = Plan {
        methods: vec![MethodKind::KeyboardInteractive],
        ..plan
    };
    let auth = Credentials {
        keyboard_interactive: vec![answer("token", "t")],
        ..Credentials::default()
    };
    let error = failure(&nothing_sent, &with(auth)).await;
    assert_eq!(auth_parts(&error).1, [attempt("keyboard-interactive", "refused")]);
}

/// Q4: a server that has had enough says so and hangs up: what was refused before is told, and the last one with it.
#[tokio::test]
async fn too_many_tries_are_a_refusal() {
    let auth = Credentials {
        private_key: Some(UserKey::new(Secret::new(key_text(&ed25519_key(7))), None)),
        password: Some(Secret::new("wrong")),
        keyboard_interactive: vec![answer("token", "t")],
        ..Credentials::default()
    };
    let goodbye = "the server disconnected: NoMoreAuthMethodsAvailable: Too many authentication attempts";
    // The question for the methods is the first one that such a server counts.
    for (max_tries, expected) in [
        (1, vec![attempt("publickey", goodbye)]),
        (
            2,
            vec![attempt("publickey", "refused"), attempt("password", goodbye)],
        ),
    ] {
        let plan = Plan {
            methods: vec![
                MethodKind::PublicKey,
                MethodKind::Password,
                MethodKind::KeyboardInteractive,
            ],
            max_tries,
            ..Plan::default()
        };
        let error = failure(&plan, &with(auth.clone())).await;
        let (offered, tried, partial) = auth_parts(&error);
        assert_eq!(offered, ["publickey", "password", "keyboard-interactive"]);
        assert_eq!((tried, partial), (expected, false));
    }
}

/// S1
#[tokio::test]
async fn password_answers_a_single_prompt_where_only_keyboard_interactive_is_offered() {
    let plan = Plan {
        methods: vec![MethodKind::KeyboardInteractive],
        prompts: vec![vec![("Password for u:", "pw")], vec![]],
        ..Plan::default()
    };
    connect_to(&plan, &target()).await.unwrap();
    // A password sent with a method that is not offered would be a failed login on some servers.
    assert_eq!(
        plan.log.all()[1..3],
        ["methods asked", "auth keyboard-interactive"],
        "{:?}",
        plan.log.all()
    );
}

/// A server that asks for the password by a prompt, and takes nothing else.
fn asking_for_the_password() -> Plan {
    Plan {
        methods: vec![MethodKind::KeyboardInteractive],
        prompts: vec![vec![("Password for u:", "pw")], vec![]],
        ..Plan::default()
    }
}

/// S1: the next login begins with what was enough for the last one; when it is not enough any more, what the server offers
/// counts again.
#[tokio::test]
async fn what_was_enough_comes_first_the_next_time() {
    let logins = |plan: &Plan| {
        let mut all = plan.log.all();
        all.retain(|line| line == "methods asked" || line.starts_with("auth "));
        all
    };
    let first = asking_for_the_password();
    let target = target();
    connect_to(&first, &target).await.unwrap();
    assert_eq!(logins(&first), ["methods asked", "auth keyboard-interactive"]);
    let second = Plan {
        log: Arc::default(),
        ..first.clone()
    };
    connect_to(&second, &target.clone()).await.unwrap();
    assert_eq!(logins(&second), ["auth keyboard-interactive"]);
    // It offers something else by now.
    let third = Plan {
        methods: vec![MethodKind::Password],
        prompts: Vec::new(),
        log: Arc::default(),
        ..first.clone()
    };
    connect_to(&third, &target).await.unwrap();
    assert_eq!(
        logins(&third),
        ["auth keyboard-interactive", "auth password u"],
        "the refusal told what it offers"
    );
    let fourth = Plan {
        log: Arc::default(),
        ..third.clone()
    };
    connect_to(&fourth, &target).await.unwrap();
    assert_eq!(logins(&fourth), ["auth password u"]);
}

/// S1, X7: a password that was judged as the answer to a prompt, which came first because it was enough before, is not sent
/// again as a password.
#[tokio::test]
async fn a_judged_answer_is_not_sent_as_a_password() {
    let first = asking_for_the_password();
    let target = target();
    connect_to(&first, &target).await.unwrap();
    let changed = Plan {
        methods: vec![MethodKind::KeyboardInteractive, MethodKind::Password],
        prompts: vec![vec![("Password for u:", "another")]],
        password: Some("another"),
        log: Arc::default(),
        ..first
    };
    let error = failure(&changed, &target).await;
    assert_eq!(auth_parts(&error).1, [attempt("keyboard-interactive", "refused")]);
    let all = changed.log.all();
    assert!(
        !all.iter().any(|line| line.starts_with("auth password")),
        "{all:?}"
    );
}

/// S1
#[tokio::test]
async fn prompts_are_answered_by_name_over_several_rounds() {
    let plan = Plan {
        methods: vec![MethodKind::KeyboardInteractive],
        prompts: vec![
            vec![("Login code", "c1"), ("Domain", "d1")],
            vec![("Token", "t1")],
        ],
        ..Plan::default()
    };
    let keyboard_interactive = vec![
        answer("domain", "d1"),
        answer("token", "t1"),
        answer("code", "c1"),
    ];
    let auth = Credentials {
        keyboard_interactive,
        ..Credentials::default()
    };
    connect_to(&plan, &with(auth)).await.unwrap();
    assert_eq!(plan.log.auth_attempts(), 1);
}

/// S1
#[tokio::test]
async fn prompt_without_an_answer_is_named() {
    let plan = Plan {
        methods: vec![MethodKind::KeyboardInteractive],
        prompts: vec![vec![("Password:", "pw"), ("One-time\ncode:", "1")]],
        ..Plan::default()
    };
    let auth = Credentials {
        keyboard_interactive: vec![answer("password", "pw")],
        ..Credentials::default()
    };
    let error = failure(&plan, &with(auth)).await;
    let (_, tried, _) = auth_parts(&error);
    assert_eq!(
        tried,
        [attempt(
            "keyboard-interactive",
            "no answer for the prompt \"One-time code:\""
        )]
    );
}

/// S1
#[tokio::test]
async fn judged_password_is_no_keyboard_interactive_answer() {
    let plan = Plan {
        methods: vec![MethodKind::Password, MethodKind::KeyboardInteractive],
        prompts: vec![vec![("Password:", "wrong")]],
        ..Plan::default()
    };
    let keyboard_interactive = vec![answer("token", "t")];
    let auth = Credentials {
        keyboard_interactive,
        ..Credentials::password("wrong")
    };
    let error = failure(&plan, &with(auth)).await;
    let (_, tried, _) = auth_parts(&error);
    assert_eq!(
        tried[1],
        attempt("keyboard-interactive", "no answer for the prompt \"Password:\"")
    );
}

fn key_plan(key: &PublicKey) -> Plan {
    Plan {
        methods: vec![MethodKind::PublicKey],
        password: None,
        user_keys: vec![key.clone()],
        ..Plan::default()
    }
}

fn key_text(key: &russh::keys::PrivateKey) -> String {
    key.to_openssh(Default::default()).unwrap().to_string()
}

/// S1
#[tokio::test]
async fn ed25519_key_logs_in() {
    let key = ed25519_key(9);
    let plan = key_plan(key.public_key());
    connect_to(&plan, &with(Credentials::private_key(key_text(&key))))
        .await
        .unwrap();
    let error = failure(&plan, &with(Credentials::private_key(key_text(&ed25519_key(8))))).await;
    assert_eq!(auth_parts(&error).1, [attempt("publickey", "refused")]);
}

/// S1
#[tokio::test]
async fn encrypted_key_needs_its_passphrase() {
    let opened = russh::keys::decode_secret_key(ENCRYPTED_KEY, Some("open sesame")).unwrap();
    let plan = key_plan(opened.public_key());
    let with_passphrase = |passphrase: Option<&str>| {
        let key = UserKey::new(Secret::new(ENCRYPTED_KEY), passphrase.map(Secret::new));
        with(Credentials {
            private_key: Some(key),
            ..Credentials::default()
        })
    };
    connect_to(&plan, &with_passphrase(Some("open sesame")))
        .await
        .unwrap();
    for (passphrase, expected) in [
        (
            Some("wrong"),
            "auth.private_key: the passphrase does not open the private key",
        ),
        (
            None,
            "auth.private_key: the private key is encrypted and no passphrase is given",
        ),
    ] {
        let error = failure(&plan, &with_passphrase(passphrase)).await;
        assert_eq!(error.to_string(), expected);
    }
    let malformed = failure(&plan, &with(Credentials::private_key("-----BEGIN nonsense"))).await;
    assert!(matches!(
        malformed,
        TransportError::Prerequisite {
            field: "auth.private_key",
            ..
        }
    ));
}

/// S1
#[tokio::test]
async fn rsa_key_signs_with_sha2() {
    for accepted in ["rsa-sha2-512", "rsa-sha2-256"] {
        let mut plan = key_plan(rsa_key().public_key());
        plan.signatures = vec![accepted.to_owned()];
        // What a server announces for signatures follows from what it takes as host keys.
        plan.preferred.key = vec![Algorithm::Ed25519, Algorithm::new(accepted).unwrap()].into();
        connect_to(&plan, &with(Credentials::private_key(RSA_KEY)))
            .await
            .unwrap();
        let seen = plan.log.all();
        let mut signed = seen.iter().filter(|event| event.starts_with("auth "));
        assert!(
            signed.all(|event| *event == format!("auth publickey {accepted}")),
            "{seen:?}"
        );
    }
}

/// Quality section 3 row 19
#[tokio::test]
async fn rsa_key_signs_with_sha1_only_in_legacy() {
    let mut plan = key_plan(rsa_key().public_key());
    plan.signatures = vec!["ssh-rsa".to_owned()];
    plan.preferred.key = vec![Algorithm::Ed25519, Algorithm::Rsa { hash: None }].into();
    let mut target = with(Credentials::private_key(RSA_KEY));
    failure(&plan, &target).await;
    assert!(
        !plan.log.all().iter().any(|e| e == "auth publickey ssh-rsa"),
        "{:?}",
        plan.log.all()
    );
    target.host.profile = SshProfile::Legacy;
    connect_to(&plan, &target).await.unwrap();
}

/// S1
#[tokio::test]
async fn two_factors_are_given_in_the_order_the_server_wants() {
    let key = ed25519_key(9);
    let both = || Credentials {
        password: Some(Secret::new("pw")),
        ..Credentials::private_key(key_text(&key))
    };
    let key_first = Plan {
        second_factor: Some(MethodKind::Password),
        ..key_plan(key.public_key())
    };
    let key_first = Plan {
        password: Some("pw"),
        ..key_first
    };
    connect_to(&key_first, &with(both())).await.unwrap();

    let password_first = Plan {
        methods: vec![MethodKind::Password],
        second_factor: Some(MethodKind::PublicKey),
        ..Plan::default()
    };
    let error = failure(&password_first, &target()).await;
    let (offered, tried, partial) = auth_parts(&error);
    assert_eq!(offered, ["publickey"]);
    assert_eq!(tried[0], attempt("password", "accepted, not sufficient"));
    assert!(partial);
}

/// S1
#[tokio::test]
async fn method_that_is_not_offered_is_not_tried() {
    let plan = Plan {
        methods: vec![MethodKind::Password],
        ..Plan::default()
    };
    let auth = Credentials {
        keyboard_interactive: vec![answer("", "x")],
        ..Credentials::password("wrong")
    };
    let error = failure(&plan, &with(auth)).await;
    let (offered, tried, _) = auth_parts(&error);
    assert_eq!(offered, ["password"]);
    let expected = [
        attempt("password", "refused"),
        attempt("keyboard-interactive", "not offered"),
    ];
    assert_eq!(tried, expected);
    assert_eq!(plan.log.auth_attempts(), 1);
    let none_left = Plan {
        methods: vec![],
        password: None,
        ..plan
    };
    let error = failure(&none_left, &target()).await;
    assert_eq!(auth_parts(&error).0, Vec::<&str>::new());
}

/// S1
#[test]
fn missing_prerequisites_are_named() {
    let complete = target();
    let field = |change: fn(&mut SshTarget)| {
        let mut target = complete.clone();
        change(&mut target);
        target.check().unwrap_err().to_string()
    };
    assert_eq!(field(|t| t.host.address.clear()), "address: is missing");
    assert_eq!(field(|t| t.host.username.clear()), "username: is missing");
    assert_eq!(field(|t| t.host.port = 0), "port: is missing");
    assert_eq!(
        field(|t| t.host.auth = Credentials::default()),
        "auth: is missing"
    );
    let of_jump = field(|t| {
        let mut jump = t.host.clone();
        jump.username.clear();
        t.proxy_jump.push(jump);
    });
    assert_eq!(of_jump, "jump host 0 (mx1)");
}
