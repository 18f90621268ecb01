//! One disk of a VM, one block device of a host, or one file system of a host.

use super::catalogue;

catalogue! {
    READ_REQUESTS "read_requests" Count Counter, "libvirt block.N.rd.reqs; /proc/diskstats":
        "Read requests completed.", "完成的读请求数。", "完了した読み取り要求数。";
    READ_BYTES "read_bytes" Bytes Counter, "libvirt block.N.rd.bytes; /proc/diskstats":
        "Bytes read.", "读取字节数。", "読み取りバイト数。";
    READ_NS "read_ns" Nanoseconds Counter, "libvirt block.N.rd.times; /proc/diskstats":
        "Time spent on read requests, summed over requests.", "所有读请求的累计耗时。", "全読み取り要求の処理時間の合計。";
    WRITE_REQUESTS "write_requests" Count Counter, "libvirt block.N.wr.reqs; /proc/diskstats":
        "Write requests completed.", "完成的写请求数。", "完了した書き込み要求数。";
    WRITE_BYTES "write_bytes" Bytes Counter, "libvirt block.N.wr.bytes; /proc/diskstats":
        "Bytes written.", "写入字节数。", "書き込みバイト数。";
    WRITE_NS "write_ns" Nanoseconds Counter, "libvirt block.N.wr.times; /proc/diskstats":
        "Time spent on write requests, summed over requests.", "所有写请求的累计耗时。", "全書き込み要求の処理時間の合計。";
    FLUSH_REQUESTS "flush_requests" Count Counter, "libvirt block.N.fl.reqs; /proc/diskstats":
        "Flush requests completed.", "完成的刷盘请求数。", "完了したフラッシュ要求数。";
    FLUSH_NS "flush_ns" Nanoseconds Counter, "libvirt block.N.fl.times; /proc/diskstats":
        "Time spent on flush requests, summed over requests.", "所有刷盘请求的累计耗时。", "全フラッシュ要求の処理時間の合計。";
    ERRORS "errors" Count Counter, "libvirt block.N.errors":
        "Requests that failed.", "失败的请求数。", "失敗した要求数。";
    ALLOCATION_BYTES "allocation_bytes" Bytes Gauge, "libvirt block.N.allocation; statvfs used":
        "Highest offset written in the image; space used on a file system.",
        "镜像中已写入的最高偏移；文件系统则为已用空间。",
        "イメージに書き込まれた最大オフセット。ファイルシステムでは使用容量。";
    CAPACITY_BYTES "capacity_bytes" Bytes Gauge, "libvirt block.N.capacity; /sys/block/*/size; statvfs total":
        "Size that the owner of the disk sees.", "所有者看到的磁盘容量。", "所有者から見えるディスク容量。";
    PHYSICAL_BYTES "physical_bytes" Bytes Gauge, "libvirt block.N.physical":
        "Size of the image on the host's storage.", "镜像在宿主机存储上占用的大小。", "ホストのストレージ上のイメージサイズ。";
}
