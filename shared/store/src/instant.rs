//! Moments between the model (microseconds), the database (timestamptz) and the API (milliseconds).

use crate::Error;
use jiff::Timestamp;

/// Earliest and latest sample time that is believed: 2000-01-01 and 2200-01-01, in microseconds since the Unix epoch.
///
/// A clock outside of it is broken, and each of its days would cost a partition.
pub(crate) const BELIEVED_US: std::ops::Range<i64> = 946_684_800_000_000..7_258_118_400_000_000;

/// Microseconds since the Unix epoch as a timestamp.
///
/// # Errors
/// [`Error::Range`] when no clock that works would say so.
pub(crate) fn timestamp(time_us: i64) -> Result<Timestamp, Error> {
    let out_of_range = || Error::Range {
        what: "time in microseconds",
        number: time_us.into(),
    };
    if !BELIEVED_US.contains(&time_us) {
        return Err(out_of_range());
    }
    Timestamp::from_microsecond(time_us).map_err(|_| out_of_range())
}
