//! rustnetconf, with its pool.

use std::sync::Arc;

use rustnetconf::pool::{DeviceConfig, DevicePool};
use rustnetconf::transport::ssh::{HostKeyVerification, SshAuth};
use rustnetconf::{Client, Datastore};

use crate::side::{Fault, Session, Shared, Side};
use crate::{PASSWORD, USER};

const DEVICE: &str = "bench";

pub struct Library {
    pub port: u16,
}

pub struct Connected(Client);

#[derive(Clone)]
pub struct Pooled(Arc<DevicePool>);

impl Side for Library {
    type Session = Connected;
    type Shared = Pooled;

    async fn connect(&self) -> Result<Connected, Fault> {
        let client = Client::connect(&format!("127.0.0.1:{}", self.port))
            .username(USER)
            .password(PASSWORD)
            .host_key_verification(HostKeyVerification::AcceptAll)
            .gather_facts(false)
            .connect()
            .await?;
        Ok(Connected(client))
    }

    /// The pool opens its sessions by and by.
    async fn share(&self, sessions: usize) -> Result<Pooled, Fault> {
        let device = DeviceConfig {
            host: format!("127.0.0.1:{}", self.port),
            username: USER.to_owned(),
            auth: SshAuth::Password(PASSWORD.to_owned().into()),
            host_key_verification: Some(HostKeyVerification::AcceptAll),
            vendor: None,
        };
        let pool = DevicePool::builder()
            .max_connections(sessions)
            .add_device(DEVICE, device)
            .build();
        Ok(Pooled(Arc::new(pool)))
    }
}

impl Session for Connected {
    async fn get(&mut self, filter: &str) -> Result<usize, Fault> {
        Ok(self
            .0
            .get_config_filtered(Datastore::Running, filter)
            .await?
            .len())
    }

    async fn close(mut self) {
        // Only what comes before is measured.
        let _ = self.0.close_session().await;
    }
}

impl Shared for Pooled {
    async fn get(&self, filter: &str) -> Result<usize, Fault> {
        let mut session = self.0.checkout(DEVICE).await?;
        Ok(session
            .get_config_filtered(Datastore::Running, filter)
            .await?
            .len())
    }
}
