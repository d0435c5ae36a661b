//! The one place where sessions are opened: permission before, a place of the device, the pace of its domain, the connect,
//! what software it runs, and whether it is what is required.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::{Core, Established};
use crate::device::compat;
use crate::device::connector::{Link, LinkStep, Opened};
use crate::device::error::{ConnectError, DeviceError, Failure};
use crate::device::login_gate::Login;
use crate::device::news::SessionNews;
use crate::device::settings::{Policy, Profile};
use crate::device::software::{self, Software};
use crate::device::stage::Stage;
use crate::pool;
use crate::session::{self, FirstRpc, SessionHandle};

/// How long a server may take to send its hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connect waits for a session to end that takes the last place of the device.
const ROOM_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connect waits for its turn in the pace of its credential domain.
const PACE_TIMEOUT: Duration = Duration::from_secs(30);
/// Software that was told longer ago is asked for again with the next session.
const SOFTWARE_AGE: Duration = Duration::from_secs(3600);

/// What to do while all places of the device are taken.
#[derive(Clone, Copy)]
enum Room {
    Wait,
    Now,
}

/// A fresh session, judged.
pub struct Fresh {
    pub handle: SessionHandle,
    pub established: Arc<Established>,
}

impl Core {
    /// Opens a session. `asked`: by a person who wants to know now; then failures of the past do not count, and the
    /// software is asked for in any case.
    pub async fn open(self: &Arc<Self>, asked: bool) -> Result<Fresh, DeviceError> {
        self.open_in(Room::Wait, asked).await
    }

    /// Opens a session if the device may have one more now, so that none has to leave the pool for it.
    pub async fn open_beside(self: &Arc<Self>) -> Option<Result<Fresh, DeviceError>> {
        if !self.has_place() {
            return None;
        }
        match self.open_in(Room::Now, false).await {
            // Somebody else was quicker.
            Err(DeviceError {
                failure: Failure::Connect { error, .. },
                ..
            }) if matches!(*error, ConnectError::NoRoom(_)) => None,
            result => Some(result),
        }
    }

    async fn open_in(self: &Arc<Self>, room: Room, asked: bool) -> Result<Fresh, DeviceError> {
        let stage = self.stages.begin();
        let login = self.logins.enter(|| self.is_proven()).await;
        let permission = self.permit(asked).map_err(|failure| self.refuse(failure))?;
        let mut login = Some(login);
        let result = self.open_permitted(room, asked, &mut login, &stage).await;
        // A failed login is held until its failure is in the books.
        match result {
            Ok(fresh) => {
                permission.succeeded();
                self.around.metrics.connect("ok");
                Ok(fresh)
            }
            Err(error) => {
                let error = Arc::new(error);
                let last = self.last_error();
                // That the gateway has no place for another session says nothing of the device.
                let telling = !matches!(*error, ConnectError::NoRoom(_));
                if telling && last.is_none_or(|last| last.label() != error.label()) {
                    let cause = error.label();
                    self.tell(SessionNews::Failed { cause });
                }
                let retry_after = permission.failed(&error);
                self.around.metrics.connect(error.label());
                Err(self.refuse(Failure::Connect { error, retry_after }))
            }
        }
    }

    async fn open_permitted(
        self: &Arc<Self>,
        room: Room,
        asked: bool,
        login: &mut Option<Login<'_>>,
        stage: &Stage,
    ) -> Result<Fresh, ConnectError> {
        let place = match room {
            Room::Wait => self.place().await?,
            Room::Now => match self.places.clone().try_acquire_owned() {
                Ok(place) => place,
                Err(_) => return Err(ConnectError::NoRoom(Duration::ZERO)),
            },
        };
        stage.enter("pace");
        self.wait_for_pace().await?;
        let config = session::Config {
            spool: self.around.spool.clone(),
            metrics: self.around.metrics.clone(),
            hello_timeout: HELLO_TIMEOUT,
            first_rpc: match self.settings.profile {
                Profile::Auto => FirstRpc::Auto,
                Profile::Junos => FirstRpc::AtOnce,
                Profile::Rfc => FirstRpc::AfterPause,
            },
            echo: false,
        };
        let Opened {
            handle,
            run,
            mut link,
        } = self.connector.connect(config, stage).await?;
        self.start(&handle, run, place);
        *login = None;
        let software = match self.known_software(&handle, asked) {
            Some(software) => software,
            None => {
                stage.enter("software");
                let start = Instant::now();
                let deadline = start + self.settings.rpc_timeout;
                let software = software::ask(&handle, deadline)
                    .await
                    .map_err(ConnectError::Software)?;
                if software != Software::NotAsked {
                    link.steps.push(LinkStep {
                        name: "software",
                        jump: None,
                        duration: start.elapsed(),
                    });
                }
                (software, start)
            }
        };
        self.judge(handle, software, link, asked)
    }

    /// One of the device's places for sessions; a session that is just closing may have to leave it first.
    async fn place(&self) -> Result<OwnedSemaphorePermit, ConnectError> {
        match tokio::time::timeout(ROOM_TIMEOUT, self.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(ConnectError::NoRoom(ROOM_TIMEOUT)),
        }
    }

    async fn wait_for_pace(&self) -> Result<(), ConnectError> {
        let now = Instant::now();
        let start = self.domain().reserve(now, now + PACE_TIMEOUT);
        match start {
            Some(start) if start <= now => Ok(()),
            Some(start) => {
                tokio::time::sleep_until(start).await;
                Ok(())
            }
            None => Err(ConnectError::NoRoom(PACE_TIMEOUT)),
        }
    }

    /// What the device told before, if it need not be asked again.
    fn known_software(&self, handle: &SessionHandle, asked: bool) -> Option<(Software, Instant)> {
        let known = self.memory().established.clone()?;
        let same = *known.capabilities == **handle.capabilities();
        let fresh = known.software_at.elapsed() < SOFTWARE_AGE;
        let strict = self.settings.compatibility.policy == Policy::Refuse;
        (same && fresh && !strict && !asked).then(|| (known.software.clone(), known.software_at))
    }

    fn judge(
        &self,
        handle: SessionHandle,
        (software, software_at): (Software, Instant),
        link: Link,
        asked: bool,
    ) -> Result<Fresh, ConnectError> {
        let versions = software.versions();
        let verdict = compat::judge(&self.settings.compatibility, handle.capabilities(), &versions);
        let established = Arc::new(Established {
            session_id: handle.session_id(),
            capabilities: handle.capabilities().clone(),
            framing: handle.framing(),
            software,
            verdict: verdict.clone(),
            link,
            seen_at: self.around.clock.wall(),
            software_at,
        });
        self.memory().established = Some(established.clone());
        // Who asks is told by the verdict itself.
        if verdict.refuses() && !asked {
            // Dropping the last handle ends the session politely.
            return Err(ConnectError::Incompatible(verdict));
        }
        Ok(Fresh { handle, established })
    }
}

/// The pool's way to open sessions.
pub struct Opener(pub Arc<Core>);

impl pool::Connect for Opener {
    type Error = DeviceError;

    async fn connect(&self) -> Result<SessionHandle, DeviceError> {
        self.0.open(false).await.map(|fresh| fresh.handle)
    }
}
