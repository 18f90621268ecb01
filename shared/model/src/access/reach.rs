//! Where a grant holds, what something is in, and which things of a list a person may see.

use std::collections::BTreeSet;
use uuid::Uuid;

/// Where a grant holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Everywhere.
    All,
    /// For the virtual machines of a group, the hosts that they are on, and the group itself.
    Group(Uuid),
    /// For everything in a cluster.
    Cluster(Uuid),
}

impl Scope {
    /// Whether whatever is in `other` is in this one.
    pub fn contains(self, other: Self) -> bool {
        self == Self::All || self == other
    }

    /// Whether something is certainly in both, when there is anything in the smaller one.
    pub(super) fn meets(self, other: Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// Whether the subject is in it.
    pub fn includes(self, subject: &Subject) -> bool {
        match self {
            Self::All => true,
            Self::Group(group) => subject.groups.contains(&group),
            Self::Cluster(cluster) => subject.cluster == Some(cluster),
        }
    }
}

/// What something is in that a person wants to act on. In nothing: the installation itself, or a thing outside all groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// The groups of a virtual machine, of all virtual machines of a host, or the group itself.
    pub groups: BTreeSet<Uuid>,
    /// The cluster.
    pub cluster: Option<Uuid>,
}

impl Subject {
    /// The installation itself: only grants for everything concern it.
    pub fn installation() -> Self {
        Self::default()
    }

    /// A thing that is in these groups.
    pub fn within(groups: impl IntoIterator<Item = Uuid>) -> Self {
        Self {
            groups: groups.into_iter().collect(),
            cluster: None,
        }
    }
}

/// The things for which a person has a permission. By default all: programs of vmscope ask for themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Reach {
    /// All.
    #[default]
    Everything,
    /// All but those in one of these groups.
    Except {
        /// Groups.
        denied: Vec<Uuid>,
    },
    /// Those in one of the first groups and in none of the others.
    Groups {
        /// Groups, at least one.
        allowed: Vec<Uuid>,
        /// Groups.
        denied: Vec<Uuid>,
    },
    /// None.
    Nothing,
}

impl Reach {
    /// Whether the subject is in it.
    pub fn includes(&self, subject: &Subject) -> bool {
        let any = |groups: &[Uuid]| groups.iter().any(|group| subject.groups.contains(group));
        self.allowed().is_none_or(any) && !any(self.denied())
    }

    /// Whether there can be anything in it.
    pub fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }

    /// The groups that something must be in one of; `None` when it need not.
    pub fn allowed(&self) -> Option<&[Uuid]> {
        match self {
            Self::Everything | Self::Except { .. } => None,
            Self::Groups { allowed, .. } => Some(allowed),
            Self::Nothing => Some(&[]),
        }
    }

    /// The groups that something must not be in.
    pub fn denied(&self) -> &[Uuid] {
        match self {
            Self::Except { denied } | Self::Groups { denied, .. } => denied,
            Self::Everything | Self::Nothing => &[],
        }
    }
}
