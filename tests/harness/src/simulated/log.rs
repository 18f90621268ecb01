//! When what was sent was acknowledged.

use super::WINDOW_FRAMES;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use vmscope_model::Position;

/// When acknowledgements came, and how old what they acknowledge was.
#[derive(Debug, Default)]
pub struct Log {
    lags: Mutex<Vec<(Instant, Duration)>>,
    wakes: Mutex<Vec<(Instant, Duration)>>,
    flights: Mutex<Vec<Arc<Flight>>>,
}

impl Log {
    /// Seconds from the moment of each frame's last tick to its acknowledgement, of those acknowledged between the two moments.
    pub fn lags(&self, from: Instant, to: Instant) -> Vec<f64> {
        between(&self.lags, from, to)
    }

    /// Seconds by which the simulator itself was late to make a tick.
    pub fn late(&self, from: Instant, to: Instant) -> Vec<f64> {
        between(&self.wakes, from, to)
    }

    /// How old the oldest tick is that is not acknowledged.
    pub fn oldest(&self) -> Duration {
        let flights = locked(&self.flights);
        let oldest = flights
            .iter()
            .filter_map(|flight| locked(&flight.frames).front().map(|frame| frame.due));
        oldest.min().map_or(Duration::ZERO, |due| due.elapsed())
    }

    /// Notes how late the simulator was just now.
    pub(super) fn woke(&self, late: Duration) {
        locked(&self.wakes).push((Instant::now(), late));
    }

    /// A session's frames, none yet.
    pub(super) fn begin(&self) -> Arc<Flight> {
        let flight = Arc::new(Flight {
            frames: Mutex::default(),
            window: Semaphore::new(WINDOW_FRAMES as usize),
        });
        locked(&self.flights).push(Arc::clone(&flight));
        flight
    }

    /// What was sent up to `position` is stored.
    pub(super) fn acknowledge(&self, flight: &Flight, position: Position) {
        let now = Instant::now();
        let mut frames = locked(&flight.frames);
        while let Some(frame) = frames.pop_front_if(|frame| frame.upto <= position) {
            flight.window.add_permits(1);
            locked(&self.lags).push((now, now - frame.due));
        }
    }
}

fn between(entries: &Mutex<Vec<(Instant, Duration)>>, from: Instant, to: Instant) -> Vec<f64> {
    let entries = locked(entries);
    let inside = entries.iter().filter(|(at, _)| (from..to).contains(at));
    inside.map(|(_, duration)| duration.as_secs_f64()).collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A frame that waits for its acknowledgement.
#[derive(Debug)]
struct Unacknowledged {
    upto: Position,
    /// The moment of its last tick.
    due: Instant,
}

/// One session's unacknowledged frames.
#[derive(Debug)]
pub(super) struct Flight {
    frames: Mutex<VecDeque<Unacknowledged>>,
    window: Semaphore,
}

impl Flight {
    /// Takes a place in the window, as soon as there is one.
    pub(super) async fn admit(&self, upto: Position, due: Instant) -> anyhow::Result<()> {
        self.window.acquire().await?.forget();
        locked(&self.frames).push_back(Unacknowledged { upto, due });
        Ok(())
    }

    /// Waits until everything is acknowledged.
    pub(super) async fn land(&self) -> anyhow::Result<()> {
        let _whole = self.window.acquire_many(WINDOW_FRAMES).await?;
        Ok(())
    }
}
