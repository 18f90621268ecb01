//! What can dominate, and how it is said.

use vmscope_model::metric::Text;

/// What dominates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Code {
    /// There are no samples.
    NoData,
    /// It does not run.
    NotRunning,
    /// The host has too few cores for all.
    CpuContention,
    /// The host is a virtual machine that lacks processor time.
    HostSteal,
    /// The host has swapped the VM's memory out.
    HostMemory,
    /// The guest swaps.
    GuestMemory,
    /// A disk is slow.
    DiskLatency,
    /// The processors wait for I/O, and no disk is slow.
    IoWait,
    /// It uses all its processors.
    CpuBound,
    /// It does next to nothing.
    Idle,
    /// Nothing stands out.
    Nothing,
}

impl Code {
    /// For programs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NoData => "no_data",
            Self::NotRunning => "not_running",
            Self::CpuContention => "cpu_contention",
            Self::HostSteal => "host_steal",
            Self::HostMemory => "host_memory",
            Self::GuestMemory => "guest_memory",
            Self::DiskLatency => "disk_latency",
            Self::IoWait => "io_wait",
            Self::CpuBound => "cpu_bound",
            Self::Idle => "idle",
            Self::Nothing => "nothing",
        }
    }

    /// For people; with the names of numbers in braces.
    pub(super) const fn text(self) -> Text {
        match self {
            Self::NoData => text(
                "There are no samples of this time.",
                "该时段没有样本。",
                "この期間のサンプルはありません。",
            ),
            Self::NotRunning => text(
                "It is not running: {state}.",
                "虚拟机未在运行：{state}。",
                "実行中ではありません：{state}。",
            ),
            Self::CpuContention => text(
                "The host is short of processors: {ready} of the time its virtual processors were ready to run and had no core.",
                "宿主机处理器不足：虚拟处理器有 {ready} 的时间已就绪却没有可用的核心。",
                "ホストのプロセッサーが不足しています。仮想プロセッサーは時間の {ready} で、実行可能なのにコアがありませんでした。",
            ),
            Self::HostSteal => text(
                "Its host is itself a virtual machine that lacks processor time: {steal} of it was taken away.",
                "宿主机本身也是虚拟机且处理器时间不足：其中 {steal} 被下层占用。",
                "ホスト自体が仮想マシンで、プロセッサー時間の {steal} が下位の基盤に奪われました。",
            ),
            Self::HostMemory => text(
                "The host has swapped its memory out: {faults} times a second it had to be read back.",
                "宿主机已将其内存换出：每秒需要读回 {faults} 次。",
                "ホストがこの仮想マシンのメモリーをスワップアウトしており、毎秒 {faults} 回読み戻しています。",
            ),
            Self::GuestMemory => text(
                "The guest is short of memory: it swaps {swap} a second.",
                "客户机内存不足：每秒换页 {swap}。",
                "ゲストのメモリーが不足しています。毎秒 {swap} をスワップしています。",
            ),
            Self::DiskLatency => text(
                "The disk {disk} is slow: a request took {latency} on average, at {iops} requests a second.",
                "磁盘 {disk} 较慢：每个请求平均耗时 {latency}，每秒 {iops} 个请求。",
                "ディスク {disk} が遅くなっています。1 要求あたり平均 {latency}、毎秒 {iops} 要求です。",
            ),
            Self::IoWait => text(
                "Its processors waited for I/O {io_wait} of the time.",
                "其处理器有 {io_wait} 的时间在等待 I/O。",
                "プロセッサーは時間の {io_wait} で I/O を待っていました。",
            ),
            Self::CpuBound => text(
                "It uses nearly all its processors: they ran {run} of the time.",
                "它几乎用满了所有处理器：有 {run} 的时间在运行。",
                "ほぼすべてのプロセッサーを使い切っています。時間の {run} で実行中でした。",
            ),
            Self::Idle => text(
                "It did next to nothing: its processors ran {run} of the time.",
                "它几乎没有负载：处理器只有 {run} 的时间在运行。",
                "ほとんど何もしていません。プロセッサーの実行時間は {run} でした。",
            ),
            Self::Nothing => text(
                "Nothing stands out: its processors ran {run} of the time and no limit was exceeded.",
                "没有明显异常：处理器有 {run} 的时间在运行，未超过任何阈值。",
                "目立った問題はありません。プロセッサーの実行時間は {run} で、しきい値を超えたものはありません。",
            ),
        }
    }
}

/// Beside a host that is short of processors.
pub(super) const BUSY: Text = text(
    " The host's cores were {busy} busy.",
    "宿主机核心的繁忙程度为 {busy}。",
    "ホストのコアの稼働率は {busy} でした。",
);
/// Who used most of them.
pub(super) const NEIGHBOUR: Text = text(
    " {neighbour} used {share} of them.",
    "其中 {neighbour} 占用了 {share}。",
    "そのうち {neighbour} が {share} を使っていました。",
);
/// Whom the caller may not know.
pub(super) const SOMEBODY: Text = text("Another virtual machine", "另一台虚拟机", "別の仮想マシン");

const fn text(en: &'static str, zh: &'static str, ja: &'static str) -> Text {
    Text { en, zh, ja }
}
