//! Other processes of this program, so that CPU time and memory of the two ends are told apart.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::Fault;

/// A child; it is ended with this value.
pub struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    /// This program with other arguments.
    pub fn start(arguments: &[&str]) -> Result<Self, Fault> {
        Self::command(Command::new(std::env::current_exe()?).args(arguments))
    }

    pub fn command(command: &mut Command) -> Result<Self, Fault> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        Ok(Self {
            child,
            stdout: BufReader::new(stdout),
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its standard input.
    pub fn tell(&mut self, line: &str) -> Result<(), Fault> {
        let stdin = self.child.stdin.as_mut().ok_or("no standard input")?;
        Ok(stdin.write_all(format!("{line}\n").as_bytes())?)
    }

    /// The next line that it prints. Blocks.
    pub fn line(&mut self) -> Result<String, Fault> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line)? {
            0 => Err("the child has ended".into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Failing means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Until the parent is gone.
pub async fn until_stdin_ends() {
    let read = || {
        let mut nothing = [0; 64];
        while std::io::stdin().read(&mut nothing).is_ok_and(|count| count > 0) {}
    };
    // A reader that panicked has no more to wait for.
    let _ = tokio::task::spawn_blocking(read).await;
}
