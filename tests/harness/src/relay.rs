//! A UDP relay on loopback that can be cut: a network partition for one pair of programs.
//!
//! Every client address gets its own socket towards the target, so that QUIC sees one path for each connection. While the
//! relay is cut, datagrams in both directions are dropped, which is what a partition looks like from both ends.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// The largest datagram that loopback carries.
const DATAGRAM_BYTES: usize = 65_536;

/// A running relay; it ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    /// Where clients send to.
    pub address: SocketAddr,
    cut: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// Starts a relay from a free loopback port to `target`.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub async fn start(target: SocketAddr) -> std::io::Result<Self> {
        let front = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        let address = front.local_addr()?;
        let cut = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        tasks.spawn(forward(front, target, Arc::clone(&cut)));
        Ok(Self {
            address,
            cut,
            _tasks: tasks,
        })
    }

    /// Cuts or mends the path.
    pub fn set_cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }
}

async fn forward(front: Arc<UdpSocket>, target: SocketAddr, cut: Arc<AtomicBool>) {
    let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        // An unreachable peer shows as an error on the next receive of an unconnected socket: not ours to handle.
        let Ok((length, client)) = front.recv_from(&mut buffer).await else {
            continue;
        };
        if let std::collections::hash_map::Entry::Vacant(entry) = backs.entry(client) {
            let Ok(back) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await else {
                continue;
            };
            let back = Arc::new(back);
            tasks.spawn(answer(
                Arc::clone(&back),
                Arc::clone(&front),
                client,
                Arc::clone(&cut),
            ));
            entry.insert(back);
        }
        if let Some(back) = backs.get(&client).filter(|_| !cut.load(Ordering::SeqCst)) {
            let _dropped_like_any_datagram = back.send_to(&buffer[..length], target).await;
        }
    }
}

async fn answer(back: Arc<UdpSocket>, front: Arc<UdpSocket>, client: SocketAddr, cut: Arc<AtomicBool>) {
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let Ok(length) = back.recv(&mut buffer).await else {
            continue;
        };
        if !cut.load(Ordering::SeqCst) {
            let _dropped_like_any_datagram = front.send_to(&buffer[..length], client).await;
        }
    }
}
