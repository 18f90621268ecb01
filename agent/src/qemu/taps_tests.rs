use super::*;
use proptest::prelude::*;
use std::fs;
use uuid::Uuid;

const VM: VmId = VmId(Uuid::from_u128(1));

/// `vnet1` as the kernel wrote it, with other numbers for what it received and transmitted.
fn net_dev(received: i64, transmitted: i64) -> String {
    format!(
        "Inter-|   Receive                            |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n vnet1:{received}      96    1    2    0     0          0         0   {transmitted}    4537    3    4    0     0       0          0\n"
    )
}

struct Host {
    root: tempfile::TempDir,
    taps: Taps,
}

impl Host {
    fn new(marker: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/1/net")).unwrap();
        fs::create_dir_all(root.path().join("sys/class/net/vnet1")).unwrap();
        fs::write(root.path().join("sys/class/net/vnet1").join(marker), "0x1002\n").unwrap();
        let taps = Taps::new(root.path());
        Self { root, taps }
    }

    fn read(&mut self, received: i64, transmitted: i64) {
        fs::write(
            self.root.path().join("proc/1/net/dev"),
            net_dev(received, transmitted),
        )
        .unwrap();
        self.taps.read();
    }

    /// libvirt says what the guest received and sent.
    fn learn(&mut self, rx_bytes: i64, tx_bytes: i64) {
        let row = [rx_bytes, 4537, 3, 4, tx_bytes, 96, 1, 2].map(Value::new);
        self.taps.learn(VM, [("vnet1", &row[..])].into_iter());
    }

    fn bytes(&self) -> Option<(i64, i64)> {
        let totals: HashMap<usize, Value> = self.taps.totals(VM)?.collect();
        Some((totals[&vm::NET_RX_BYTES].get()?, totals[&vm::NET_TX_BYTES].get()?))
    }
}

#[test]
fn a_guest_receives_what_its_tap_transmits() {
    let mut host = Host::new("tun_flags");
    host.read(5_000, 270_000);
    host.learn(270_100, 5_000);
    assert_eq!(host.bytes(), None, "not compared yet");
    host.read(5_100, 270_200);
    host.learn(270_150, 5_050);
    assert_eq!(host.bytes(), Some((270_200, 5_100)));
    host.read(6_000, 300_000);
    assert_eq!(host.bytes(), Some((300_000, 6_000)));
}

#[test]
fn a_macvtap_is_counted_from_the_guests_side() {
    let mut host = Host::new("macvtap");
    let row = [270_000, 96, 1, 2, 5_000, 4537, 3, 4].map(Value::new);
    for _ in 0..2 {
        host.read(270_000, 5_000);
        host.taps.learn(VM, [("vnet1", &row[..])].into_iter());
    }
    assert_eq!(host.bytes(), Some((270_000, 5_000)));
}

#[test]
fn what_libvirt_says_otherwise_is_left_to_libvirt() {
    let mut host = Host::new("tun_flags");
    for said in [7, 999_999] {
        for _ in 0..3 {
            host.read(5_000, 270_000);
            host.learn(said, 5_000);
        }
        assert_eq!(host.bytes(), None);
    }
    host.read(5_000, 270_000);
    host.learn(270_000, 5_000);
    assert!(host.bytes().is_some());
}

#[test]
fn other_devices_are_left_to_libvirt() {
    let mut host = Host::new("address");
    for _ in 0..2 {
        host.read(5_000, 270_000);
        host.learn(270_000, 5_000);
    }
    assert_eq!(host.bytes(), None);
}

#[test]
fn an_interface_that_is_gone_or_of_which_libvirt_says_half_has_no_total() {
    let mut host = Host::new("tun_flags");
    for _ in 0..2 {
        host.read(5_000, 270_000);
        host.learn(270_000, 5_000);
    }
    fs::write(host.root.path().join("proc/1/net/dev"), "").unwrap();
    host.taps.read();
    assert_eq!(host.bytes(), None);
    let mut row = [Value::ABSENT; nic::METRICS.len()];
    host.taps.learn(VM, [("user", &row[..])].into_iter());
    assert!(host.taps.totals(VM).is_some(), "libvirt counts nothing there");
    row[nic::RX_BYTES] = Value::new(1);
    host.taps.learn(VM, [("vhost", &row[..])].into_iter());
    assert!(host.taps.totals(VM).is_none());
}

#[test]
fn a_vm_that_is_gone_is_forgotten_with_its_interfaces() {
    let mut host = Host::new("tun_flags");
    host.learn(270_000, 5_000);
    host.taps.retain(|_| false);
    assert!(host.taps.devices.is_empty() && host.taps.totals(VM).is_none());
}

proptest! {
    #[test]
    fn any_line_can_be_read(line in proptest::collection::vec(any::<u8>(), 0..120)) {
        interface(&line);
    }
}
