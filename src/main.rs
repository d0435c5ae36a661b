//! The program: arguments, log, and off to `app`.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::future::Future;
use std::process::ExitCode;

use ncgate::app;
use ncgate::cli::{self, Cli, Command, Exit, Failure, stdio};
use ncgate::config::{Config, Environment};

fn main() -> ExitCode {
    match Cli::of_process() {
        Ok(cli) => carry_out(cli.command).into(),
        Err(exit) => exit.into(),
    }
}

fn carry_out(command: Command) -> Exit {
    let environment = Environment::of_process();
    match command {
        Command::Demo(args) => match Config::for_demo(&args, &environment) {
            Ok(config) => serve(&config, app::demo::run(&config)),
            Err(error) => failed(&error, Exit::Usage),
        },
        Command::Serve(args) => match Config::for_serve(&args, &environment) {
            Ok(config) => serve(&config, app::serve(&config)),
            Err(error) => failed(&error, Exit::Usage),
        },
        Command::Emulator(args) => {
            let announce = |text: &str| stdio::print(text.as_bytes());
            match run(ncgate::emulator::command::run_cli(args, announce)) {
                Ok(()) => Exit::Ok,
                Err(error) => failed(&*error, Exit::Failure),
            }
        }
        Command::Settings(command) => match command.run(&environment) {
            Ok(text) => printed(text.as_bytes()),
            Err(error) => failed(&error, Exit::Usage),
        },
        Command::Convert(args) => args.run(),
        Command::Client(command) => command.run(),
        Command::Completions { shell } => printed(&cli::completions(shell)),
        Command::Man { directory: None } => match cli::manual() {
            Ok(page) => printed(&page),
            Err(error) => failed(&error, Exit::Failure),
        },
        Command::Man {
            directory: Some(directory),
        } => match cli::write_manuals(&directory) {
            Ok(()) => Exit::Ok,
            Err(error) => failed(&error, Exit::Failure),
        },
        Command::Openapi => printed(ncgate::api::rest::document().as_bytes()),
    }
}

/// Runs a gateway with its log.
fn serve(config: &Config, work: impl Future<Output = Result<(), app::AppError>>) -> Exit {
    if let Err(error) = app::start_log(config) {
        return failed(&error, Exit::Usage);
    }
    match run(work) {
        Ok(()) => Exit::Ok,
        Err(error) => failed(&*error, Exit::Failure),
    }
}

fn run<E: std::error::Error + 'static>(
    work: impl Future<Output = Result<(), E>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(work)?)
}

fn printed(bytes: &[u8]) -> Exit {
    match stdio::print(bytes) {
        Ok(()) => Exit::Ok,
        Err(error) => Failure::Output(error).report(),
    }
}

/// Says what failed and why. Where that cannot be said, the exit code is left to tell.
fn failed(error: &dyn std::error::Error, exit: Exit) -> Exit {
    let _ = stdio::tell(&format!("ncgate: {}\n", cli::chain(error)));
    exit
}
