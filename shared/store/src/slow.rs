//! What may make a VM slow: where its processors' time went, how long its disks took, and who else was on its host.
//!
//! All of one span, each value over all of it. What is not known is `None`; nothing is guessed.

use crate::entity::Reference;
use crate::history::among::{self, Among, Sight, Thing};
use crate::history::{self, Function, MAX_SAMPLES, Query, Served, Step, Values};
use crate::{Error, Store, device};
use jiff::Timestamp;
use vmscope_model::access::Reach;
use vmscope_model::catalogue::{disk, host, vm};
use vmscope_model::{HostId, Kind, VmId};

/// Most neighbours that are named.
pub const MAX_NEIGHBOURS: usize = 5;

/// A VM in a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Slow {
    /// Its newest state in the span, a libvirt code.
    pub state: Option<f64>,
    /// Virtual processors.
    pub vcpus: Option<f64>,
    /// Share of its processors' time in which they ran.
    pub run: Option<f64>,
    /// In which they were ready, and the host had no core free.
    pub ready: Option<f64>,
    /// In which they waited for I/O.
    pub io_wait: Option<f64>,
    /// Share of its processors that the guest had halted.
    pub halted: Option<f64>,
    /// Page faults a second for which the host had to read the VM's memory from its swap.
    pub host_faults: Option<f64>,
    /// Bytes a second that the guest read from and wrote to its own swap.
    pub guest_swap: Option<f64>,
    /// Its disks, by name.
    pub disks: Vec<Disk>,
    /// Its host.
    pub host: Option<Host>,
    /// Which tiers said what of the VM.
    pub tiers: Vec<Served>,
}

/// A disk in a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Disk {
    /// Its database id.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// Seconds that a read took; `None` without any.
    pub read_latency_s: Option<f64>,
    /// Seconds that a write took; `None` without any.
    pub write_latency_s: Option<f64>,
    /// Seconds that a request took, of either kind.
    pub latency_s: Option<f64>,
    /// Requests a second.
    pub iops: Option<f64>,
}

/// A host in a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Its UUID.
    pub id: HostId,
    /// Its name.
    pub name: String,
    /// Share of its cores' time in which they did something.
    pub cpu_busy: Option<f64>,
    /// Share that a machine below took away.
    pub steal: Option<f64>,
    /// The other VMs on it that used most of its processors, at most [`MAX_NEIGHBOURS`].
    pub neighbours: Vec<Neighbour>,
}

/// Another VM on the same host.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// Its UUID.
    pub id: VmId,
    /// Its name.
    pub name: String,
    /// Share of the host's cores that it used.
    pub cpu_share: f64,
    /// Disk requests a second.
    pub iops: Option<f64>,
}

/// What is known of a VM from `from` to before `to`; `None` when there is no such VM.
///
/// # Errors
/// Those of [`history::query`].
pub async fn look(store: &Store, id: VmId, from: Timestamp, to: Timestamp) -> Result<Option<Slow>, Error> {
    let everything = Sight {
        hosts: &Reach::Everything,
        vms: &Reach::Everything,
    };
    let named = Among::Things(vec![Reference::Vm(id)]);
    let Some(this) = among::find(store, Kind::Vm, &named, everything, 1).await?.pop() else {
        return Ok(None);
    };
    let span = Span { store, from, to };
    let (values, tiers) = span.of(Kind::Vm, &[this.id], &VM_METRICS).await?;
    let mut slow = vm(values.first(), tiers);
    slow.disks = disks(span, id).await?;
    if let Some((host, name)) = this.host {
        let all = Among::Hosts(vec![host]);
        let on_it = among::find(store, Kind::Vm, &all, everything, MAX_VMS).await?;
        slow.host = Some(span.host(host, name, this.id, &on_it).await?);
    }
    Ok(Some(slow))
}

/// Most VMs of a host that are looked at.
const MAX_VMS: usize = 10_000;

const VM_METRICS: [usize; 9] = [
    vm::STATE,
    vm::VCPU_CURRENT,
    vm::VCPU_TIME_NS,
    vm::VCPU_DELAY_NS,
    vm::VCPU_WAIT_NS,
    vm::VCPU_HALTED,
    vm::PROCESS_MAJOR_FAULTS,
    vm::MEMORY_SWAP_IN_BYTES,
    vm::MEMORY_SWAP_OUT_BYTES,
];

const DISK_METRICS: [usize; 4] = [
    disk::READ_REQUESTS,
    disk::READ_NS,
    disk::WRITE_REQUESTS,
    disk::WRITE_NS,
];

const NEIGHBOUR_METRICS: [usize; 3] = [vm::CPU_TIME_NS, vm::DISK_READ_REQUESTS, vm::DISK_WRITE_REQUESTS];

const HOST_METRICS: [usize; 8] = [
    host::CPU_COUNT,
    host::CPU_USER_NS,
    host::CPU_NICE_NS,
    host::CPU_SYSTEM_NS,
    host::CPU_IRQ_NS,
    host::CPU_IDLE_NS,
    host::CPU_IOWAIT_NS,
    host::CPU_STEAL_NS,
];

/// A span of time in a store.
#[derive(Clone, Copy)]
struct Span<'a> {
    store: &'a Store,
    from: Timestamp,
    to: Timestamp,
}

impl Span<'_> {
    /// The values of some things over the span.
    async fn of(
        self,
        kind: Kind,
        entities: &[i32],
        metrics: &[usize],
    ) -> Result<(Vec<Values>, Vec<Served>), Error> {
        let query = Query {
            kind,
            entities: entities.to_vec(),
            metrics: metrics.to_vec(),
            from: self.from,
            to: self.to,
            step: Step::Whole,
            function: Function::Avg,
            tier: None,
            shift_s: None,
            max_values: usize::MAX,
            max_samples: MAX_SAMPLES,
        };
        let answer = history::query(self.store, &query).await?;
        Ok((answer.values, answer.tiers))
    }

    async fn host(self, id: HostId, name: String, this: i32, on_it: &[Thing]) -> Result<Host, Error> {
        let numbers = crate::entity::find(self.store, Reference::Host(id)).await?;
        let (values, _) = self.of(Kind::Host, numbers.as_slice(), &HOST_METRICS).await?;
        let known = values.first().map_or([None; 8], numbers_of);
        let [cores, user, nice, system, irq, idle, io_wait, steal] = known;
        let busy = sum(&[user, nice, system, irq]);
        let all = sum(&[busy, idle, io_wait, steal]).filter(|all| *all > 0.0);
        let share = |part: Option<f64>| Some(part? / all?);
        let neighbours = match cores.filter(|cores| *cores > 0.0) {
            Some(cores) => self.neighbours(this, on_it, cores).await?,
            None => Vec::new(),
        };
        Ok(Host {
            id,
            name,
            cpu_busy: share(busy),
            steal: share(steal),
            neighbours,
        })
    }

    async fn neighbours(self, this: i32, on_it: &[Thing], cores: f64) -> Result<Vec<Neighbour>, Error> {
        let others: Vec<&Thing> = on_it.iter().filter(|thing| thing.id != this).collect();
        let ids: Vec<i32> = others.iter().map(|thing| thing.id).collect();
        let (values, _) = self.of(Kind::Vm, &ids, &NEIGHBOUR_METRICS).await?;
        let neighbour = |(thing, values): (&Thing, Values)| {
            let [cpu, reads, writes] = numbers_of(&values);
            let (id, name) = thing.vm.clone()?;
            Some(Neighbour {
                id,
                name,
                cpu_share: cpu? / cores,
                iops: sum(&[reads, writes]),
            })
        };
        let mut neighbours: Vec<Neighbour> = others.into_iter().zip(values).filter_map(neighbour).collect();
        neighbours.sort_by(|one, other| other.cpu_share.total_cmp(&one.cpu_share));
        neighbours.truncate(MAX_NEIGHBOURS);
        Ok(neighbours)
    }
}

/// What a VM's values say; disks and host are still to come.
fn vm(values: Option<&Values>, tiers: Vec<Served>) -> Slow {
    let known = values.map_or([None; 9], numbers_of);
    let [
        state,
        vcpus,
        run,
        ready,
        io_wait,
        halted,
        host_faults,
        swap_in,
        swap_out,
    ] = known;
    let vcpus = vcpus.filter(|vcpus| *vcpus > 0.0);
    let share = |time: Option<f64>| Some(time? / vcpus?);
    Slow {
        state,
        vcpus,
        run: share(run),
        ready: share(ready),
        io_wait: share(io_wait),
        halted: share(halted),
        host_faults,
        guest_swap: sum(&[swap_in, swap_out]),
        disks: Vec::new(),
        host: None,
        tiers,
    }
}

async fn disks(span: Span<'_>, vm: VmId) -> Result<Vec<Disk>, Error> {
    let devices = device::list(span.store, Reference::Vm(vm)).await?;
    let devices: Vec<_> = devices
        .into_iter()
        .filter(|device| device.kind == Kind::Disk)
        .collect();
    let ids: Vec<i32> = devices.iter().map(|device| device.id).collect();
    let (values, _) = span.of(Kind::Disk, &ids, &DISK_METRICS).await?;
    let disk = |(device, values): (device::Device, Values)| {
        let [reads, reading_s, writes, writing_s] = numbers_of(&values);
        let each =
            |seconds: Option<f64>, requests: Option<f64>| Some(seconds? / requests.filter(|n| *n > 0.0)?);
        let requests = sum(&[reads, writes]);
        Disk {
            id: device.id,
            name: device.name,
            read_latency_s: each(reading_s, reads),
            write_latency_s: each(writing_s, writes),
            latency_s: each(sum(&[reading_s, writing_s]), requests),
            iops: requests,
        }
    };
    Ok(devices.into_iter().zip(values).map(disk).collect())
}

/// The one value of each metric.
fn numbers_of<const N: usize>(values: &Values) -> [Option<f64>; N] {
    std::array::from_fn(|metric| values.get(metric)?.first().copied().flatten())
}

/// The sum of what is known; `None` when nothing is.
fn sum(parts: &[Option<f64>]) -> Option<f64> {
    parts.iter().flatten().copied().reduce(|sum, part| sum + part)
}
