//! The uplink delivers everything, in order, whatever collectors do.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may fail the test"
)]

mod common;

use common::{append, until};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vmscope_agent::buffer::{Buffer, Config};
use vmscope_agent::enrol::Credentials;
use vmscope_agent::metrics::Metrics;
use vmscope_agent::uplink::Uplink;
use vmscope_link::{
    Authority, CloseCode, Control, Identity, IdentityFiles, Limits, Listener, Role, Session, Timing, Validity,
};
use vmscope_model::wire::{self, FrameDecoder, Message};
use vmscope_model::{HostId, Position, Tick};
use vmscope_service::Health;

const HOST: HostId = HostId(Uuid::from_u128(7));

fn identity(authority: &Authority, role: &Role) -> Identity {
    authority
        .issue(role, Validity::days(1))
        .unwrap()
        .identity()
        .unwrap()
}

/// Those of an agent that is never asked to renew them.
fn credentials(authority: &Authority, timing: Timing) -> Credentials {
    let identity = identity(authority, &Role::Agent(HOST));
    let files = IdentityFiles::within("/nonexistent".as_ref());
    Credentials::new(HOST, identity, files, timing, Metrics::default()).unwrap()
}

/// What a small collector does and has seen.
#[derive(Debug, Default)]
struct Desk {
    /// Whether it stores: acknowledges what it has seen.
    stores: bool,
    /// Whether it takes introductions and never answers them.
    mute: bool,
    /// Introductions so far.
    introductions: u32,
    /// What it refuses agents with.
    refuses: Option<&'static str>,
    /// The highest sequence of each epoch that it has committed.
    committed: BTreeMap<u64, u64>,
    /// The numbers in each frame, in the order in which they came.
    frames: Vec<Vec<u64>>,
    sessions: Vec<Control>,
    /// Sends these acknowledgements, once each.
    owed: Vec<Position>,
}

#[derive(Clone)]
struct Collector {
    address: SocketAddr,
    desk: Arc<Mutex<Desk>>,
}

impl Collector {
    fn start(authority: &Authority, desk: Desk) -> Self {
        let role = Role::Collector("test".to_owned());
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::bind(any, &identity(authority, &role), Limits::default()).unwrap();
        let collector = Self {
            address: listener.local_addr().unwrap(),
            desk: Arc::new(Mutex::new(desk)),
        };
        let serving = collector.clone();
        tokio::spawn(async move {
            while let Some(incoming) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move {
                    if let Ok(session) = incoming.establish().await {
                        serving.serve(session).await;
                    }
                });
            }
        });
        collector
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap()
    }

    fn numbers(&self) -> Vec<u64> {
        self.desk().frames.concat()
    }

    async fn serve(&self, mut session: Session) -> Option<()> {
        assert_eq!(session.peer, Role::Agent(HOST));
        let Ok(Some(Message::Hello { columns, .. })) = session.receiver.recv().await else {
            return None;
        };
        self.desk().introductions += 1;
        if self.desk().mute {
            session.control.closed().await;
            return None;
        }
        let refusal = self.desk().refuses;
        if let Some(code) = refusal {
            session.refuse(code, "mend it").await;
            return None;
        }
        let committed = self
            .desk()
            .committed
            .iter()
            .map(|(&epoch, &sequence)| Position { epoch, sequence })
            .collect();
        let welcome = Message::Welcome {
            software: "test".to_owned(),
            clock_us: 0,
            columns: wire::columns(),
            committed,
        };
        session.sender.send(&welcome).await.ok()?;
        self.desk().sessions.push(session.control.clone());
        let mut decoder = FrameDecoder::new(&columns).unwrap();
        let mut look = tokio::time::interval(Duration::from_millis(5));
        loop {
            let message = tokio::select! {
                message = session.receiver.recv() => message.ok()??,
                _ = look.tick() => {
                    let owed = std::mem::take(&mut self.desk().owed);
                    for position in owed {
                        session.sender.send(&Message::Ack(position)).await.ok()?;
                    }
                    continue;
                }
            };
            let Message::Frame(frame) = message else {
                panic!("only frames come: {message:?}")
            };
            assert_eq!(frame.host, HOST);
            let ticks = decoder.decode(&frame).expect("a frame of this session");
            let last = ticks.last().expect("no empty frames").0;
            let stores = {
                let mut desk = self.desk();
                let number = |tick: &Tick| tick.tables[0].values[0].get().unwrap().cast_unsigned();
                desk.frames
                    .push(ticks.iter().map(|(_, tick)| number(tick)).collect());
                if desk.stores {
                    desk.committed.insert(last.epoch, last.sequence);
                }
                desk.stores
            };
            if stores {
                session.sender.send(&Message::Ack(last)).await.ok()?;
            }
        }
    }
}

/// A buffer with an uplink to some collectors.
struct Rig {
    _folder: TempDir,
    buffer: Buffer,
    finished: CancellationToken,
    running: JoinHandle<()>,
}

impl Rig {
    async fn start(authority: &Authority, collectors: &[SocketAddr], backlog: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (buffer, _) = Buffer::open(folder.path(), &Config::default()).unwrap();
        append(&buffer, 1..=backlog).await;
        let finished = CancellationToken::new();
        let timing = Timing {
            handshake_deadline: Duration::from_millis(500),
            ..Timing::default()
        };
        let uplink = Uplink {
            host: HOST,
            collectors: collectors.iter().map(ToString::to_string).collect(),
            credentials: credentials(authority, timing),
            buffer: buffer.clone(),
            metrics: Metrics::default(),
            check: Health::new().check("uplink"),
        };
        let running = tokio::spawn(uplink.run(finished.clone()));
        Self {
            _folder: folder,
            buffer,
            finished,
            running,
        }
    }

    async fn delivered(&self) {
        let status = self.buffer.status();
        until("everything is delivered", || status.borrow().records == 0).await;
    }
}

/// A port where nobody answers.
async fn silent() -> tokio::net::UdpSocket {
    tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap()
}

fn refusing(code: &'static str) -> Desk {
    Desk {
        refuses: Some(code),
        ..storing()
    }
}

fn storing() -> Desk {
    Desk {
        stores: true,
        ..Desk::default()
    }
}

#[tokio::test]
async fn delivers_a_backlog_and_what_comes_after_it_in_order() {
    let authority = Authority::create("test").unwrap();
    let collector = Collector::start(&authority, storing());
    let rig = Rig::start(&authority, &[collector.address], 300).await;
    append(&rig.buffer, 301..=320).await;
    rig.delivered().await;
    assert_eq!(collector.numbers(), (1..=320).collect::<Vec<_>>());
    assert!(
        collector.desk().frames.len() < 40,
        "a backlog goes out in few frames"
    );
}

#[tokio::test]
async fn sends_everything_unacknowledged_again_after_a_lost_session() {
    let authority = Authority::create("test").unwrap();
    let collector = Collector::start(&authority, Desk::default());
    let rig = Rig::start(&authority, &[collector.address], 300).await;
    until("all has been sent once", || collector.numbers().len() == 300).await;
    assert_eq!(rig.buffer.status().borrow().records, 300, "sent is not delivered");
    {
        let mut desk = collector.desk();
        desk.stores = true;
        desk.frames.clear();
        desk.sessions[0].close(CloseCode::Done, "test");
    }
    rig.delivered().await;
    assert_eq!(collector.numbers(), (1..=300).collect::<Vec<_>>());
}

#[tokio::test]
async fn does_not_send_what_the_collector_says_it_has() {
    let authority = Authority::create("test").unwrap();
    let collector = Collector::start(&authority, storing());
    let rig = Rig::start(&authority, &[], 100).await;
    collector.desk().committed.insert(rig.buffer.epoch(), 60);
    let finished = CancellationToken::new();
    let uplink = Uplink {
        host: HOST,
        collectors: vec![collector.address.to_string()],
        credentials: credentials(&authority, Timing::default()),
        buffer: rig.buffer.clone(),
        metrics: Metrics::default(),
        check: Health::new().check("uplink"),
    };
    let running = tokio::spawn(uplink.run(finished.clone()));
    rig.delivered().await;
    assert_eq!(collector.numbers(), (61..=100).collect::<Vec<_>>());
    finished.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn stops_sending_while_the_window_is_full() {
    let authority = Authority::create("test").unwrap();
    let collector = Collector::start(&authority, Desk::default());
    let rig = Rig::start(&authority, &[collector.address], 1).await;
    for number in 1..=64 {
        until("a live tick goes out in a frame of its own", || {
            collector.desk().frames.len() == number
        })
        .await;
        append(&rig.buffer, number as u64 + 1..=number as u64 + 1).await;
    }
    append(&rig.buffer, 66..=80).await;
    collector.desk().owed.push(Position {
        epoch: rig.buffer.epoch(),
        sequence: 1,
    });
    until("an acknowledgement opens the window", || {
        collector.desk().frames.len() == 65
    })
    .await;
    assert_eq!(
        collector.desk().frames[64],
        (65..=80).collect::<Vec<_>>(),
        "what had to wait goes together"
    );
}

#[tokio::test]
async fn goes_on_to_the_next_collector_when_one_is_silent_or_refuses() {
    let authority = Authority::create("test").unwrap();
    let silent = silent().await;
    let refusing = Collector::start(&authority, refusing("revoked"));
    let stranger = Collector::start(&Authority::create("other").unwrap(), storing());
    let good = Collector::start(&authority, storing());
    let addresses = [
        silent.local_addr().unwrap(),
        refusing.address,
        stranger.address,
        good.address,
    ];
    let rig = Rig::start(&authority, &addresses, 10).await;
    rig.delivered().await;
    assert_eq!(good.numbers(), (1..=10).collect::<Vec<_>>());
    assert!(refusing.numbers().is_empty() && stranger.numbers().is_empty());
}

#[tokio::test]
async fn leaves_a_collector_that_does_not_welcome_it() {
    let authority = Authority::create("test").unwrap();
    let mute = Collector::start(
        &authority,
        Desk {
            mute: true,
            ..Desk::default()
        },
    );
    let good = Collector::start(&authority, storing());
    let rig = Rig::start(&authority, &[mute.address, good.address], 10).await;
    until("the first one is introduced", || mute.desk().introductions == 1).await;
    assert_eq!(good.desk().introductions, 0, "never two at the same time");
    rig.delivered().await;
    assert_eq!(good.numbers(), (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn stays_with_the_collector_that_serves() {
    let authority = Authority::create("test").unwrap();
    let preferred = Collector::start(&authority, refusing("too_many_sessions"));
    let second = Collector::start(&authority, storing());
    let rig = Rig::start(&authority, &[preferred.address, second.address], 10).await;
    rig.delivered().await;
    preferred.desk().refuses = None;
    second.desk().sessions[0].close(CloseCode::Done, "test");
    append(&rig.buffer, 11..=20).await;
    rig.delivered().await;
    assert_eq!(second.numbers(), (1..=20).collect::<Vec<_>>());
    assert_eq!(preferred.desk().introductions, 1);
}

#[tokio::test]
async fn comes_again_soon_when_nobody_has_to_mend_anything() {
    let authority = Authority::create("test").unwrap();
    for code in ["too_many_sessions", "replaced"] {
        let collector = Collector::start(&authority, refusing(code));
        let rig = Rig::start(&authority, &[collector.address], 10).await;
        until("a second introduction", || collector.desk().introductions > 1).await;
        collector.desk().refuses = None;
        rig.delivered().await;
    }
}

#[tokio::test]
async fn delivers_the_rest_before_it_stops() {
    let authority = Authority::create("test").unwrap();
    let collector = Collector::start(&authority, storing());
    let rig = Rig::start(&authority, &[collector.address], 200).await;
    until("it has begun", || !collector.desk().frames.is_empty()).await;
    append(&rig.buffer, 201..=210).await;
    rig.finished.cancel();
    rig.running.await.unwrap();
    assert_eq!(collector.numbers(), (1..=210).collect::<Vec<_>>());
}

#[tokio::test]
async fn stops_at_once_without_a_collector() {
    let authority = Authority::create("test").unwrap();
    let silent = silent().await;
    let rig = Rig::start(&authority, &[silent.local_addr().unwrap()], 3).await;
    rig.finished.cancel();
    rig.running.await.unwrap();
    assert_eq!(rig.buffer.status().borrow().records, 3, "the buffer keeps them");
}
