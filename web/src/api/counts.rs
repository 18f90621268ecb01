//! Counts of VMs by state.

use std::collections::BTreeMap;
use vmscope_model::catalogue::state;

/// What the API calls VMs without a state in the last 15 s, in counts and in the filter `state`.
pub(super) const SILENT: &str = "silent";

/// Names the states of (libvirt code, how many); no code is [`SILENT`]. Codes that this build does not know are counted
/// as `nostate`.
pub(super) fn by_name(by_code: &[(Option<i16>, i64)]) -> BTreeMap<String, u64> {
    let mut by_name = BTreeMap::new();
    for &(code, count) in by_code {
        let name = code.map_or(SILENT, |code| {
            state::name(state::VM, code.into()).unwrap_or(state::VM[0].1)
        });
        *by_name.entry(name.to_owned()).or_default() += number(count);
    }
    by_name
}

/// A count of the database, which is never negative.
pub(super) fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}
