//! A UDP relay that can be cut or made bad: a network's faults for one pair of programs, where the kernel can't make them.
//!
//! Every client address gets its own socket towards the target, so that QUIC sees one path for each connection, and a client
//! that changes its address changes it for the target, too. While the relay is cut, datagrams in both directions are
//! dropped, which is what a partition looks like from both ends.

use crate::netns::Namespace;
use crate::wire::Wire;
use rand::RngExt;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// The largest datagram that loopback carries.
const DATAGRAM_BYTES: usize = 65_536;

/// A running relay; it ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    /// Where clients send to.
    pub address: SocketAddr,
    path: Arc<Path>,
    _tasks: JoinSet<()>,
}

/// What the two directions share.
#[derive(Debug)]
struct Path {
    space: Option<Namespace>,
    target: SocketAddr,
    wire: Mutex<Option<Wire>>,
    lost: AtomicU64,
    late: AtomicU64,
}

/// One direction.
#[derive(Debug)]
struct Lane {
    path: Arc<Path>,
    /// When a slow path has sent what it has.
    busy_until: Instant,
}

impl Relay {
    /// Starts a relay from a free loopback port to `target`.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub async fn start(target: SocketAddr) -> std::io::Result<Self> {
        Self::between((Ipv4Addr::LOCALHOST, 0).into(), target, None).await
    }

    /// Starts a relay from `front` to `target`, both in `space`.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub async fn between(
        front: SocketAddr,
        target: SocketAddr,
        space: Option<Namespace>,
    ) -> std::io::Result<Self> {
        let path = Arc::new(Path {
            space,
            target,
            wire: Mutex::new(None),
            lost: AtomicU64::new(0),
            late: AtomicU64::new(0),
        });
        let front = Arc::new(path.bind(front).await?);
        let address = front.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(forward(front, Arc::clone(&path)));
        Ok(Self {
            address,
            path,
            _tasks: tasks,
        })
    }

    /// Cuts or mends the path.
    pub fn set_cut(&self, cut: bool) {
        self.set(cut.then_some(Wire::Dead));
    }

    /// Makes the path bad, or good again.
    pub fn set(&self, wire: Option<Wire>) {
        *self.path.wire.lock().unwrap_or_else(PoisonError::into_inner) = wire;
    }

    /// Datagrams lost and datagrams delayed, so far.
    pub fn harmed(&self) -> (u64, u64) {
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (count(&self.path.lost), count(&self.path.late))
    }
}

impl Path {
    async fn bind(&self, address: SocketAddr) -> std::io::Result<UdpSocket> {
        match &self.space {
            None => UdpSocket::bind(address).await,
            Some(space) => UdpSocket::from_std(space.bind(address)?),
        }
    }
}

impl Lane {
    fn new(path: Arc<Path>) -> Self {
        Self {
            path,
            busy_until: Instant::now(),
        }
    }

    /// By how much a datagram is late; `None` when it is lost.
    fn pass(&mut self, bytes: usize) -> Option<Duration> {
        let wire = *self.path.wire.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(wire) = wire else {
            return Some(Duration::ZERO);
        };
        let now = Instant::now();
        let backlog = self.busy_until.saturating_duration_since(now);
        let late = wire.pass(bytes, rand::rng().random_range(0..100), backlog);
        match late {
            None => _ = self.path.lost.fetch_add(1, Ordering::Relaxed),
            Some(late) if !late.is_zero() => {
                self.path.late.fetch_add(1, Ordering::Relaxed);
                if matches!(wire, Wire::Rate { .. }) {
                    self.busy_until = now + late;
                }
            }
            Some(_) => {}
        }
        late
    }
}

async fn forward(front: Arc<UdpSocket>, path: Arc<Path>) {
    let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut lane = Lane::new(Arc::clone(&path));
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        // An unreachable peer shows as an error on the next receive of an unconnected socket: not ours to handle.
        let Ok((length, client)) = front.recv_from(&mut buffer).await else {
            continue;
        };
        if let std::collections::hash_map::Entry::Vacant(entry) = backs.entry(client) {
            let any = SocketAddr::new(path.target.ip(), 0);
            let Ok(back) = path.bind(any).await else {
                continue;
            };
            let back = Arc::new(back);
            let lane = Lane::new(Arc::clone(&path));
            tasks.spawn(answer(Arc::clone(&back), Arc::clone(&front), client, lane));
            entry.insert(back);
        }
        if let Some(back) = backs.get(&client)
            && let Some(late) = lane.pass(length)
        {
            send(&mut tasks, back, &buffer[..length], path.target, late).await;
        }
    }
}

async fn answer(back: Arc<UdpSocket>, front: Arc<UdpSocket>, client: SocketAddr, mut lane: Lane) {
    let mut tasks = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let Ok(length) = back.recv(&mut buffer).await else {
            continue;
        };
        if let Some(late) = lane.pass(length) {
            send(&mut tasks, &front, &buffer[..length], client, late).await;
        }
    }
}

/// Sends at once what is not late, so that it stays in order.
async fn send(
    tasks: &mut JoinSet<()>,
    socket: &Arc<UdpSocket>,
    bytes: &[u8],
    to: SocketAddr,
    late: Duration,
) {
    while tasks.try_join_next().is_some() {}
    if late.is_zero() {
        let _dropped_like_any_datagram = socket.send_to(bytes, to).await;
        return;
    }
    let (socket, bytes) = (Arc::clone(socket), bytes.to_vec());
    tasks.spawn(async move {
        tokio::time::sleep(late).await;
        let _dropped_like_any_datagram = socket.send_to(&bytes, to).await;
    });
}
