//! The oracle of the fault tests: the agent's own account of every tick that its buffer took, held against the database.
//!
//! The agent writes `begin EPOCH SEQUENCE TIME_US kind=rows ...` before it hands a tick to the buffer and `took EPOCH SEQUENCE`
//! after the buffer has made it durable. Rows are matched by time (clocks that were set may give one to two ticks: their rows
//! are added up), entries of the loss ledger by number. Every tick that was begun must be stored whole and once, or stand in
//! exactly one entry.

use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::path::Path;
use tokio_postgres::Client;
use vmscope_model::{HostId, Kind};

/// Epoch and sequence.
pub type At = (u64, u64);
/// How many rows of each kind.
type Rows = BTreeMap<&'static str, u64>;

/// A tick that the agent began to keep.
#[derive(Debug)]
struct Tick {
    time_us: i64,
    rows: Rows,
    /// Whether the buffer said that it is durable.
    took: bool,
}

/// What the agent says it took.
#[derive(Debug, Default)]
pub struct Account {
    ticks: BTreeMap<At, Tick>,
    /// The last position of each epoch that the buffer confirmed.
    pub last: BTreeMap<u64, u64>,
}

/// How the account and the database compare.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Ticks that the buffer confirmed.
    pub ticks: u64,
    /// Rows that these ticks have.
    pub rows: u64,
    /// Ticks begun and never confirmed.
    pub uncertain: Vec<At>,
    /// Confirmed ticks that are not stored and stand in the ledger.
    pub entered: Vec<At>,
    /// What does not fit, in words; empty when every sample is there exactly once.
    pub faults: Vec<String>,
}

impl Verdict {
    /// Adds the comparison of another host.
    pub fn add(&mut self, other: Self) {
        self.ticks += other.ticks;
        self.rows += other.rows;
        self.uncertain.extend(other.uncertain);
        self.entered.extend(other.entered);
        self.faults.extend(other.faults);
    }
}

impl Account {
    /// Reads the file that the agent appended to.
    ///
    /// # Errors
    /// When it can't be read or a whole line makes no sense. A torn last line (the agent was killed) counts as not written.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let mut account = Self::default();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["begin", epoch, sequence, time_us, rows @ ..] => {
                    let tick = Tick {
                        time_us: time_us.parse()?,
                        rows: counts(rows)?,
                        took: false,
                    };
                    let at = (epoch.parse()?, sequence.parse()?);
                    if account.ticks.insert(at, tick).is_some() {
                        bail!("{at:?} was begun twice");
                    }
                }
                ["took", epoch, sequence] => account.confirm((epoch.parse()?, sequence.parse()?))?,
                _ => bail!("odd line {line:?}"),
            }
        }
        Ok(account)
    }

    fn confirm(&mut self, at: At) -> anyhow::Result<()> {
        let tick = self
            .ticks
            .get_mut(&at)
            .with_context(|| format!("{at:?} was taken and not begun"))?;
        tick.took = true;
        self.last.insert(at.0, at.1);
        Ok(())
    }

    /// The newest position, confirmed or not.
    pub fn newest(&self) -> Option<At> {
        self.ticks.keys().next_back().copied()
    }

    /// Whether a run ended (or stands) with this position.
    pub fn is_last_of_run(&self, at: At) -> bool {
        self.ticks
            .range((at.0, at.1 + 1)..=(at.0, u64::MAX))
            .next()
            .is_none()
    }

    /// The account without what `epoch` took after `sequence`.
    #[must_use]
    pub fn up_to(mut self, epoch: u64, sequence: u64) -> Self {
        self.ticks.retain(|at, _| at.0 != epoch || at.1 <= sequence);
        self
    }

    /// Compares with what is in the sample tables and in the loss ledger of `host`.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn compare(&self, database: &Client, host: HostId) -> anyhow::Result<Verdict> {
        let stored = read_rows(database, host).await?;
        let ledger = read_ledger(database, host).await?;
        let marks = read_marks(database, host).await?;
        Ok(self.judge(stored, &ledger, &marks))
    }

    fn judge(
        &self,
        mut stored: BTreeMap<i64, Rows>,
        ledger: &[(At, At)],
        marks: &BTreeMap<u64, u64>,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        let mut expected: BTreeMap<i64, Rows> = BTreeMap::new();
        // For reports: who shares a time.
        let mut shared: BTreeMap<i64, Vec<(At, usize)>> = BTreeMap::new();
        for (&at, tick) in &self.ticks {
            let entries = ledger
                .iter()
                .filter(|(first, last)| (*first..=*last).contains(&at))
                .count();
            shared.entry(tick.time_us).or_default().push((at, entries));
            if tick.took {
                verdict.ticks += 1;
                verdict.rows += tick.rows.values().sum::<u64>();
            } else {
                verdict.uncertain.push(at);
            }
            match entries {
                // Rows tell, and where there are none the mark does.
                0 if marks.get(&at.0).is_some_and(|mark| *mark >= at.1) => {
                    let sum = expected.entry(tick.time_us).or_default();
                    for (kind, count) in &tick.rows {
                        *sum.entry(kind).or_default() += count;
                    }
                }
                0 => verdict.faults.push(format!(
                    "tick {at:?} at {}: neither stored nor in the ledger",
                    tick.time_us
                )),
                1 if tick.took => verdict.entered.push(at),
                1 => {}
                _ => verdict.faults.push(format!(
                    "tick {at:?} at {}: {entries} entries in the ledger",
                    tick.time_us
                )),
            }
        }
        for (time_us, rows) in expected {
            let found = stored.remove(&time_us).unwrap_or_default();
            if found != rows {
                let ticks = shared.get(&time_us);
                verdict.faults.push(format!(
                    "at {time_us}: rows {rows:?} wanted, {found:?} stored; ticks and their entries {ticks:?}"
                ));
            }
        }
        for (time_us, found) in stored {
            let ticks = shared.get(&time_us);
            verdict.faults.push(format!(
                "at {time_us}: {found:?} stored, nothing wanted; ticks and their entries {ticks:?}"
            ));
        }
        verdict
    }
}

/// Each word is `kind=rows`.
fn counts(words: &[&str]) -> anyhow::Result<Rows> {
    let mut rows = Rows::new();
    for word in words {
        let (name, count) = word.split_once('=').context("a count without =")?;
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .context("an unknown kind")?;
        let count = count.parse()?;
        if count > 0 {
            rows.insert(kind.name(), count);
        }
    }
    Ok(rows)
}

/// The committed sequence of each epoch of a host.
///
/// # Errors
/// When the database can't be read.
pub async fn read_marks(database: &Client, host: HostId) -> anyhow::Result<BTreeMap<u64, u64>> {
    let text =
        "SELECT epoch, sequence FROM ingest_progress p JOIN host h ON h.id = p.host_id WHERE h.uuid = $1";
    let rows = database.query(text, &[&host.0]).await?;
    rows.iter()
        .map(|row| {
            Ok((
                u64::try_from(row.get::<_, i64>(0))?,
                u64::try_from(row.get::<_, i64>(1))?,
            ))
        })
        .collect()
}

async fn read_ledger(database: &Client, host: HostId) -> anyhow::Result<Vec<(At, At)>> {
    let text = "SELECT first_epoch, first_sequence, last_epoch, last_sequence FROM gap g JOIN host h ON h.id = g.host_id
        WHERE h.uuid = $1 AND first_epoch IS NOT NULL";
    let rows = database.query(text, &[&host.0]).await?;
    rows.iter()
        .map(|row| {
            let number = |index| anyhow::Ok(u64::try_from(row.get::<_, i64>(index))?);
            Ok(((number(0)?, number(1)?), (number(2)?, number(3)?)))
        })
        .collect()
}

async fn read_rows(database: &Client, host: HostId) -> anyhow::Result<BTreeMap<i64, Rows>> {
    let mut rows: BTreeMap<i64, Rows> = BTreeMap::new();
    for kind in Kind::ALL {
        let owner = match kind {
            Kind::Host => "SELECT id AS entity_id, id AS host_id FROM host",
            Kind::Vm => "SELECT id AS entity_id, host_id FROM vm",
            Kind::Vcpu | Kind::Disk | Kind::Nic => "SELECT id AS entity_id, host_id FROM device",
        };
        let text = format!(
            "SELECT (extract(epoch FROM s.time) * 1000000)::bigint, count(*)
             FROM {}_sample s JOIN ({owner}) o USING (entity_id) JOIN host h ON h.id = o.host_id
             WHERE h.uuid = $1 GROUP BY 1",
            kind.name()
        );
        for row in database.query(&text, &[&host.0]).await? {
            let tick = rows.entry(row.get(0)).or_default();
            tick.insert(kind.name(), u64::try_from(row.get::<_, i64>(1))?);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(text: &str) -> anyhow::Result<Account> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("account");
        std::fs::write(&path, text)?;
        Account::read(&path)
    }

    const TEXT: &str = "begin 7 1 100 host=1 vm=2 nic=0\ntook 7 1\nbegin 7 2 200\ntook 7 2\nbegin 7 3 300 host=1\nbegin 7 4 400 host=1\ntook 7 4";

    fn stored(times: &[i64]) -> BTreeMap<i64, Rows> {
        let rows = |time: &i64| match time {
            100 => Rows::from([("host", 1), ("vm", 2)]),
            _ => Rows::from([("host", 1)]),
        };
        times.iter().map(|time| (*time, rows(time))).collect()
    }

    fn faults(stored: BTreeMap<i64, Rows>, ledger: &[(At, At)], mark: u64) -> usize {
        let verdict = account(TEXT)
            .unwrap()
            .judge(stored, ledger, &BTreeMap::from([(7, mark)]));
        verdict.faults.len()
    }

    #[test]
    fn a_tick_is_certain_only_when_it_was_confirmed() {
        let account = account(TEXT).unwrap();
        assert_eq!((account.last.get(&7), account.newest()), (Some(&2), Some((7, 4))));
        let verdict = account.judge(stored(&[100, 300, 400]), &[], &BTreeMap::from([(7, 4)]));
        assert_eq!(verdict.faults, Vec::<String>::new());
        assert_eq!(
            (verdict.uncertain, verdict.rows),
            (vec![(7, 3), (7, 4)], 3),
            "the torn last line confirms nothing"
        );
        assert!(account.is_last_of_run((7, 4)) && !account.is_last_of_run((7, 3)));
    }

    #[test]
    fn every_tick_is_stored_whole_or_in_one_entry() {
        assert_eq!(faults(stored(&[100, 400]), &[((7, 3), (7, 3))], 4), 0);
        assert_eq!(faults(stored(&[100]), &[((7, 3), (8, 0))], 2), 0);
        assert_eq!(faults(stored(&[100]), &[], 2), 2, "two are nowhere");
        assert_eq!(faults(stored(&[100, 400]), &[], 4), 1, "no rows, no entry");
        let twice = [((7, 3), (7, 3)), ((7, 2), (7, 3))];
        assert_eq!(faults(stored(&[100, 400]), &twice, 4), 1, "two entries");
        let both = [((7, 3), (7, 3))];
        assert_eq!(
            faults(stored(&[100, 300, 400]), &both, 4),
            1,
            "stored and entered"
        );
        let mut doubled = stored(&[100, 300, 400]);
        doubled.get_mut(&100).unwrap().insert("vm", 4);
        assert_eq!(faults(doubled, &[], 4), 1, "stored twice");
        assert_eq!(
            faults(stored(&[100, 300, 400, 500]), &[], 4),
            1,
            "stored and never taken"
        );
    }

    #[test]
    fn two_ticks_of_one_time_must_both_be_there() {
        let text = "begin 7 1 100 host=1\ntook 7 1\nbegin 8 1 100 host=1\ntook 8 1\n";
        let marks = BTreeMap::from([(7, 1), (8, 1)]);
        let judged = |count| {
            let found = BTreeMap::from([(100, Rows::from([("host", count)]))]);
            account(text).unwrap().judge(found, &[], &marks).faults.len()
        };
        assert_eq!((judged(1), judged(2), judged(3)), (1, 0, 1));
    }

    #[test]
    fn refuses_lines_it_does_not_understand() {
        assert!(account("forgot 7 1 100\n").is_err());
        assert!(account("begin 7 1 100 ghosts=1\n").is_err());
        assert!(account("took 7 1\n").is_err());
    }
}
