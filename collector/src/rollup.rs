//! Makes hours and days out of samples, each minute for whatever hosts have hours that are over.
//!
//! Any number of collectors may do it; one at a time does ([`Roller`]). A host whose samples can't be used holds up no other; when
//! the database fails, the next turn goes on where this one ended. A turn that is under way when the collector stops ends with
//! the host that it is at.

use crate::database::{Database, chain};
use crate::metrics::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vmscope_service::Lifecycle;
use vmscope_service::periodic::{self, Activity, Handle, Status};
use vmscope_store::Error;
use vmscope_store::rollup::{self, Rolled, Roller};

/// How often it is looked for hosts with hours that are over.
const EVERY: Duration = Duration::from_mins(1);

/// What rollups come to, for Prometheus. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    rows: Counter,
    hours: Counter,
    days: Counter,
    refused: Counter,
    failed: Counter,
    lag_s: Gauge,
}

impl Figures {
    /// Registers every figure with `registry`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "rollup_rows",
            "Rows of samples that rollups read",
            self.rows.clone(),
        );
        registry.register(
            "rollup_hours",
            "Hours that rollups wrote, each of one thing",
            self.hours.clone(),
        );
        registry.register(
            "rollup_days",
            "Days that rollups wrote, each of one thing",
            self.days.clone(),
        );
        registry.register(
            "rollup_refused_hours",
            "Hours of a host with late samples, left as they are because retention has removed a part of their samples",
            self.refused.clone(),
        );
        registry.register(
            "rollup_failures",
            "Rollups of a host that failed and are tried again",
            self.failed.clone(),
        );
        registry.register(
            "rollup_lag_seconds",
            "For how long the oldest hour has been over that is not made",
            self.lag_s.clone(),
        );
    }

    fn add(&self, rolled: Rolled) {
        self.rows.inc_by(rolled.rows);
        self.hours.inc_by(rolled.hours);
        self.days.inc_by(rolled.days);
        self.refused.inc_by(rolled.refused);
    }
}

/// Starts the rollups; the handle tells what they come to.
pub(crate) fn spawn(lifecycle: &Lifecycle, database: &Arc<Database>, metrics: &Metrics) -> Handle {
    let rollup = Rollup {
        database: Arc::clone(database),
        figures: metrics.rollup.clone(),
        stopping: lifecycle.stopping(),
    };
    periodic::spawn(lifecycle, rollup, EVERY)
}

struct Rollup {
    database: Arc<Database>,
    figures: Figures,
    stopping: CancellationToken,
}

/// What a turn came to.
#[derive(Debug, Default)]
struct Turn {
    hosts: usize,
    failed: usize,
    rolled: Rolled,
}

impl Activity for Rollup {
    fn name(&self) -> &'static str {
        "rollup"
    }

    async fn activate(&self) -> Status {
        let status = match self.turn().await {
            Ok(None) => Status::Done("another collector does it".to_owned()),
            Ok(Some(turn)) if turn.failed > 0 => {
                Status::Failed(format!("{} of {} hosts failed", turn.failed, turn.hosts))
            }
            Ok(Some(Turn { hosts, rolled, .. })) => {
                let Rolled {
                    rows, hours, days, ..
                } = rolled;
                Status::Done(format!(
                    "{hosts} hosts: {hours} hours and {days} days of {rows} rows"
                ))
            }
            Err(error) => Status::Failed(chain(&error)),
        };
        if let Ok(lag) = rollup::lag(&self.database.store).await {
            self.figures
                .lag_s
                .set(i64::try_from(lag.as_secs()).unwrap_or(i64::MAX));
        }
        status
    }
}

impl Rollup {
    async fn turn(&self) -> Result<Option<Turn>, Error> {
        let Some(mut roller) = Roller::begin(&self.database.store).await? else {
            return Ok(None);
        };
        let mut turn = Turn::default();
        for host in roller.due().await? {
            if self.stopping.is_cancelled() {
                break;
            }
            turn.hosts += 1;
            match roller.roll(host).await {
                Ok(done) => {
                    self.figures.add(done);
                    turn.rolled += done;
                }
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    turn.failed += 1;
                    self.figures.failed.inc();
                    tracing::error!(
                        host.database_id = host,
                        error = chain(&error),
                        "a host's hours can't be made out of its samples"
                    );
                }
            }
        }
        roller.end().await?;
        Ok(Some(turn))
    }
}
