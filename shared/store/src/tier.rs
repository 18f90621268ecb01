//! Tiers: samples as they came, and what hours and days of them come to.

use jiff::Timestamp;

const HOUR_US: i64 = 3_600_000_000;

/// How densely values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Every sample.
    Raw,
    /// A row an hour (UTC).
    Hour,
    /// A row a day (UTC).
    Day,
}

impl Tier {
    /// Every tier, the densest first.
    pub const ALL: [Self; 3] = [Self::Raw, Self::Hour, Self::Day];

    /// The tiers that are made out of denser ones.
    pub const ROLLED: [Self; 2] = [Self::Hour, Self::Day];

    /// Name used in the database and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Length of a bucket in seconds; `None` for samples. Buckets begin at multiples of it since the Unix epoch.
    pub const fn bucket_s(self) -> Option<u32> {
        match self {
            Self::Raw => None,
            Self::Hour => Some(3_600),
            Self::Day => Some(86_400),
        }
    }

    /// Length of a bucket in microseconds; a sample has none.
    pub(crate) const fn bucket_us(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::Hour => HOUR_US,
            Self::Day => 24 * HOUR_US,
        }
    }
}

/// The beginning of the hour of a moment.
pub(crate) fn hour_of(moment: Timestamp) -> Timestamp {
    let time_us = moment.as_microsecond();
    // An hour that begins before the calendar does is the moment itself.
    Timestamp::from_microsecond(time_us - time_us.rem_euclid(HOUR_US)).unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_days_begin_at_multiples_since_the_epoch() {
        let moment: Timestamp = "2028-02-29T23:59:59.999999Z".parse().unwrap();
        assert_eq!(hour_of(moment).to_string(), "2028-02-29T23:00:00Z");
        assert_eq!(hour_of(hour_of(moment)), hour_of(moment));
        for tier in Tier::ROLLED {
            assert_eq!(tier.bucket_s().map(i64::from), Some(tier.bucket_us() / 1_000_000));
        }
    }
}
