//! The writer: a connection of its own, and one transaction a commit.

use super::latest::Latest;
use super::marks::{Marks, Taken};
use super::{Committed, HostBatch, facts, fence, gaps, ledger, rows};
use crate::schema::Flavor;
use crate::schema::partition::{self, Day};
use crate::{Error, Tier, entity, instant, inventory, pool};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio_postgres::{Client, Config, Transaction, error::SqlState};
use vmscope_model::{Fact, Tick, VmId};

/// The longest that one statement of a commit may run on the server.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(2);

/// Writes ticks over its own connection. After a loss of the connection, connect a new writer.
#[derive(Debug)]
pub struct Writer {
    client: Client,
    flavor: Flavor,
    /// Days whose partitions are known to exist.
    days: BTreeSet<Day>,
    latest: Latest,
}

impl Writer {
    /// Connects. The schema must be there ([`crate::Store::open`]).
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Connect`], or [`Error::OlderSchema`] without sample tables.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::open(pool::config(url)?).await
    }

    /// Connects with these settings.
    pub(crate) async fn open(mut config: Config) -> Result<Self, Error> {
        pool::set_limits(&mut config, STATEMENT_TIMEOUT);
        let client = pool::connect(&config).await?;
        let flavor = Flavor::of(&client).await?;
        Ok(Self {
            client,
            flavor,
            days: BTreeSet::new(),
            latest: Latest::default(),
        })
    }

    /// Commits the ticks of `batches` that are not stored yet, in one transaction. See the [module](super) for what a
    /// failure means.
    ///
    /// # Errors
    /// [`Error::Fenced`] for batches of replaced sessions, [`Error::Shape`] and [`Error::Range`] for data that no table can hold, else the database's failures.
    pub async fn commit(&mut self, batches: &[HostBatch]) -> Result<Committed, Error> {
        self.make_partitions(batches).await?;
        match self.transact(batches).await {
            // Retention has dropped a partition since it was seen: late data makes it again.
            Err(Error::Statement { source, .. }) if source.code() == Some(&SqlState::CHECK_VIOLATION) => {
                self.days.clear();
                self.make_partitions(batches).await?;
                self.transact(batches).await
            }
            outcome => outcome,
        }
    }

    async fn transact(&mut self, batches: &[HostBatch]) -> Result<Committed, Error> {
        let transaction = self
            .client
            .transaction()
            .await
            .map_err(Error::statement("begin"))?;
        let mut committed = Committed::default();
        fence::check(&transaction, batches).await?;
        let mut marks = Marks::lock(&transaction, batches).await?;
        let Taken { ticks, findings } = marks.take_new(batches, &mut committed)?;
        // Those whose groups may be others from now on.
        let mut unsettled = BTreeSet::new();
        let vm_ids = named_vms(&transaction, &ticks, &mut unsettled).await?;
        facts::write(&transaction, &ticks, &vm_ids, &mut unsettled).await?;
        gaps::write(&transaction, &ticks, &vm_ids).await?;
        committed.rows = rows::write(&transaction, &ticks).await?;
        let updated = self.latest.write(&transaction, &ticks, &mut unsettled).await?;
        marks.store(&transaction).await?;
        ledger::write(&transaction, &marks, &findings, &ticks).await?;
        inventory::refresh::refresh(&transaction, &unsettled).await?;
        transaction.commit().await.map_err(Error::statement("commit"))?;
        self.latest.committed(&updated);
        committed.marks = marks.positions();
        Ok(committed)
    }

    /// Makes the partitions for late and early samples.
    async fn make_partitions(&mut self, batches: &[HostBatch]) -> Result<(), Error> {
        let mut wanted = BTreeSet::new();
        for (_, tick) in batches.iter().flat_map(|batch| &batch.ticks) {
            instant::timestamp(tick.time_us)?;
            wanted.insert(Day::of(tick.time_us));
        }
        let missing: Vec<Day> = wanted.difference(&self.days).copied().collect();
        if self.flavor == Flavor::Postgres && !missing.is_empty() {
            partition::make(&mut self.client, Tier::Raw, &missing).await?;
            self.days.extend(missing);
        }
        Ok(())
    }
}

/// The database ids of the VMs that facts and gaps name: they may have no samples yet.
async fn named_vms(
    transaction: &Transaction<'_>,
    ticks: &[(i32, &Tick)],
    new: &mut BTreeSet<i32>,
) -> Result<HashMap<VmId, i32>, Error> {
    let mut by_host: BTreeMap<i32, BTreeSet<VmId>> = BTreeMap::new();
    for (host_id, tick) in ticks {
        let facts = tick.facts.iter().filter_map(|fact| match fact {
            Fact::Vm(facts) => Some(facts.vm),
            Fact::Guest(facts) => Some(facts.vm),
            Fact::Host(_) | Fact::Run(_) => None,
        });
        let mut named = facts.chain(tick.gaps.iter().filter_map(|gap| gap.vm)).peekable();
        if named.peek().is_some() {
            by_host.entry(*host_id).or_default().extend(named);
        }
    }
    let mut ids = HashMap::new();
    for (host_id, vms) in &by_host {
        ids.extend(entity::resolve_vms(transaction, *host_id, vms, new).await?);
    }
    Ok(ids)
}
