//! The oracle of the fault tests: the agent's own account of every tick that its buffer took, held against the database.
//!
//! The agent writes `begin EPOCH SEQUENCE TIME_US` before it hands a tick to the buffer and `took EPOCH SEQUENCE TIME_US kind=rows ...`
//! after the buffer has made it durable. A tick's time is unique for one host, so rows are matched by time; entries of the
//! loss ledger are matched by number. Every tick that was begun must be stored once or stand in exactly one entry.

use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::path::Path;
use tokio_postgres::Client;
use vmscope_model::{HostId, Kind};

/// One tick's time (microseconds) and kind, and how many rows it has.
type Rows = BTreeMap<(i64, &'static str), u64>;

/// What the agent says it took.
#[derive(Debug, Default)]
pub struct Account {
    took: Rows,
    /// Where each confirmed tick stands, by its time.
    positions: BTreeMap<i64, (u64, u64)>,
    /// Ticks that were begun and never confirmed, by their time: the agent was killed in between, so they may or may not exist.
    uncertain: BTreeMap<i64, (u64, u64)>,
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
    pub uncertain: u64,
    /// Confirmed ticks that are not stored and stand in the ledger.
    pub entered: u64,
    /// What does not fit, in words; empty when every sample is there exactly once.
    pub faults: Vec<String>,
}

impl Verdict {
    /// Adds the comparison of another host.
    pub fn add(&mut self, other: Self) {
        self.ticks += other.ticks;
        self.rows += other.rows;
        self.uncertain += other.uncertain;
        self.entered += other.entered;
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
        let mut begun: BTreeMap<(u64, u64), i64> = BTreeMap::new();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [verb, epoch, sequence, time, rest @ ..] = words.as_slice() else {
                bail!("odd line {line:?}")
            };
            let position = (epoch.parse()?, sequence.parse()?);
            let time_us: i64 = time.parse()?;
            match *verb {
                "begin" => {
                    begun.insert(position, time_us);
                }
                "took" => {
                    begun.remove(&position);
                    account.confirm(position, time_us, rest)?;
                }
                _ => bail!("odd line {line:?}"),
            }
        }
        account.uncertain = begun
            .into_iter()
            .map(|(position, time_us)| (time_us, position))
            .collect();
        Ok(account)
    }

    fn confirm(&mut self, (epoch, sequence): (u64, u64), time_us: i64, rows: &[&str]) -> anyhow::Result<()> {
        self.last.insert(epoch, sequence);
        self.positions.insert(time_us, (epoch, sequence));
        for word in rows {
            let (name, count) = word.split_once('=').context("a count without =")?;
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| kind.name() == name)
                .context("an unknown kind")?;
            let count: u64 = count.parse()?;
            if count > 0 {
                self.took.insert((time_us, kind.name()), count);
            }
        }
        Ok(())
    }

    /// The account without what `epoch` took after `sequence`.
    #[must_use]
    pub fn up_to(mut self, epoch: u64, sequence: u64) -> Self {
        let positions = &self.positions;
        let beyond = |time: &i64| {
            positions
                .get(time)
                .is_some_and(|at| at.0 == epoch && at.1 > sequence)
        };
        self.took.retain(|(time, _), _| !beyond(time));
        self.uncertain.retain(|_, at| at.0 != epoch || at.1 <= sequence);
        self
    }

    /// Compares with what is in the sample tables and in the loss ledger of `host`.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn compare(&self, database: &Client, host: HostId) -> anyhow::Result<Verdict> {
        let mut stored = read_rows(database, host).await?;
        let ledger = read_ledger(database, host).await?;
        let mut verdict = Verdict {
            uncertain: self.uncertain.len() as u64,
            ..Verdict::default()
        };
        for (time, rows) in by_time(&self.took) {
            verdict.ticks += 1;
            verdict.rows += rows.values().sum::<u64>();
            let entries = self.positions.get(&time).map_or(0, |at| entries(&ledger, *at));
            let found: BTreeMap<&str, u64> = rows
                .keys()
                .map(|kind| (*kind, stored.remove(&(time, *kind)).unwrap_or(0)))
                .collect();
            let is_lost = found.values().all(|count| *count == 0);
            verdict.entered += u64::from(is_lost && entries == 1);
            if !(found == rows && entries == 0 || is_lost && entries == 1) {
                verdict.faults.push(format!(
                    "tick at {time}: rows {rows:?} taken, {found:?} stored, {entries} entries in the ledger"
                ));
            }
        }
        for (time, at) in &self.uncertain {
            let found = by_time(&stored).remove(time).unwrap_or_default();
            stored.retain(|(other, _), _| other != time);
            let entries = entries(&ledger, *at);
            let twice = found.get(Kind::Host.name()).is_some_and(|count| *count > 1);
            if twice || usize::from(!found.is_empty()) + entries != 1 {
                verdict.faults.push(format!(
                    "tick at {time}, never confirmed: {found:?} stored, {entries} entries in the ledger"
                ));
            }
        }
        for ((time, kind), count) in stored {
            verdict
                .faults
                .push(format!("{kind} at {time}: {count} rows stored, none taken"));
        }
        Ok(verdict)
    }
}

fn by_time(rows: &Rows) -> BTreeMap<i64, BTreeMap<&'static str, u64>> {
    let mut ticks: BTreeMap<i64, BTreeMap<&'static str, u64>> = BTreeMap::new();
    for ((time, kind), count) in rows {
        ticks.entry(*time).or_default().insert(*kind, *count);
    }
    ticks
}

/// A range of positions, both ends inclusive.
type Range = ((u64, u64), (u64, u64));

/// How many ranges hold this position.
fn entries(ledger: &[Range], at: (u64, u64)) -> usize {
    ledger
        .iter()
        .filter(|(first, last)| (*first..=*last).contains(&at))
        .count()
}

async fn read_ledger(database: &Client, host: HostId) -> anyhow::Result<Vec<Range>> {
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

async fn read_rows(database: &Client, host: HostId) -> anyhow::Result<Rows> {
    let mut rows = Rows::new();
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
            rows.insert((row.get(0), kind.name()), u64::try_from(row.get::<_, i64>(1))?);
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

    #[test]
    fn a_tick_is_certain_only_when_it_was_confirmed() {
        let account = account(
            "begin 7 1 100\ntook 7 1 100 host=1 vm=0\nbegin 7 2 200\nbegin 7 3 300\ntook 7 3 300 host=1",
        )
        .unwrap();
        assert_eq!(account.took.into_iter().collect::<Vec<_>>(), [((100, "host"), 1)]);
        assert_eq!(
            account.uncertain.into_keys().collect::<Vec<_>>(),
            [200, 300],
            "the torn last line confirms nothing"
        );
        assert_eq!(account.last.get(&7), Some(&1));
    }

    #[test]
    fn refuses_lines_it_does_not_understand() {
        assert!(account("forgot 7 1 100\n").is_err());
        assert!(account("took 7 1 100 ghosts=1\n").is_err());
    }
}
