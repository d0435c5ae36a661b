//! Connections as the statements of the store use them: of sqlx's pools, or the one of a simulation.
//!
//! SQLite works on a thread of its own, so what waits for it is woken at a moment that nobody can foretell, and time that
//! is simulated runs on meanwhile. A simulation therefore has [`Source::Still`]: one connection, whose every statement is
//! driven to its end within one poll. For the runtime it takes no time at all, and its course is the same every time.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Either, Error, Execute, Executor, SqlStr};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Where connections come from. As an executor it runs a single statement on any of them.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Pool(AnyPool),
    /// For a simulation; empty once it is closed.
    Still(Arc<Mutex<Option<AnyConnection>>>),
}

/// What statements are run on.
#[derive(Debug)]
pub(super) struct Connection(Inner);

/// A connection for as long as it is held.
#[derive(Debug)]
pub(super) struct Lent(Connection);

/// A transaction; rolled back when it is dropped without [`Transaction::commit`].
#[derive(Debug)]
pub(super) struct Transaction(Connection);

#[derive(Debug)]
enum Inner {
    Pooled(PoolConnection<Any>),
    InTransaction(sqlx::Transaction<'static, Any>),
    Still(Still),
}

/// The connection of a simulation in the hands of one user.
#[derive(Debug)]
struct Still {
    connection: OwnedMutexGuard<Option<AnyConnection>>,
    in_transaction: bool,
}

impl Source {
    /// The one connection of a simulation.
    pub(super) fn still(connection: AnyConnection) -> Self {
        Self::Still(Arc::new(Mutex::new(Some(connection))))
    }

    pub(super) async fn acquire(&self) -> Result<Lent, Error> {
        let inner = match self {
            Self::Pool(pool) => Inner::Pooled(pool.acquire().await?),
            Self::Still(connection) => Inner::Still(Still {
                connection: connection.clone().lock_owned().await,
                in_transaction: false,
            }),
        };
        Ok(Lent(Connection(inner)))
    }

    /// Begins a transaction with this statement.
    pub(super) async fn begin_with(&self, statement: &'static str) -> Result<Transaction, Error> {
        let inner = match self {
            Self::Pool(pool) => Inner::InTransaction(pool.begin_with(statement).await?),
            Self::Still(connection) => {
                let mut still = Still {
                    connection: connection.clone().lock_owned().await,
                    in_transaction: false,
                };
                still.run(statement)?;
                still.in_transaction = true;
                Inner::Still(still)
            }
        };
        Ok(Transaction(Connection(inner)))
    }

    /// Runs a query that begins and ends a transaction of its own. If it does not come to its end, because it fails or
    /// because nobody waits for it any more, the connection is closed, and the transaction is rolled back with it.
    pub(super) async fn run_whole<'q>(
        &self,
        query: impl 'q + Execute<'q, Any>,
    ) -> Result<Vec<Either<AnyQueryResult, AnyRow>>, Error> {
        let Lent(connection) = self.acquire().await?;
        let mut unended = Unended(connection, true);
        let results = unended.0.fetch_many(query).try_collect().await?;
        unended.1 = false;
        Ok(results)
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Pool(pool) => pool.close().await,
            Self::Still(connection) => {
                if let Some(connection) = connection.lock().await.take()
                    && let Err(error) = at_once(connection.close())
                {
                    tracing::debug!(%error, "the database did not close in good order");
                }
            }
        }
    }
}

/// A connection on which a transaction is open that the driver does not know of, as long as that is true.
struct Unended(Connection, bool);

impl Drop for Unended {
    fn drop(&mut self) {
        if self.1 {
            match &mut self.0.0 {
                Inner::Pooled(connection) => connection.close_on_drop(),
                Inner::Still(still) => still.in_transaction = true,
                // It rolls back by itself.
                Inner::InTransaction(_) => {}
            }
        }
    }
}

impl Still {
    fn get(&mut self) -> Result<&mut AnyConnection, Error> {
        self.connection.as_mut().ok_or(Error::PoolClosed)
    }

    fn run(&mut self, statement: &'static str) -> Result<(), Error> {
        at_once(sqlx::query(statement).execute(self.get()?)).map(|_| ())
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        if self.in_transaction
            && let Err(error) = self.run("ROLLBACK")
        {
            tracing::debug!(%error, "a transaction was not rolled back");
        }
    }
}

impl Transaction {
    pub(super) async fn commit(self) -> Result<(), Error> {
        match self.0.0 {
            Inner::InTransaction(transaction) => transaction.commit().await,
            Inner::Still(mut still) => {
                // One that fails is rolled back with the drop.
                still.run("COMMIT")?;
                still.in_transaction = false;
                Ok(())
            }
            // No transaction is made of one.
            Inner::Pooled(_) => Ok(()),
        }
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

impl Deref for Lent {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match &mut self.0 {
            Inner::Pooled(connection) => connection.fetch_many(query),
            Inner::InTransaction(transaction) => transaction.fetch_many(query),
            Inner::Still(still) => stream::once(async move {
                let found: Vec<_> = at_once(still.get()?.fetch_many(query).try_collect())?;
                Ok::<_, Error>(stream::iter(found.into_iter().map(Ok)))
            })
            .try_flatten()
            .boxed(),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match &mut self.0 {
            Inner::Pooled(connection) => connection.fetch_optional(query),
            Inner::InTransaction(transaction) => transaction.fetch_optional(query),
            Inner::Still(still) => Box::pin(async move { at_once(still.get()?.fetch_optional(query)) }),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'c: 'e,
    {
        match &mut self.0 {
            Inner::Pooled(connection) => connection.prepare_with(sql, parameters),
            Inner::InTransaction(transaction) => transaction.prepare_with(sql, parameters),
            Inner::Still(still) => {
                Box::pin(async move { at_once(still.get()?.prepare_with(sql, parameters)) })
            }
        }
    }
}

impl<'c> Executor<'c> for &'c Source {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match self {
            Source::Pool(pool) => pool.fetch_many(query),
            Source::Still(_) => stream::once(async move {
                let mut connection = self.acquire().await?;
                let found: Vec<_> = connection.fetch_many(query).try_collect().await?;
                Ok::<_, Error>(stream::iter(found.into_iter().map(Ok)))
            })
            .try_flatten()
            .boxed(),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match self {
            Source::Pool(pool) => pool.fetch_optional(query),
            Source::Still(_) => Box::pin(async move { self.acquire().await?.fetch_optional(query).await }),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'c: 'e,
    {
        match self {
            Source::Pool(pool) => pool.prepare_with(sql, parameters),
            Source::Still(_) => {
                Box::pin(async move { self.acquire().await?.prepare_with(sql, parameters).await })
            }
        }
    }
}

/// Wakes a thread that is parked.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The result of a future that needs no runtime, such as what is asked of SQLite: this thread waits for it.
pub(super) fn at_once<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            // Woken before, it returns at once; woken for nothing, it asks again.
            Poll::Pending => thread::park(),
        }
    }
}
