//! One network interface of a VM, or of a host. Directions are those of the owner: what a VM receives is `rx`.

use super::catalogue;

catalogue! {
    RX_BYTES "rx_bytes" Bytes Counter, "libvirt net.N.rx.bytes; /proc/net/dev":
        "Bytes received.", "接收字节数。", "受信バイト数。";
    RX_PACKETS "rx_packets" Count Counter, "libvirt net.N.rx.pkts; /proc/net/dev":
        "Packets received.", "接收数据包数。", "受信パケット数。";
    RX_ERRORS "rx_errors" Count Counter, "libvirt net.N.rx.errs; /proc/net/dev":
        "Packets received with errors.", "接收错误数据包数。", "受信エラーのパケット数。";
    RX_DROPS "rx_drops" Count Counter, "libvirt net.N.rx.drop; /proc/net/dev":
        "Received packets that were dropped.", "接收时丢弃的数据包数。", "受信時に破棄されたパケット数。";
    TX_BYTES "tx_bytes" Bytes Counter, "libvirt net.N.tx.bytes; /proc/net/dev":
        "Bytes sent.", "发送字节数。", "送信バイト数。";
    TX_PACKETS "tx_packets" Count Counter, "libvirt net.N.tx.pkts; /proc/net/dev":
        "Packets sent.", "发送数据包数。", "送信パケット数。";
    TX_ERRORS "tx_errors" Count Counter, "libvirt net.N.tx.errs; /proc/net/dev":
        "Packets that could not be sent because of errors.", "发送错误数据包数。", "送信エラーのパケット数。";
    TX_DROPS "tx_drops" Count Counter, "libvirt net.N.tx.drop; /proc/net/dev":
        "Packets dropped on sending.", "发送时丢弃的数据包数。", "送信時に破棄されたパケット数。";
}
