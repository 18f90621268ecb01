//! A hypervisor host as a whole, from `/proc` and `/sys`, and what its agent costs.

use super::catalogue;

catalogue! {
    CPU_USER_NS "cpu_user_ns" Nanoseconds Counter, "/proc/stat cpu user":
        "CPU time in user space, all cores.", "所有核心的用户态 CPU 时间。", "全コアのユーザー空間での CPU 時間。";
    CPU_NICE_NS "cpu_nice_ns" Nanoseconds Counter, "/proc/stat cpu nice":
        "CPU time in user space at low priority, all cores.", "所有核心的低优先级用户态 CPU 时间。", "全コアの低優先度ユーザー空間での CPU 時間。";
    CPU_SYSTEM_NS "cpu_system_ns" Nanoseconds Counter, "/proc/stat cpu system":
        "CPU time in the kernel, all cores.", "所有核心的内核态 CPU 时间。", "全コアのカーネル空間での CPU 時間。";
    CPU_IDLE_NS "cpu_idle_ns" Nanoseconds Counter, "/proc/stat cpu idle":
        "Time with nothing to do, all cores.", "所有核心的空闲时间。", "全コアのアイドル時間。";
    CPU_IOWAIT_NS "cpu_iowait_ns" Nanoseconds Counter, "/proc/stat cpu iowait":
        "Time idle while a disk request was pending, all cores.",
        "所有核心等待磁盘 I/O 的空闲时间。",
        "全コアのディスク I/O 待ちのアイドル時間。";
    CPU_IRQ_NS "cpu_irq_ns" Nanoseconds Counter, "/proc/stat cpu irq + softirq":
        "Time in hardware and software interrupts, all cores.", "所有核心处理软硬中断的时间。", "全コアのハードウェア・ソフトウェア割り込み時間。";
    CPU_STEAL_NS "cpu_steal_ns" Nanoseconds Counter, "/proc/stat cpu steal":
        "Time that the machine below took away, all cores; 0 on bare metal.",
        "被下层虚拟化平台占用的时间（所有核心）；物理机为 0。",
        "下位の仮想化基盤に奪われた時間（全コア）。物理マシンでは 0。";
    CPU_GUEST_NS "cpu_guest_ns" Nanoseconds Counter, "/proc/stat cpu guest + guest_nice":
        "Time spent running guests, all cores; part of user and nice time.",
        "运行客户机的时间（所有核心）；已计入 user 和 nice 时间。",
        "ゲストの実行時間（全コア）。user・nice 時間に含まれる。";
    CPU_COUNT "cpu_count" Count Gauge, "/proc/stat cpuN lines":
        "Logical processors online.", "在线的逻辑处理器数。", "オンラインの論理プロセッサー数。";
    LOAD_1M "load_1m" Count Gauge [1000], "/proc/loadavg":
        "Load average over one minute.", "1 分钟平均负载。", "1 分間のロードアベレージ。";
    LOAD_5M "load_5m" Count Gauge [1000], "/proc/loadavg":
        "Load average over five minutes.", "5 分钟平均负载。", "5 分間のロードアベレージ。";
    LOAD_15M "load_15m" Count Gauge [1000], "/proc/loadavg":
        "Load average over fifteen minutes.", "15 分钟平均负载。", "15 分間のロードアベレージ。";
    PROCS_RUNNING "procs_running" Count Gauge, "/proc/stat procs_running":
        "Tasks that run or are ready to.", "正在运行或就绪的任务数。", "実行中または実行可能なタスク数。";
    PROCS_BLOCKED "procs_blocked" Count Gauge, "/proc/stat procs_blocked":
        "Tasks blocked on I/O.", "因 I/O 阻塞的任务数。", "I/O 待ちでブロックされたタスク数。";
    CONTEXT_SWITCHES "context_switches" Count Counter, "/proc/stat ctxt":
        "Context switches.", "上下文切换次数。", "コンテキストスイッチ回数。";
    FORKS "forks" Count Counter, "/proc/stat processes":
        "Processes and threads created.", "创建的进程和线程数。", "生成されたプロセスとスレッドの数。";
    MEMORY_TOTAL_BYTES "memory_total_bytes" Bytes Gauge, "/proc/meminfo MemTotal":
        "Memory of the host.", "宿主机内存总量。", "ホストの総メモリー。";
    MEMORY_AVAILABLE_BYTES "memory_available_bytes" Bytes Gauge, "/proc/meminfo MemAvailable":
        "Memory that programs could get without swapping.", "无需换页即可分配给程序的内存。", "スワップせずにプログラムへ割り当てられるメモリー。";
    MEMORY_FREE_BYTES "memory_free_bytes" Bytes Gauge, "/proc/meminfo MemFree":
        "Memory wholly unused.", "完全空闲的内存。", "まったく使用されていないメモリー。";
    MEMORY_CACHED_BYTES "memory_cached_bytes" Bytes Gauge, "/proc/meminfo Cached":
        "Memory that caches file contents.", "文件缓存占用的内存。", "ファイルキャッシュに使われているメモリー。";
    MEMORY_BUFFERS_BYTES "memory_buffers_bytes" Bytes Gauge, "/proc/meminfo Buffers":
        "Memory that buffers block devices.", "块设备缓冲区占用的内存。", "ブロックデバイスのバッファーに使われているメモリー。";
    MEMORY_DIRTY_BYTES "memory_dirty_bytes" Bytes Gauge, "/proc/meminfo Dirty":
        "Memory waiting to be written to disk.", "等待写回磁盘的内存。", "ディスクへの書き戻し待ちのメモリー。";
    SWAP_TOTAL_BYTES "swap_total_bytes" Bytes Gauge, "/proc/meminfo SwapTotal":
        "Swap space.", "交换空间总量。", "スワップの総容量。";
    SWAP_FREE_BYTES "swap_free_bytes" Bytes Gauge, "/proc/meminfo SwapFree":
        "Swap space unused.", "空闲的交换空间。", "スワップの空き容量。";
    SWAP_IN_PAGES "swap_in_pages" Count Counter, "/proc/vmstat pswpin":
        "Pages read from swap.", "从交换区换入的页数。", "スワップインしたページ数。";
    SWAP_OUT_PAGES "swap_out_pages" Count Counter, "/proc/vmstat pswpout":
        "Pages written to swap.", "换出到交换区的页数。", "スワップアウトしたページ数。";
    FS_TOTAL_BYTES "fs_total_bytes" Bytes Gauge, "statvfs, each device once":
        "Size of the real file systems, all together.", "所有实际文件系统的总容量。", "実ファイルシステムの合計容量。";
    FS_USED_BYTES "fs_used_bytes" Bytes Gauge, "statvfs, each device once":
        "Space used on the real file systems, all together.", "所有实际文件系统的已用空间合计。", "実ファイルシステムの合計使用量。";
    DISK_READ_REQUESTS "disk_read_requests" Count Counter, "/proc/diskstats, whole disks":
        "Read requests completed, all disks.", "所有磁盘完成的读请求数。", "全ディスクで完了した読み取り要求数。";
    DISK_READ_BYTES "disk_read_bytes" Bytes Counter, "/proc/diskstats, whole disks":
        "Bytes read, all disks.", "所有磁盘的读取字节数。", "全ディスクの読み取りバイト数。";
    DISK_READ_NS "disk_read_ns" Nanoseconds Counter, "/proc/diskstats, whole disks":
        "Time spent on read requests, summed over requests.", "所有读请求的累计耗时。", "全読み取り要求の処理時間の合計。";
    DISK_WRITE_REQUESTS "disk_write_requests" Count Counter, "/proc/diskstats, whole disks":
        "Write requests completed, all disks.", "所有磁盘完成的写请求数。", "全ディスクで完了した書き込み要求数。";
    DISK_WRITE_BYTES "disk_write_bytes" Bytes Counter, "/proc/diskstats, whole disks":
        "Bytes written, all disks.", "所有磁盘的写入字节数。", "全ディスクの書き込みバイト数。";
    DISK_WRITE_NS "disk_write_ns" Nanoseconds Counter, "/proc/diskstats, whole disks":
        "Time spent on write requests, summed over requests.", "所有写请求的累计耗时。", "全書き込み要求の処理時間の合計。";
    NET_RX_BYTES "net_rx_bytes" Bytes Counter, "/proc/net/dev, physical interfaces":
        "Bytes received, all physical interfaces.", "所有物理网卡的接收字节数。", "全物理インターフェースの受信バイト数。";
    NET_RX_PACKETS "net_rx_packets" Count Counter, "/proc/net/dev, physical interfaces":
        "Packets received, all physical interfaces.", "所有物理网卡的接收数据包数。", "全物理インターフェースの受信パケット数。";
    NET_RX_ERRORS "net_rx_errors" Count Counter, "/proc/net/dev, physical interfaces":
        "Packets received with errors, all physical interfaces.", "所有物理网卡的接收错误数据包数。", "全物理インターフェースの受信エラー数。";
    NET_RX_DROPS "net_rx_drops" Count Counter, "/proc/net/dev, physical interfaces":
        "Received packets that were dropped, all physical interfaces.",
        "所有物理网卡接收时丢弃的数据包数。",
        "全物理インターフェースで受信時に破棄されたパケット数。";
    NET_TX_BYTES "net_tx_bytes" Bytes Counter, "/proc/net/dev, physical interfaces":
        "Bytes sent, all physical interfaces.", "所有物理网卡的发送字节数。", "全物理インターフェースの送信バイト数。";
    NET_TX_PACKETS "net_tx_packets" Count Counter, "/proc/net/dev, physical interfaces":
        "Packets sent, all physical interfaces.", "所有物理网卡的发送数据包数。", "全物理インターフェースの送信パケット数。";
    NET_TX_ERRORS "net_tx_errors" Count Counter, "/proc/net/dev, physical interfaces":
        "Packets that could not be sent because of errors, all physical interfaces.",
        "所有物理网卡的发送错误数据包数。",
        "全物理インターフェースの送信エラー数。";
    NET_TX_DROPS "net_tx_drops" Count Counter, "/proc/net/dev, physical interfaces":
        "Packets dropped on sending, all physical interfaces.",
        "所有物理网卡发送时丢弃的数据包数。",
        "全物理インターフェースで送信時に破棄されたパケット数。";
    UPTIME_S "uptime_s" Seconds Gauge, "/proc/uptime":
        "Time since the host started.", "宿主机启动后经过的时间。", "ホストの起動からの経過時間。";
    AGENT_CPU_NS "agent_cpu_ns" Nanoseconds Counter, "CLOCK_PROCESS_CPUTIME_ID of the agent":
        "CPU time the agent used, in the all-in-one vmscope with all its parts.",
        "代理程序消耗的 CPU 时间；一体化 vmscope 中含其全部组件。",
        "エージェントが消費した CPU 時間。一体型の vmscope では全構成要素を含む。";
    AGENT_RSS_BYTES "agent_rss_bytes" Bytes Gauge, "/proc/self/statm of the agent":
        "Resident memory of the agent, in the all-in-one vmscope with all its parts.",
        "代理程序的常驻内存；一体化 vmscope 中含其全部组件。",
        "エージェントの常駐メモリー。一体型の vmscope では全構成要素を含む。";
    AGENT_PSS_BYTES "agent_pss_bytes" Bytes Gauge, "/proc/self/smaps_rollup of the agent, every 30 s":
        "Resident memory of the agent, with pages that it shares counted in proportion.",
        "代理程序的常驻内存，共享页按比例分摊。",
        "エージェントの常駐メモリー。共有ページは按分して数える。";
    AGENT_BUFFER_BYTES "agent_buffer_bytes" Bytes Gauge, "agent, its buffer":
        "Samples that wait for delivery on the host's disk.", "在宿主机磁盘上等待发送的样本大小。", "ホストのディスクで送信を待つサンプルのサイズ。";
    AGENT_BUFFER_DISK_BYTES "agent_buffer_disk_bytes" Bytes Gauge, "agent, files of its buffer":
        "Space that the buffer's files take on the host's disk.", "缓冲区文件占用的宿主机磁盘空间。", "バッファーのファイルがホストのディスクで占める容量。";
    AGENT_BUFFER_RECORDS "agent_buffer_records" Count Gauge, "agent, its buffer":
        "Sampling moments that wait for delivery.", "等待发送的采样时刻数。", "送信待ちのサンプリング時点の数。";
    AGENT_LAG_S "agent_lag_s" Seconds Gauge [1000], "agent, its buffer":
        "Age of the oldest sample that is not delivered yet.", "最早的未送达样本的时长。", "まだ届いていない最も古いサンプルの経過時間。";
    AGENT_LOST_TICKS "agent_lost_ticks" Count Counter, "agent, its buffer":
        "Sampling moments that the buffer had to give up.", "缓冲区被迫放弃的采样时刻数。", "バッファーが破棄せざるを得なかったサンプリング時点の数。";
    AGENT_CADENCE_STRETCH "agent_cadence_stretch" Count Gauge, "agent, its sampler":
        "How many times its usual interval the agent leaves between samples of VM memory, disks and processors; 1 unless these take more time than its budget allows.",
        "采集虚拟机内存、磁盘和处理器的实际间隔是正常间隔的几倍；只有耗时超出预算时才大于 1。",
        "VM のメモリー・ディスク・プロセッサーの採取間隔が通常の何倍か。予算を超える時間がかかる場合以外は 1。";
}
