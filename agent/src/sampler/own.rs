//! What the agent's other parts say about themselves, for the host's row.

use crate::buffer::Status;
use tokio::sync::watch;
use vmscope_model::Value;
use vmscope_model::catalogue::host;

/// Who is asked.
#[derive(Debug)]
pub(super) struct Own {
    /// None in a sampler without a buffer.
    pub(super) buffer: Option<watch::Receiver<Status>>,
    pub(super) stretch: watch::Receiver<u32>,
}

impl Own {
    /// The columns that they fill, at `now_us`.
    pub(super) fn values(&self, now_us: i64) -> Vec<(usize, Value)> {
        let mut values = vec![(
            host::AGENT_CADENCE_STRETCH,
            number((*self.stretch.borrow()).into()),
        )];
        if let Some(buffer) = &self.buffer {
            let status = buffer.borrow();
            // A clock that was set back makes nothing younger than now.
            let lag_us = status
                .oldest_us
                .map_or(0, |oldest_us| now_us.saturating_sub(oldest_us).max(0));
            values.extend([
                (host::AGENT_BUFFER_BYTES, number(status.bytes)),
                (host::AGENT_BUFFER_DISK_BYTES, number(status.disk_bytes)),
                (host::AGENT_BUFFER_RECORDS, number(status.records)),
                (host::AGENT_LAG_S, Value::new(lag_us / 1_000)),
                (host::AGENT_LOST_TICKS, number(status.lost.total())),
            ]);
        }
        values
    }
}

fn number(value: u64) -> Value {
    Value::new(i64::try_from(value).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Lost;

    fn values(status: Status, now_us: i64) -> Vec<(usize, Option<i64>)> {
        let own = Own {
            buffer: Some(watch::Sender::new(status).subscribe()),
            stretch: watch::Sender::new(4).subscribe(),
        };
        own.values(now_us)
            .into_iter()
            .map(|(column, value)| (column, value.get()))
            .collect()
    }

    #[test]
    fn a_buffer_is_told_as_it_stands() {
        let lost = Lost {
            evicted_by_age: 2,
            buffer_full: 3,
            ..Lost::default()
        };
        let status = Status {
            bytes: 10,
            disk_bytes: 20,
            records: 5,
            oldest_us: Some(1_000_000),
            lost,
            ..Status::default()
        };
        let expected = [
            (host::AGENT_CADENCE_STRETCH, Some(4)),
            (host::AGENT_BUFFER_BYTES, Some(10)),
            (host::AGENT_BUFFER_DISK_BYTES, Some(20)),
            (host::AGENT_BUFFER_RECORDS, Some(5)),
            (host::AGENT_LAG_S, Some(2_500)),
            (host::AGENT_LOST_TICKS, Some(5)),
        ];
        assert_eq!(values(status, 3_500_000), expected);
    }

    #[test]
    fn what_is_delivered_or_of_the_future_lags_not_at_all() {
        for oldest_us in [None, Some(9_000_000)] {
            let status = Status {
                oldest_us,
                ..Status::default()
            };
            assert!(values(status, 1_000_000).contains(&(host::AGENT_LAG_S, Some(0))));
        }
    }
}
