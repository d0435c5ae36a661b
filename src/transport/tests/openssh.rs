//! The transport against OpenSSH's server in inetd mode: one process per connection, no port.
//!
//! It runs as the calling user, with keys. The tests with a password need a user that has one, named as
//! `user:password` in `NCGATE_TEST_SSH_LOGIN`, root to log that user in, and PAM for keyboard-interactive; without
//! they say that they are skipped. So does everything where there is no `/usr/sbin/sshd`.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use russh::keys::ssh_key::LineEnding;
use tokio::net::UnixStream;

use super::server::{Plan, ed25519_key, rsa_key};
use super::support::{RSA_KEY, host, listen, pinned, read_bytes, target};
use crate::transport::{
    BoxFuture, ChannelKind, Credentials, Dialed, Dialer, HostKey, HostKeyPolicy, SshProfile, SshTarget,
    TransportError, connect,
};

const SSHD: &str = "/usr/sbin/sshd";

/// A configuration in a directory of its own; every dial starts a server process on it.
struct Sshd {
    dir: tempfile::TempDir,
    user: String,
}

impl Sshd {
    /// The `netconf` subsystem is `cat`; the RSA key is bound to `cat` as well, whatever is asked for.
    fn new(extra: &[&str]) -> Option<Self> {
        if !Path::new(SSHD).exists() {
            eprintln!("skipped: {SSHD} is not installed");
            return None;
        }
        let id = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(id).unwrap().trim().to_owned();
        if user == "root" {
            // The server wants it for privilege separation.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let file = |name: &str, text: &str, mode| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path.display().to_string()
        };
        let ed25519 = file(
            "host_ed25519",
            &ed25519_key(1).to_openssh(LineEnding::LF).unwrap(),
            0o600,
        );
        let rsa = file("host_rsa", RSA_KEY, 0o600);
        let line = |key: &russh::keys::PrivateKey| key.public_key().to_openssh().unwrap();
        let keys = format!(
            "{}\ncommand=\"/bin/cat\" {}\n",
            line(&ed25519_key(9)),
            line(&rsa_key())
        );
        let authorized = file("authorized_keys", &keys, 0o644);
        let config = format!(
            "HostKey {ed25519}\nHostKey {rsa}\nAuthorizedKeysFile {authorized}\nPidFile none\nStrictModes no\n\
             UseDNS no\nPrintMotd no\nPermitRootLogin yes\nSubsystem netconf /bin/cat\n{}\n",
            extra.join("\n")
        );
        file("sshd_config", &config, 0o600);
        Some(Self { dir, user })
    }

    fn target(&self, auth: Credentials) -> SshTarget {
        let mut host = host(auth);
        host.username = self.user.clone();
        SshTarget { host, ..target() }
    }

    fn ed25519(&self) -> SshTarget {
        self.target(Credentials::private_key(
            ed25519_key(9).to_openssh(LineEnding::LF).unwrap().to_string(),
        ))
    }

    fn rsa(&self) -> SshTarget {
        self.target(Credentials::private_key(RSA_KEY))
    }

    fn spawn(&self) -> UnixStream {
        let (ours, theirs) = StdUnixStream::pair().unwrap();
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))
            .unwrap();
        let out = theirs.try_clone().unwrap();
        let mut child = Command::new(SSHD)
            .args(["-i", "-e", "-f"])
            .arg(self.dir.path().join("sshd_config"))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(OwnedFd::from(out)))
            .stderr(log)
            .spawn()
            .unwrap();
        // It ends with its connection.
        std::thread::spawn(move || child.wait());
        ours.set_nonblocking(true).unwrap();
        UnixStream::from_std(ours).unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Connects, sends this much and reads it back.
    async fn echoes(&self, target: &SshTarget, size: usize) -> crate::transport::Connected {
        let mut connected = match connect(target, self).await {
            Ok(connected) => connected,
            Err(error) => panic!("{error:?}\n{}", self.log()),
        };
        let bytes: Bytes = (0..size).map(|i| (i % 251) as u8).collect::<Vec<u8>>().into();
        let mut writer = connected.writer;
        let sent = bytes.clone();
        let writing = tokio::spawn(async move {
            writer.write(sent).await.unwrap();
            writer
        });
        let back = read_bytes(&mut connected.reader, size).await;
        assert!(back == bytes, "{} of {size} bytes, changed", back.len());
        crate::transport::Connected {
            writer: writing.await.unwrap(),
            ..connected
        }
    }
}

impl Dialer for Sshd {
    fn dial<'a>(
        &'a self,
        _host: &'a str,
        _port: u16,
        _limit: Duration,
    ) -> BoxFuture<'a, Result<Dialed, TransportError>> {
        let stream = self.spawn();
        let (resolve, tcp) = (Duration::ZERO, Duration::ZERO);
        Box::pin(async move {
            Ok(Dialed {
                stream: Box::new(stream),
                address: None,
                resolve,
                tcp,
            })
        })
    }
}

/// S1, S2, S30
#[tokio::test]
async fn openssh_takes_our_keys_and_echoes() {
    let Some(sshd) = Sshd::new(&[]) else { return };
    let connected = sshd.echoes(&sshd.ed25519(), 300_000).await;
    assert!(
        connected.negotiated.cipher.contains("gcm"),
        "{:?}",
        connected.negotiated
    );
    let mut reader = connected.reader;
    connected.connection.close(Duration::from_secs(10)).await;
    assert!(reader.next().await.is_err());
    sshd.echoes(&sshd.rsa(), 1000).await;
}

/// S3: a real terminal must change no byte and cut no line.
#[tokio::test]
async fn openssh_terminal_is_raw() {
    let Some(sshd) = Sshd::new(&[]) else { return };
    let target = SshTarget {
        channel: ChannelKind::Pty,
        ..sshd.rsa()
    };
    sshd.echoes(&target, 20_000).await;
}

/// S2
#[tokio::test]
async fn openssh_tells_why_there_is_no_netconf() {
    let Some(sshd) = Sshd::new(&["Subsystem other /bin/true"]) else {
        return;
    };
    let text = fs::read_to_string(sshd.dir.path().join("sshd_config")).unwrap();
    let without = text.replace("Subsystem netconf /bin/cat\n", "");
    fs::write(sshd.dir.path().join("sshd_config"), without).unwrap();
    let error = connect(&sshd.ed25519(), &sshd).await.err().unwrap();
    assert!(
        error
            .to_string()
            .starts_with("server refuses the netconf subsystem"),
        "{error}"
    );
    // A command that does not exist is only found out after it was started.
    let target = SshTarget {
        channel: ChannelKind::Pty,
        ..sshd.ed25519()
    };
    let mut connected = connect(&target, &sshd).await.unwrap();
    while connected.reader.next().await.unwrap().is_some() {}
    assert_eq!(
        connected.reader.ending(Duration::from_secs(10)).await.exit_status,
        Some(127)
    );
}

/// X7
#[tokio::test]
async fn openssh_shows_the_host_key_that_known_hosts_has() {
    let Some(sshd) = Sshd::new(&[]) else { return };
    let path = sshd.dir.path().join("known_hosts");
    let rsa = rsa_key().public_key().to_openssh().unwrap();
    fs::write(&path, format!("[mx1]:830 {rsa}\n")).unwrap();
    let mut target = sshd.ed25519();
    target.host.host_key = HostKeyPolicy::KnownHosts { path: path.clone() };
    let connected = sshd.echoes(&target, 100).await;
    assert_eq!(connected.negotiated.host_key_algorithm, "rsa-sha2-512");
    target.host.port = 831;
    let error = connect(&target, &sshd).await.err().unwrap();
    assert!(
        matches!(error, TransportError::HostKeyUnknown { .. }),
        "{error:?}"
    );
    target.host.host_key = HostKeyPolicy::Pinned(vec![
        HostKey::parse(&ed25519_key(66).public_key().to_openssh().unwrap()).unwrap(),
    ]);
    let error = connect(&target, &sshd).await.err().unwrap();
    assert!(
        matches!(error, TransportError::HostKeyChanged { .. }),
        "{error:?}"
    );
}

/// S2
#[tokio::test]
async fn openssh_renews_keys_with_us() {
    let Some(sshd) = Sshd::new(&["RekeyLimit 1M 0"]) else {
        return;
    };
    sshd.echoes(&sshd.ed25519(), 3 << 20).await;
    let Some(plain) = Sshd::new(&[]) else { return };
    let mut target = plain.ed25519();
    target.settings.rekey_bytes = 1 << 20;
    plain.echoes(&target, 3 << 20).await;
    target.settings.rekey_bytes = 1 << 30;
    target.settings.rekey_after = Duration::from_millis(20);
    plain.echoes(&target, 6 << 20).await;
}

/// Quality section 3 row 19
#[tokio::test]
async fn openssh_with_old_algorithms_needs_the_legacy_profile() {
    let Some(sshd) = Sshd::new(&[
        "KexAlgorithms diffie-hellman-group14-sha1,diffie-hellman-group-exchange-sha1",
        "Ciphers aes128-cbc",
        "MACs hmac-sha1",
        "HostKeyAlgorithms ssh-rsa",
        "PubkeyAcceptedAlgorithms ssh-rsa",
    ]) else {
        return;
    };
    let mut target = sshd.rsa();
    target.host.host_key = HostKeyPolicy::Pinned(vec![
        HostKey::parse(&rsa_key().public_key().to_openssh().unwrap()).unwrap(),
    ]);
    match connect(&target, &sshd).await.err().unwrap() {
        TransportError::Negotiation {
            kind: "key exchange",
            theirs,
            ..
        } => {
            assert_eq!(
                theirs[..2],
                [
                    "diffie-hellman-group14-sha1",
                    "diffie-hellman-group-exchange-sha1"
                ]
            );
        }
        other => panic!("{other:?}"),
    }
    target.host.profile = SshProfile::Legacy;
    let connected = sshd.echoes(&target, 5000).await;
    assert_eq!(connected.negotiated.host_key_algorithm, "ssh-rsa");
    assert_eq!(connected.negotiated.mac, "hmac-sha1");
    let Some(sshd) = Sshd::new(&["KexAlgorithms diffie-hellman-group-exchange-sha1"]) else {
        return;
    };
    let connected = sshd.echoes(&target, 5000).await;
    assert_eq!(connected.negotiated.kex, "diffie-hellman-group-exchange-sha1");
}

/// S1
#[tokio::test]
async fn openssh_is_a_jump_host() {
    let Some(sshd) = Sshd::new(&[]) else { return };
    let device = Plan::default();
    let mut target = sshd.ed25519();
    let jump = target.host.clone();
    target.host = host(Credentials::password("pw"));
    target.host.address = "127.0.0.1".to_owned();
    target.host.port = listen(device.clone()).await;
    target.host.host_key = pinned(&device);
    target.proxy_jump.push(jump);
    sshd.echoes(&target, 3 << 20).await;
    target.host.port = 1;
    let error = connect(&target, &sshd).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "jump host cannot connect to 127.0.0.1 port 1: ConnectFailed"
    );
}

/// S1
#[tokio::test]
async fn openssh_takes_passwords_both_ways() {
    let Ok(login) = std::env::var("NCGATE_TEST_SSH_LOGIN") else {
        eprintln!("skipped: NCGATE_TEST_SSH_LOGIN is not set");
        return;
    };
    let (user, password) = login.split_once(':').expect("user:password");
    for (how, method) in [
        (
            "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nUsePAM no",
            "password",
        ),
        (
            "PasswordAuthentication no\nKbdInteractiveAuthentication yes\nUsePAM yes",
            "keyboard-interactive",
        ),
    ] {
        let Some(sshd) = Sshd::new(&[how]) else { return };
        let mut target = sshd.target(Credentials::password(password));
        target.host.username = user.to_owned();
        sshd.echoes(&target, 1000).await;
        target.host.auth = Credentials::password("wrong");
        match connect(&target, &sshd).await.err().unwrap() {
            TransportError::Auth { offered, tried, .. } => {
                assert_eq!(offered, ["publickey", method]);
                let sent = tried.iter().filter(|attempt| attempt.outcome != "not offered");
                assert_eq!(sent.map(|attempt| attempt.method).collect::<Vec<_>>(), [method]);
            }
            other => panic!("{other:?}"),
        }
    }
}
