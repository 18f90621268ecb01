//! `/proc/net/dev`: physical network interfaces, as the host's totals and one by one.

use super::inventory::Device;
use super::parse::{lines, numbers, words};
use vmscope_model::catalogue::{host, nic};
use vmscope_model::{Entity, Owner, Record, Value};

/// Numbers after the name: receive bytes packets errs drop fifo frame compressed multicast, then transmit bytes packets
/// errs drop and more.
const FIELDS: usize = 12;
/// Place in the line, column of the interface, column of the host.
const COLUMNS: [(usize, usize, usize); 8] = [
    (0, nic::RX_BYTES, host::NET_RX_BYTES),
    (1, nic::RX_PACKETS, host::NET_RX_PACKETS),
    (2, nic::RX_ERRORS, host::NET_RX_ERRORS),
    (3, nic::RX_DROPS, host::NET_RX_DROPS),
    (8, nic::TX_BYTES, host::NET_TX_BYTES),
    (9, nic::TX_PACKETS, host::NET_TX_PACKETS),
    (10, nic::TX_ERRORS, host::NET_TX_ERRORS),
    (11, nic::TX_DROPS, host::NET_TX_DROPS),
];

/// Adds the `nics` up into `row`, and with `each` gives every one a row of its own.
pub(super) fn read(net_dev: &[u8], nics: &[Device], row: &mut [Value], mut each: Option<&mut Record>) {
    for line in lines(net_dev) {
        // A wide counter may follow the colon without a blank.
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let name = line[..colon].trim_ascii();
        let Some(device) = nics.iter().find(|nic| nic.name.as_bytes() == name) else {
            continue;
        };
        let mut values = [0; FIELDS];
        if numbers(words(&line[colon + 1..]), &mut values) < FIELDS {
            continue;
        }
        let mut columns = [Value::ABSENT; nic::METRICS.len()];
        for (field, own, total) in COLUMNS {
            columns[own] = Value::new(values[field]);
            super::add(&mut row[total], columns[own]);
        }
        if let Some(record) = each.as_deref_mut() {
            record
                .push(Entity::Nic {
                    owner: Owner::Host,
                    name: device.name.clone(),
                })
                .copy_from_slice(&columns);
        }
    }
}
