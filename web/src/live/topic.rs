//! What a client can subscribe to.

use crate::api::entity;
use uuid::Uuid;
use vmscope_store::entity::Reference;

/// One subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// A host or a virtual machine.
    Entity(Reference),
    /// Whatever is in a group.
    Group(Uuid),
}

impl Topic {
    /// The one that `text` names.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(group) = text.strip_prefix("group:") {
            return group.parse().ok().map(Self::Group);
        }
        match entity::parse(text) {
            Some(reference @ (Reference::Host(_) | Reference::Vm(_))) => Some(Self::Entity(reference)),
            _ => None,
        }
    }

    /// The text that names it.
    pub(super) fn format(self) -> String {
        match self {
            Self::Entity(reference) => entity::format(reference),
            Self::Group(group) => format!("group:{group}"),
        }
    }

    /// The host or virtual machine.
    pub(super) const fn entity(self) -> Option<Reference> {
        match self {
            Self::Entity(reference) => Some(reference),
            Self::Group(_) => None,
        }
    }

    /// The group.
    pub(super) const fn group(self) -> Option<Uuid> {
        match self {
            Self::Entity(_) => None,
            Self::Group(group) => Some(group),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_refuses_everything_else() {
        let id = "5f0c6d0e-6a53-4c4b-9d7e-0d4c6a3b8f11";
        for text in [format!("host:{id}"), format!("vm:{id}"), format!("group:{id}")] {
            assert_eq!(Topic::parse(&text).map(Topic::format), Some(text));
        }
        for text in ["", "group", "group:", "group:1", "disk:1", "vm:1", "vm:1:2"] {
            assert_eq!(Topic::parse(text), None, "{text}");
        }
    }
}
