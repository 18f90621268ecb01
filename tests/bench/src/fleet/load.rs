//! What a number of agents means for everybody, from two readings and the log of acknowledgements.

use crate::process::Memory;
use crate::statistics::{highest, percentile};
use anyhow::ensure;
use std::time::Duration;
use tokio::time::Instant;
use vmscope_harness::simulated::Log;

/// Counters at one moment.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) at: Instant,
    pub(super) collector: Duration,
    pub(super) database: Duration,
    pub(super) simulator: Duration,
    pub(super) machine: Duration,
    pub(super) rows: f64,
    pub(super) ticks: f64,
    pub(super) commits: f64,
    pub(super) commit_s: f64,
}

/// What happened between two readings.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) seconds: f64,
    pub(super) rows_per_s: f64,
    pub(super) ticks_per_s: f64,
    pub(super) commits_per_s: f64,
    pub(super) commit_mean_ms: f64,
    pub(super) collector_cores: f64,
    pub(super) database_cores: f64,
    pub(super) simulator_cores: f64,
    /// Of everything else on this machine: not far from 0, or the figures are worth little.
    pub(super) other_cores: f64,
    pub(super) collector_rss_kib: u64,
    pub(super) queue_max: f64,
    pub(super) rows_in_flight_max: f64,
    pub(super) lag_p50: f64,
    pub(super) lag_p99: f64,
    pub(super) lag_max: f64,
    pub(super) lag_p50_first_third: f64,
    pub(super) lag_p50_last_third: f64,
    /// How old the oldest unacknowledged tick is at the end.
    pub(super) oldest: f64,
    /// How late the simulator was itself.
    pub(super) late_p99: f64,
}

impl Load {
    /// `peaks` are those of the queue and of the rows in flight.
    pub(super) fn new(
        before: &Reading,
        after: &Reading,
        peaks: (f64, f64),
        memory: Memory,
        log: &Log,
    ) -> anyhow::Result<Self> {
        let took = after.at - before.at;
        let seconds = took.as_secs_f64();
        let cores = |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64() / seconds;
        let [collector_cores, database_cores, simulator_cores] = [
            cores(before.collector, after.collector),
            cores(before.database, after.database),
            cores(before.simulator, after.simulator),
        ];
        let machine_cores = cores(before.machine, after.machine);
        let commits = after.commits - before.commits;
        ensure!(commits > 0.0, "nothing was committed");
        let lags = log.lags(before.at, after.at);
        let p50 = |from, to| percentile(&log.lags(from, to), 50);
        Ok(Self {
            seconds,
            rows_per_s: (after.rows - before.rows) / seconds,
            ticks_per_s: (after.ticks - before.ticks) / seconds,
            commits_per_s: commits / seconds,
            commit_mean_ms: (after.commit_s - before.commit_s) / commits * 1_000.0,
            collector_cores,
            database_cores,
            simulator_cores,
            other_cores: machine_cores - collector_cores - database_cores - simulator_cores,
            collector_rss_kib: memory.rss_kib,
            queue_max: peaks.0,
            rows_in_flight_max: peaks.1,
            lag_p50: percentile(&lags, 50),
            lag_p99: percentile(&lags, 99),
            lag_max: highest(&lags),
            lag_p50_first_third: p50(before.at, before.at + took / 3),
            lag_p50_last_third: p50(after.at - took / 3, after.at),
            oldest: log.oldest().as_secs_f64(),
            late_p99: percentile(&log.late(before.at, after.at), 99),
        })
    }

    /// By how much half of the ticks were older in the last third than in the first.
    pub(super) fn growth(&self) -> f64 {
        self.lag_p50_last_third - self.lag_p50_first_third
    }

    pub(super) fn collector_us_per_row(&self) -> f64 {
        self.collector_cores / self.rows_per_s * 1e6
    }
}
