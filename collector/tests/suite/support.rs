//! A collector over a throwaway database, and peers that speak to it the way real ones do.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use uuid::Uuid;
use vmscope_collector::{Collector, Config, config};
use vmscope_link::{Authority, Dialer, IdentityFiles, Role, Session, Validity};
use vmscope_model::wire::{self, FrameEncoder, Message};
use vmscope_model::{Entity, HostId, Kind, Position, Record, Table, Tick, Value, VmId, catalogue};
use vmscope_service::{Ending, Lifecycle, Secret, telemetry};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// VMs on each host of these tests.
pub(crate) const VMS: u32 = 3;

/// When tick 0 was taken: 2026-11-22 00:00 UTC, in microseconds.
pub(crate) const BEGIN_US: i64 = 1_795_305_600_000_000;

/// A collector that runs.
pub(crate) struct Site {
    pub(crate) collector: Collector,
    pub(crate) authority: Arc<Authority>,
    lifecycle: Lifecycle,
}

impl Site {
    /// Starts a collector over the database at `url`.
    pub(crate) async fn start(url: &str) -> Self {
        Self::start_with(url, |_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn start_with(url: &str, set: impl FnOnce(&mut Config)) -> Self {
        let authority = Arc::new(Authority::create("test").expect("an authority"));
        Self::start_as("test", authority, url, set).await
    }

    /// A collector that signs certificates with the authority in `dir`.
    pub(crate) async fn start_with_authority(url: &str, dir: &Path) -> Self {
        let authority = Arc::new(Authority::open(dir).expect("an authority"));
        let signs = config::Authority::new(dir.to_owned());
        Self::start_as("test", authority, url, |config| config.authority = Some(signs)).await
    }

    /// A collector called `name`, with a certificate of `authority`.
    pub(crate) async fn start_as(
        name: &str,
        authority: Arc<Authority>,
        url: &str,
        set: impl FnOnce(&mut Config),
    ) -> Self {
        let role = Role::Collector(name.to_owned());
        let identity = authority
            .issue(&role, Validity::default())
            .expect("signed")
            .identity()
            .expect("usable");
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config {
            listen: loopback,
            admin: loopback,
            identity: IdentityFiles::within("unused".as_ref()),
            authority: None,
            database: config::Database::new(Secret::new(url.to_owned())),
            vault: vmscope_vault::Config::default(),
            retention: config::Retention::default(),
            storage: vmscope_storage::Config::default(),
            exports: config::Exports::default(),
            limits: config::Limits::default(),
            inventory: config::Inventory::default(),
            telemetry: telemetry::Config::default(),
        };
        set(&mut config);
        let lifecycle = Lifecycle::new();
        let collector = vmscope_collector::start(&config, &identity, &lifecycle)
            .await
            .expect("started");
        Self {
            collector,
            authority,
            lifecycle,
        }
    }

    /// Stops the collector as a signal would.
    pub(crate) async fn stop(self) {
        assert_eq!(self.lifecycle.shutdown().await, Ending::Clean);
    }

    /// Opens a session.
    pub(crate) async fn dial(&self, role: &Role) -> Peer {
        Peer::dial(&self.authority, self.collector.address, role).await
    }

    /// Opens an agent's session and waits for its welcome.
    ///
    /// The host's clock stands at [`BEGIN_US`], so that its ticks are live.
    pub(crate) async fn agent(&self, host: HostId) -> Agent {
        self.agent_at(host, BEGIN_US).await
    }

    /// The same with a clock that stands at `clock_us`.
    pub(crate) async fn agent_at(&self, host: HostId, clock_us: i64) -> Agent {
        let mut peer = self.dial(&Role::Agent(host)).await;
        let committed = peer.hello(clock_us).await;
        Agent {
            peer,
            host,
            encoder: FrameEncoder::new(host),
            committed,
        }
    }

    /// Opens a web server's session and waits for its welcome.
    pub(crate) async fn web(&self) -> Peer {
        let mut peer = self.dial(&Role::Web("test".to_owned())).await;
        peer.hello(BEGIN_US).await;
        peer
    }

    /// What the admin endpoint says of `path`.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.collector.admin)
            .await
            .expect("the admin endpoint");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    /// The value of one line of `/metrics`, 0 when there is none.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").await;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.trim().parse().expect("a number"))
    }

    /// How many times a peer was refused for `cause`.
    pub(crate) async fn refused(&self, cause: &str) -> u64 {
        self.metric(&format!("vmscope_collector_refused_total{{cause=\"{cause}\"}}"))
            .await
    }

    /// Waits until `/readyz` answers with `status`.
    pub(crate) async fn ready(&self, status: u16) {
        until("readiness", async || {
            self.get("/readyz").await.contains(&format!(" {status} "))
        })
        .await;
    }
}

/// Awaits a condition.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let patience = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, patience)
        .await
        .unwrap_or_else(|_| panic!("no {what} in {PATIENCE:?}"));
}

/// One end of a session with the collector.
pub(crate) struct Peer {
    pub(crate) session: Session,
    // Ends its connections when dropped.
    _dialer: Dialer,
}

impl Peer {
    pub(crate) async fn dial(authority: &Authority, address: SocketAddr, role: &Role) -> Self {
        let identity = authority
            .issue(role, Validity::default())
            .expect("signed")
            .identity()
            .expect("usable");
        let dialer = Dialer::new(&identity).expect("a dialer");
        let session = dialer.connect(address).await.expect("a collector");
        Self {
            session,
            _dialer: dialer,
        }
    }

    pub(crate) async fn send(&mut self, message: &Message) {
        timeout(PATIENCE, self.session.sender.send(message))
            .await
            .expect("in time")
            .expect("sent");
    }

    /// Whether a collector turns a peer with a certificate of `authority` for `role` away before its hello.
    pub(crate) async fn is_turned_away(authority: &Authority, address: SocketAddr, role: &Role) -> bool {
        let identity = authority
            .issue(role, Validity::default())
            .expect("signed")
            .identity()
            .expect("usable");
        let dialer = Dialer::new(&identity).expect("a dialer");
        let Ok(mut session) = dialer.connect(address).await else {
            return true;
        };
        // TLS 1.3 lets the client finish first: the collector's verdict comes with the first answer.
        session
            .sender
            .send(&Message::Subscribe { hosts: None })
            .await
            .is_err()
            || timeout(PATIENCE, session.receiver.recv())
                .await
                .expect("in time")
                .is_err()
    }

    /// The next message.
    pub(crate) async fn receive(&mut self) -> Message {
        let message = timeout(PATIENCE, self.session.receiver.recv())
            .await
            .expect("in time");
        message.expect("a message").expect("no end")
    }

    /// Says hello at `clock_us` and gives what the collector says is committed.
    pub(crate) async fn hello(&mut self, clock_us: i64) -> Vec<Position> {
        self.greet(clock_us).await;
        match self.receive().await {
            Message::Welcome { committed, .. } => committed,
            other => panic!("{other:?} instead of a welcome"),
        }
    }

    /// Says hello at `clock_us`.
    pub(crate) async fn greet(&mut self, clock_us: i64) {
        let hello = Message::Hello {
            software: "test".to_owned(),
            clock_us,
            columns: wire::columns(),
        };
        self.send(&hello).await;
    }

    /// The code by which the collector refuses the session; acknowledgements before it are passed over.
    pub(crate) async fn refusal(&mut self) -> String {
        loop {
            match self.receive().await {
                Message::Refuse { code, advice } => {
                    assert!(!advice.is_empty());
                    return code;
                }
                Message::Ack(_) => {}
                other => panic!("{other:?} instead of a refusal"),
            }
        }
    }
}

/// A number for a setting.
pub(crate) const fn number(value: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(value - 1)
}

/// An agent in an open session.
pub(crate) struct Agent {
    pub(crate) peer: Peer,
    pub(crate) committed: Vec<Position>,
    host: HostId,
    encoder: FrameEncoder,
}

impl Agent {
    /// Sends the ticks of an epoch in one frame.
    pub(crate) async fn send(&mut self, epoch: u64, sequences: RangeInclusive<u64>) {
        let records: Vec<_> = sequences
            .map(|sequence| (Position { epoch, sequence }, record(self.host, sequence)))
            .collect();
        self.send_records(&records).await;
    }

    pub(crate) async fn send_records(&mut self, records: &[(Position, Record)]) {
        let frame = self.encoder.encode(records).expect("encoded");
        self.peer.send(&Message::Frame(frame)).await;
    }

    /// Waits until everything up to a position is acknowledged.
    pub(crate) async fn acknowledged(&mut self, epoch: u64, sequence: u64) {
        loop {
            match self.peer.receive().await {
                Message::Ack(position) if position == (Position { epoch, sequence }) => return,
                Message::Ack(position) => {
                    assert!(
                        position < Position { epoch, sequence },
                        "{position:?} was not sent"
                    );
                }
                other => panic!("{other:?} instead of an acknowledgement"),
            }
        }
    }

    /// Takes acknowledgements until the collector ends the session; gives the last sequence.
    pub(crate) async fn drain(&mut self) -> u64 {
        let mut last = 0;
        while let Ok(Some(message)) = timeout(PATIENCE, self.peer.session.receiver.recv())
            .await
            .expect("in time")
        {
            let Message::Ack(position) = message else {
                panic!("{message:?}")
            };
            last = position.sequence;
        }
        last
    }
}

/// A database on the server of `flavor`.
pub(crate) async fn database(flavor: Flavor) -> Database {
    Database::create(flavor).await.expect("a test server")
}

/// What is in the sample tables.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Rows of hosts.
    pub(crate) hosts: i64,
    /// Rows of VMs.
    pub(crate) vms: i64,
    /// Rows of VMs that differ in VM or time.
    pub(crate) distinct: i64,
    /// Sum of the VMs' CPU times.
    pub(crate) cpu_time_sum: i64,
}

pub(crate) async fn stored(database: &Database) -> Stored {
    let client = database.client().await.expect("connected");
    let query = "SELECT (SELECT count(*) FROM host_sample), count(*), count(DISTINCT (entity_id, time)),
        coalesce(sum(cpu_time_ns), 0)::int8 FROM vm_sample";
    let row = client.query_one(query, &[]).await.expect("counted");
    Stored {
        hosts: row.get(0),
        vms: row.get(1),
        distinct: row.get(2),
        cpu_time_sum: row.get(3),
    }
}

pub(crate) fn host(number: u128) -> HostId {
    HostId(Uuid::from_u128(number))
}

/// The VMs of a host.
pub(crate) fn vms(host: HostId) -> impl Iterator<Item = VmId> {
    (1..=VMS).map(move |number| VmId(Uuid::from_u128(host.0.as_u128() * 1000 + u128::from(number))))
}

/// What the agent of `host` found at its tick `sequence`, one second after the one before: a row of the host and one of
/// each VM, with values that say which they are.
pub(crate) fn record(host: HostId, sequence: u64) -> Record {
    let number = i64::try_from(sequence).expect("a small number");
    let dictionary: Vec<Entity> = std::iter::once(Entity::Host)
        .chain(vms(host).map(Entity::Vm))
        .collect();
    let mut hosts = Table::new(Kind::Host);
    hosts.push(0)[catalogue::host::UPTIME_S] = Value::new(number);
    let mut guests = Table::new(Kind::Vm);
    for vm in 1..dictionary.len() {
        let row = guests.push(u32::try_from(vm).expect("a few"));
        row[catalogue::vm::STATE] = Value::new(1);
        row[catalogue::vm::CPU_TIME_NS] = Value::new(number * 10 + i64::try_from(vm).expect("a few"));
    }
    let time_us = BEGIN_US + number * 1_000_000;
    Record {
        dictionary,
        tick: Tick {
            time_us,
            tables: vec![hosts, guests],
            ..Tick::default()
        },
    }
}
