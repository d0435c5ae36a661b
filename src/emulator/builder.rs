//! Describes a device before it runs.

use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use russh::{MethodKind, MethodSet};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::config::{Change, Engine, SetError};
use super::console::Console;
use super::device::{Device, Facts, Quirks};
use super::device_error::DeviceError;
use super::faults::{Fault, Rule};
use super::profile::Profile;
use super::quirk::Quirk;
use super::server::{Emulator, Options, RunningEmulator, Shared};
use super::ssh::{Login, Prompt};
use super::when::DeviceTime;
use crate::clock::Clock;

mod quirks;

/// What time it is on a device that is told nothing else: 2026-01-15 12:00:00 UTC.
const FIXED_TIME: i64 = 1_768_478_400;
/// How long a device has been up when it is made, in seconds.
const UPTIME: i64 = 3_600_000;
/// Logins tried on one connection before it is closed.
const AUTH_ATTEMPTS: usize = 6;

/// Why a device cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The configuration holds a command that cannot be applied.
    #[error("the configuration cannot be applied")]
    Configuration(#[source] SetError),
    /// What somebody does at the CLI is refused.
    #[error("{0} cannot configure: {1}")]
    Console(String, String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// A device to be.
#[derive(Clone, Debug)]
pub struct Builder {
    hostname: String,
    model: String,
    version: String,
    serial: String,
    profile: Profile,
    prolog: bool,
    time: DeviceTime,
    changes: Vec<Change>,
    rescue: bool,
    logins: Vec<Login>,
    host_key_seed: Option<[u8; 32]>,
    algorithms: Option<russh::Preferred>,
    sessions: usize,
    options: Options,
    faults: Vec<Rule>,
    quirks: Quirks,
    conduct: Vec<Quirk>,
    files: Vec<(String, String)>,
    /// Who is at the CLI when the device starts.
    consoles: Vec<AtCli>,
}

/// Somebody at the CLI.
#[derive(Clone, Debug)]
struct AtCli {
    user: String,
    exclusive: bool,
    commands: String,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            hostname: "mx1".to_owned(),
            model: "mx240".to_owned(),
            version: "21.4R3-S5.4".to_owned(),
            serial: "JN1269A5BAFC".to_owned(),
            profile: Profile::Junos,
            prolog: true,
            time: DeviceTime::Fixed(FIXED_TIME),
            changes: Vec::new(),
            rescue: false,
            logins: Vec::new(),
            host_key_seed: None,
            algorithms: None,
            sessions: 2048,
            options: Options {
                message_bytes: 64 << 20,
                loses_request_with_hello: false,
                stubborn_terminal: false,
                subsystem: true,
                motd: String::new(),
                login_banner: None,
                forwards: false,
            },
            faults: Vec::new(),
            quirks: Quirks::default(),
            conduct: Vec::new(),
            files: Vec::new(),
            consoles: Vec::new(),
        }
    }
}

impl Emulator {
    /// A device `mx1` that is configured with its name alone, into which nobody can log in yet.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// Host name, which also stands in the configuration.
    #[must_use]
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = hostname.into();
        self
    }

    /// Product model in lower case, as in `mx240`.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }

    /// Software version, as in `21.4R3-S5.4`.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Serial number of the chassis.
    #[must_use]
    pub fn serial(mut self, serial: impl Into<String>) -> Self {
        self.serial = serial.into();
        self
    }

    /// Kind of server.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Whether comments stand before the hello, as on Junos. They do unless turned off.
    #[must_use]
    pub fn hello_comments(mut self, comments: bool) -> Self {
        self.prolog = comments;
        self
    }

    /// Takes the time from the machine's clock, see [`Builder::clock`].
    #[must_use]
    pub fn system_time(self) -> Self {
        self.clock(Clock::system())
    }

    /// Takes the wall time from a clock. Without one the device's time stands still.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.time = DeviceTime::Clock(clock);
        self
    }

    /// Commits set, delete and deactivate commands on top of what was committed before. Each call is a commit of
    /// its own, and so a rollback to compare with.
    #[must_use]
    pub fn configuration(self, commands: impl Into<String>) -> Self {
        let seconds = FIXED_TIME - 86_400 + 600 * i64::try_from(self.changes.len()).unwrap_or(0);
        self.commit(Change {
            commands: commands.into(),
            user: "admin".to_owned(),
            client: "cli".to_owned(),
            seconds,
            log: None,
        })
    }

    /// Commits with an author, a time and a comment.
    #[must_use]
    pub fn commit(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Saves what is running in the end as the rescue configuration.
    #[must_use]
    pub fn rescue(mut self) -> Self {
        self.rescue = true;
        self
    }

    /// A user sits at the CLI in `configure exclusive`, until `<kill-session>`. See [`super::Console`] for one who
    /// comes and goes.
    #[must_use]
    pub fn configuring_exclusively(mut self, user: impl Into<String>) -> Self {
        self.consoles.push(AtCli {
            user: user.into(),
            exclusive: true,
            commands: String::new(),
        });
        self
    }

    /// A user at the CLI has edited the shared candidate and committed nothing.
    #[must_use]
    pub fn uncommitted(mut self, user: impl Into<String>, commands: impl Into<String>) -> Self {
        self.consoles.push(AtCli {
            user: user.into(),
            exclusive: false,
            commands: commands.into(),
        });
        self
    }

    /// Puts a text where the device can load it from.
    #[must_use]
    pub fn file(mut self, url: impl Into<String>, text: impl Into<String>) -> Self {
        self.files.push((url.into(), text.into()));
        self
    }

    /// Adds a user; the ways to log in that follow are this user's.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.logins.push(Login {
            user: user.into(),
            ..Login::default()
        });
        self
    }

    fn login(&mut self) -> &mut Login {
        if self.logins.is_empty() {
            self.logins.push(Login {
                user: "admin".to_owned(),
                ..Login::default()
            });
        }
        let last = self.logins.len() - 1;
        &mut self.logins[last]
    }

    /// Lets the user (`admin` if none was named) log in with a password.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.login().password = Some(password.into());
        self
    }

    /// Lets the user log in with a key.
    #[must_use]
    pub fn authorized_key(mut self, key: PublicKey) -> Self {
        self.login().keys.push(key);
        self
    }

    /// Lets the user log in by answering a round of questions. Several calls are several rounds.
    #[must_use]
    pub fn keyboard_interactive(mut self, prompts: Vec<Prompt>) -> Self {
        self.login().rounds.push(prompts);
        self
    }

    /// The seed of the host key. Without it, the key follows from the host name.
    #[must_use]
    pub fn host_key_seed(mut self, seed: [u8; 32]) -> Self {
        self.host_key_seed = Some(seed);
        self
    }

    /// The SSH algorithms that the server offers.
    #[must_use]
    pub fn algorithms(mut self, algorithms: russh::Preferred) -> Self {
        self.algorithms = Some(algorithms);
        self
    }

    /// NETCONF sessions at a time; the subsystem is refused beyond.
    #[must_use]
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.sessions = sessions;
        self
    }

    /// Turns the subsystem off: only the commands remain.
    #[must_use]
    pub fn without_subsystem(mut self) -> Self {
        self.options.subsystem = false;
        self
    }

    /// Makes the device a jump host: whoever has logged in may connect onward from it, to any address.
    #[must_use]
    pub fn jump_host(mut self) -> Self {
        self.options.forwards = true;
        self
    }

    /// What is shown before the hello of a session that has a terminal.
    #[must_use]
    pub fn motd(mut self, motd: impl Into<String>) -> Self {
        self.options.motd = motd.into();
        self
    }

    /// What SSH shows before the login.
    #[must_use]
    pub fn login_banner(mut self, banner: impl Into<String>) -> Self {
        self.options.login_banner = Some(banner.into());
        self
    }

    /// The terminal echoes whatever modes the client asks for.
    #[must_use]
    pub fn stubborn_terminal(mut self) -> Self {
        self.options.stubborn_terminal = true;
        self
    }

    /// A request that arrives in the same read as the client's hello is lost.
    #[must_use]
    pub fn loses_request_with_hello(mut self) -> Self {
        self.options.loses_request_with_hello = true;
        self
    }

    /// A fault that strikes every time.
    #[must_use]
    pub fn fault(self, fault: Fault) -> Self {
        self.fault_rule(Rule::always(fault))
    }

    /// A fault with a rule of its own.
    #[must_use]
    pub fn fault_rule(mut self, rule: Rule) -> Self {
        self.faults.push(rule);
        self
    }

    /// Answers this operation with this text inside `<rpc-reply>`.
    #[must_use]
    pub fn reply_with(self, operation: impl Into<String>, inside: impl Into<String>) -> Self {
        self.fault_rule(Rule::on(operation, Fault::ReplyWith(inside.into())))
    }

    /// The device, not listening.
    ///
    /// # Errors
    /// The configuration cannot be applied.
    pub fn build(self) -> Result<Emulator, BuildError> {
        let host_key = host_key(self.host_key_seed.unwrap_or_else(|| seed(&self.hostname)));
        let methods = methods(&self.logins);
        let name = format!(
            "set version {}\nset system host-name {}\n",
            self.version, self.hostname
        );
        let mut changes = self.changes;
        match changes.first_mut() {
            Some(first) => first.commands.insert_str(0, &name),
            None => changes.push(Change {
                commands: name,
                user: "root".to_owned(),
                client: "other".to_owned(),
                seconds: FIXED_TIME - 86_400,
                log: None,
            }),
        }
        let mut engine = Engine::new(&changes).map_err(BuildError::Configuration)?;
        if self.rescue {
            engine.save_rescue();
        }
        let [a, b, c, ..] = seed(&self.serial);
        let facts = Facts {
            model: self.model,
            version: self.version,
            serial: self.serial,
            booted: self.time.now() - UPTIME,
            // The second digit marks addresses that no maker was given.
            mac: [0x02, a, b, c],
        };
        let mut conduct = self.profile.conduct();
        let mut quirks = self.quirks;
        for quirk in self.conduct {
            quirk.apply(&mut conduct, &mut quirks);
        }
        engine.conduct = conduct;
        let mut device = Device::new(facts, self.profile, self.time, engine);
        device.prolog = self.prolog;
        device.quirks = quirks;
        for (url, text) in self.files {
            device.put_file(url, text);
        }
        for rule in self.faults {
            device.faults.add(rule);
        }
        let device = Arc::new(device);
        for at in self.consoles {
            let console = Console::login(&device, &at.user);
            let refused = |error: DeviceError| BuildError::Console(at.user.clone(), error.message.into());
            if at.exclusive {
                console.configure_exclusive().map_err(refused)?;
            }
            let problems = console.edit(&at.commands).map_err(refused)?;
            if let Some(problem) = problems.into_iter().next() {
                return Err(refused(problem));
            }
        }
        let ssh = russh::server::Config {
            keys: vec![host_key.clone()],
            methods,
            // Clients probe with the method `none`; making them wait protects nobody here.
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            max_auth_attempts: AUTH_ATTEMPTS,
            inactivity_timeout: None,
            nodelay: true,
            preferred: self.algorithms.unwrap_or_default(),
            ..russh::server::Config::default()
        };
        let shared = Shared {
            device,
            logins: self.logins,
            options: self.options,
            sessions: Arc::new(Semaphore::new(self.sessions.min(Semaphore::MAX_PERMITS))),
            tasks: TaskTracker::new(),
            ssh: Arc::new(ssh),
        };
        Ok(Emulator {
            shared: Arc::new(shared),
            host_key,
        })
    }

    /// The device, listening on `address` (`127.0.0.1:0` for any free port).
    ///
    /// # Errors
    /// The configuration cannot be applied, or the address cannot be had.
    pub async fn listen(self, address: &str) -> Result<RunningEmulator, BuildError> {
        let listen = |source| BuildError::Listen {
            address: address.to_owned(),
            source,
        };
        self.build()?.listen(address).await.map_err(listen)
    }
}

fn seed(text: &str) -> [u8; 32] {
    Sha256::digest(format!("ncgate emulator {text}")).into()
}

fn host_key(seed: [u8; 32]) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&seed))
}

/// The methods that some user can log in with.
fn methods(logins: &[Login]) -> MethodSet {
    let mut methods = MethodSet::empty();
    let mut offer = |method, offered: bool| {
        if offered {
            methods.push(method);
        }
    };
    offer(
        MethodKind::PublicKey,
        logins.iter().any(|login| !login.keys.is_empty()),
    );
    offer(
        MethodKind::KeyboardInteractive,
        logins.iter().any(|login| !login.rounds.is_empty()),
    );
    offer(
        MethodKind::Password,
        logins.iter().any(|login| login.password.is_some()),
    );
    methods
}
