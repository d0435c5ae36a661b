//! `ncgate emulator`: one device on an address, until it is told to end.

use std::path::PathBuf;

use super::builder::{BuildError, Builder};
use super::demo::demo_devices;
use super::faults::Fault;
use super::profile::Profile;
use super::ssh::Prompt;

/// Arguments of `ncgate emulator`.
#[derive(Clone, Debug, clap::Args)]
pub struct EmulatorArgs {
    /// Address to listen on; port 0 takes any that is free
    #[arg(long, default_value = "127.0.0.1:8300")]
    pub listen: String,
    /// User that may log in
    #[arg(long, default_value = "admin")]
    pub user: String,
    /// Password of the user
    #[arg(long, default_value = "admin123")]
    pub password: String,
    /// Public key (OpenSSH file) that may log in as the user
    #[arg(long, value_name = "FILE")]
    pub authorized_key: Option<PathBuf>,
    /// Asks for the password by keyboard-interactive authentication, too
    #[arg(long)]
    pub keyboard_interactive: bool,
    /// Kind of server
    #[arg(long, value_enum, default_value_t)]
    pub profile: Profile,
    /// Host name; mx1 and mx2 come with a configuration of their own
    #[arg(long, default_value = "mx1")]
    pub hostname: String,
    /// Answers every request this many milliseconds later
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub delay_ms: u64,
    /// This user sits at the device's CLI in `configure exclusive`
    #[arg(long, value_name = "USER")]
    pub exclusive_user: Option<String>,
    /// A user at the device's CLI has given these commands (one a line) and committed nothing
    #[arg(long, value_name = "COMMANDS")]
    pub uncommitted: Option<String>,
    /// A member that reports on commits, as in re0 or node1; may be given several times
    #[arg(long, value_name = "NAME")]
    pub member: Vec<String>,
    /// Never closes the routing-engine element in the answer to a check, as some clusters do
    #[arg(long)]
    pub unclosed_members: bool,
    /// Warns of this at every commit and check
    #[arg(long, value_name = "TEXT")]
    pub commit_warning: Option<String>,
    /// Warns when a private copy is opened
    #[arg(long)]
    pub private_warning: bool,
    /// Gives every request a reply of interfaces of this many bytes
    #[arg(long, value_name = "BYTES")]
    pub huge_reply: Option<u64>,
}

/// Why `ncgate emulator` ends.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The device cannot be made.
    #[error("the emulated device cannot be started")]
    Build(#[from] BuildError),
    /// The file of the key cannot be used.
    #[error("{path} holds no usable public key")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: russh::keys::ssh_key::Error,
    },
    /// Nobody can be told where it listens.
    #[error("cannot write to standard output")]
    Output(#[source] std::io::Error),
    /// The signals to end on cannot be waited for.
    #[error("cannot wait for signals")]
    Signal(#[source] std::io::Error),
}

/// Runs the device until SIGINT or SIGTERM. Where it listens, and its host key, is a text for `announce`, which prints
/// it on standard output.
///
/// # Errors
/// The arguments cannot be used, the address cannot be had, or the text cannot be printed.
pub async fn run_cli(
    args: EmulatorArgs,
    announce: impl FnOnce(&str) -> std::io::Result<()>,
) -> Result<(), CommandError> {
    let [mx1, mx2] = demo_devices();
    let base = if args.hostname == "mx2" {
        mx2
    } else {
        mx1.hostname(args.hostname.clone())
    };
    let mut builder = base
        .profile(args.profile)
        .system_time()
        .user(args.user)
        .password(args.password.clone());
    if args.keyboard_interactive {
        let prompt = Prompt {
            text: "Password: ".to_owned(),
            echo: false,
            answer: args.password,
        };
        builder = builder.keyboard_interactive(vec![prompt]);
    }
    if let Some(path) = args.authorized_key {
        let key = russh::keys::PublicKey::read_openssh_file(&path)
            .map_err(|source| CommandError::Key { path, source })?;
        builder = builder.authorized_key(key);
    }
    if args.delay_ms > 0 {
        builder = builder.fault(Fault::Delay(std::time::Duration::from_millis(args.delay_ms)));
    }
    if let Some(user) = args.exclusive_user {
        builder = builder.configuring_exclusively(user);
    }
    if let Some(commands) = args.uncommitted {
        builder = builder.uncommitted("noc", commands);
    }
    builder = args.member.into_iter().fold(builder, Builder::member);
    if args.unclosed_members {
        builder = builder.leaves_members_unclosed();
    }
    if let Some(warning) = args.commit_warning {
        builder = builder.commit_warning(warning);
    }
    if args.private_warning {
        builder = builder.warns_of_private_copies();
    }
    if let Some(bytes) = args.huge_reply {
        builder = builder.fault(Fault::HugeReply(bytes));
    }
    let running = builder.listen(&args.listen).await?;
    let text = format!(
        "{} listens on {}\nhost key {}\n",
        args.hostname,
        running.addr(),
        running.host_key_fingerprint()
    );
    let ended = match announce(&text) {
        Ok(()) => ended().await.map_err(CommandError::Signal),
        Err(error) => Err(CommandError::Output(error)),
    };
    running.stop().await;
    ended
}

/// Waits for the first signal to end.
async fn ended() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
