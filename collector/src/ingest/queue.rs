//! A writer's queue: two lanes, the live one first.
//!
//! What is live and what is backlog, the session says by the age of the frame; here it only decides who goes first. The
//! backlog lane has a queue for each session and serves one frame of each in turn, so that no agent's day of backlog
//! stands before another's minute.
//!
//! Invariants: the frames of one session come out in the order in which they went in: while some of them wait in one lane,
//! the next ones follow there, whatever their age. The frames in each lane are bounded by [`LANE_FRAMES`]; who sends more
//! waits.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, Semaphore};

/// Frames queued in one lane of one writer; a full lane makes its sessions wait.
pub(super) const LANE_FRAMES: usize = 1024;

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Somebody looks at it now.
    Live,
    /// It has waited already.
    Backlog,
}

/// A queued frame.
#[derive(Debug)]
struct Entry<T> {
    session: u64,
    rows: usize,
    /// The lane whose slot it takes: that of its age.
    slot: Lane,
    item: T,
}

#[derive(Debug)]
struct Lanes<T> {
    live: VecDeque<Entry<T>>,
    /// Frames of each session in the live lane.
    live_of: HashMap<u64, usize>,
    backlog: HashMap<u64, VecDeque<Entry<T>>>,
    /// The sessions in the backlog lane, by whose turn it is.
    turns: VecDeque<u64>,
    closed: bool,
}

#[derive(Debug)]
struct Shared<T> {
    lanes: Mutex<Lanes<T>>,
    arrived: Notify,
    live_slots: Semaphore,
    backlog_slots: Semaphore,
}

/// Where sessions put frames; dropped, it closes the queue.
#[derive(Debug)]
pub(super) struct Sender<T>(Arc<Shared<T>>);

/// Where the writer takes them; dropped, senders learn it.
#[derive(Debug)]
pub(super) struct Receiver<T>(Arc<Shared<T>>);

/// The writer has stopped.
#[derive(Debug)]
pub(super) struct Stopped;

/// An empty queue.
pub(super) fn queue<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        lanes: Mutex::new(Lanes {
            live: VecDeque::new(),
            live_of: HashMap::new(),
            backlog: HashMap::new(),
            turns: VecDeque::new(),
            closed: false,
        }),
        arrived: Notify::new(),
        live_slots: Semaphore::new(LANE_FRAMES),
        backlog_slots: Semaphore::new(LANE_FRAMES),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Shared<T> {
    fn lanes(&self) -> MutexGuard<'_, Lanes<T>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots(&self, lane: Lane) -> &Semaphore {
        match lane {
            Lane::Live => &self.live_slots,
            Lane::Backlog => &self.backlog_slots,
        }
    }
}

impl<T> Sender<T> {
    /// Puts a frame of `session` with `rows` rows into `lane`, or behind what the session has waiting in the other;
    /// waits for a free slot.
    pub(super) async fn send(&self, session: u64, lane: Lane, rows: usize, item: T) -> Result<(), Stopped> {
        let slot = self.0.slots(lane).acquire().await.map_err(|_| Stopped)?;
        // Given back when the frame is taken.
        slot.forget();
        self.0.lanes().push(Entry {
            session,
            rows,
            slot: lane,
            item,
        });
        self.0.arrived.notify_one();
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.lanes().closed = true;
        self.0.arrived.notify_one();
    }
}

impl<T> Receiver<T> {
    /// Waits until something is there; false when the queue is closed and empty. Cancel-safe.
    pub(super) async fn filled(&mut self) -> bool {
        loop {
            {
                let lanes = self.0.lanes();
                if !lanes.is_empty() {
                    return true;
                }
                if lanes.closed {
                    return false;
                }
            }
            self.0.arrived.notified().await;
        }
    }

    /// The next live frame and its rows.
    pub(super) fn take_live(&mut self) -> Option<(usize, T)> {
        let entry = self.0.lanes().pop_live()?;
        Some(self.release(entry))
    }

    /// The next backlog frame, of the session whose turn it is, and its rows.
    pub(super) fn take_backlog(&mut self) -> Option<(usize, T)> {
        let entry = self.0.lanes().pop_backlog()?;
        Some(self.release(entry))
    }

    fn release(&self, entry: Entry<T>) -> (usize, T) {
        self.0.slots(entry.slot).add_permits(1);
        (entry.rows, entry.item)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.live_slots.close();
        self.0.backlog_slots.close();
        let mut lanes = self.0.lanes();
        lanes.live.clear();
        lanes.backlog.clear();
        lanes.turns.clear();
    }
}

impl<T> Lanes<T> {
    fn is_empty(&self) -> bool {
        self.live.is_empty() && self.turns.is_empty()
    }

    fn push(&mut self, entry: Entry<T>) {
        let session = entry.session;
        let waits_live = self.live_of.contains_key(&session);
        let waits_back = self.backlog.contains_key(&session);
        if waits_live || (entry.slot == Lane::Live && !waits_back) {
            *self.live_of.entry(session).or_default() += 1;
            self.live.push_back(entry);
            return;
        }
        if !waits_back {
            self.turns.push_back(session);
        }
        self.backlog.entry(session).or_default().push_back(entry);
    }

    fn pop_live(&mut self) -> Option<Entry<T>> {
        let entry = self.live.pop_front()?;
        if let Some(count) = self.live_of.get_mut(&entry.session) {
            *count -= 1;
            if *count == 0 {
                self.live_of.remove(&entry.session);
            }
        }
        Some(entry)
    }

    fn pop_backlog(&mut self) -> Option<Entry<T>> {
        let session = self.turns.pop_front()?;
        let entries = self.backlog.get_mut(&session)?;
        let entry = entries.pop_front();
        if entries.is_empty() {
            self.backlog.remove(&session);
        } else {
            self.turns.push_back(session);
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    /// Puts frame `item` of `session` into the queue, which has room.
    fn put(sender: &Sender<u32>, session: u64, lane: Lane, item: u32) {
        let sent = sender.send(session, lane, 1, item).now_or_never();
        assert!(matches!(sent, Some(Ok(()))), "{item}");
    }

    fn live(receiver: &mut Receiver<u32>) -> Vec<u32> {
        std::iter::from_fn(|| receiver.take_live().map(|(_, item)| item)).collect()
    }

    fn backlog(receiver: &mut Receiver<u32>) -> Vec<u32> {
        std::iter::from_fn(|| receiver.take_backlog().map(|(_, item)| item)).collect()
    }

    #[test]
    fn backlogs_are_served_in_turn() {
        let (sender, mut receiver) = queue();
        for item in 10..13 {
            put(&sender, 1, Lane::Backlog, item);
        }
        put(&sender, 2, Lane::Backlog, 20);
        put(&sender, 3, Lane::Backlog, 30);
        put(&sender, 2, Lane::Backlog, 21);
        assert_eq!(backlog(&mut receiver), [10, 20, 30, 11, 21, 12]);
    }

    #[test]
    fn a_live_frame_does_not_overtake_its_own_backlog() {
        let (sender, mut receiver) = queue();
        put(&sender, 1, Lane::Backlog, 10);
        put(&sender, 1, Lane::Live, 11);
        put(&sender, 2, Lane::Live, 20);
        assert_eq!(live(&mut receiver), [20]);
        assert_eq!(receiver.take_backlog(), Some((1, 10)));
        put(&sender, 1, Lane::Live, 12);
        assert_eq!(live(&mut receiver), [0; 0]);
        assert_eq!(backlog(&mut receiver), [11, 12]);
        put(&sender, 1, Lane::Live, 13);
        assert_eq!(live(&mut receiver), [13], "nothing of it waits any more");
    }

    #[test]
    fn a_late_frame_does_not_overtake_its_own_live_ones() {
        let (sender, mut receiver) = queue();
        put(&sender, 1, Lane::Live, 10);
        put(&sender, 1, Lane::Backlog, 11);
        assert_eq!(backlog(&mut receiver), [0; 0]);
        assert_eq!(live(&mut receiver), [10, 11]);
        put(&sender, 1, Lane::Backlog, 12);
        assert_eq!(backlog(&mut receiver), [12]);
    }

    #[test]
    fn a_full_backlog_lane_leaves_room_for_live_frames() {
        let (sender, mut receiver) = queue();
        for _ in 0..LANE_FRAMES {
            put(&sender, 1, Lane::Backlog, 1);
        }
        assert!(sender.send(1, Lane::Backlog, 1, 2).now_or_never().is_none());
        put(&sender, 2, Lane::Live, 3);
        assert_eq!(receiver.take_backlog(), Some((1, 1)));
        put(&sender, 1, Lane::Backlog, 2);
    }

    #[test]
    fn either_end_learns_that_the_other_is_gone() {
        let (sender, mut receiver) = queue();
        put(&sender, 1, Lane::Live, 1);
        drop(sender);
        assert_eq!(receiver.filled().now_or_never(), Some(true));
        assert_eq!(live(&mut receiver), [1]);
        assert_eq!(receiver.filled().now_or_never(), Some(false));

        let (sender, receiver) = queue();
        drop(receiver);
        assert!(matches!(
            sender.send(1, Lane::Live, 1, 1).now_or_never(),
            Some(Err(Stopped))
        ));
    }
}
