//! How much faster than they come samples are rolled up: an hour of some hosts, a sample each second.

use super::Scale;
use super::fleet::roll;
use crate::figure::{Report, progress};
use std::time::Instant;
use vmscope_store::Flavor;
use vmscope_store::testing::{self, Database, Fleet};

/// Rows a second of 500 hosts with 20 VMs each.
const FLEET_ROWS_PER_S: f64 = 10_500.0;

pub(super) async fn measure(report: &mut Report, scale: &Scale) -> anyhow::Result<()> {
    for (flavor, name) in [
        (Flavor::Postgres, "postgresql"),
        (Flavor::Timescale, "timescaledb"),
    ] {
        progress(&format!(
            "history: rollup of {} hosts, {name}",
            scale.rollup_hosts
        ));
        let database = Database::create(flavor).await?;
        let fleet = Fleet {
            first: 1,
            hosts: scale.rollup_hosts,
            vms: scale.vms,
            devices: 0,
        };
        let hosts = testing::make_known(database.store(), fleet).await?;
        let hour = ("2026-11-20T12:00:00Z".parse()?, "2026-11-20T13:00:00Z".parse()?);
        testing::fill(database.store(), &hosts, hour, 1).await?;
        let began = Instant::now();
        let rows = roll(&database).await? as f64;
        let rate = rows / began.elapsed().as_secs_f64();
        report.say(&format!("history.rollup.{name}.rows_per_s"), rate, "rows/s");
        report.say(
            &format!("history.rollup.{name}.times_real_time_of_10000_vms"),
            rate / FLEET_ROWS_PER_S,
            "ratio",
        );
        database.close().await?;
    }
    Ok(())
}
