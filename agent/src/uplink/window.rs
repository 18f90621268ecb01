//! Frames that are sent and not acknowledged: bounded, so that a collector that can't store slows the sender down.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use vmscope_model::Position;

/// Frames that may be unacknowledged.
pub(super) const FRAMES: usize = 64;
/// Bytes of frames that may be unacknowledged; one frame may go beyond.
pub(super) const BYTES: usize = 4 << 20;

/// One session's window.
#[derive(Debug, Default)]
pub(super) struct Window {
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<InFlight>,
    bytes: usize,
    acknowledged: bool,
}

#[derive(Debug)]
struct InFlight {
    first: Position,
    upto: Position,
    ticks: u64,
    bytes: usize,
}

impl Window {
    /// Notes a frame of one epoch, from its first to its last position.
    pub(super) fn sent(&self, first: Position, upto: Position, ticks: u64, bytes: usize) {
        let mut state = self.state();
        state.bytes += bytes;
        state.frames.push_back(InFlight {
            first,
            upto,
            ticks,
            bytes,
        });
    }

    /// Takes out what an acknowledgement covers; gives the ticks of these frames.
    pub(super) fn acknowledge(&self, position: Position) -> u64 {
        let mut state = self.state();
        state.acknowledged = true;
        let covered = |frame: &InFlight| frame.upto.epoch == position.epoch && frame.upto <= position;
        let mut ticks = 0;
        let (mut frames, mut bytes) = (std::mem::take(&mut state.frames), state.bytes);
        frames.retain(|frame| {
            let done = covered(frame);
            if done {
                ticks += frame.ticks;
                bytes -= frame.bytes;
            }
            !done
        });
        (state.frames, state.bytes) = (frames, bytes);
        drop(state);
        self.moved.notify_one();
        ticks
    }

    /// Whether anything was acknowledged: the session is worth something.
    pub(super) fn was_acknowledged(&self) -> bool {
        self.state().acknowledged
    }

    /// Waits until another frame may be sent.
    pub(super) async fn open(&self) {
        self.wait(|state| state.frames.len() < FRAMES && state.bytes < BYTES)
            .await;
    }

    /// Waits until everything is acknowledged.
    pub(super) async fn empty(&self) {
        self.wait(|state| state.frames.is_empty()).await;
    }

    /// The first position that is not acknowledged.
    pub(super) fn oldest(&self) -> Option<Position> {
        self.state().frames.front().map(|frame| frame.first)
    }

    async fn wait(&self, fits: impl Fn(&State) -> bool) {
        // One task sends and waits: a permit that was stored meanwhile is not lost.
        while !fits(&self.state()) {
            self.moved.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, sequence: u64) -> Position {
        Position { epoch, sequence }
    }

    #[tokio::test]
    async fn an_acknowledgement_covers_its_own_epoch_only() {
        let window = Window::default();
        window.sent(at(1, 1), at(1, 5), 5, 10);
        window.sent(at(2, 1), at(2, 3), 3, 10);
        assert_eq!(window.acknowledge(at(2, 3)), 3);
        assert_eq!(window.oldest(), Some(at(1, 1)));
        assert_eq!(window.acknowledge(at(1, 4)), 0, "half a frame is none");
        assert_eq!(window.acknowledge(at(1, 9)), 5);
        window.empty().await;
    }

    #[tokio::test]
    async fn closes_at_its_bounds() {
        let window = Window::default();
        for sequence in 1..=FRAMES as u64 {
            assert!(futures_ready(window.open()), "before {sequence}");
            window.sent(at(1, sequence), at(1, sequence), 1, 1);
        }
        assert!(!futures_ready(window.open()));
        window.acknowledge(at(1, 1));
        assert!(futures_ready(window.open()));
        window.sent(at(1, 99), at(1, 99), 1, BYTES);
        window.acknowledge(at(1, 98));
        assert!(!futures_ready(window.open()), "one large frame fills it too");
    }

    fn futures_ready(future: impl Future<Output = ()>) -> bool {
        let waker = std::task::Waker::noop();
        std::pin::pin!(future)
            .poll(&mut std::task::Context::from_waker(waker))
            .is_ready()
    }
}
