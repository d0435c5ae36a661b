//! How the program ends: exit codes that scripts can branch on, and the failures behind them.

use std::error::Error;
use std::fmt;

use super::problem::Problem;
use super::stdio;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Ok,
    Failure,
    Usage,
    NotFound,
    Conflict,
    /// The gateway or the device could not be reached; nothing was done.
    Unreachable,
    /// Nobody knows whether it was done.
    OutcomeUnknown,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Unreachable => 5,
            Self::OutcomeUnknown => 6,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line, or a file that it names, cannot be used.
    Usage(String),
    /// The gateway answered with a problem.
    Problem {
        problem: Box<Problem>,
        format: super::output::Format,
    },
    /// There is no gateway at this address.
    NoGateway {
        server: String,
        #[source]
        source: ureq::Error,
    },
    /// The connection failed after the request was sent.
    Lost {
        /// Of a request that could change something.
        key: Option<String>,
        server: String,
        #[source]
        source: ureq::Error,
    },
    /// What answered is no gateway.
    Strange { server: String, status: u16 },
    /// Standard output or standard error cannot be written.
    Output(#[source] std::io::Error),
}

impl Failure {
    /// Tells it on standard error. Where that cannot be written, the exit code is left to tell.
    pub fn report(&self) -> Exit {
        let _ = stdio::tell(&self.to_string());
        self.exit()
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Problem { problem, .. } => problem.exit(),
            Self::NoGateway { .. } => Exit::Unreachable,
            Self::Lost { key: Some(_), .. } => Exit::OutcomeUnknown,
            Self::Lost { key: None, .. } => Exit::Unreachable,
            Self::Strange { .. } => Exit::Failure,
            // Whoever reads our output has seen enough, as with `| head`.
            Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Output(_) => Exit::Failure,
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

impl fmt::Display for Failure {
    /// The lines for standard error, with their line ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(detail) => writeln!(f, "error: {detail}"),
            Self::Problem { problem, format } => f.write_str(&problem.render(*format)),
            Self::NoGateway { server, source } => {
                writeln!(f, "error: no gateway answers at {server}: {source}")?;
                writeln!(
                    f,
                    "  hint: start one with `ncgate serve` or `ncgate demo`, or name it with --server"
                )
            }
            Self::Lost { key, server, source } => {
                writeln!(
                    f,
                    "error: the connection to {server} was lost before the answer: {source}"
                )?;
                let Some(key) = key else {
                    return writeln!(f, "  outcome: nothing was changed");
                };
                writeln!(f, "  outcome: unknown: it may have been done")?;
                writeln!(
                    f,
                    "  hint: repeat it with --idempotency-key {key}, which tells what came of it and does not do it twice"
                )
            }
            Self::Strange { server, status } => {
                writeln!(
                    f,
                    "error: what answers at {server} is no ncgate (status {status})"
                )
            }
            Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Self::Output(error) => writeln!(f, "error: cannot write the output: {error}"),
        }
    }
}

/// An error with everything behind it in one line. Some libraries put their cause into their own text: what was said
/// is not said again.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("cannot connect")]
        Above(#[source] io::Error),
        #[error("the network says: {0}")]
        Repeats(#[source] io::Error),
    }

    /// Each cause once, the outermost first.
    #[test]
    fn causes_are_told_once() {
        let refused = || io::Error::other("refused");
        assert_eq!(chain(&Layer::Above(refused())), "cannot connect: refused");
        assert_eq!(chain(&Layer::Repeats(refused())), "the network says: refused");
    }
}
