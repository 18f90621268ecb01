//! Every metric of every kind, as data: columns, encoders, rates, API help and chart units derive from it.
//!
//! One file a kind. The place of a metric in its list is its column in [`Table`](crate::Table) and in the agent's
//! stored records, so a list only ever grows at its end and a retired metric keeps its place (a test holds this
//! against `shared/model/tests/columns.txt`). Names are free of that rule on the wire, where each session names its columns.

pub mod disk;
pub mod host;
pub mod nic;
pub mod state;
pub mod vcpu;
pub mod vm;

use crate::{Group, Kind, Metric};

/// The metrics of `kind`, in column order.
pub const fn metrics(kind: Kind) -> &'static [Metric] {
    match kind {
        Kind::Host => host::METRICS,
        Kind::Vm => vm::METRICS,
        Kind::Vcpu => vcpu::METRICS,
        Kind::Disk => disk::METRICS,
        Kind::Nic => nic::METRICS,
    }
}

/// The column of the metric called `name`.
pub fn find(kind: Kind, name: &str) -> Option<usize> {
    metrics(kind).iter().position(|metric| metric.name == name)
}

/// Which part of sampling brings a metric: the gaps that concern it are those of this group and of [`Group::All`].
///
/// Devices are those of a VM here; all that a host has of its own, devices too, is of [`Group::Host`].
pub fn group(kind: Kind, metric: &Metric) -> Group {
    let is_cheap = |prefix| metric.name.starts_with(prefix);
    match kind {
        Kind::Host => Group::Host,
        Kind::Vm if vm::CHEAP.into_iter().any(is_cheap) => Group::Cheap,
        Kind::Nic => Group::Cheap,
        Kind::Vcpu if vcpu::CHEAP.contains(&metric.name) => Group::Cheap,
        Kind::Vm | Kind::Vcpu | Kind::Disk => Group::Dear,
    }
}

/// Makes `METRICS` and one index constant a metric from lines of
/// `CONSTANT "name" Unit Behaviour [scale], "source": "English", "Chinese", "Japanese";`.
macro_rules! catalogue {
    ($($constant:ident $name:literal $unit:ident $behaviour:ident $(($states:expr))? $([$scale:literal])?, $source:literal:
        $en:literal, $zh:literal, $ja:literal;)+) => {
        /// The metrics, in column order.
        pub const METRICS: &[$crate::Metric] = &[$($crate::Metric {
            name: $name,
            unit: $crate::Unit::$unit,
            behaviour: $crate::metric::Behaviour::$behaviour $(($states))?,
            scale: $crate::catalogue::scale!($($scale)?),
            help: $crate::metric::Text { en: $en, zh: $zh, ja: $ja },
            source: $source,
        }),+];
        $crate::catalogue::columns!(0; $($constant $en,)+);
    };
}

/// The scale of a metric: 1 unless the line says otherwise.
macro_rules! scale {
    () => {
        1
    };
    ($scale:literal) => {
        $scale
    };
}

/// Numbers the constants from 0.
macro_rules! columns {
    ($index:expr;) => {};
    ($index:expr; $constant:ident $help:literal, $($rest:tt)*) => {
        #[doc = $help]
        pub const $constant: usize = $index;
        $crate::catalogue::columns!($index + 1; $($rest)*);
    };
}

use {catalogue, columns, scale};
