//! netconf-async, which has no pool: its sessions lie on a stack.

use netconf_async::{Connection, Datastore, Filter, HostKeyPolicy, SshAuth, SshConfig, SshTransport};

use crate::side::{Fault, Session, Side};
use crate::stack::Stack;
use crate::{PASSWORD, USER};

pub struct Library {
    pub port: u16,
}

pub struct Connected(Connection);

impl Side for Library {
    type Session = Connected;
    type Shared = Stack<Connected>;

    async fn connect(&self) -> Result<Connected, Fault> {
        let config = SshConfig::new("127.0.0.1", self.port, USER, SshAuth::password(PASSWORD))
            .host_key(HostKeyPolicy::AcceptAll);
        let transport = SshTransport::connect(config).await?;
        Ok(Connected(Connection::new(transport).await?))
    }

    async fn share(&self, sessions: usize) -> Result<Stack<Connected>, Fault> {
        let mut open = Vec::new();
        for _ in 0..sessions {
            open.push(self.connect().await?);
        }
        Ok(Stack::of(open))
    }
}

impl Session for Connected {
    async fn get(&mut self, filter: &str) -> Result<usize, Fault> {
        let filter = Filter::subtree(filter);
        let reply = self.0.get_config(Datastore::Running, Some(filter), None).await?;
        Ok(reply.len())
    }

    async fn close(mut self) {
        // Only what comes before is measured.
        let _ = self.0.close_session().await;
    }
}
