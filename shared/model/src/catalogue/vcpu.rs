//! One virtual processor of a VM, or one core of a host.

use super::{catalogue, state};

/// The metrics of the cheap group; the others are dear.
pub(super) const CHEAP: [&str; 3] = ["time_ns", "wait_ns", "delay_ns"];

catalogue! {
    STATE "state" Code State(state::VCPU), "libvirt vcpu.N.state; /sys/devices/system/cpu/online":
        "State of the processor.", "处理器状态。", "プロセッサーの状態。";
    TIME_NS "time_ns" Nanoseconds Counter, "/proc/PID/task/TID/schedstat, else libvirt vcpu.N.time; /proc/stat cpuN, all but idle and iowait":
        "Time the processor was busy.", "处理器的运行时间。", "プロセッサーの稼働時間。";
    WAIT_NS "wait_ns" Nanoseconds Counter, "/proc/PID/task/TID/sched, else libvirt vcpu.N.wait; /proc/stat cpuN iowait":
        "Time the processor waited for I/O.", "处理器等待 I/O 的时间。", "プロセッサーの I/O 待ち時間。";
    HALTED "halted" Count Gauge, "libvirt vcpu.N.halted":
        "1 while the guest has halted the processor because it is idle, otherwise 0.",
        "客户机因空闲而暂停该处理器时为 1，否则为 0。",
        "ゲストがアイドル状態でプロセッサーを停止している間は 1、それ以外は 0。";
    DELAY_NS "delay_ns" Nanoseconds Counter, "/proc/PID/task/TID/schedstat, else libvirt vcpu.N.delay; /proc/stat cpuN steal":
        "Time the processor was ready to run and the host had no core free: the guest's steal time.",
        "处理器已就绪但宿主机没有空闲核心的等待时间，即客户机的 steal 时间。",
        "実行可能なのにホストのコアが空いていなかった時間。ゲストの steal 時間に当たる。";
}
