//! What was sent: the moments of all ticks. What was in them, plan and moment say.

use super::life::{Meter, is_dear};
use super::plan::{Plan, SECOND_US};
use std::sync::{Arc, Mutex, PoisonError};
use vmscope_model::Kind;
use vmscope_model::rate::STRETCHED_S;
use vmscope_store::testing::plain::{Known, Samples};

/// How far before a span an interval may begin that ends in it.
const LOOKBACK_US: i64 = 2 * STRETCHED_S as i64 * SECOND_US;

/// A host or a virtual machine, by its number in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    Host(usize),
    Vm(usize),
}

impl Thing {
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Host(_) => Kind::Host,
            Self::Vm(_) => Kind::Vm,
        }
    }
}

/// The ticks of a host, by time, in microseconds since the Unix epoch.
#[derive(Debug, Clone, Default)]
struct Ticks {
    cheap: Vec<i64>,
    dear: Vec<i64>,
    /// Of each run of its agent: its epoch, its first and its last tick.
    runs: Vec<(u64, i64, i64)>,
}

/// The account while it is kept.
#[derive(Debug)]
pub(super) struct Account {
    plan: Arc<Plan>,
    hosts: Vec<Mutex<Ticks>>,
}

impl Account {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        let hosts = plan.hosts.iter().map(|_| Mutex::default()).collect();
        Self { plan, hosts }
    }

    /// Enters a tick of a host.
    pub(super) fn enter(&self, host: usize, epoch: u64, dear: bool, time_us: i64) {
        let mut ticks = self.hosts[host].lock().unwrap_or_else(PoisonError::into_inner);
        if dear {
            ticks.dear.push(time_us);
        } else {
            ticks.cheap.push(time_us);
        }
        match ticks.runs.last_mut() {
            Some((last, _, end_us)) if *last == epoch => *end_us = time_us,
            _ => ticks.runs.push((epoch, time_us, time_us)),
        }
    }

    /// What is in it now.
    pub(super) fn close(&self) -> Books {
        let copy = |ticks: &Mutex<Ticks>| ticks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Books {
            plan: Arc::clone(&self.plan),
            hosts: self.hosts.iter().map(copy).collect(),
        }
    }
}

/// The account at a moment.
#[derive(Debug, Clone)]
pub(super) struct Books {
    pub(super) plan: Arc<Plan>,
    hosts: Vec<Ticks>,
}

impl Books {
    /// Every sample of a column of a thing, by time.
    pub(super) fn samples(&self, thing: Thing, column: usize) -> Samples {
        let seed = self.plan.scale.seed;
        let begun_us = self.plan.begun_us;
        match thing {
            Thing::Host(number) => {
                let meter = Meter::of_host(seed, number);
                let size = self.plan.hosts[number].size;
                let value = |time_us: &i64| (*time_us, meter.host(column, size, time_us - begun_us));
                self.hosts[number].cheap.iter().map(value).collect()
            }
            Thing::Vm(number) => {
                let meter = Meter::of_vm(seed, number);
                let vm = &self.plan.vms[number];
                let value = |time_us: i64| {
                    let at_us = time_us - begun_us;
                    Some((time_us, meter.vm(column, vm.at(at_us), vm.size, at_us)?))
                };
                self.moments(number, is_dear(column)).filter_map(value).collect()
            }
        }
    }

    /// The ticks of its host that lie in a segment of a virtual machine's life.
    fn within(&self, number: usize, place: usize, dear: bool) -> &[i64] {
        let life = &self.plan.vms[number].life;
        let ticks = &self.hosts[life[place].host];
        let ticks = if dear { &ticks.dear } else { &ticks.cheap };
        let before = |at_us: i64| ticks.partition_point(|time_us| time_us - self.plan.begun_us < at_us);
        let end = life
            .get(place + 1)
            .map_or(ticks.len(), |next| before(next.from_us));
        &ticks[before(life[place].from_us)..end]
    }

    /// The ticks that a virtual machine is in, by time.
    fn moments(&self, number: usize, dear: bool) -> impl Iterator<Item = i64> + '_ {
        let segments = 0..self.plan.vms[number].life.len();
        segments.flat_map(move |place| self.within(number, place, dear).iter().copied())
    }

    /// What is known of a column from what a query of a span reads.
    pub(super) fn known(&self, thing: Thing, column: usize, (from_us, to_us): (i64, i64)) -> Known {
        let mut samples = self.samples(thing, column);
        samples.retain(|(time_us, _)| (from_us - LOOKBACK_US..to_us).contains(time_us));
        Known::new(thing.kind(), column, &samples, &[])
    }

    /// The newest tick that a virtual machine is in.
    pub(super) fn last_us(&self, number: usize) -> Option<i64> {
        let segments = self.plan.vms[number].life.len();
        let newest = |dear| {
            (0..segments)
                .rev()
                .find_map(|place| self.within(number, place, dear).last().copied())
        };
        newest(false).max(newest(true))
    }

    /// Between which ticks the agent of a host did not run.
    pub(super) fn stops(&self, host: usize) -> impl Iterator<Item = (i64, i64)> + '_ {
        let runs = &self.hosts[host].runs;
        runs.windows(2).map(|pair| (pair[0].2, pair[1].1))
    }

    /// From the first tick to after the last one, of all hosts.
    pub(super) fn span_us(&self) -> (i64, i64) {
        let all = || self.hosts.iter().flat_map(|ticks| &ticks.runs);
        let from_us = all().map(|run| run.1).min().unwrap_or_default();
        (from_us, all().map(|run| run.2).max().unwrap_or_default() + 1)
    }

    /// Ticks, and rows of virtual machines in them.
    pub(super) fn size(&self) -> (usize, usize) {
        let ticks = self
            .hosts
            .iter()
            .map(|host| host.cheap.len() + host.dear.len())
            .sum();
        let rows = |number| self.moments(number, false).count() + self.moments(number, true).count();
        (ticks, (0..self.plan.vms.len()).map(rows).sum())
    }

    /// Strikes out one tick that a virtual machine is in, so that the account is wrong: who does not notice compares nothing.
    pub(super) fn forge(&mut self, number: usize) {
        let times: Vec<i64> = self.moments(number, false).collect();
        if let Some(time_us) = times.get(times.len() / 2) {
            for host in &mut self.hosts {
                host.cheap.retain(|known| known != time_us);
            }
        }
    }
}
