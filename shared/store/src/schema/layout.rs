//! Sample tables and the tables of their tiers, one a kind each, whose columns follow the metrics of the catalogue.
//!
//! Samples are `(time, entity_id, a column for each metric)`. There is one index, `(entity_id, time desc)`, and no unique
//! one: that a tick is stored once is the progress mark's work. In a tier, `time` is when a bucket begins; the index is
//! unique, because a bucket is one row, and each metric has the columns of [`tier_columns`].
//!
//! A metric that is new in the catalogue becomes new columns, null in older rows; columns are never dropped, so that an
//! older collector can go on beside a newer one.

use super::Flavor;
use crate::{Error, Tier};
use std::collections::HashSet;
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
    tier_table(kind, Tier::Raw)
}

/// The table of a tier; that of the samples is the tier [`Tier::Raw`].
pub(crate) const fn tier_table(kind: Kind, tier: Tier) -> &'static str {
    let [raw, hour, day] = match kind {
        Kind::Host => ["host_sample", "host_hour", "host_day"],
        Kind::Vm => ["vm_sample", "vm_hour", "vm_day"],
        Kind::Vcpu => ["vcpu_sample", "vcpu_hour", "vcpu_day"],
        Kind::Disk => ["disk_sample", "disk_hour", "disk_day"],
        Kind::Nic => ["nic_sample", "nic_hour", "nic_day"],
    };
    match tier {
        Tier::Raw => raw,
        Tier::Hour => hour,
        Tier::Day => day,
    }
}

/// What the columns of gauges and counters in a tier end in, all of type `real`: smallest, largest and newest value, mean,
/// and how much the mean weighs. A gauge's weight is its samples; a counter's values are its rates per second, in the
/// unit that is stored (`ns` a second), its mean the whole increase over the seconds that it took, and these its weight.
pub(crate) const NUMBER_SUFFIXES: [&str; 5] = ["min", "max", "last", "avg", "weight"];

/// What the columns of states in a tier end in: the newest code; the codes that occurred, ascending; seconds in each.
pub(crate) const STATE_SUFFIXES: [(&str, &str); 3] = [
    ("last", "smallint"),
    ("codes", "smallint[]"),
    ("seconds", "real[]"),
];

/// Names and types of the columns that a metric has in a tier, in the order in which rollups write them.
pub(crate) fn tier_columns(metric: &Metric) -> Vec<(String, &'static str)> {
    let name = |suffix: &str| format!("{}_{suffix}", metric.name);
    match metric.behaviour {
        Behaviour::State(_) => STATE_SUFFIXES.map(|(suffix, kind)| (name(suffix), kind)).to_vec(),
        Behaviour::Gauge | Behaviour::Counter => {
            NUMBER_SUFFIXES.map(|suffix| (name(suffix), "real")).to_vec()
        }
    }
}

/// Names and types of the metrics' columns in a table.
fn columns(kind: Kind, tier: Tier) -> Vec<(String, &'static str)> {
    let metrics = catalogue::metrics(kind).iter();
    match tier {
        Tier::Raw => metrics
            .map(|metric| (metric.name.to_owned(), Column::of(metric).sql_type()))
            .collect(),
        Tier::Hour | Tier::Day => metrics.flat_map(tier_columns).collect(),
    }
}

/// How much time a chunk of a hypertable holds.
const fn chunk(tier: Tier) -> &'static str {
    match tier {
        Tier::Raw => "1 day",
        Tier::Hour => "30 days",
        Tier::Day => "365 days",
    }
}

/// Of an index: unique where a moment has one row.
pub(super) const fn unique(tier: Tier) -> &'static str {
    match tier {
        Tier::Raw => "",
        Tier::Hour | Tier::Day => "UNIQUE ",
    }
}

/// Makes the tables that are missing and adds the columns that are new. Needs the schema lock.
pub(super) async fn apply(client: &mut Client) -> Result<Flavor, Error> {
    let flavor = match Flavor::of(client).await {
        Ok(flavor) => flavor,
        Err(Error::OlderSchema { .. }) => choose(client).await?,
        Err(error) => return Err(error),
    };
    let transaction = client.transaction().await.map_err(Error::statement("begin"))?;
    for kind in Kind::ALL {
        for tier in Tier::ALL {
            create(&transaction, kind, tier, flavor).await?;
            add_columns(&transaction, kind, tier).await?;
        }
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

async fn create(transaction: &Transaction<'_>, kind: Kind, tier: Tier, flavor: Flavor) -> Result<(), Error> {
    const EXISTS: &str = "\
-- sample_table_exists
SELECT to_regclass($1) IS NOT NULL";
    let table = tier_table(kind, tier);
    let row = transaction
        .query_one(EXISTS, &[&table])
        .await
        .map_err(Error::statement("sample_table_exists"))?;
    if row.get::<_, bool>(0) {
        return Ok(());
    }
    let mut definitions = String::new();
    for (name, sql_type) in columns(kind, tier) {
        // Writing into a string can't fail.
        let _ = write!(definitions, ", {name} {sql_type}");
    }
    let body =
        format!("CREATE TABLE {table} (time timestamptz NOT NULL, entity_id integer NOT NULL{definitions})");
    let (unique, chunk) = (unique(tier), chunk(tier));
    let index = format!("CREATE {unique}INDEX {table}_entity_time ON {table} (entity_id, time DESC)");
    let statements = match flavor {
        Flavor::Postgres => format!("-- sample_table\n{body} PARTITION BY RANGE (time);\n{index}"),
        Flavor::Timescale => format!(
            "-- sample_table\n{body};\n\
             SELECT create_hypertable('{table}', by_range('time', INTERVAL '{chunk}'), create_default_indexes => false);\n\
             {index}"
        ),
    };
    transaction
        .batch_execute(&statements)
        .await
        .map_err(Error::statement("sample_table"))
}

async fn add_columns(transaction: &Transaction<'_>, kind: Kind, tier: Tier) -> Result<(), Error> {
    const COLUMNS: &str = "\
-- sample_columns
SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
    let table = tier_table(kind, tier);
    let rows = transaction
        .query(COLUMNS, &[&table])
        .await
        .map_err(Error::statement("sample_columns"))?;
    let present: HashSet<String> = rows.iter().map(|row| row.get(0)).collect();
    for (name, sql_type) in columns(kind, tier) {
        if present.contains(&name) {
            continue;
        }
        let statement = format!("-- sample_column\nALTER TABLE {table} ADD COLUMN {name} {sql_type}");
        transaction
            .batch_execute(&statement)
            .await
            .map_err(Error::statement("sample_column"))?;
        tracing::info!(table, column = name, "added a column for a new metric");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PostgreSQL cuts off what is longer, and then two columns could get one name.
    #[test]
    fn names_of_columns_are_short_enough() {
        for kind in Kind::ALL {
            for (name, _) in Tier::ALL.into_iter().flat_map(|tier| columns(kind, tier)) {
                assert!(name.len() < 64, "{name}");
            }
        }
    }

    /// A rollup takes differences of counters as whole numbers.
    #[test]
    fn counters_are_stored_as_whole_numbers() {
        for kind in Kind::ALL {
            for metric in catalogue::metrics(kind)
                .iter()
                .filter(|metric| metric.is_counter())
            {
                assert_eq!(Column::of(metric), Column::Bigint, "{}", metric.name);
            }
        }
    }
}
