//! A database with a week of a fleet: hours and days of all of it, and the samples of the last day.

use super::Scale;
use jiff::{SignedDuration, Timestamp};
use vmscope_model::{Kind, VmId};
use vmscope_store::rollup::Roller;
use vmscope_store::testing::{self, Database, Fleet, FleetHost};
use vmscope_store::{Flavor, Tier};

const DAY_S: i64 = 86_400;
const HOUR_S: i64 = 3_600;
/// Days that have hours.
const DAYS: i64 = 7;
/// What machines are called, by turns.
pub(super) const SERVICES: [&str; 5] = ["web", "db", "cache", "worker", "build"];

/// The filled database.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) database: Database,
    pub(super) hosts: Vec<FleetHost>,
    /// Host by host; those of the first host have a sample each second.
    pub(super) vms: Vec<(VmId, i32)>,
    pub(super) samples: u64,
    /// Rows of hours that were made without samples, of VMs.
    pub(super) hours: u64,
}

impl Filled {
    pub(super) async fn make(scale: &Scale) -> anyhow::Result<Self> {
        let database = Database::create(Flavor::Timescale).await?;
        let store = database.store();
        let fleet = Fleet {
            first: 1,
            hosts: scale.hosts,
            vms: scale.vms,
            devices: 0,
        };
        let hosts = testing::make_known(store, fleet).await?;
        let now_s = Timestamp::now().as_second();
        let now = Timestamp::from_second(now_s)?;
        // The day begins with an hour, so that every hour is made from samples or without any.
        let day = Timestamp::from_second((now_s - DAY_S).div_euclid(HOUR_S) * HOUR_S)?;
        let week = Timestamp::from_second((now_s - DAYS * DAY_S).div_euclid(DAY_S) * DAY_S)?;
        testing::name(store, &hosts, day, name).await?;
        let (watched, others) = hosts.split_at(1);
        let mut samples = testing::fill(store, watched, (day, now), 1).await?;
        samples += testing::fill(store, others, (day, now), scale.step_s).await?;
        let vms: Vec<(VmId, i32)> = hosts.iter().flat_map(|host| host.vms.clone()).collect();
        let vm_ids: Vec<i32> = vms.iter().map(|(_, id)| *id).collect();
        let host_ids: Vec<i32> = hosts.iter().map(|host| host.host_id).collect();
        let hours = testing::fill_tier(store, (Kind::Vm, Tier::Hour), &vm_ids, (week, day)).await?;
        testing::fill_tier(store, (Kind::Host, Tier::Hour), &host_ids, (week, day)).await?;
        // The rollup makes the days that the samples lie in.
        let whole = Timestamp::from_second(day.as_second().div_euclid(DAY_S) * DAY_S)?;
        for (kind, ids) in [(Kind::Vm, &vm_ids), (Kind::Host, &host_ids)] {
            testing::fill_tier(store, (kind, Tier::Day), ids, (week, whole)).await?;
        }
        roll(&database).await?;
        database.client().await?.batch_execute("VACUUM ANALYZE").await?;
        Ok(Self {
            database,
            hosts,
            vms,
            samples,
            hours,
        })
    }

    pub(super) async fn size_bytes(&self) -> anyhow::Result<i64> {
        let client = self.database.client().await?;
        let size = "SELECT pg_database_size(current_database())";
        Ok(client.query_one(size, &[]).await?.get(0))
    }
}

/// The name of a host, or of a machine on it.
fn name(host: usize, vm: Option<usize>) -> String {
    match vm {
        None => format!("node-{:04}", host + 1),
        Some(vm) => format!("{}-{:04}-{:02}", SERVICES[vm % SERVICES.len()], host + 1, vm + 1),
    }
}

/// Makes the hours and days that are due; gives the samples that were read.
pub(super) async fn roll(database: &Database) -> anyhow::Result<u64> {
    let mut rows = 0;
    if let Some(mut roller) = Roller::begin(database.store()).await? {
        for host in roller.due().await? {
            rows += roller.roll(host).await?.rows;
        }
        roller.end().await?;
    }
    Ok(rows)
}

/// So long before `moment`.
pub(super) fn before(moment: Timestamp, seconds: i64) -> anyhow::Result<Timestamp> {
    Ok(moment.checked_sub(SignedDuration::from_secs(seconds))?)
}
