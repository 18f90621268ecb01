//! How the API writes entities: `host:<uuid>`, `vm:<uuid>`, `vcpu:<id>`, `disk:<id>`, `nic:<id>`.

use vmscope_model::{Kind, VmId};
use vmscope_store::entity::Reference;

/// The entity that `text` names.
pub fn parse(text: &str) -> Option<Reference> {
    let (kind, id) = text.split_once(':')?;
    let kind = Kind::ALL.into_iter().find(|known| known.name() == kind)?;
    match kind {
        Kind::Host => id.parse().ok().map(Reference::Host),
        Kind::Vm => id.parse::<VmId>().ok().map(Reference::Vm),
        Kind::Vcpu | Kind::Disk | Kind::Nic => id.parse().ok().map(|id| Reference::Device { kind, id }),
    }
}

/// The text that names `entity`.
pub fn format(entity: Reference) -> String {
    match entity {
        Reference::Host(id) => format!("host:{id}"),
        Reference::Vm(id) => format!("vm:{id}"),
        Reference::Device { kind, id } => format!("{kind}:{id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in [
            "host:5f0c6d0e-6a53-4c4b-9d7e-0d4c6a3b8f11",
            "vm:5f0c6d0e-6a53-4c4b-9d7e-0d4c6a3b8f11",
            "vcpu:1",
            "disk:2147483647",
            "nic:3",
        ] {
            assert_eq!(parse(text).map(format).as_deref(), Some(text));
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "vm",
            "vm:",
            "vm:1",
            "disk:x",
            "disk:99999999999",
            "host:1:2",
            "VM:1",
            "pool:1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
