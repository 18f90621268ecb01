//! A virtual machine as a whole: its own values and the totals over its processors, disks and interfaces.

use super::{catalogue, state};

/// How the names of the metrics of the cheap group begin; the others are dear.
pub(super) const CHEAP: [&str; 8] = [
    "state",
    "cpu_",
    "net_",
    "vcpu_time_",
    "vcpu_wait_",
    "vcpu_delay_",
    "memory_rss_",
    "process_",
];

catalogue! {
    STATE "state" Code State(state::VM), "libvirt state.state":
        "State of the VM.", "虚拟机状态。", "仮想マシンの状態。";
    STATE_REASON "state_reason" Code State(&[]), "libvirt state.reason":
        "Why the VM is in its state; the meaning of the code depends on the state.",
        "虚拟机处于当前状态的原因；代码含义取决于状态。",
        "現在の状態になった理由。コードの意味は状態によって異なる。";
    CPU_TIME_NS "cpu_time_ns" Nanoseconds Counter, "the VM's cgroup, else /proc/PID/stat, else libvirt cpu.time":
        "CPU time the VM used on the host, emulator included.",
        "虚拟机在宿主机上消耗的 CPU 时间，含模拟器开销。",
        "仮想マシンがホストで消費した CPU 時間（エミュレーターを含む）。";
    CPU_USER_NS "cpu_user_ns" Nanoseconds Counter, "the VM's cgroup, else /proc/PID/stat, else libvirt cpu.user":
        "CPU time in user space of the host.", "宿主机用户态 CPU 时间。", "ホストのユーザー空間での CPU 時間。";
    CPU_SYSTEM_NS "cpu_system_ns" Nanoseconds Counter, "the VM's cgroup, else /proc/PID/stat, else libvirt cpu.system":
        "CPU time in the host's kernel.", "宿主机内核态 CPU 时间。", "ホストのカーネル空間での CPU 時間。";
    VCPU_CURRENT "vcpu_current" Count Gauge, "libvirt vcpu.current":
        "Virtual processors in use.", "当前虚拟处理器数。", "使用中の仮想プロセッサー数。";
    VCPU_MAXIMUM "vcpu_maximum" Count Gauge, "libvirt vcpu.maximum":
        "Virtual processors the VM may have.", "虚拟处理器数上限。", "仮想プロセッサー数の上限。";
    VCPU_TIME_NS "vcpu_time_ns" Nanoseconds Counter, "/proc/PID/task/TID/schedstat, else libvirt vcpu.N.time, summed":
        "Time the virtual processors ran, all together.", "所有虚拟处理器的运行时间合计。", "全仮想プロセッサーの実行時間の合計。";
    VCPU_WAIT_NS "vcpu_wait_ns" Nanoseconds Counter, "/proc/PID/task/TID/sched, else libvirt vcpu.N.wait, summed":
        "Time the virtual processors waited for I/O, all together.",
        "所有虚拟处理器等待 I/O 的时间合计。",
        "全仮想プロセッサーの I/O 待ち時間の合計。";
    VCPU_DELAY_NS "vcpu_delay_ns" Nanoseconds Counter, "/proc/PID/task/TID/schedstat, else libvirt vcpu.N.delay, summed":
        "Time the virtual processors were ready and the host had no core free: the guest's steal time.",
        "虚拟处理器已就绪但宿主机没有空闲核心的等待时间，即客户机的 steal 时间。",
        "実行可能なのにホストのコアが空いていなかった時間。ゲストの steal 時間に当たる。";
    VCPU_HALTED "vcpu_halted" Count Gauge, "libvirt vcpu.N.halted, counted":
        "Virtual processors that the guest has halted because they are idle.",
        "客户机因空闲而暂停的虚拟处理器数。",
        "ゲストがアイドル状態で停止している仮想プロセッサー数。";
    MEMORY_CURRENT_BYTES "memory_current_bytes" Bytes Gauge, "libvirt balloon.current":
        "Memory the VM has now.", "虚拟机当前分配的内存。", "現在割り当てられているメモリー。";
    MEMORY_MAXIMUM_BYTES "memory_maximum_bytes" Bytes Gauge, "libvirt balloon.maximum":
        "Memory the VM may have.", "虚拟机内存上限。", "メモリー割り当ての上限。";
    MEMORY_AVAILABLE_BYTES "memory_available_bytes" Bytes Gauge, "libvirt balloon.available":
        "Memory that the guest's system sees as its own.", "客户机系统可见的内存总量。", "ゲスト OS から見える総メモリー。";
    MEMORY_UNUSED_BYTES "memory_unused_bytes" Bytes Gauge, "libvirt balloon.unused":
        "Memory that the guest leaves wholly unused.", "客户机完全未使用的内存。", "ゲストがまったく使用していないメモリー。";
    MEMORY_USABLE_BYTES "memory_usable_bytes" Bytes Gauge, "libvirt balloon.usable":
        "Memory that the guest could use without swapping.", "客户机无需换页即可使用的内存。", "ゲストがスワップせずに利用できるメモリー。";
    MEMORY_DISK_CACHES_BYTES "memory_disk_caches_bytes" Bytes Gauge, "libvirt balloon.disk_caches":
        "Guest memory that holds disk caches and can be reclaimed.",
        "客户机中可回收的磁盘缓存内存。",
        "ゲスト内で回収可能なディスクキャッシュ。";
    MEMORY_RSS_BYTES "memory_rss_bytes" Bytes Gauge, "/proc/PID/stat, else libvirt balloon.rss":
        "Resident memory of the VM's process on the host.", "虚拟机进程在宿主机上的常驻内存。", "ホスト上の VM プロセスの常駐メモリー。";
    MEMORY_USED_BYTES "memory_used_bytes" Bytes Gauge, "derived; memory_used_source says from what":
        "Memory in use, from the best source there is.", "已用内存，取自可得的最佳来源。", "使用中のメモリー（得られる最良の情報源による）。";
    MEMORY_USED_SOURCE "memory_used_source" Code State(state::MEMORY_SOURCE), "derived":
        "Where the used memory was read.", "已用内存的数据来源。", "使用メモリーの情報源。";
    MEMORY_SWAP_IN_BYTES "memory_swap_in_bytes" Bytes Counter, "libvirt balloon.swap_in":
        "Bytes the guest read from its swap.", "客户机从交换区读入的字节数。", "ゲストがスワップから読み込んだバイト数。";
    MEMORY_SWAP_OUT_BYTES "memory_swap_out_bytes" Bytes Counter, "libvirt balloon.swap_out":
        "Bytes the guest wrote to its swap.", "客户机写入交换区的字节数。", "ゲストがスワップへ書き出したバイト数。";
    MEMORY_MAJOR_FAULTS "memory_major_faults" Count Counter, "libvirt balloon.major_fault":
        "Page faults of the guest that needed its disk.", "客户机需要读盘的缺页次数。", "ディスクアクセスを伴うゲストのページフォルト数。";
    MEMORY_MINOR_FAULTS "memory_minor_faults" Count Counter, "libvirt balloon.minor_fault":
        "Page faults of the guest that memory alone answered.",
        "客户机无需读盘的缺页次数。",
        "ディスクアクセスを伴わないゲストのページフォルト数。";
    DISK_READ_REQUESTS "disk_read_requests" Count Counter, "libvirt block.N.rd.reqs, summed":
        "Read requests completed, all disks.", "所有磁盘完成的读请求数。", "全ディスクで完了した読み取り要求数。";
    DISK_READ_BYTES "disk_read_bytes" Bytes Counter, "libvirt block.N.rd.bytes, summed":
        "Bytes read, all disks.", "所有磁盘的读取字节数。", "全ディスクの読み取りバイト数。";
    DISK_READ_NS "disk_read_ns" Nanoseconds Counter, "libvirt block.N.rd.times, summed":
        "Time spent on read requests, summed over requests.", "所有读请求的累计耗时。", "全読み取り要求の処理時間の合計。";
    DISK_WRITE_REQUESTS "disk_write_requests" Count Counter, "libvirt block.N.wr.reqs, summed":
        "Write requests completed, all disks.", "所有磁盘完成的写请求数。", "全ディスクで完了した書き込み要求数。";
    DISK_WRITE_BYTES "disk_write_bytes" Bytes Counter, "libvirt block.N.wr.bytes, summed":
        "Bytes written, all disks.", "所有磁盘的写入字节数。", "全ディスクの書き込みバイト数。";
    DISK_WRITE_NS "disk_write_ns" Nanoseconds Counter, "libvirt block.N.wr.times, summed":
        "Time spent on write requests, summed over requests.", "所有写请求的累计耗时。", "全書き込み要求の処理時間の合計。";
    DISK_FLUSH_REQUESTS "disk_flush_requests" Count Counter, "libvirt block.N.fl.reqs, summed":
        "Flush requests completed, all disks.", "所有磁盘完成的刷盘请求数。", "全ディスクで完了したフラッシュ要求数。";
    DISK_FLUSH_NS "disk_flush_ns" Nanoseconds Counter, "libvirt block.N.fl.times, summed":
        "Time spent on flush requests, summed over requests.", "所有刷盘请求的累计耗时。", "全フラッシュ要求の処理時間の合計。";
    DISK_ERRORS "disk_errors" Count Counter, "libvirt block.N.errors, summed":
        "Requests that failed, all disks.", "所有磁盘失败的请求数。", "全ディスクで失敗した要求数。";
    DISK_ALLOCATION_BYTES "disk_allocation_bytes" Bytes Gauge, "libvirt block.N.allocation, summed":
        "Highest offset written in the images, all disks.", "所有镜像已写入的最高偏移合计。", "全イメージに書き込まれた最大オフセットの合計。";
    DISK_CAPACITY_BYTES "disk_capacity_bytes" Bytes Gauge, "libvirt block.N.capacity, summed":
        "Size of the disks that the guest sees.", "客户机可见的磁盘总容量。", "ゲストから見えるディスクの総容量。";
    DISK_PHYSICAL_BYTES "disk_physical_bytes" Bytes Gauge, "libvirt block.N.physical, summed":
        "Size of the images on the host's storage.", "镜像在宿主机存储上占用的总大小。", "ホストのストレージ上のイメージの合計サイズ。";
    NET_RX_BYTES "net_rx_bytes" Bytes Counter, "/proc/net/dev, else libvirt net.N.rx.bytes, summed":
        "Bytes the VM received, all interfaces.", "所有网卡的接收字节数。", "全インターフェースの受信バイト数。";
    NET_RX_PACKETS "net_rx_packets" Count Counter, "/proc/net/dev, else libvirt net.N.rx.pkts, summed":
        "Packets the VM received, all interfaces.", "所有网卡的接收数据包数。", "全インターフェースの受信パケット数。";
    NET_RX_ERRORS "net_rx_errors" Count Counter, "/proc/net/dev, else libvirt net.N.rx.errs, summed":
        "Packets received with errors, all interfaces.", "所有网卡的接收错误数据包数。", "全インターフェースの受信エラー数。";
    NET_RX_DROPS "net_rx_drops" Count Counter, "/proc/net/dev, else libvirt net.N.rx.drop, summed":
        "Received packets that were dropped, all interfaces.",
        "所有网卡接收时丢弃的数据包数。",
        "全インターフェースで受信時に破棄されたパケット数。";
    NET_TX_BYTES "net_tx_bytes" Bytes Counter, "/proc/net/dev, else libvirt net.N.tx.bytes, summed":
        "Bytes the VM sent, all interfaces.", "所有网卡的发送字节数。", "全インターフェースの送信バイト数。";
    NET_TX_PACKETS "net_tx_packets" Count Counter, "/proc/net/dev, else libvirt net.N.tx.pkts, summed":
        "Packets the VM sent, all interfaces.", "所有网卡的发送数据包数。", "全インターフェースの送信パケット数。";
    NET_TX_ERRORS "net_tx_errors" Count Counter, "/proc/net/dev, else libvirt net.N.tx.errs, summed":
        "Packets that could not be sent because of errors, all interfaces.",
        "所有网卡的发送错误数据包数。",
        "全インターフェースの送信エラー数。";
    NET_TX_DROPS "net_tx_drops" Count Counter, "/proc/net/dev, else libvirt net.N.tx.drop, summed":
        "Packets dropped on sending, all interfaces.",
        "所有网卡发送时丢弃的数据包数。",
        "全インターフェースで送信時に破棄されたパケット数。";
    PROCESS_GUEST_NS "process_guest_ns" Nanoseconds Counter, "/proc/PID/stat guest_time":
        "CPU time in which the VM's own code ran on the processor (KVM); the rest of its CPU time is emulation.",
        "在处理器上直接运行客户机代码（KVM）的 CPU 时间；其余 CPU 时间为模拟开销。",
        "ゲスト自身のコードがプロセッサー上で実行された CPU 時間（KVM）。残りの CPU 時間はエミュレーション。";
    PROCESS_MAJOR_FAULTS "process_major_faults" Count Counter, "/proc/PID/stat majflt":
        "Page faults of the VM's process that the host had to read from disk: the VM's memory was swapped out.",
        "虚拟机进程中宿主机需要读盘的缺页次数：虚拟机内存已被换出。",
        "VM プロセスのページフォルトのうち、ホストがディスクから読み込んだもの。VM のメモリーがスワップアウトされていた。";
    PROCESS_MINOR_FAULTS "process_minor_faults" Count Counter, "/proc/PID/stat minflt":
        "Page faults of the VM's process that the host's memory alone answered.",
        "虚拟机进程中宿主机无需读盘的缺页次数。",
        "VM プロセスのページフォルトのうち、ホストがディスクを読まずに処理したもの。";
    PROCESS_THREADS "process_threads" Count Gauge, "/proc/PID/stat num_threads":
        "Threads of the VM's process: processors, I/O and emulation.",
        "虚拟机进程的线程数：处理器、I/O 与模拟。",
        "VM プロセスのスレッド数（プロセッサー、I/O、エミュレーション）。";
}
