//! Who is in the fleet and what happens to it: everything follows from the seed.
//!
//! Everything that happens does so in the first three quarters of the run; then it is calm, so that lists can be asked for
//! while samples go on coming.

use super::life::{PAUSED, RUNNING, SHUT_OFF, Segment, Size};
use anyhow::ensure;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use std::ops::Range;
use uuid::Uuid;
use vmscope_model::{HostId, VmId};

/// Microseconds in a second.
pub(super) const SECOND_US: i64 = 1_000_000;
/// How much the late hosts have kept when the run begins, in seconds: at least a part of the last whole hour.
const KEPT_S: i64 = 4_200;
/// Seconds before the beginning of the run of which nobody ever hears.
const BEFORE_S: i64 = 2 * KEPT_S;
/// The shortest run: what happens must fit in, holes and all.
const MIN_SECONDS: u64 = 40;
/// The fewest hosts: something happens to some, and to others nothing.
const MIN_HOSTS: usize = 12;
/// The fewest machines: an hour of them has more samples than a top list is made of.
const MIN_MACHINES: usize = 600;
const ROLES: [&str; 5] = ["web", "db", "cache", "app", "batch"];
const ENVIRONMENTS: [&str; 3] = ["prod", "stage", "dev"];
const TIERS: [&str; 3] = ["gold", "silver", "bronze"];

/// How large a fleet is, how long it runs, and which one it is.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Hosts.
    pub hosts: usize,
    /// Virtual machines on each when the run begins.
    pub vms: usize,
    /// How long they send before and while they are asked about.
    pub seconds: u64,
    /// Decides everything.
    pub seed: u64,
}

/// A session of a host: it opens at a moment, and sends the samples from one second to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leg {
    /// The agent's run, from 1.
    pub(super) epoch: u64,
    /// The first second whose samples it sends.
    pub(super) from_s: i64,
    /// The second before which it ends; goes on until the end without.
    pub(super) to_s: Option<i64>,
    /// When it opens.
    pub(super) open_s: i64,
}

/// A host.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) id: HostId,
    pub(super) name: String,
    pub(super) size: Size,
    /// When in a second it samples.
    pub(super) phase_us: i64,
    pub(super) legs: Vec<Leg>,
    /// Virtual machines that are ever on it.
    pub(super) visitors: Vec<usize>,
}

impl Host {
    /// Whether nothing of it is known for half of the run.
    pub(super) fn is_late(&self) -> bool {
        self.legs[0].from_s < 0
    }
}

/// A virtual machine.
#[derive(Debug)]
pub(super) struct Vm {
    pub(super) id: VmId,
    pub(super) name: String,
    /// Its other name, and from when on.
    pub(super) renamed: Option<(i64, String)>,
    pub(super) size: Size,
    pub(super) environment: &'static str,
    pub(super) tier: Option<&'static str>,
    /// By time; the first one begins before everything.
    pub(super) life: Vec<Segment>,
}

impl Vm {
    /// What it does at a moment.
    pub(super) fn at(&self, at_us: i64) -> &Segment {
        let next = self.life.partition_point(|segment| segment.from_us <= at_us);
        &self.life[next.saturating_sub(1)]
    }

    /// What it is called at a moment.
    pub(super) fn name_at(&self, at_us: i64) -> &str {
        match &self.renamed {
            Some((from_us, name)) if at_us >= *from_us => name,
            _ => &self.name,
        }
    }
}

/// A fleet.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) scale: Scale,
    /// When the run begins, in microseconds since the Unix epoch.
    pub(super) begun_us: i64,
    pub(super) hosts: Vec<Host>,
    pub(super) vms: Vec<Vm>,
}

impl Plan {
    /// The fleet of a seed.
    ///
    /// # Errors
    /// When it is too small or too short for what happens to it.
    pub(super) fn new(scale: Scale, begun_us: i64) -> anyhow::Result<Self> {
        let machines = scale.hosts * scale.vms;
        ensure!(
            scale.hosts >= MIN_HOSTS && machines >= MIN_MACHINES,
            "at least {MIN_HOSTS} hosts and {MIN_MACHINES} machines"
        );
        ensure!(scale.seconds >= MIN_SECONDS, "at least {MIN_SECONDS} seconds");
        let mut random = StdRng::seed_from_u64(scale.seed);
        let mut plan = Self {
            scale,
            begun_us,
            hosts: (0..scale.hosts).map(|number| host(number, &mut random)).collect(),
            vms: Vec::new(),
        };
        for number in 0..machines {
            plan.vms
                .push(vm(number / scale.vms, number % scale.vms, &mut random));
        }
        plan.disturb_hosts(&mut random);
        plan.disturb_vms(&mut random);
        for (number, vm) in plan.vms.iter().enumerate() {
            for segment in &vm.life {
                let visitors = &mut plan.hosts[segment.host].visitors;
                if visitors.last() != Some(&number) {
                    visitors.push(number);
                }
            }
        }
        Ok(plan)
    }

    /// The second after so many hundredths of the run.
    pub(super) fn second(&self, percent: u64) -> i64 {
        (self.scale.seconds * percent / 100).cast_signed()
    }

    /// From this second on nothing happens but samples.
    pub(super) fn calm_s(&self) -> i64 {
        self.second(75)
    }

    /// A moment between two hundredths of the run.
    fn moment(&self, percent: Range<u64>, random: &mut StdRng) -> i64 {
        random.random_range(self.second(percent.start)..self.second(percent.end))
    }

    /// Some hosts stop for a while, one for good, some are cut off, some come late.
    fn disturb_hosts(&mut self, random: &mut StdRng) {
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        order.shuffle(random);
        let share = |percent: usize| (order.len() * percent / 100).max(1);
        let mut chosen = order.iter().copied();
        let mut take = |count: usize| chosen.by_ref().take(count).collect::<Vec<_>>();
        let (stopping, pausing, gone) = (take(share(3)), take(share(2)), take(share(1)));
        let (cut, late) = (take(share(4)), take(share(1).min(3)));
        let leg = |epoch, from_s, to_s, open_s| Leg {
            epoch,
            from_s,
            to_s,
            open_s,
        };
        // A hole is more than 15 s; what is shorter is none, but a gap of the ledger.
        let long_s = self.second(10).max(18);
        for (hosts, length_s) in [(stopping, long_s), (pausing, 6)] {
            for host in hosts {
                let stop = self.moment(25..30, random);
                let again = stop + length_s;
                self.hosts[host].legs = vec![leg(1, 0, Some(stop), 0), leg(2, again, None, again)];
            }
        }
        for host in gone {
            self.hosts[host].legs = vec![leg(1, 0, Some(self.moment(45..50, random)), 0)];
        }
        for host in cut {
            let (stop, again) = (self.moment(25..30, random), self.moment(55..60, random));
            self.hosts[host].legs = vec![leg(1, 0, Some(stop), 0), leg(1, stop, None, again)];
        }
        for host in late {
            self.hosts[host].legs = vec![leg(1, -KEPT_S, None, self.moment(50..55, random))];
        }
    }

    /// Some machines move, some restart, some are paused or shut off, some get another name.
    fn disturb_vms(&mut self, random: &mut StdRng) {
        let mut order: Vec<usize> = (0..self.vms.len()).collect();
        order.shuffle(random);
        let share = |percent: usize| (order.len() * percent / 100).max(4);
        let mut chosen = order.iter().copied();
        let mut take = |count: usize| chosen.by_ref().take(count).collect::<Vec<_>>();
        let (still, frozen, moving) = (take(share(6)), take(share(4)), take(share(5)));
        let (restarting, pausing, ending) = (take(share(5)), take(share(3)), take(share(2)));
        for number in still {
            self.vms[number].life[0].state = SHUT_OFF;
        }
        for number in frozen {
            self.vms[number].life[0].state = PAUSED;
        }
        for number in moving {
            self.migrate(number, random);
        }
        for number in restarting {
            self.restart(number, random);
        }
        for number in pausing {
            self.pause(number, random);
        }
        for number in ending {
            let at_us = self.moment(30..60, random) * SECOND_US;
            self.follow(number, at_us, |segment| segment.state = SHUT_OFF);
        }
        let renamed = share(2);
        order.shuffle(random);
        for number in order.into_iter().take(renamed) {
            let from_us = self.moment(30..60, random) * SECOND_US;
            let name = format!("renamed-{}", self.vms[number].name);
            self.vms[number].renamed = Some((from_us, name));
        }
    }

    /// Another host, with other counters half of the time: some sources begin anew there.
    fn migrate(&mut self, number: usize, random: &mut StdRng) {
        let at_us = self.moment(30..60, random) * SECOND_US + random.random_range(0..SECOND_US);
        let from = self.vms[number].life[0].host;
        let to = (from + random.random_range(1..self.hosts.len())) % self.hosts.len();
        let anew = random.random_bool(0.5);
        self.follow(number, at_us, |segment| {
            segment.host = to;
            if anew {
                segment.counts_since_us = at_us;
            }
        });
    }

    /// Off for a while, perhaps shorter than a tick; then counters begin anew.
    fn restart(&mut self, number: usize, random: &mut StdRng) {
        let at_us = self.moment(25..30, random) * SECOND_US + random.random_range(0..SECOND_US);
        let longest = self.second(10).max(17);
        let off_s = *[0, 4, 16, longest].choose(random).unwrap_or(&0);
        self.follow(number, at_us, |segment| segment.state = SHUT_OFF);
        let on_us = at_us + off_s * SECOND_US + SECOND_US / 10;
        self.follow(number, on_us, |segment| {
            segment.state = RUNNING;
            segment.counts_since_us = on_us;
        });
    }

    /// Paused from some moment on, half of them for a while.
    fn pause(&mut self, number: usize, random: &mut StdRng) {
        let at_us = self.moment(30..40, random) * SECOND_US;
        self.follow(number, at_us, |segment| segment.state = PAUSED);
        if random.random_bool(0.5) {
            let again_us = self.moment(50..60, random) * SECOND_US;
            self.follow(number, again_us, |segment| {
                segment.state = RUNNING;
                segment.counts_since_us += again_us - at_us;
            });
        }
    }

    /// A next segment, which differs from the one before.
    fn follow(&mut self, number: usize, from_us: i64, change: impl FnOnce(&mut Segment)) {
        let life = &mut self.vms[number].life;
        if let Some(last) = life.last().copied() {
            let mut next = Segment { from_us, ..last };
            change(&mut next);
            life.push(next);
        }
    }
}

fn host(number: usize, random: &mut StdRng) -> Host {
    Host {
        id: HostId(Uuid::from_u128(random.random())),
        name: format!("host-{number:04}"),
        size: Size {
            vcpus: 32 << random.random_range(0..3),
            memory_bytes: 256 << 30,
        },
        phase_us: random.random_range(50_000..950_000),
        legs: vec![Leg {
            epoch: 1,
            from_s: 0,
            to_s: None,
            open_s: 0,
        }],
        visitors: Vec::new(),
    }
}

fn vm(host: usize, slot: usize, random: &mut StdRng) -> Vm {
    let role = ROLES[random.random_range(0..ROLES.len())];
    let tier = random.random_range(0..TIERS.len() + 1);
    Vm {
        id: VmId(Uuid::from_u128(random.random())),
        name: format!("{role}-{host:04}-{slot:02}"),
        renamed: None,
        size: Size {
            vcpus: 1 << random.random_range(0..5),
            memory_bytes: 1 << random.random_range(29..36),
        },
        environment: ENVIRONMENTS[random.random_range(0..ENVIRONMENTS.len())],
        tier: TIERS.get(tier).copied(),
        life: vec![Segment {
            from_us: -BEFORE_S * SECOND_US,
            host,
            state: RUNNING,
            counts_since_us: -random.random_range(BEFORE_S..30 * 86_400) * SECOND_US,
        }],
    }
}
