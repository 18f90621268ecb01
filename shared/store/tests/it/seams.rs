//! History out of hours, days and samples together is what a plain computation over all the samples says.

use crate::fixture::{DAY_US, SECOND_US};
use crate::history::{Fleet, Plan, asked, at, compare};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;
use vmscope_store::history::{self, Function, Query, Step};
use vmscope_store::retention::{self, Keep};
use vmscope_store::rollup::Roller;
use vmscope_store::testing::Database;
use vmscope_store::{Error, Store, Tier, on_both_flavors};

const HOUR_US: i64 = 3600 * SECOND_US;

/// What rolled tiers know.
const FUNCTIONS: [Function; 6] = [
    Function::Avg,
    Function::Min,
    Function::Max,
    Function::Last,
    Function::Count,
    Function::InState(3),
];

/// Rolled tiers keep numbers to 24 bits.
const TOLERANCE: f64 = 1e-6;

/// So many days of samples each half minute, from this moment.
fn days(from: &str, days: i64, seed: u64) -> Plan {
    let from: Timestamp = from.parse().unwrap();
    Plan {
        host: 1,
        first_vm: 0,
        vms: 2,
        from_us: from.as_microsecond(),
        seconds: days * 86_400,
        interval_s: 30,
        holes: true,
        epoch: 1,
        seed,
    }
}

async fn roll(database: &Database, fleet: &Fleet) {
    let mut roller = Roller::begin(database.store()).await.unwrap().unwrap();
    roller.roll(fleet.host_id).await.unwrap();
    roller.end().await.unwrap();
}

/// A query about a random part of a span.
fn some(random: &mut StdRng, fleet: &Fleet, plan: Plan) -> Query {
    let span_us = plan.seconds * SECOND_US;
    let from_us = plan.from_us + random.random_range(-DAY_US / 2..span_us);
    let to_us = from_us + random.random_range(HOUR_US..span_us);
    let step = match random.random_range(0..6) {
        0 | 1 => Step::Whole,
        2 => Step::Seconds(86_400 * random.random_range(1..3)),
        3 => Step::Seconds(5400),
        _ => Step::Seconds(3600 * random.random_range(1..7)),
    };
    let function = FUNCTIONS[random.random_range(0..FUNCTIONS.len())];
    asked(&fleet.ids, (from_us, to_us), step, function)
}

/// Which tiers answered, each once.
async fn tiers(store: &Store, query: &Query) -> Vec<Tier> {
    let answer = history::query(store, query).await.unwrap();
    let mut tiers: Vec<Tier> = answer.tiers.iter().map(|served| served.tier).collect();
    tiers.sort_unstable();
    tiers.dedup();
    tiers
}

on_both_flavors! {
    async fn a_leap_day_and_its_neighbours_have_no_seam(database: Database) {
        let plan = days("2024-02-28T05:00:00Z", 3, 11);
        let fleet = Fleet::store(&database, plan).await;
        roll(&database, &fleet).await;
        let mut random = StdRng::seed_from_u64(12);
        for _ in 0..60 {
            compare(database.store(), &fleet, &some(&mut random, &fleet, plan), TOLERANCE).await;
        }
        let leap_us = at(plan.from_us).as_microsecond() + DAY_US - 5 * HOUR_US;
        let query = asked(&fleet.ids, (leap_us, leap_us + DAY_US), Step::Seconds(86_400), Function::Avg);
        assert_eq!(tiers(database.store(), &query).await, [Tier::Day]);
    }

    async fn days_in_which_clocks_change_have_no_seam(database: Database) {
        let client = database.client().await.unwrap();
        let name: String = client.query_one("SELECT current_database()::text", &[]).await.unwrap().get(0);
        let zone = format!("ALTER DATABASE {name} SET timezone = 'America/New_York'");
        client.batch_execute(&zone).await.unwrap();
        // From now on, connections have it.
        let store = Store::new(database.url()).unwrap();
        let plan = days("2024-03-09T12:00:00Z", 2, 21);
        let mut fleet = Fleet::store(&database, plan).await;
        let autumn = Plan { epoch: 2, ..days("2024-11-02T12:00:00Z", 2, 22) };
        fleet.more(&database, autumn).await;
        let mut roller = Roller::begin(&store).await.unwrap().unwrap();
        roller.roll(fleet.host_id).await.unwrap();
        let mut random = StdRng::seed_from_u64(23);
        for _ in 0..30 {
            compare(&store, &fleet, &some(&mut random, &fleet, plan), TOLERANCE).await;
            compare(&store, &fleet, &some(&mut random, &fleet, autumn), TOLERANCE).await;
        }
    }

    async fn what_comes_late_is_seen_at_once(database: Database) {
        let plan = Plan { holes: false, ..days("2025-05-05T00:00:00Z", 1, 31) };
        let mut fleet = Fleet::store(&database, plan).await;
        roll(&database, &fleet).await;
        // The afternoon of the day comes again, from another run, between the samples that are there.
        let late = Plan { from_us: plan.from_us + 13 * HOUR_US + 15 * SECOND_US, seconds: 7200, epoch: 2, seed: 32, ..plan };
        fleet.more(&database, late).await;
        let day = (plan.from_us, plan.from_us + DAY_US);
        let query = asked(&fleet.ids, day, Step::Seconds(3600), Function::Avg);
        assert_eq!(tiers(database.store(), &query).await, [Tier::Raw, Tier::Hour]);
        let both = async |fleet: &Fleet| {
            for function in FUNCTIONS {
                for step in [Step::Seconds(3600), Step::Seconds(86_400), Step::Whole] {
                    compare(database.store(), fleet, &asked(&fleet.ids, day, step, function), TOLERANCE).await;
                }
            }
        };
        both(&fleet).await;
        roll(&database, &fleet).await;
        assert_eq!(tiers(database.store(), &query).await, [Tier::Hour]);
        both(&fleet).await;
    }

    async fn three_tiers_answer_as_one(database: Database) {
        let now_us = Timestamp::now().as_microsecond();
        let day_us = now_us - now_us.rem_euclid(DAY_US);
        let of = |days_ago: i64, epoch| Plan {
            from_us: day_us - days_ago * DAY_US,
            epoch,
            ..days("2025-01-01T00:00:00Z", 1, epoch)
        };
        let (old, middle) = (of(100, 1), of(20, 2));
        let fresh_us = day_us - DAY_US / 2;
        let fresh = Plan { from_us: fresh_us, seconds: (now_us - fresh_us) / SECOND_US, ..of(0, 3) };
        let mut fleet = Fleet::store(&database, old).await;
        fleet.more(&database, middle).await;
        fleet.more(&database, fresh).await;
        roll(&database, &fleet).await;
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let keep = Keep { raw: days(7), hour: days(60), day: days(4000) };
        retention::enforce(database.store(), &keep).await.unwrap();
        let year = (old.from_us, now_us);
        for function in FUNCTIONS {
            // Hours are gone for the beginning, so the step becomes a day.
            let query = asked(&fleet.ids, year, Step::Seconds(3600), function);
            let answer = history::query(database.store(), &query).await.unwrap();
            assert_eq!(answer.step_s, 86_400);
            compare(database.store(), &fleet, &query, TOLERANCE).await;
            let month = asked(&fleet.ids, (middle.from_us, now_us), Step::Seconds(300), function);
            assert_eq!(history::query(database.store(), &month).await.unwrap().step_s, 3600);
            compare(database.store(), &fleet, &month, TOLERANCE).await;
            let day = asked(&fleet.ids, (fresh_us + 12_345_678, now_us), Step::Whole, function);
            compare(database.store(), &fleet, &day, TOLERANCE).await;
            let hour = asked(&fleet.ids, (now_us - 2 * HOUR_US, now_us), Step::Seconds(300), function);
            assert_eq!(history::query(database.store(), &hour).await.unwrap().step_s, 300);
            compare(database.store(), &fleet, &hour, TOLERANCE).await;
        }
        let query = asked(&fleet.ids, year, Step::Seconds(86_400), Function::Avg);
        let all = tiers(database.store(), &query).await;
        assert!(all.contains(&Tier::Day) && all.contains(&Tier::Raw), "{all:?}");
        let percentile = asked(&fleet.ids, year, Step::Seconds(86_400), Function::P95);
        let refused = history::query(database.store(), &percentile).await.unwrap_err();
        assert!(matches!(refused, Error::SamplesGone { .. }), "{refused:?}");
    }
}
