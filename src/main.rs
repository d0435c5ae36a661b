//! The program: arguments, log, and off to `app`.

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use ncgate::app;
use ncgate::cli::{self, Cli, Command, Exit};
use ncgate::config::{Config, Environment};

fn main() -> ExitCode {
    let environment = Environment::of_process();
    match Cli::parse().command {
        Command::Demo(args) => match Config::for_demo(&args, &environment) {
            Ok(config) => serve(&config, app::demo::run(&config)),
            Err(error) => failed(&error, Exit::Usage),
        },
        Command::Serve(args) => match Config::for_serve(&args, &environment) {
            Ok(config) => serve(&config, app::serve(&config)),
            Err(error) => failed(&error, Exit::Usage),
        },
        Command::Emulator(args) => match run(ncgate::emulator::command::run_cli(args)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&*error, Exit::Failure),
        },
        Command::Settings(command) => match command.run(&environment) {
            Ok(text) => printed(text.as_bytes()),
            Err(error) => failed(&error, Exit::Usage),
        },
        Command::Convert(args) => args.run().into(),
        Command::Client(command) => command.run().into(),
        Command::Completions { shell } => printed(&cli::completions(shell)),
        Command::Man { directory: None } => match cli::manual() {
            Ok(page) => printed(&page),
            Err(error) => failed(&error, Exit::Failure),
        },
        Command::Man {
            directory: Some(directory),
        } => match cli::write_manuals(&directory) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error, Exit::Failure),
        },
        Command::Openapi => printed(ncgate::api::rest::document().as_bytes()),
    }
}

/// Runs a gateway with its log.
fn serve(config: &Config, work: impl Future<Output = Result<(), app::AppError>>) -> ExitCode {
    if let Err(error) = app::start_log(config) {
        return failed(&error, Exit::Usage);
    }
    match run(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&*error, Exit::Failure),
    }
}

fn run<E: std::error::Error + 'static>(
    work: impl Future<Output = Result<(), E>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(work)?)
}

fn printed(bytes: &[u8]) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failed(&error, Exit::Failure),
    }
}

/// Says what failed and why, each cause once.
fn failed(error: &dyn std::error::Error, exit: Exit) -> ExitCode {
    eprint!("ncgate: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
    exit.into()
}
