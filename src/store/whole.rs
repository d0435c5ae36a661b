//! Transactions of which no statement needs what another one answers. SQLite works on a thread of its own, and a
//! statement that is waited for by itself is two changes of threads, which cost more than the statement: so it is given
//! all of them in one piece. PostgreSQL takes one after the other.

use sqlx::any::{AnyArguments, AnyQueryResult, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Either};

/// Room for what a change stores at a time: bytes of SQL, and parameters.
const MOST_SQL: usize = 2 << 10;
const MOST_VALUES: usize = 48;

/// A parameter of a statement.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(Option<String>),
    Number(i64),
    Bytes(Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<&Option<String>> for Value {
    fn from(text: &Option<String>) -> Self {
        Self::Text(text.clone())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

/// A statement with its parameters.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// A `$` in it begins the number of a parameter and nothing else.
    sql: &'static str,
    values: Vec<Value>,
}

impl Statement {
    pub(super) fn new(sql: &'static str, values: impl IntoIterator<Item = Value>) -> Self {
        Self {
            sql,
            values: values.into_iter().collect(),
        }
    }

    pub(super) fn query(self) -> Query<'static, Any, AnyArguments> {
        bound(self.sql.to_owned(), self.values)
    }
}

/// What came of a statement.
pub(super) struct Done {
    /// How many rows it changed.
    pub affected: u64,
    pub rows: Vec<AnyRow>,
}

/// All of them as one query, between `begin` and `COMMIT`.
pub(super) fn joined(begin: &str, statements: Vec<Statement>) -> Query<'static, Any, AnyArguments> {
    let mut sql = String::with_capacity(MOST_SQL);
    sql.push_str(begin);
    let mut values = Vec::with_capacity(MOST_VALUES);
    for statement in statements {
        sql.push_str("; ");
        let mut pieces = statement.sql.split('$');
        sql.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let end = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
            let (number, rest) = piece.split_at(end);
            let number = number.parse().unwrap_or(0) + values.len();
            sql.push('$');
            sql.push_str(&number.to_string());
            sql.push_str(rest);
        }
        values.extend(statement.values);
    }
    sql.push_str("; COMMIT");
    bound(sql, values)
}

/// What came of each, of the results of [`joined`].
pub(super) fn parted(results: Vec<Either<AnyQueryResult, AnyRow>>) -> Vec<Done> {
    let mut done = collected(results);
    // The beginning and the end of the transaction.
    done.pop();
    if !done.is_empty() {
        done.remove(0);
    }
    done
}

/// Rows stand before the end of their statement.
pub(super) fn collected(results: Vec<Either<AnyQueryResult, AnyRow>>) -> Vec<Done> {
    let (mut all, mut rows) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Either::Right(row) => rows.push(row),
            Either::Left(end) => all.push(Done {
                affected: end.rows_affected(),
                rows: std::mem::take(&mut rows),
            }),
        }
    }
    all
}

fn bound(sql: String, values: Vec<Value>) -> Query<'static, Any, AnyArguments> {
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in values {
        query = match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
            Value::Bytes(bytes) => query.bind(bytes),
        };
    }
    query
}

#[cfg(test)]
mod tests {
    use sqlx::Execute;

    use super::*;

    /// Parameters are numbered on from statement to statement.
    #[test]
    fn statements_are_joined() {
        let one = Statement::new(
            "UPDATE a SET b = $1, c = $2 WHERE b <> $1",
            ["x".into(), 1.into()],
        );
        let two = Statement::new("INSERT INTO d VALUES ($2, $1)", [2.into(), (&None).into()]);
        assert_eq!(
            joined("BEGIN", vec![one, two]).sql().as_str(),
            "BEGIN; UPDATE a SET b = $1, c = $2 WHERE b <> $1; INSERT INTO d VALUES ($4, $3); COMMIT"
        );
    }
}
