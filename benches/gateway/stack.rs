//! Sessions of a library that has no pool.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::side::{Fault, Session, Shared};

/// Idle sessions under a semaphore.
pub struct Stack<S> {
    idle: Arc<Mutex<Vec<S>>>,
    permits: Arc<Semaphore>,
}

impl<S> Stack<S> {
    pub fn of(sessions: Vec<S>) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(sessions.len())),
            idle: Arc::new(Mutex::new(sessions)),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<S>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Clone for Stack<S> {
    fn clone(&self) -> Self {
        Self {
            idle: self.idle.clone(),
            permits: self.permits.clone(),
        }
    }
}

impl<S: Session> Shared for Stack<S> {
    async fn get(&self, filter: &str) -> Result<usize, Fault> {
        let _permit = self.permits.acquire().await?;
        let mut session = self.idle().pop().ok_or("fewer sessions than permits")?;
        let length = session.get(filter).await?;
        self.idle().push(session);
        Ok(length)
    }
}
