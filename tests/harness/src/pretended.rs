//! Hosts that only the test plays: many in one process, each with virtual machines that all show the same number.
//!
//! A host says it every [`TICK`], and at once when it changes. What a collector does not take is dropped, and the next session begins
//! a new epoch: the newest is what counts here, not every tick.

use crate::site::Site;
use anyhow::{Context, ensure};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;
use vmscope_link::{Dialer, Identity, Session};
use vmscope_model::catalogue::{host, vm};
use vmscope_model::wire::{self, FrameEncoder, Message};
use vmscope_model::{Entity, HostId, Kind, Position, Table, Tick, Value, VmId};

/// Between two ticks.
const TICK: Duration = Duration::from_secs(3);
/// Between two attempts to reach the collector.
const PAUSE: Duration = Duration::from_millis(300);
/// Ticks that the collector has not stored: when there are more, the host waits for it.
const WINDOW: u64 = 64;

/// Hosts at work, until they are dropped.
#[derive(Debug)]
pub struct Pretended {
    /// The virtual machines of each host.
    pub hosts: Vec<(HostId, Vec<VmId>)>,
    number: watch::Sender<i64>,
    tasks: JoinSet<Infallible>,
}

impl Pretended {
    /// Starts `hosts` hosts with `vms` virtual machines each, which show the number 1.
    ///
    /// # Errors
    /// When a certificate can't be made.
    pub fn start(site: &Site, hosts: usize, vms: usize) -> anyhow::Result<Self> {
        let (number, shown) = watch::channel(1);
        let mut pretended = Self {
            hosts: Vec::new(),
            number,
            tasks: JoinSet::new(),
        };
        for _ in 0..hosts {
            let id = HostId(Uuid::new_v4());
            let machines: Vec<VmId> = (0..vms).map(|_| VmId(Uuid::new_v4())).collect();
            let host = Host {
                id,
                vms: machines.clone(),
                identity: Arc::new(site.agent_identity(id)?),
                collector: site.collector_address,
                shown: shown.clone(),
            };
            pretended.tasks.spawn(host.run());
            pretended.hosts.push((id, machines));
        }
        Ok(pretended)
    }

    /// From now on every virtual machine shows this number as its `memory_used_bytes`.
    pub fn show(&self, number: i64) {
        self.number.send_replace(number);
    }
}

struct Host {
    id: HostId,
    vms: Vec<VmId>,
    identity: Arc<Identity>,
    collector: SocketAddr,
    shown: watch::Receiver<i64>,
}

impl Host {
    async fn run(mut self) -> Infallible {
        loop {
            // Whatever it was, the collector is dialled again.
            let Err(_) = self.attempt().await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn attempt(&mut self) -> anyhow::Result<Infallible> {
        // Holds the socket for as long as the session lives.
        let dialer = Dialer::new(&self.identity)?;
        let session = dialer.connect(self.collector).await?;
        let Session {
            mut sender,
            mut receiver,
            ..
        } = session;
        let hello = Message::Hello {
            software: "test".to_owned(),
            clock_us: wall_us()?,
            columns: wire::columns(),
        };
        sender.send(&hello).await?;
        let welcome = receiver.recv().await?;
        ensure!(matches!(welcome, Some(Message::Welcome { .. })), "{welcome:?}");
        let (mut encoder, epoch) = (FrameEncoder::new(self.id), u64::try_from(wall_us()?)?);
        let (mut sent, mut stored) = (0, 0);
        let mut ticks = tokio::time::interval(TICK);
        loop {
            let due = tokio::select! {
                changed = self.shown.changed() => changed.map(|()| true)?,
                _ = ticks.tick() => true,
                message = receiver.recv() => match message?.context("the collector ended the session")? {
                    Message::Ack(position) => {
                        stored = position.sequence;
                        false
                    }
                    other => anyhow::bail!("{other:?}"),
                },
            };
            if due && sent - stored < WINDOW {
                sent += 1;
                let frame = self.frame(
                    &mut encoder,
                    Position {
                        epoch,
                        sequence: sent,
                    },
                )?;
                sender.send(&Message::Frame(frame)).await?;
            }
        }
    }

    fn frame(&self, encoder: &mut FrameEncoder, position: Position) -> anyhow::Result<wire::Frame> {
        let (mut hosts, mut vms) = (Table::new(Kind::Host), Table::new(Kind::Vm));
        hosts.push(0)[host::LOAD_1M] = Value::new(1_000);
        let shown = *self.shown.borrow();
        for number in (1..).take(self.vms.len()) {
            let row = vms.push(number);
            row[vm::STATE] = Value::new(1);
            row[vm::MEMORY_USED_BYTES] = Value::new(shown);
        }
        let tick = Tick {
            time_us: wall_us()?,
            tables: vec![hosts, vms],
            ..Tick::default()
        };
        let mut dictionary = vec![Entity::Host];
        dictionary.extend(self.vms.iter().copied().map(Entity::Vm));
        Ok(encoder.encode_ticks(&dictionary, &[(position, &tick)])?)
    }
}

fn wall_us() -> anyhow::Result<i64> {
    Ok(i64::try_from(
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros(),
    )?)
}
