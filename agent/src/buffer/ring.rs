//! Where records wait while the disk takes none: in memory, bounded by bytes, the oldest dropped first.

use super::Batch;
use super::store::Item;
use std::collections::VecDeque;
use vmscope_model::Position;

/// Records in memory, in order.
#[derive(Debug)]
pub(super) struct Ring {
    items: VecDeque<Item>,
    bytes: u64,
    max_bytes: u64,
}

impl Ring {
    pub(super) const fn new(max_bytes: u64) -> Self {
        Self {
            items: VecDeque::new(),
            bytes: 0,
            max_bytes,
        }
    }

    pub(super) fn push(&mut self, item: Item) {
        self.bytes += item.bytes();
        self.items.push_back(item);
    }

    /// Goes back below the bound; gives the records that had to go, oldest first.
    pub(super) fn trim(&mut self) -> Vec<Item> {
        let mut dropped = Vec::new();
        while self.bytes > self.max_bytes {
            dropped.extend(self.pop());
        }
        dropped
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= item.bytes();
        Some(item)
    }

    pub(super) fn front(&self) -> Option<&Item> {
        self.items.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }

    /// The records after `after`, within `limits`; the first in any case.
    pub(super) fn read(&self, after: Option<Position>, limits: Batch) -> Vec<Item> {
        let mut bytes = 0;
        self.iter()
            .filter(|item| after.is_none_or(|after| item.position > after))
            .enumerate()
            .take_while(|(count, item)| {
                bytes += item.body.len();
                *count == 0 || (bytes <= limits.bytes && *count < limits.records)
            })
            .map(|(_, item)| item.clone())
            .collect()
    }

    pub(super) fn clear(&mut self) {
        self.items = VecDeque::new();
        self.bytes = 0;
    }

    pub(super) fn len(&self) -> u64 {
        self.items.len() as u64
    }
}
