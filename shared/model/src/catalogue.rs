//! Every metric of every kind, as data.

use crate::{Kind, Metric};

/// The metrics of `kind`, in column order.
pub const fn metrics(kind: Kind) -> &'static [Metric] {
    match kind {
        Kind::Host | Kind::Vm | Kind::Vcpu | Kind::Disk | Kind::Nic => &[],
    }
}
