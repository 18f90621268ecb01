//! Numbers that stand for words, as libvirt numbers them, and the words that the API uses for them.

/// Codes and their API names.
pub type States = &'static [(i64, &'static str)];

/// What a VM is doing (`virDomainState`).
pub const VM: States = &[
    (0, "nostate"),
    (1, "running"),
    (2, "blocked"),
    (3, "paused"),
    (4, "shutdown"),
    (5, "shutoff"),
    (6, "crashed"),
    (7, "pmsuspended"),
];

/// What a virtual processor is doing (`virVcpuState`).
pub const VCPU: States = &[(0, "offline"), (1, "running"), (2, "blocked")];

/// Code of [`MEMORY_SOURCE`]: what the balloon driver in the guest reports.
pub const FROM_BALLOON: i64 = 1;
/// Code of [`MEMORY_SOURCE`]: what the guest agent reports.
pub const FROM_GUEST_AGENT: i64 = 2;
/// Code of [`MEMORY_SOURCE`]: resident memory of the VM's process on the host.
pub const FROM_RSS: i64 = 3;

/// Where a VM's used memory was read.
pub const MEMORY_SOURCE: States = &[
    (FROM_BALLOON, "balloon"),
    (FROM_GUEST_AGENT, "guest_agent"),
    (FROM_RSS, "rss"),
];

/// Reasons by code, for states that have no reasons of their own.
const UNKNOWN: &[&str] = &["unknown"];

/// Reasons of the states 0 to 7 (`virDomainRunningReason` and its siblings), each by code.
const REASONS: [&[&str]; 8] = [
    UNKNOWN,
    &[
        "unknown",
        "booted",
        "migrated",
        "restored",
        "from_snapshot",
        "unpaused",
        "migration_canceled",
        "save_canceled",
        "wakeup",
        "crashed",
        "postcopy",
        "postcopy_failed",
    ],
    UNKNOWN,
    &[
        "unknown",
        "user",
        "migration",
        "save",
        "dump",
        "io_error",
        "watchdog",
        "from_snapshot",
        "shutting_down",
        "snapshot",
        "crashed",
        "starting_up",
        "postcopy",
        "postcopy_failed",
        "api_error",
    ],
    &["unknown", "user"],
    &[
        "unknown",
        "shutdown",
        "destroyed",
        "crashed",
        "migrated",
        "saved",
        "failed",
        "from_snapshot",
        "daemon",
    ],
    &["unknown", "panicked"],
    UNKNOWN,
];

/// The API name of `code`; `None` for a code that this build does not know.
pub fn name(states: States, code: i64) -> Option<&'static str> {
    states
        .iter()
        .find(|(known, _)| *known == code)
        .map(|(_, name)| *name)
}

/// The code of an API name.
pub fn code(states: States, name: &str) -> Option<i64> {
    states
        .iter()
        .find(|(_, known)| *known == name)
        .map(|(code, _)| *code)
}

/// The API name of a VM's `state_reason`, whose meaning depends on its `state`.
pub fn vm_reason(state: i64, reason: i64) -> Option<&'static str> {
    let reasons = REASONS.get(usize::try_from(state).ok()?)?;
    reasons.get(usize::try_from(reason).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_states_and_their_reasons_as_libvirt_numbers_them() {
        assert_eq!(name(VM, 1), Some("running"));
        assert_eq!(code(VM, "shutoff"), Some(5));
        assert_eq!(vm_reason(1, 1), Some("booted"));
        assert_eq!(vm_reason(3, 5), Some("io_error"));
        assert_eq!(vm_reason(5, 2), Some("destroyed"));
    }

    #[test]
    fn has_no_name_for_codes_it_does_not_know() {
        assert_eq!(name(VM, 8), None);
        assert_eq!(vm_reason(8, 0), None);
        assert_eq!(vm_reason(-1, 0), None);
        assert_eq!(vm_reason(1, 99), None);
    }
}
