//! What a metric is: columns, encoders, rates, API help and chart units all derive from these fields.

/// The unit of a metric's value as people and programs see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A plain number without dimension (requests, packets, processors, load).
    Count,
    /// Bytes.
    Bytes,
    /// Nanoseconds of time spent.
    Nanoseconds,
    /// Seconds.
    Seconds,
    /// A number that stands for a word; the catalogue says which.
    Code,
}

/// How a metric behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// Goes up and down; shown as it is.
    Gauge,
    /// Only grows, and starts again from zero with its source; shown as a rate.
    Counter,
    /// One of a few named states: (code, API name).
    State(&'static [(i64, &'static str)]),
}

/// A sentence in the three languages of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// English.
    pub en: &'static str,
    /// Simplified Chinese.
    pub zh: &'static str,
    /// Japanese.
    pub ja: &'static str,
}

/// One metric of one kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Column, wire and API name: lower case, with its unit (`cpu_time_ns`).
    pub name: &'static str,
    /// Unit of the value that the API returns.
    pub unit: Unit,
    /// Gauge, counter or state.
    pub behaviour: Behaviour,
    /// The integer on the wire is the value times this (1, or 1000 for loads); a scale above 1 is stored as `real`.
    pub scale: i64,
    /// What it means, for people.
    pub help: Text,
    /// Where it is read: `libvirt cpu.time`, `/proc/stat cpu steal`.
    pub source: &'static str,
}
