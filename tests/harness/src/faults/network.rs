//! The network under test: each agent's host is a network namespace with a link to a bridge in the centre's, where the
//! collectors listen.
//!
//! Links are made bad by `tc netem` at both ends. A kernel without it gets the same from relays in the centre's namespace,
//! which agents then dial; partitions by taking a link down, and changes of address, are the kernel's in both cases.

use crate::netns::Namespace;
use crate::relay::Relay;
use crate::wire::Wire;
use std::net::{Ipv4Addr, SocketAddr};

/// The collectors' host.
const CENTRE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// Where relays begin to listen.
const RELAY_PORT: u16 = 9_000;
/// Host parts of addresses that an agent's host takes in turn.
const HOST_PARTS: u8 = 200;

/// All of it; removed when dropped.
#[derive(Debug)]
pub(super) struct Network {
    centre: Namespace,
    links: Vec<Link>,
    has_netem: bool,
}

/// What an agent's host is attached with.
#[derive(Debug)]
struct Link {
    space: Namespace,
    number: u8,
    host_part: u8,
    /// One for each collector, where the kernel has no netem.
    relays: Vec<Relay>,
}

impl Network {
    /// A bridge with nobody on it.
    pub(super) fn create() -> anyhow::Result<Self> {
        let centre = Namespace::create("centre")?;
        centre.ip("link add bridge type bridge")?;
        centre.ip(&format!("address add {CENTRE}/16 dev bridge"))?;
        centre.ip("link set bridge up")?;
        let has_netem = centre.tc("qdisc add dev lo root netem delay 0ms").is_ok();
        if has_netem {
            centre.tc("qdisc del dev lo root")?;
        }
        Ok(Self {
            centre,
            links: Vec::new(),
            has_netem,
        })
    }

    /// What makes links bad here.
    pub(super) fn describe(&self) -> String {
        let (lost, late) = self
            .links
            .iter()
            .flat_map(|link| &link.relays)
            .map(Relay::harmed)
            .fold((0, 0), |sum, (lost, late)| (sum.0 + lost, sum.1 + late));
        if self.has_netem {
            "tc netem".to_owned()
        } else {
            format!("relays, for this kernel has no netem: {lost} datagrams lost, {late} delayed")
        }
    }

    /// The collectors' namespace.
    pub(super) const fn centre(&self) -> &Namespace {
        &self.centre
    }

    /// Where the collector with this number listens.
    pub(super) fn collector(number: u16) -> SocketAddr {
        (CENTRE, 8_785 + number).into()
    }

    /// One more host on the bridge.
    pub(super) async fn add_host(&mut self, collectors: u16) -> anyhow::Result<()> {
        let number = u8::try_from(self.links.len())? + 1;
        let space = Namespace::create(&format!("host{number}"))?;
        let port = format!("port{number}");
        let peer = space.name();
        self.centre
            .ip(&format!("link add {port} type veth peer name eth0 netns {peer}"))?;
        self.centre.ip(&format!("link set {port} master bridge up"))?;
        let mut link = Link {
            space,
            number,
            host_part: 1,
            relays: Vec::new(),
        };
        link.space.ip("link set eth0 up")?;
        link.space
            .ip(&format!("address add {} dev eth0", link.address()))?;
        for collector in (0..collectors).filter(|_| !self.has_netem) {
            let front = (CENTRE, RELAY_PORT + u16::from(number) * collectors + collector);
            let target = Self::collector(collector);
            let relay = Relay::between(front.into(), target, Some(self.centre.clone())).await?;
            link.relays.push(relay);
        }
        self.links.push(link);
        Ok(())
    }

    /// What a program's command line begins with to run on a host.
    pub(super) fn enter(&self, host: usize) -> Vec<String> {
        self.links[host].space.enter()
    }

    /// Where a host's agent dials.
    pub(super) fn collectors(&self, host: usize, collectors: u16) -> Vec<SocketAddr> {
        let relays = &self.links[host].relays;
        if relays.is_empty() {
            (0..collectors).map(Self::collector).collect()
        } else {
            relays.iter().map(|relay| relay.address).collect()
        }
    }

    /// Makes a host's link bad, or good again.
    pub(super) fn set(&self, host: usize, wire: Option<Wire>) -> anyhow::Result<()> {
        let link = &self.links[host];
        for relay in &link.relays {
            relay.set(wire);
        }
        if self.has_netem {
            set_netem(&link.space, "eth0", wire)?;
            set_netem(&self.centre, &format!("port{}", link.number), wire)?;
        }
        Ok(())
    }

    /// Pulls a host's plug, or puts it back.
    pub(super) fn set_plugged(&self, host: usize, plugged: bool) -> anyhow::Result<()> {
        let state = if plugged { "up" } else { "down" };
        let number = self.links[host].number;
        self.centre.ip(&format!("link set port{number} {state}"))
    }

    /// Gives a host another address.
    pub(super) fn change_address(&mut self, host: usize) -> anyhow::Result<()> {
        let link = &mut self.links[host];
        let old = link.address();
        link.host_part = link.host_part % HOST_PARTS + 1;
        // The old one first: it would take the new one with it.
        link.space.ip(&format!("address del {old} dev eth0"))?;
        link.space.ip(&format!("address add {} dev eth0", link.address()))
    }
}

fn set_netem(space: &Namespace, device: &str, wire: Option<Wire>) -> anyhow::Result<()> {
    // There may be none, which is as good. A replaced one would keep what the new one does not name.
    let _ = space.tc(&format!("qdisc del dev {device} root"));
    wire.map_or(Ok(()), |wire| {
        space.tc(&format!("qdisc add dev {device} root netem {}", wire.netem()))
    })
}

impl Link {
    fn address(&self) -> String {
        format!("10.77.{}.{}/16", self.number, self.host_part)
    }
}
