//! What one agent session does with a frame: decode, check, translate to database ids.

use super::Centre;
use super::budget::Admission;
use super::clock::now_us;
use super::pace::HostPace;
use super::queue::Lane;
use super::session::{End, Refusal};
use super::writer::{Job, Outcome, Ticket};
use crate::database::Failure;
use std::sync::{Arc, OnceLock};
use tokio::sync::oneshot;
use vmscope_model::wire::{Columns, Frame, FrameDecoder};
use vmscope_model::{HostId, Position, Tick};
use vmscope_store::ingest::HostBatch;

/// The first moment after the year 9999, in microseconds since the Unix epoch.
const LAST_TIME_US: i64 = 253_402_300_800_000_000;

/// A frame whose newest tick is not older than this is live, in microseconds.
const LIVE_US: i64 = 30_000_000;

/// Whose session it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identified {
    /// As in the certificate.
    pub(super) host: HostId,
    /// Its database id.
    pub(super) host_id: i32,
    /// The session's fence.
    pub(super) fence: i64,
    /// Number of the session in this process.
    pub(super) session: u64,
    /// How far the host's clock is ahead, in microseconds.
    pub(super) clock_offset_us: i64,
}

/// The state of one agent session's incoming side.
#[derive(Debug)]
pub(super) struct Intake<'a> {
    centre: &'a Centre,
    of: Identified,
    decoder: FrameDecoder,
    /// Database ids of the decoder's entities, by number.
    ids: Vec<u32>,
    /// Position of the last tick taken.
    last: Option<Position>,
    /// Lane and rows of the last frame: the next one is taken to be in the same lane until it is decoded.
    lane: Lane,
    rows: usize,
    pace: HostPace,
    broken: Arc<OnceLock<Outcome>>,
}

impl<'a> Intake<'a> {
    pub(super) fn new(centre: &'a Centre, of: Identified, columns: &[Columns]) -> Result<Self, End> {
        let decoder = FrameDecoder::new(columns).map_err(Refusal::BadColumns)?;
        Ok(Self {
            centre,
            of,
            decoder,
            ids: Vec::new(),
            last: None,
            // A session begins with what has waited.
            lane: Lane::Backlog,
            rows: 0,
            pace: centre.pace.host(),
            broken: Arc::default(),
        })
    }

    /// The lane of the last frame.
    pub(super) const fn lane(&self) -> Lane {
        self.lane
    }

    /// Waits until the last frame is paid for.
    pub(super) async fn pay(&self) {
        self.centre.pace.pay(&self.pace, self.lane, self.rows).await;
    }

    /// Makes a frame ready for its writer: the job, the position it leads up to, and where its outcome arrives.
    ///
    /// Waits while the budget of rows is used up.
    pub(super) async fn take(
        &mut self,
        frame: &Frame,
    ) -> Result<Option<(Job, Position, oneshot::Receiver<Outcome>)>, End> {
        if frame.host != self.of.host {
            return Err(Refusal::HostMismatch {
                certificate: self.of.host,
                frame: frame.host,
            }
            .into());
        }
        let metrics = &self.centre.metrics;
        metrics.frame_bytes.inc_by(frame.body.len() as u64);
        // The semaphores are never closed, but a stop is what their errors would mean.
        let budget = &self.centre.budget;
        let turn = budget.turn(self.lane).await.map_err(|_| End::Stopping)?;
        let mut ticks = self.decoder.decode(frame).map_err(Refusal::BadFrame)?;
        self.rows = ticks.iter().map(|(_, tick)| rows(tick)).sum();
        let Some(position) = self.check_order(&ticks)? else {
            return Ok(None);
        };
        self.lane = self.lane_of(&ticks);
        metrics.frame(self.lane == Lane::Live);
        let admission = budget
            .admit(self.lane, self.rows)
            .await
            .map_err(|_| End::Stopping)?;
        drop(turn);
        self.centre
            .hub
            .publish(self.of.host, self.decoder.entities(), &ticks);
        self.learn().await?;
        for (_, tick) in &mut ticks {
            self.translate(tick);
        }
        let (job, arrives) = self.job(position.epoch, ticks, admission);
        Ok(Some((job, position, arrives)))
    }

    /// Ticks of one epoch, with database ids, on their way to the writer.
    fn job(
        &self,
        epoch: u64,
        ticks: Vec<(Position, Tick)>,
        admission: Admission,
    ) -> (Job, oneshot::Receiver<Outcome>) {
        let ticks = ticks
            .into_iter()
            .map(|(position, tick)| (position.sequence, tick))
            .collect();
        let batch = HostBatch {
            host_id: self.of.host_id,
            fence: self.of.fence,
            epoch,
            ticks,
        };
        let (outcome, arrives) = oneshot::channel();
        let ticket = Ticket {
            session: self.of.session,
            broken: Arc::clone(&self.broken),
            admission,
            outcome,
        };
        (Job { batch, ticket }, arrives)
    }

    /// By the age of the newest tick, on the host's own clock.
    fn lane_of(&self, ticks: &[(Position, Tick)]) -> Lane {
        let newest_us = ticks.iter().map(|(_, tick)| tick.time_us).max().unwrap_or(0);
        let age_us = now_us()
            .saturating_add(self.of.clock_offset_us)
            .saturating_sub(newest_us);
        if age_us <= LIVE_US {
            Lane::Live
        } else {
            Lane::Backlog
        }
    }

    /// Makes sure that the frame continues the session: one epoch, positions that only grow.
    ///
    /// The progress mark drops what is not above it, so a tick out of order would vanish in silence.
    fn check_order(&mut self, ticks: &[(Position, Tick)]) -> Result<Option<Position>, End> {
        let mut last = self.last;
        for (position, tick) in ticks {
            let storable = (1..=i64::MAX as u64).contains(&position.sequence)
                && i64::try_from(position.epoch).is_ok()
                && position.epoch == ticks[0].0.epoch;
            if !storable || last.is_some_and(|last| *position <= last) {
                return Err(Refusal::OutOfOrder {
                    last,
                    next: *position,
                }
                .into());
            }
            if !(0..LAST_TIME_US).contains(&tick.time_us) {
                return Err(Refusal::BadTime {
                    time_us: tick.time_us,
                }
                .into());
            }
            last = Some(*position);
        }
        self.last = last;
        Ok(ticks.last().map(|(position, _)| *position))
    }

    /// Asks the database for the ids of entities that the session names for the first time.
    async fn learn(&mut self) -> Result<(), End> {
        let new = &self.decoder.entities()[self.ids.len()..];
        if new.is_empty() {
            return Ok(());
        }
        let (host_id, database) = (self.of.host_id, &self.centre.database);
        let ids = database
            .availability
            .insist(|| vmscope_store::entity::resolve(&database.store, host_id, new))
            .await
            .map_err(End::from_failure)?;
        self.ids.extend(ids.into_iter().map(i32::cast_unsigned));
        Ok(())
    }

    fn translate(&self, tick: &mut Tick) {
        for number in tick.tables.iter_mut().flat_map(|table| &mut table.entities) {
            // The decoder gives only numbers of its dictionary, and `learn` has put all of that into `ids`.
            *number = self.ids[*number as usize];
        }
    }
}

impl End {
    /// What a failed database call means for a session.
    pub(crate) fn from_failure(failure: Failure) -> Self {
        match failure {
            Failure::Stopping => Self::Stopping,
            Failure::Refused(error) => Refusal::BadData(Some(error)).into(),
        }
    }
}

/// What a tick weighs in the budget.
fn rows(tick: &Tick) -> usize {
    tick.tables
        .iter()
        .map(|table| table.entities.len())
        .sum::<usize>()
        + tick.facts.len()
        + tick.gaps.len()
}
