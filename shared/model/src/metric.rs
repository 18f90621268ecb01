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

impl Unit {
    /// Name of the unit as it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::Nanoseconds => "ns",
            Self::Seconds => "s",
            Self::Code => "code",
        }
    }
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

impl Behaviour {
    /// Name used in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::State(_) => "state",
        }
    }
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
    /// Unit of the stored integer (divided by `scale`); [`Metric::api_unit`] is the unit of what the API returns.
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

impl Metric {
    /// Whether the API shows it as a rate.
    pub const fn is_counter(&self) -> bool {
        matches!(self.behaviour, Behaviour::Counter)
    }

    /// What the stored integer (or its rate per second) is divided by to give the API's value.
    #[expect(clippy::cast_precision_loss, reason = "scales are small")]
    pub const fn divisor(&self) -> f64 {
        let scale = self.scale as f64;
        match self.unit {
            Unit::Nanoseconds => scale * 1e9,
            Unit::Count | Unit::Bytes | Unit::Seconds | Unit::Code => scale,
        }
    }

    /// Unit of the API's value: counters are rates per second, times are in seconds.
    pub const fn api_unit(&self) -> &'static str {
        match (self.behaviour, self.unit) {
            (Behaviour::State(_), _) | (Behaviour::Gauge, Unit::Code) => "state",
            (Behaviour::Gauge, Unit::Count) => "1",
            (Behaviour::Gauge, Unit::Bytes) => "bytes",
            (Behaviour::Gauge, Unit::Nanoseconds | Unit::Seconds) => "s",
            (Behaviour::Counter, Unit::Count | Unit::Code) => "1/s",
            (Behaviour::Counter, Unit::Bytes) => "bytes/s",
            (Behaviour::Counter, Unit::Nanoseconds | Unit::Seconds) => "s/s",
        }
    }
}
