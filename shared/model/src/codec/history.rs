//! What both ends of a session remember: its entities, and the last value of each entity's columns.
//!
//! Entities are numbered in the order in which they appear, and have a slot within their kind, so that last values are
//! found by arithmetic. Nothing is ever forgotten within a session; the limits of [`super`] bound it.

use super::{Error, MAX_ENTITIES, MAX_NAME_BYTES, MAX_SESSION_CELLS, MAX_SESSION_NAME_BYTES};
use crate::{Entity, Kind};

/// For each column of the sender, in its order: the column of this build, if it has one.
pub(crate) type Targets = Vec<Option<usize>>;

/// The kinds' [`Targets`], in wire order.
pub(crate) type Layout = [Targets; Kind::ALL.len()];

/// The memory of one session.
#[derive(Debug)]
pub(crate) struct History {
    lanes: [Lane; Kind::ALL.len()],
    places: Vec<Place>,
    cells: usize,
    name_bytes: usize,
    pub(crate) time_us: i64,
    saved: Saved,
}

/// Where an entity's values are.
#[derive(Debug, Clone, Copy)]
struct Place {
    kind: Kind,
    /// Its slot times the lane's width.
    base: usize,
}

/// The scalars at the last [`History::save`].
#[derive(Debug, Default)]
struct Saved {
    entities: usize,
    cells: usize,
    name_bytes: usize,
    time_us: i64,
}

/// The memory of one kind.
#[derive(Debug)]
pub(crate) struct Lane {
    targets: Targets,
    /// Slots times width.
    last: Vec<i64>,
    /// Entity numbers of the newest table's rows.
    rows: Vec<u32>,
    /// Their places in `last`.
    bases: Vec<usize>,
    /// What a writer must put back when its frame fails, oldest first.
    undo: Vec<(usize, i64)>,
    undo_rows: Option<(Vec<u32>, Vec<usize>)>,
}

impl History {
    pub(crate) fn new(layout: Layout) -> Self {
        let lanes = layout.map(|targets| Lane {
            targets,
            last: Vec::new(),
            rows: Vec::new(),
            bases: Vec::new(),
            undo: Vec::new(),
            undo_rows: None,
        });
        Self {
            lanes,
            places: Vec::new(),
            cells: 0,
            name_bytes: 0,
            time_us: 0,
            saved: Saved::default(),
        }
    }

    /// Numbers a new entity, whose values all start from 0.
    pub(crate) fn admit(&mut self, entity: &Entity) -> Result<u32, Error> {
        let name_bytes = self.name_bytes + check_name(entity)?;
        let kind = entity.kind();
        let lane = &mut self.lanes[kind as usize];
        let cells = self.cells + lane.targets.len();
        if self.places.len() >= MAX_ENTITIES {
            return Err(Error::TooLarge {
                what: "number of entities",
                limit: MAX_ENTITIES,
            });
        }
        if cells > MAX_SESSION_CELLS {
            return Err(Error::TooLarge {
                what: "number of remembered values",
                limit: MAX_SESSION_CELLS,
            });
        }
        if name_bytes > MAX_SESSION_NAME_BYTES {
            return Err(Error::TooLarge {
                what: "size of all names",
                limit: MAX_SESSION_NAME_BYTES,
            });
        }
        let number = u32::try_from(self.places.len()).map_err(|_| Error::TooLarge {
            what: "number of entities",
            limit: MAX_ENTITIES,
        })?;
        self.places.push(Place {
            kind,
            base: lane.last.len(),
        });
        lane.last.resize(lane.last.len() + lane.targets.len(), 0);
        (self.cells, self.name_bytes) = (cells, name_bytes);
        Ok(number)
    }

    /// How many entities the session has named.
    pub(crate) const fn len(&self) -> usize {
        self.places.len()
    }

    /// The lane of a kind, with the rows of its newest table.
    pub(crate) const fn lane(&mut self, kind: Kind) -> &mut Lane {
        &mut self.lanes[kind as usize]
    }

    /// Makes `rows` the newest rows of `kind`. On failure the lane is as before.
    pub(crate) fn select(&mut self, kind: Kind, rows: Vec<u32>) -> Result<(), Error> {
        let base = |&number: &u32| {
            let place = self.places.get(usize::try_from(number).ok()?)?;
            (place.kind == kind).then_some(place.base)
        };
        let bases: Option<Vec<usize>> = rows.iter().map(base).collect();
        let bases = bases.ok_or(Error::Invalid {
            what: "entity of a row",
        })?;
        let lane = &mut self.lanes[kind as usize];
        let before = (
            std::mem::replace(&mut lane.rows, rows),
            std::mem::replace(&mut lane.bases, bases),
        );
        lane.undo_rows.get_or_insert(before);
        Ok(())
    }

    /// Remembers the present for [`restore`](Self::restore).
    pub(crate) fn save(&mut self) {
        for lane in &mut self.lanes {
            lane.undo.clear();
            lane.undo_rows = None;
        }
        self.saved = Saved {
            entities: self.places.len(),
            cells: self.cells,
            name_bytes: self.name_bytes,
            time_us: self.time_us,
        };
    }

    /// Makes everything as it was at the last [`save`](Self::save).
    pub(crate) fn restore(&mut self) {
        for lane in &mut self.lanes {
            for (index, before) in lane.undo.drain(..).rev() {
                lane.last[index] = before;
            }
            if let Some((rows, bases)) = lane.undo_rows.take() {
                (lane.rows, lane.bases) = (rows, bases);
            }
        }
        for place in self.places.drain(self.saved.entities..).rev() {
            self.lanes[place.kind as usize].last.truncate(place.base);
        }
        self.cells = self.saved.cells;
        self.name_bytes = self.saved.name_bytes;
        self.time_us = self.saved.time_us;
    }
}

impl Lane {
    /// Columns of the sender.
    pub(crate) const fn width(&self) -> usize {
        self.targets.len()
    }

    /// Entity numbers of the newest table's rows.
    pub(crate) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The column of this build that `column` of the sender fills.
    pub(crate) fn target(&self, column: usize) -> Option<usize> {
        self.targets[column]
    }

    /// Replaces the last value of a row's column and returns the difference; can be undone.
    #[inline]
    pub(crate) fn advance(&mut self, row: usize, column: usize, value: i64) -> i64 {
        let index = self.bases[row] + column;
        let before = self.last[index];
        if before != value {
            self.undo.push((index, before));
            self.last[index] = value;
        }
        value.wrapping_sub(before)
    }

    /// The last values, and where each row's begin.
    #[inline]
    pub(crate) fn parts(&mut self) -> (&mut [i64], &[usize]) {
        (&mut self.last, &self.bases)
    }
}

/// The size of an entity's name, if it is one that can be stored.
fn check_name(entity: &Entity) -> Result<usize, Error> {
    match entity {
        Entity::Host | Entity::Vm(_) | Entity::Vcpu { .. } => Ok(0),
        Entity::Disk { name, .. } | Entity::Nic { name, .. } => check_text(name).map(|()| name.len()),
    }
}

/// Refuses text that is too long, or that no PostgreSQL can store: it would block its whole batch for ever.
pub(crate) fn check_text(text: &str) -> Result<(), Error> {
    if text.len() > MAX_NAME_BYTES {
        return Err(Error::TooLarge {
            what: "length of a text",
            limit: MAX_NAME_BYTES,
        });
    }
    if text.contains('\0') {
        return Err(Error::Invalid {
            what: "text: it contains a zero byte",
        });
    }
    Ok(())
}
