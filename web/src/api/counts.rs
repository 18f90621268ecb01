//! Counts of VMs by state.

use std::collections::BTreeMap;
use vmscope_model::catalogue::state;

/// Names the states of (libvirt code, how many). Codes that this build does not know are counted as `nostate`.
pub(super) fn by_name(by_code: &[(i16, i64)]) -> BTreeMap<String, u64> {
    let mut by_name = BTreeMap::new();
    for &(code, count) in by_code {
        let name = state::name(state::VM, code.into()).unwrap_or(state::VM[0].1);
        *by_name.entry(name.to_owned()).or_default() += number(count);
    }
    by_name
}

/// A count of the database, which is never negative.
pub(super) fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}
