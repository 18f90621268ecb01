//! What changes rarely: system, kernel, processors, memory.

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};
use vmscope_model::HostFacts;

/// The facts of this machine. `hypervisor` is left empty: it is libvirt's to say.
///
/// What can't be found is empty or 0. Takes milliseconds: not for every tick.
pub fn facts() -> HostFacts {
    let wanted = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(wanted);
    let (cpu_model, cpu_count, memory_bytes) = system.as_ref().map_or_else(
        |_| (String::new(), 0, 0),
        |system| {
            let cpus = system.cpus();
            let model = cpus
                .first()
                .map(|cpu| cpu.brand().trim().to_owned())
                .unwrap_or_default();
            (model, cpus.len(), system.total_memory())
        },
    );
    HostFacts {
        name: System::host_name().unwrap_or_default(),
        os: System::long_os_version().unwrap_or_default(),
        kernel: System::kernel_version().unwrap_or_default(),
        cpu_model,
        cpu_count: u32::try_from(cpu_count).unwrap_or(u32::MAX),
        memory_bytes,
        hypervisor: String::new(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_time_us: boot_time_us(),
    }
}

/// When the host started, microseconds since the Unix epoch; 0 when it does not say.
pub fn boot_time_us() -> i64 {
    System::boot_time()
        .ok()
        .and_then(|boot_s| i64::try_from(boot_s).ok())
        .map_or(0, |boot_s| boot_s.saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_facts() {
        let facts = facts();
        assert!(!facts.name.is_empty() && !facts.os.is_empty() && !facts.kernel.is_empty());
        assert!(
            facts.cpu_count > 0 && facts.memory_bytes > 0 && facts.boot_time_us > 0,
            "{facts:?}"
        );
    }
}
