//! Which virtual machines are in which groups, and why.
//!
//! Membership is a table, so that lists and single things are decided by an index. Three things put a machine into a group:
//! somebody (**direct**), the group's **rule**, and a group within it (**nested**). The last two follow from the machine's name, host and
//! labels, from rules and from groups' parts; [`Graph::place`] says how, and whatever changes one of these writes the members
//! in the same transaction: changes by people ([`plan`]), and ingest ([`refresh`]).
//!
//! Invariants: at each commit the table says what [`Graph::place`] says of every machine. Changes by people hold
//! [`lock`](refresh::lock) alone, ingest shares it: what one has not committed, the other one sees afterwards. Groups within groups have no circles.
//!
//! Nobody gains by it: a member comes under what roles say within the group, so who moves a machine, by whichever of the ways,
//! must hold that himself ([`guard`]).

mod graph;
pub(crate) mod guard;
pub(crate) mod plan;
pub(crate) mod refresh;
mod state;

pub(crate) use graph::Graph;
pub(crate) use state::{Placed, Which, load};

/// Why a machine is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Somebody has put it in.
    Direct,
    /// The group's rule.
    Rule,
    /// A group within the group has it.
    Nested,
}

impl Source {
    /// Its name in the API and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Rule => "rule",
            Self::Nested => "nested",
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        // The table's check constraint keeps others out.
        match name {
            "rule" => Self::Rule,
            "nested" => Self::Nested,
            _ => Self::Direct,
        }
    }
}
