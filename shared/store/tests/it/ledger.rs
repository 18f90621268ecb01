//! The loss ledger: whatever is lost and whatever is told of it, each tick is stored or in exactly one entry.

use crate::fixture::{NOON_US, SECOND_US, batch, known, tick};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use vmscope_model::{Cause, Fact, Gap, Group, Kind, Position, RunFacts, Span, Tick};
use vmscope_store::ingest::{HostBatch, Writer};
use vmscope_store::on_both_flavors;
use vmscope_store::testing::Database;

/// A tick of the host, `number` seconds after noon, that tells these losses.
fn host_tick(host_id: i32, number: i64, gaps: Vec<Gap>, run: Option<RunFacts>) -> Tick {
    let mut tick = tick(
        NOON_US + number * SECOND_US,
        Kind::Host,
        &[(host_id, &[(0, number)])],
    );
    tick.gaps = gaps;
    tick.facts.extend(run.map(Fact::Run));
    tick
}

fn account(cause: Cause, epoch: u64, first: u64, last: u64, from: i64, to: i64) -> Gap {
    let span = Span { epoch, first, last };
    Gap {
        vm: None,
        group: Group::All,
        cause,
        from_us: NOON_US + from * SECOND_US,
        to_us: NOON_US + to * SECOND_US,
        ticks: span.ticks(),
        lost: Some(span),
    }
}

/// Entries with a range, as `cause epoch.sequence-epoch.sequence from..to ticks` (times in seconds after noon).
async fn entries(database: &Database) -> Vec<String> {
    let text = "SELECT cause, first_epoch, first_sequence, last_epoch, last_sequence,
            (extract(epoch FROM from_at) * 1000000)::int8, (extract(epoch FROM to_at) * 1000000)::int8, ticks
        FROM gap WHERE first_epoch IS NOT NULL ORDER BY first_epoch, first_sequence";
    let rows = database.client().await.unwrap().query(text, &[]).await.unwrap();
    let seconds = |us: i64| (us - NOON_US) / SECOND_US;
    rows.iter()
        .map(|row| {
            let number = |index| row.get::<_, i64>(index);
            format!(
                "{} {}.{}-{}.{} {}..{} {}",
                row.get::<_, &str>(0),
                number(1),
                number(2),
                number(3),
                number(4),
                seconds(number(5)),
                seconds(number(6)),
                number(7),
            )
        })
        .collect()
}

/// What an agent did and what became of it, made up at random.
struct History {
    /// Every tick that got a number, and whether it arrives; in order.
    ticks: Vec<(Position, i64, bool)>,
    /// Losses told, by the tick that tells them.
    told: BTreeMap<Position, Vec<Gap>>,
}

impl History {
    fn new(random: &mut StdRng) -> Self {
        let mut history = Self {
            ticks: Vec::new(),
            told: BTreeMap::new(),
        };
        let mut number = 0;
        for epoch in (1..=random.random_range(1..6)).map(|run| run * 10) {
            let mut sequence = 1;
            for _ in 0..random.random_range(1..8) {
                let arrives = random.random_bool(0.6);
                for _ in 0..random.random_range(1..6) {
                    history
                        .ticks
                        .push((Position { epoch, sequence }, number, arrives));
                    sequence += 1;
                    number += 1;
                }
            }
        }
        history.tell(random);
        history
    }

    /// Some of the losses are told by some later tick that arrives; the account may name ticks before the loss too, as an
    /// agent does that has not heard of their commit.
    fn tell(&mut self, random: &mut StdRng) {
        let missing: Vec<&[(Position, i64, bool)]> = self
            .ticks
            .chunk_by(|(a, _, one), (b, _, other)| a.epoch == b.epoch && one == other)
            .filter(|run| !run[0].2)
            .collect();
        let arriving: Vec<Position> = self
            .ticks
            .iter()
            .filter(|tick| tick.2)
            .map(|tick| tick.0)
            .collect();
        for run in missing {
            let (first, last) = (run[0], run[run.len() - 1]);
            let later: Vec<&Position> = arriving.iter().filter(|position| **position > last.0).collect();
            if later.is_empty() || random.random_bool(0.3) {
                continue;
            }
            let teller = *later[random.random_range(0..later.len())];
            let more = random.random_range(0..3).min(first.0.sequence - 1);
            let gap = account(
                Cause::EvictedBySize,
                first.0.epoch,
                first.0.sequence - more,
                last.0.sequence,
                first.1,
                last.1,
            );
            // Told twice by some: a restarted agent finds the same hole again.
            for _ in 0..random.random_range(1..3) {
                self.told.entry(teller).or_default().push(gap.clone());
            }
        }
    }

    /// What arrives, in pieces; some arrive twice.
    fn batches(&self, host_id: i32, random: &mut StdRng) -> Vec<HostBatch> {
        let arriving: Vec<_> = self.ticks.iter().filter(|tick| tick.2).collect();
        let mut batches: Vec<HostBatch> = Vec::new();
        for run in arriving.chunk_by(|a, b| a.0.epoch == b.0.epoch) {
            let mut rest = run;
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(random.random_range(1..=rest.len()));
                let ticks = piece
                    .iter()
                    .map(|(position, number, _)| {
                        let gaps = self.told.get(position).cloned().unwrap_or_default();
                        (position.sequence, host_tick(host_id, *number, gaps, None))
                    })
                    .collect();
                let batch = batch(host_id, piece[0].0.epoch, ticks);
                if random.random_bool(0.2) {
                    batches.push(batch.clone());
                }
                batches.push(batch);
                rest = tail;
            }
        }
        batches
    }

    /// Checks every tick up to the last one that arrived.
    async fn check(&self, database: &Database, seed: u64) {
        let client = database.client().await.unwrap();
        let text = "SELECT ((extract(epoch FROM time) * 1000000)::int8 - $1) / 1000000 FROM host_sample";
        let stored: BTreeSet<i64> = client
            .query(text, &[&NOON_US])
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        let last = self.ticks.iter().rposition(|tick| tick.2).unwrap_or(0);
        for (position, number, arrives) in &self.ticks[..=last] {
            let text = "SELECT count(*) FROM gap WHERE first_epoch IS NOT NULL
                AND (first_epoch, first_sequence) <= ($1::int8, $2::int8)
                AND (last_epoch, last_sequence) >= ($1::int8, $2::int8)";
            let (epoch, sequence) = (position.epoch.cast_signed(), position.sequence.cast_signed());
            let entries: i64 = client.query_one(text, &[&epoch, &sequence]).await.unwrap().get(0);
            let is_stored = stored.contains(number);
            // A run of which nothing ever arrived before the first stored tick of the host is not known to exist.
            let known = self
                .ticks
                .iter()
                .find(|tick| tick.2)
                .is_some_and(|first| first.0.epoch <= position.epoch);
            assert_eq!(is_stored, *arrives, "seed {seed}: {position:?}");
            if known
                || self
                    .told
                    .values()
                    .flatten()
                    .any(|gap| gap.lost.is_some_and(|lost| lost.epoch == position.epoch))
            {
                assert_eq!(
                    i64::from(is_stored) + entries,
                    1,
                    "seed {seed}: {position:?}, stored {is_stored}, entries {:#?}",
                    crate::ledger::entries(database).await
                );
            }
        }
    }
}

on_both_flavors! {
    async fn a_hole_is_entered_and_gets_its_cause_when_the_agent_tells(database: Database) {
        let (host_id, _) = known(database.store(), 1, 0).await;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let plain = |number| host_tick(host_id, number, vec![], None);
        writer.commit(&[batch(host_id, 7, vec![(1, plain(1)), (5, plain(5))])]).await.unwrap();
        assert_eq!(entries(&database).await, ["unexplained 7.2-7.4 1..5 3"]);
        let told = vec![account(Cause::EvictedByAge, 7, 2, 3, 2, 3)];
        writer.commit(&[batch(host_id, 7, vec![(6, host_tick(host_id, 6, told, None))])]).await.unwrap();
        assert_eq!(
            entries(&database).await,
            ["evicted_by_age 7.2-7.3 2..3 2", "unexplained 7.4-7.4 3..5 1"]
        );
    }

    async fn the_time_between_two_runs_is_entered_with_its_cause(database: Database) {
        let (host_id, _) = known(database.store(), 1, 0).await;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let run = RunFacts { epoch: 9, before: Cause::HostDown };
        let first = host_tick(host_id, 1, vec![], None);
        let next = host_tick(host_id, 60, vec![], Some(run));
        for _ in 0..2 {
            let batches = [batch(host_id, 7, vec![(1, first.clone())]), batch(host_id, 9, vec![(1, next.clone())])];
            writer.commit(&batches).await.unwrap();
        }
        assert_eq!(entries(&database).await, ["host_down 7.2-9.0 1..60 0"]);
    }

    async fn an_account_of_a_run_that_nobody_saw_is_taken_out_of_the_time_between(database: Database) {
        let (host_id, _) = known(database.store(), 1, 0).await;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let told = vec![account(Cause::Corruption, 8, 1, 20, 20, 40)];
        let run = RunFacts { epoch: 9, before: Cause::AgentKilled };
        let ticks = [
            batch(host_id, 7, vec![(1, host_tick(host_id, 1, vec![], None))]),
            batch(host_id, 9, vec![(1, host_tick(host_id, 60, told, Some(run)))]),
        ];
        writer.commit(&ticks).await.unwrap();
        assert_eq!(
            entries(&database).await,
            [
                "agent_killed 7.2-8.0 1..20 0",
                "corruption 8.1-8.20 20..40 20",
                "agent_killed 8.21-9.0 40..60 0",
            ]
        );
    }

    async fn what_is_stored_is_never_entered_as_lost(database: Database) {
        let (host_id, _) = known(database.store(), 1, 0).await;
        let mut writer = Writer::connect(database.url()).await.unwrap();
        let plain: Vec<_> = (1..=9_u64).map(|n| (n, host_tick(host_id, n.cast_signed(), vec![], None))).collect();
        writer.commit(&[batch(host_id, 7, plain)]).await.unwrap();
        // The agent died before it heard of the commit, and its store with it.
        let told = vec![account(Cause::Corruption, 7, 4, 12, 4, 12)];
        writer.commit(&[batch(host_id, 9, vec![(1, host_tick(host_id, 60, told, None))])]).await.unwrap();
        assert_eq!(
            entries(&database).await,
            ["corruption 7.10-7.12 4..12 3", "agent_down 7.13-9.0 12..60 0"]
        );
    }

    async fn every_tick_is_stored_or_in_exactly_one_entry(database: Database) {
        for seed in 0..60 {
            let mut random = StdRng::seed_from_u64(seed);
            let client = database.client().await.unwrap();
            client.batch_execute("TRUNCATE gap, ingest_progress, host_sample").await.unwrap();
            let (host_id, _) = known(database.store(), 1, 0).await;
            let history = History::new(&mut random);
            let mut writer = Writer::connect(database.url()).await.unwrap();
            let batches = history.batches(host_id, &mut random);
            let mut rest = batches.as_slice();
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(random.random_range(1..=rest.len()));
                writer.commit(piece).await.unwrap();
                rest = tail;
            }
            history.check(&database, seed).await;
        }
    }
}
