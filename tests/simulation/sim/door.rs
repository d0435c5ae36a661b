//! What a door does around a call: idempotency keys, operations, callers who do not wait. As REST and gRPC do it, with
//! answers in the words of the simulation.

use std::pin::Pin;
use std::time::Duration;

use ncgate::error::{Error, ErrorCode};
use ncgate::service::Gateway;
use ncgate::service::call::CallContext;
use ncgate::service::edit::view::{ChangeView, ConfirmedCommitView, EditSessionView, KilledView, Planned};
use ncgate::service::operations::{Admitted, Again, Carried, End, Entered, Key, Operation, State, Ticket};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a call does.
pub type Work = Pin<Box<dyn Future<Output = Result<Got, Error>> + Send>>;

/// How long a call with a key waits before it comes again, and how often it does.
const BUSY: Duration = Duration::from_millis(1_500);
const OFTEN: u32 = 600;

/// What a call gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Got {
    pub state: String,
    /// Of the thing itself.
    pub id: String,
    /// Of the confirmed commit that was made.
    pub confirmed: Option<String>,
}

/// What a refusal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub outcome: String,
    /// For those who read the trace.
    pub words: String,
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        Self {
            outcome: error.outcome().as_str().to_owned(),
            words: format!(
                "{} {} {:?}",
                error.code().as_str(),
                error.detail(),
                error.reason()
            ),
        }
    }
}

/// An answer, and how it came.
#[derive(Clone, Debug)]
pub struct Answer {
    pub said: Result<Got, Refusal>,
    /// Not as it was said first, but as it was found out: by an operation, or after the gateway was gone.
    pub derived: bool,
    pub operation: Option<String>,
}

/// One way in.
pub struct Door {
    pub gateway: Gateway,
    /// The name of the service call, and what it is about.
    pub kind: &'static str,
    pub about: String,
    pub key: Option<String>,
    /// It is another request with the same key.
    pub odd: bool,
    pub respond_async: bool,
}

impl Door {
    /// Has it done, and comes again while the first call with the same key is under way.
    pub async fn call(
        &self,
        ctx: &CallContext,
        work: &(dyn Fn(CallContext) -> Work + Send + Sync),
    ) -> Answer {
        for _ in 0..OFTEN {
            if let Some(answer) = self.once(ctx, work).await {
                return answer;
            }
            tokio::time::sleep(BUSY).await;
        }
        let words = "is under way for ever".to_owned();
        derived(Err(Refusal {
            outcome: "unknown".to_owned(),
            words,
        }))
    }

    /// `None`: the first call with the key is under way.
    async fn once(
        &self,
        ctx: &CallContext,
        work: &(dyn Fn(CallContext) -> Work + Send + Sync),
    ) -> Option<Answer> {
        let key = self.key.as_ref().map(|text| {
            let (who, request) = (ctx.principal.id(), [self.about.as_bytes(), &[u8::from(self.odd)]]);
            Key::new("key", text.as_bytes(), who, (self.kind, &self.about), &request).expect("a good key")
        });
        let ticket = Ticket::new(self.kind, key, self.respond_async);
        let ctx = CallContext {
            ticket: ticket.clone(),
            ..ctx.clone()
        };
        let entered = match self.gateway.admit(&ctx).await {
            Ok(Admitted::Go(entered)) => entered,
            Ok(Admitted::Again(again)) => return Some(replayed(again)),
            Err(error) if error.code() == ErrorCode::IdempotencyKeyInUse => return None,
            Err(error) => return Some(first(Err(Refusal::from(&error)), None)),
        };
        self.carry(ticket, entered, work(ctx)).await
    }

    async fn carry(&self, ticket: Ticket, entered: Entered, work: Work) -> Option<Answer> {
        let ending = (self.gateway.clone(), ticket.clone());
        let work = async move {
            let (gateway, ticket) = ending;
            let answer = work.await;
            if ticket.operation_id().is_none() {
                return answer;
            }
            let said = answer.clone().map_err(|error| Refusal::from(&error));
            let end = End {
                failure: answer.as_ref().err().cloned(),
                answer: ticket.key().and_then(|_| serde_json::to_vec(&said).ok()),
                ..End::default()
            };
            gateway.end_operation(&ticket, end).await;
            answer
        };
        match self
            .gateway
            .carry_out(ticket.clone(), entered, Box::pin(work))
            .await
        {
            Ok(Carried::Answer(answer)) => {
                let said = answer.map_err(|error| Refusal::from(&error));
                Some(first(said, ticket.operation_id()))
            }
            Ok(Carried::Accepted(operation)) => Some(self.wait_for(*operation).await),
            Err(error) => Some(first(Err(Refusal::from(&error)), None)),
        }
    }

    async fn wait_for(&self, mut operation: Operation) -> Answer {
        let id = operation.id.clone();
        let ctx = super::gateway::admin();
        for _ in 0..OFTEN {
            if operation.done {
                break;
            }
            match self.gateway.get_operation(&ctx, &id, 60).await {
                Ok(now) => operation = now,
                Err(_) => tokio::time::sleep(BUSY).await,
            }
        }
        Answer {
            said: ended(&operation),
            derived: true,
            operation: Some(id),
        }
    }
}

fn first(said: Result<Got, Refusal>, operation: Option<String>) -> Answer {
    Answer {
        said,
        derived: false,
        operation,
    }
}

fn derived(said: Result<Got, Refusal>) -> Answer {
    Answer {
        said,
        derived: true,
        operation: None,
    }
}

fn replayed(again: Again) -> Answer {
    match again {
        Again::Answer { answer, operation_id } => {
            let said = serde_json::from_slice(&answer).expect("the answer that was kept");
            first(said, Some(operation_id))
        }
        Again::Change(change) | Again::Cancelled(change) => derived(Ok(Got::from(*change))),
        Again::EditSession(session) => derived(Ok(Got::from(*session))),
        Again::ConfirmedCommit(commit) => derived(Ok(Got::from(*commit))),
        Again::Failed(error) => derived(Err(Refusal::from(&error))),
    }
}

/// What an operation that has ended says.
fn ended(operation: &Operation) -> Result<Got, Refusal> {
    // A probe decides yet.
    if !operation.done && operation.phase == "pending_confirm" {
        return Ok(Got {
            state: operation.phase.clone(),
            id: operation.id.clone(),
            confirmed: None,
        });
    }
    if operation.state != State::Succeeded {
        let detail = operation.failure.as_ref().map(|error| error.detail().to_owned());
        return Err(Refusal {
            outcome: operation.outcome.clone().unwrap_or_else(|| "unknown".to_owned()),
            words: format!("operation {} {detail:?}", operation.state.as_str()),
        });
    }
    let response = operation.response.as_deref().unwrap_or("null");
    let response: Value = serde_json::from_str(response).expect("a response is JSON");
    let text = |name: &str| response[name].as_str().map(str::to_owned);
    Ok(Got {
        state: text("state").unwrap_or_else(|| "done".to_owned()),
        id: text("id").unwrap_or_default(),
        confirmed: text("confirmed_commit_id"),
    })
}

/// What was done; nobody asks for a plan.
pub fn done<T>(planned: Planned<T>) -> Got
where
    Got: From<T>,
{
    match planned {
        Planned::Done(done) => Got::from(done),
        Planned::Plan(_) => Got {
            state: "plan".to_owned(),
            ..Got::default()
        },
    }
}

impl From<ChangeView> for Got {
    fn from(change: ChangeView) -> Self {
        Self {
            state: change.state,
            id: change.id,
            confirmed: change.confirmed_commit_id,
        }
    }
}

impl From<EditSessionView> for Got {
    /// Of a commit it tells what that did.
    fn from(session: EditSessionView) -> Self {
        let (state, confirmed) = match session.commit {
            Some(commit) => (commit.state, commit.confirmed_commit.map(|made| made.id)),
            None => (session.state, None),
        };
        Self {
            state,
            id: session.id,
            confirmed,
        }
    }
}

impl From<ConfirmedCommitView> for Got {
    fn from(commit: ConfirmedCommitView) -> Self {
        Self {
            state: commit.state,
            id: commit.id,
            confirmed: None,
        }
    }
}

impl From<KilledView> for Got {
    fn from(killed: KilledView) -> Self {
        Self {
            state: "killed".to_owned(),
            id: killed.session_id.to_string(),
            confirmed: None,
        }
    }
}

impl From<()> for Got {
    fn from((): ()) -> Self {
        Self {
            state: "deleted".to_owned(),
            ..Self::default()
        }
    }
}
