//! What can go wrong with the database, and whether trying again may help.

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;
use vmscope_model::Kind;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection string can't be read.
    #[error("the database URL is not valid")]
    Url(#[source] tokio_postgres::Error),
    /// No connection could be opened.
    #[error("could not connect to the database")]
    Connect(#[source] tokio_postgres::Error),
    /// No pooled connection could be had.
    #[error("could not get a database connection from the pool")]
    Pool(#[source] PoolError),
    /// The pool could not be made.
    #[error("could not make the connection pool")]
    MakePool(#[source] deadpool_postgres::BuildError),
    /// A statement failed.
    #[error("database statement {operation} failed")]
    Statement {
        /// The name in the statement's first line.
        operation: &'static str,
        /// What the server or the connection said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// A migration failed.
    #[error("could not bring the database schema up to date")]
    Migrate(#[source] Box<refinery::Error>),
    /// A newer vmscope has changed the schema.
    #[error("the database schema has version {found}, newer than the {known} that this program knows")]
    NewerSchema {
        /// Version in the database.
        found: i32,
        /// Highest version of this build.
        known: i32,
    },
    /// The schema is missing or older than this build.
    #[error(
        "the database schema has version {found}, older than the {known} that this program needs: start the collector first"
    )]
    OlderSchema {
        /// Version in the database; 0 when there is none.
        found: i32,
        /// Highest version of this build.
        known: i32,
    },
    /// The server is too old.
    #[error("the database server has version {found}; 14 or later is needed")]
    OldServer {
        /// What the server calls itself.
        found: String,
    },
    /// A table's values don't fill its rows.
    #[error("a {kind} table has {values} values for {rows} rows")]
    Shape {
        /// Kind of the table.
        kind: Kind,
        /// Its rows.
        rows: usize,
        /// Its values.
        values: usize,
    },
    /// A number that does not fit its column.
    #[error("{what} {number} is out of range")]
    Range {
        /// What the number means.
        what: &'static str,
        /// The number.
        number: i128,
    },
    /// The database answered something that this program did not expect.
    #[error("database statement {operation} answered nothing for something that must exist")]
    Missing {
        /// The name in the statement's first line.
        operation: &'static str,
    },
    /// The database answered in a format that this program can't read.
    #[error("database statement {operation} answered in a format that this program does not know")]
    Unreadable {
        /// The name in the statement's first line.
        operation: &'static str,
    },
    /// Batches come from sessions that newer ones have replaced; nothing of the transaction is stored.
    #[error("{} batches come from sessions that newer ones have replaced", batches.len())]
    Fenced {
        /// Which, by their place in the call.
        batches: Vec<usize>,
    },
    /// What a guest said of itself could not be turned into JSON, or back.
    #[error("a guest's facts are no JSON of this build")]
    GuestFacts(#[source] serde_json::Error),
    /// The role for web servers can't be granted anything.
    #[error("the web servers' database role {role} can't be used: {problem}")]
    WebRole {
        /// Its name.
        role: String,
        /// Why.
        problem: &'static str,
    },
    /// A query would have to read more samples than its limit.
    #[error("the query would have to read more than {limit} samples")]
    TooManySamples {
        /// Samples of a metric and thing each.
        limit: u64,
    },
    /// A query needs samples that retention has removed.
    #[error("there are no samples from before {since}")]
    SamplesGone {
        /// Since when there are.
        since: jiff::Timestamp,
    },
    /// An earlier period whose steps do not lie beside those of the later one.
    #[error("the shift is no multiple of the step of {step_s} s")]
    Misaligned {
        /// The step, in seconds.
        step_s: u32,
    },
    /// A query would return more than its limit.
    #[error("the query would return more than {limit} values")]
    TooMuch {
        /// Points times series.
        limit: usize,
    },
}

impl Error {
    /// Makes the error of a failed statement; for `map_err`.
    pub(crate) const fn statement(operation: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Statement { operation, source }
    }

    /// Whether a table or column that this build knows is not there: no collector has brought the schema up to date yet.
    pub fn is_unprepared(&self) -> bool {
        match self {
            Self::OlderSchema { .. } => true,
            Self::Statement { source, .. } => source
                .code()
                .is_some_and(|code| [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN].contains(code)),
            _ => false,
        }
    }

    /// Whether the same call may succeed later without anyone changing it: the server is away, starts, stops, is full, or
    /// chose this transaction as a deadlock's victim. Otherwise the data, the statement or the configuration is at fault.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect(source)
            | Self::Statement { source, .. }
            | Self::Pool(PoolError::Backend(source)) => is_transient(source),
            Self::Pool(PoolError::Timeout(_)) | Self::OlderSchema { .. } => true,
            Self::Migrate(error) => matches!(
                error.kind(),
                refinery::error::Kind::Connection(_, source)
                    if source.downcast_ref::<tokio_postgres::Error>().is_some_and(is_transient)
            ),
            _ => false,
        }
    }
}

/// Whether the server's or the connection's word is about the moment, not about the statement.
fn is_transient(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        // No answer of the server at all: refused, closed, reset, timed out. Errors of conversion are ours.
        return error.is_closed() || is_input_output(error);
    };
    if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        return true;
    }
    // Connection, rollback, resources, object state, operator intervention, system error.
    ["08", "40", "53", "55", "57", "58"]
        .iter()
        .any(|class| code.code().starts_with(class))
}

fn is_input_output(error: &tokio_postgres::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    // Without a source: the time to connect ran out.
    error.to_string().contains("timed out")
}
