//! The command line: its grammar, and the half of it that is a client of a running gateway.
//!
//! The commands that run something (`serve`, `demo`, `emulator`) are only parsed here; `app` carries them out. The
//! client speaks the REST API and knows nothing of the layers behind it.

mod change;
mod client;
mod confirmed_commit;
mod convert;
mod datastore;
mod device;
mod document;
mod edit;
mod edit_session;
mod event;
mod exit;
mod input;
mod operation;
mod output;
mod page;
mod pretty;
mod problem;
mod reading;
mod rpc;
pub mod stdio;
mod yaml;

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

#[cfg(feature = "emulator")]
use crate::config::{DemoArgs, EmulatorArgs};
use crate::config::{ServeArgs, SettingsCommand};

pub use change::ChangeCommand;
pub use client::ClientArgs;
pub use confirmed_commit::ConfirmedCommitCommand;
pub use convert::ConvertArgs;
pub use device::DeviceCommand;
pub use edit_session::EditSessionCommand;
pub use event::EventCommand;
pub use exit::{Exit, Failure, chain};
pub use operation::OperationCommand;
pub use reading::{ConfigCommand, StatusArgs, VersionArgs};
pub use rpc::{BatchArgs, CliArgs, RpcArgs};

/// A REST and gRPC gateway in front of NETCONF devices
#[derive(Debug, Parser)]
#[command(name = "ncgate", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The command line of this process.
    ///
    /// # Errors
    /// How the program ends instead: help or the version was asked for and is printed, or the arguments cannot be used
    /// and it is told why.
    pub fn of_process() -> Result<Self, Exit> {
        Self::try_parse().map_err(|instead| {
            let printed = stdio::unless_closed(instead.print());
            match printed {
                _ if instead.use_stderr() => Exit::Usage,
                Ok(()) => Exit::Ok,
                Err(error) => Failure::Output(error).report(),
            }
        })
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway with two emulated devices, to try it out; nothing is kept
    #[cfg(feature = "emulator")]
    Demo(DemoArgs),
    /// Run the gateway
    Serve(Box<ServeArgs>),
    /// Show or check the settings of `serve`
    #[command(subcommand)]
    Settings(Box<SettingsCommand>),
    /// Run an emulated device alone
    #[cfg(feature = "emulator")]
    Emulator(EmulatorArgs),
    /// Convert a document between XML and JSON
    Convert(ConvertArgs),
    #[command(flatten)]
    Client(ClientCommand),
    /// Print a script that completes commands in a shell
    Completions { shell: Shell },
    /// Print the manual page, or write one for each command
    Man {
        /// Write ncgate.1, ncgate-serve.1 and so on here
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
    },
    /// Print the OpenAPI document of the REST API
    Openapi,
}

/// What a running gateway is asked.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// The inventory, and what a device says of itself
    #[command(subcommand)]
    Device(Box<DeviceCommand>),
    /// Call an RPC of a device by its name
    Rpc(Box<RpcArgs>),
    /// Call several RPCs that change nothing
    Batch(Box<BatchArgs>),
    /// Run a command of a device's own CLI
    Cli(Box<CliArgs>),
    /// Read and compare configuration; copy, delete and validate whole configurations
    #[command(subcommand)]
    Config(Box<ConfigCommand>),
    /// Change a device in one call: lock, edit, validate, diff, commit, unlock
    #[command(subcommand)]
    Change(Box<ChangeCommand>),
    /// Commits that a device undoes unless they are confirmed
    #[command(subcommand)]
    ConfirmedCommit(Box<ConfirmedCommitCommand>),
    /// What became of every call that can change a device
    #[command(subcommand)]
    Operation(Box<OperationCommand>),
    /// Edit a candidate step by step
    #[command(subcommand)]
    EditSession(Box<EditSessionCommand>),
    /// What happened, and what happens
    #[command(subcommand)]
    Event(Box<EventCommand>),
    /// How the gateway is doing
    Status(StatusArgs),
    /// The versions of this program and of the gateway
    Version(VersionArgs),
}

impl ClientCommand {
    /// Asks the gateway, prints the answer on standard output and failures on standard error.
    pub fn run(&self) -> Exit {
        let asked = match self {
            Self::Device(command) => command.run(),
            Self::Rpc(args) => args.run(),
            Self::Batch(args) => args.run(),
            Self::Cli(args) => args.run(),
            Self::Config(command) => command.run(),
            Self::Change(command) => command.run(),
            Self::ConfirmedCommit(command) => command.run(),
            Self::Operation(command) => command.run(),
            Self::EditSession(command) => command.run(),
            Self::Event(command) => command.run(),
            Self::Status(args) => args.run(),
            Self::Version(args) => args.run(),
        };
        match asked {
            Ok(exit) => exit,
            Err(failure) => failure.report(),
        }
    }
}

/// The script that completes `ncgate` in this shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ncgate", &mut script);
    script
}

/// The manual page of `ncgate` itself.
///
/// # Errors
/// None in memory; the writer's type allows for some.
pub fn manual() -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    Ok(page)
}

/// Writes a manual page for every command into `directory`.
///
/// # Errors
/// The directory cannot be written.
pub fn write_manuals(directory: &std::path::Path) -> std::io::Result<()> {
    clap_mangen::generate_to(Cli::command(), directory)
}

#[cfg(test)]
mod tests;
