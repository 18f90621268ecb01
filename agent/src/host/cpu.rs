//! `/proc/stat`: processors, context switches, processes.

use super::parse::{key, lines, number, numbers, words};
use vmscope_model::catalogue::{host, vcpu};
use vmscope_model::{Entity, Owner, Record, Value};

/// Nanoseconds in one tick of `/proc/stat`. Its `USER_HZ` is part of the kernel's ABI: 100 wherever guests run.
const TICK_NS: i64 = 10_000_000;
/// Fields of a processor: user nice system idle iowait irq softirq steal guest `guest_nice`.
const FIELDS: usize = 10;
/// Code of a processor that is online.
const RUNNING: i64 = 1;

/// Reads the totals into `row`, and with `cores` a row for each online processor into the record.
pub(super) fn read(stat: &[u8], row: &mut [Value], mut cores: Option<&mut Record>) {
    let mut count = 0;
    for line in lines(stat) {
        let (key, rest) = key(line);
        match key {
            b"cpu" => total(rest, row),
            b"ctxt" => set_first(rest, row, host::CONTEXT_SWITCHES),
            b"processes" => set_first(rest, row, host::FORKS),
            b"procs_running" => set_first(rest, row, host::PROCS_RUNNING),
            b"procs_blocked" => set_first(rest, row, host::PROCS_BLOCKED),
            _ => {
                let index = key
                    .strip_prefix(b"cpu")
                    .and_then(number)
                    .and_then(|index| u32::try_from(index).ok());
                let Some(index) = index else { continue };
                count += 1;
                if let Some(record) = cores.as_deref_mut() {
                    core(
                        rest,
                        record.push(Entity::Vcpu {
                            owner: Owner::Host,
                            index,
                        }),
                    );
                }
            }
        }
    }
    if count > 0 {
        row[host::CPU_COUNT] = Value::new(count);
    }
}

fn set_first(rest: &[u8], row: &mut [Value], column: usize) {
    row[column] = words(rest).next().and_then(number).into();
}

/// Times in nanoseconds; fields that an old kernel lacks are 0.
fn times(rest: &[u8]) -> [i64; FIELDS] {
    let mut times = [0; FIELDS];
    numbers(words(rest), &mut times);
    times.map(|ticks| ticks.saturating_mul(TICK_NS))
}

fn total(rest: &[u8], row: &mut [Value]) {
    let [
        user,
        nice,
        system,
        idle,
        iowait,
        irq,
        softirq,
        steal,
        guest,
        guest_nice,
    ] = times(rest);
    for (column, value) in [
        (host::CPU_USER_NS, user),
        (host::CPU_NICE_NS, nice),
        (host::CPU_SYSTEM_NS, system),
        (host::CPU_IDLE_NS, idle),
        (host::CPU_IOWAIT_NS, iowait),
        (host::CPU_IRQ_NS, irq.saturating_add(softirq)),
        (host::CPU_STEAL_NS, steal),
        (host::CPU_GUEST_NS, guest.saturating_add(guest_nice)),
    ] {
        row[column] = Value::new(value);
    }
}

/// A core is busy in everything but idle and iowait; guest time is part of user time already, and stolen time is not ours.
fn core(rest: &[u8], row: &mut [Value]) {
    let [user, nice, system, _, iowait, irq, softirq, steal, ..] = times(rest);
    row[vcpu::STATE] = Value::new(RUNNING);
    row[vcpu::TIME_NS] = Value::new(
        [user, nice, system, irq, softirq]
            .into_iter()
            .fold(0, i64::saturating_add),
    );
    row[vcpu::WAIT_NS] = Value::new(iowait);
    row[vcpu::DELAY_NS] = Value::new(steal);
}
