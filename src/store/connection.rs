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
use std::time::Duration;

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
    Kept(Kept),
    /// For a simulation; empty once it is closed.
    Still(Arc<Mutex<Option<AnyConnection>>>),
}

/// The one connection of a pool of one, which is kept between uses: a pool asks the database each time whether it still
/// answers, which with SQLite is one more change of threads and back.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pool: AnyPool,
    connection: Arc<Mutex<Option<PoolConnection<Any>>>>,
    /// How long it is waited for.
    patience: Duration,
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
    Kept(KeptInUse),
    Still(Still),
}

/// The kept connection in the hands of one user.
#[derive(Debug)]
struct KeptInUse {
    /// There is one.
    connection: OwnedMutexGuard<Option<PoolConnection<Any>>>,
    in_transaction: bool,
}

/// The connection of a simulation in the hands of one user.
#[derive(Debug)]
struct Still {
    connection: OwnedMutexGuard<Option<AnyConnection>>,
    in_transaction: bool,
}

impl Source {
    /// Of a pool of one, that waits so long for its connection.
    pub(super) fn kept(pool: AnyPool, patience: Duration) -> Self {
        Self::Kept(Kept {
            pool,
            connection: Arc::default(),
            patience,
        })
    }

    /// The one connection of a simulation.
    pub(super) fn still(connection: AnyConnection) -> Self {
        Self::Still(Arc::new(Mutex::new(Some(connection))))
    }

    pub(super) async fn acquire(&self) -> Result<Lent, Error> {
        let inner = match self {
            Self::Pool(pool) => Inner::Pooled(pool.acquire().await?),
            Self::Kept(kept) => Inner::Kept(kept.acquire().await?),
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
            Self::Kept(kept) => {
                let mut kept = kept.acquire().await?;
                kept.in_transaction = true;
                if let Err(error) = kept.run(statement).await {
                    kept.in_transaction = false;
                    return Err(error);
                }
                Inner::Kept(kept)
            }
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

    /// Runs a query of so many statements that begins and ends a transaction of its own, on SQLite. If it fails it is
    /// rolled back. If nobody waits for it any more, it may come to its end all the same, or be rolled back.
    pub(super) async fn run_whole<'q>(
        &self,
        query: impl 'q + Execute<'q, Any>,
        statements: usize,
    ) -> Result<Vec<Either<AnyQueryResult, AnyRow>>, Error> {
        let Lent(mut connection) = self.acquire().await?;
        connection.is_in_transaction(true);
        let (mut results, mut ended) = (Vec::with_capacity(statements + 1), 0);
        {
            let mut stream = connection.fetch_many(query);
            // Nothing comes behind the end of the last one, and that nothing comes is told once more.
            while ended < statements
                && let Some(result) = stream.try_next().await?
            {
                ended += usize::from(result.is_left());
                results.push(result);
            }
        }
        connection.is_in_transaction(ended < statements);
        Ok(results)
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Pool(pool) => pool.close().await,
            Self::Kept(kept) => {
                drop(kept.connection.lock().await.take());
                kept.pool.close().await;
            }
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

impl Connection {
    /// From now on a transaction is open that the driver does not know of, or none any more.
    fn is_in_transaction(&mut self, is: bool) {
        match &mut self.0 {
            Inner::Kept(kept) => kept.in_transaction = is,
            Inner::Still(still) => still.in_transaction = is,
            // Of a pool: the driver knows.
            Inner::Pooled(_) | Inner::InTransaction(_) => {}
        }
    }
}

impl Kept {
    async fn acquire(&self) -> Result<KeptInUse, Error> {
        let lock = self.connection.clone().lock_owned();
        let lock = tokio::time::timeout(self.patience, lock).await;
        let mut connection = lock.map_err(|_| Error::PoolTimedOut)?;
        if connection.is_none() {
            *connection = Some(self.pool.acquire().await?);
        }
        Ok(KeptInUse {
            connection,
            in_transaction: false,
        })
    }
}

impl KeptInUse {
    fn get(&mut self) -> Result<&mut PoolConnection<Any>, Error> {
        self.connection.as_mut().ok_or(Error::PoolClosed)
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), Error> {
        let connection = self.get()?;
        connection.execute(sqlx::query(statement)).await.map(|_| ())
    }
}

impl Drop for KeptInUse {
    fn drop(&mut self) {
        // A transaction that nobody ended is rolled back with its connection; the next user gets another one.
        if self.in_transaction
            && let Some(mut connection) = self.connection.take()
        {
            connection.close_on_drop();
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
            Inner::Kept(mut kept) => {
                kept.run("COMMIT").await?;
                kept.in_transaction = false;
                Ok(())
            }
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
            Inner::Kept(kept) => match kept.get() {
                Ok(connection) => connection.fetch_many(query),
                Err(error) => stream::once(std::future::ready(Err(error))).boxed(),
            },
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
            Inner::Kept(kept) => Box::pin(async move { kept.get()?.fetch_optional(query).await }),
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
            Inner::Kept(kept) => Box::pin(async move { kept.get()?.prepare_with(sql, parameters).await }),
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
            Source::Kept(_) | Source::Still(_) => stream::once(async move {
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
            Source::Kept(_) | Source::Still(_) => {
                Box::pin(async move { self.acquire().await?.fetch_optional(query).await })
            }
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
            Source::Kept(_) | Source::Still(_) => {
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
