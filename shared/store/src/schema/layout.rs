//! Sample tables, one a kind: `(time, entity_id, a column for each metric of the catalogue)`.
//!
//! There is one index, `(entity_id, time desc)`, and no unique one: that a tick is stored once is the progress mark's
//! work. A metric that is new in the catalogue becomes a new column, null in older rows; columns are never dropped, so
//! that an older collector can go on beside a newer one.

use super::Flavor;
use crate::Error;
use std::fmt::Write as _;
use tokio_postgres::{Client, Transaction};
use vmscope_model::{Kind, Metric, catalogue, metric::Behaviour};

/// How a metric's integer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// A state's code.
    Smallint,
    /// The integer itself.
    Bigint,
    /// The integer divided by the metric's scale.
    Real {
        /// What the integer is divided by.
        scale: i64,
    },
}

impl Column {
    pub(crate) const fn of(metric: &Metric) -> Self {
        match metric.behaviour {
            Behaviour::State(_) => Self::Smallint,
            _ if metric.scale > 1 => Self::Real { scale: metric.scale },
            _ => Self::Bigint,
        }
    }

    const fn sql_type(self) -> &'static str {
        match self {
            Self::Smallint => "smallint",
            Self::Bigint => "bigint",
            Self::Real { .. } => "real",
        }
    }
}

/// The sample table of `kind`.
pub(crate) const fn table(kind: Kind) -> &'static str {
    match kind {
        Kind::Host => "host_sample",
        Kind::Vm => "vm_sample",
        Kind::Vcpu => "vcpu_sample",
        Kind::Disk => "disk_sample",
        Kind::Nic => "nic_sample",
    }
}

/// Makes the sample tables that are missing and adds the columns that are new. Needs the schema lock.
pub(super) async fn apply(client: &mut Client) -> Result<Flavor, Error> {
    let flavor = match Flavor::of(client).await {
        Ok(flavor) => flavor,
        Err(Error::OlderSchema { .. }) => choose(client).await?,
        Err(error) => return Err(error),
    };
    let transaction = client.transaction().await.map_err(Error::statement("begin"))?;
    for kind in Kind::ALL {
        create(&transaction, kind, flavor).await?;
        add_columns(&transaction, kind).await?;
    }
    transaction.commit().await.map_err(Error::statement("commit"))?;
    Ok(flavor)
}

/// TimescaleDB where its extension can be had.
async fn choose(client: &Client) -> Result<Flavor, Error> {
    const AVAILABLE: &str = "\
-- timescale_available
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')";
    const CREATE: &str = "\
-- timescale_create
CREATE EXTENSION IF NOT EXISTS timescaledb";
    let row = client
        .query_one(AVAILABLE, &[])
        .await
        .map_err(Error::statement("timescale_available"))?;
    if !row.get::<_, bool>(0) {
        return Ok(Flavor::Postgres);
    }
    let Err(source) = client.batch_execute(CREATE).await else {
        return Ok(Flavor::Timescale);
    };
    let error = Error::Statement {
        operation: "timescale_create",
        source,
    };
    if error.is_transient() {
        return Err(error);
    }
    tracing::info!(
        error = &error as &dyn std::error::Error,
        "TimescaleDB is installed but its extension can't be created here: using plain partitions"
    );
    Ok(Flavor::Postgres)
}

async fn create(transaction: &Transaction<'_>, kind: Kind, flavor: Flavor) -> Result<(), Error> {
    const EXISTS: &str = "\
-- sample_table_exists
SELECT to_regclass($1) IS NOT NULL";
    let table = table(kind);
    let row = transaction
        .query_one(EXISTS, &[&table])
        .await
        .map_err(Error::statement("sample_table_exists"))?;
    if row.get::<_, bool>(0) {
        return Ok(());
    }
    let mut columns = String::new();
    for metric in catalogue::metrics(kind) {
        // Writing into a string can't fail.
        let _ = write!(columns, ", {} {}", metric.name, Column::of(metric).sql_type());
    }
    let body =
        format!("CREATE TABLE {table} (time timestamptz NOT NULL, entity_id integer NOT NULL{columns})");
    let index = format!("CREATE INDEX {table}_entity_time ON {table} (entity_id, time DESC)");
    let statements = match flavor {
        Flavor::Postgres => format!("-- sample_table\n{body} PARTITION BY RANGE (time);\n{index}"),
        Flavor::Timescale => format!(
            "-- sample_table\n{body};\n\
             SELECT create_hypertable('{table}', by_range('time', INTERVAL '1 day'), create_default_indexes => false);\n\
             {index}"
        ),
    };
    transaction
        .batch_execute(&statements)
        .await
        .map_err(Error::statement("sample_table"))
}

async fn add_columns(transaction: &Transaction<'_>, kind: Kind) -> Result<(), Error> {
    const COLUMNS: &str = "\
-- sample_columns
SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
    let table = table(kind);
    let rows = transaction
        .query(COLUMNS, &[&table])
        .await
        .map_err(Error::statement("sample_columns"))?;
    let present: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    for metric in catalogue::metrics(kind) {
        if present.iter().any(|column| column == metric.name) {
            continue;
        }
        let statement = format!(
            "-- sample_column\nALTER TABLE {table} ADD COLUMN {} {}",
            metric.name,
            Column::of(metric).sql_type()
        );
        transaction
            .batch_execute(&statement)
            .await
            .map_err(Error::statement("sample_column"))?;
        tracing::info!(table, column = metric.name, "added a column for a new metric");
    }
    Ok(())
}
