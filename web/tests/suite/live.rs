//! Live samples: a real collector's end of the link on one side, real browsers' sockets on the other.

use crate::support::{Server, authority, identity};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{self, Message as Text};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;
use vmscope_link::{Authority, CloseCode, Limits, Listener, Role, Session};
use vmscope_model::catalogue::{host, vm};
use vmscope_model::wire::{self, FrameEncoder, Message};
use vmscope_model::{Entity, HostId, Kind, Position, Table, Tick, Value, VmId};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

const DEADLINE: Duration = Duration::from_secs(20);
const HOST: HostId = HostId(Uuid::from_u128(0xa1));
const VM: VmId = VmId(Uuid::from_u128(0xb1));
const T0_MS: i64 = 1_700_000_000_000;

/// The collector's end: accepts, greets, and then does what the test says.
struct Collector {
    listener: Listener,
    authority: Authority,
}

impl Collector {
    fn new() -> Self {
        let authority = authority();
        let own = identity(&authority, &Role::Collector("test".to_owned()));
        let listener =
            Listener::bind(([127, 0, 0, 1], 0).into(), &own, Limits::default()).expect("a listener");
        Self { listener, authority }
    }

    async fn web(&self, database: &Database) -> Server {
        let address = self.listener.local_addr().expect("an address").to_string();
        let identity = identity(&self.authority, &Role::Web("test".to_owned()));
        let mut server = Server::start(database.url(), vec![address], &identity).await;
        server.log_in_root(database.url()).await;
        server
    }

    async fn session(&self) -> Session {
        let session = async {
            let incoming = self.listener.accept().await.expect("a connection");
            let mut session = incoming.establish().await.expect("a session");
            assert_eq!(session.peer, Role::Web("test".to_owned()));
            let hello = session.receiver.recv().await.expect("a message");
            assert!(matches!(hello, Some(Message::Hello { .. })), "{hello:?}");
            let welcome = Message::Welcome {
                software: "test".to_owned(),
                clock_us: 0,
                columns: wire::columns(),
                committed: Vec::new(),
            };
            session.sender.send(&welcome).await.expect("sent");
            let subscribe = session.receiver.recv().await.expect("a message");
            assert_eq!(subscribe, Some(Message::Subscribe { hosts: None }));
            session
        };
        tokio::time::timeout(DEADLINE, session)
            .await
            .expect("a session in time")
    }
}

/// Sends ticks of one host as a collector's feed does.
struct Feed {
    session: Session,
    encoder: FrameEncoder,
    sequence: u64,
}

impl Feed {
    fn new(session: Session) -> Self {
        Self {
            session,
            encoder: FrameEncoder::new(HOST),
            sequence: 0,
        }
    }

    async fn send(&mut self, time_ms: i64, cpu_time_ns: i64) {
        let (mut hosts, mut vms) = (Table::new(Kind::Host), Table::new(Kind::Vm));
        hosts.push(0)[host::LOAD_1M] = Value::new(2500);
        let row = vms.push(1);
        row[vm::STATE] = Value::new(1);
        row[vm::CPU_TIME_NS] = Value::new(cpu_time_ns);
        let tick = Tick {
            time_us: time_ms * 1000,
            tables: vec![hosts, vms],
            ..Tick::default()
        };
        self.sequence += 1;
        let position = Position {
            epoch: 1,
            sequence: self.sequence,
        };
        let dictionary = [Entity::Host, Entity::Vm(VM)];
        let frame = self
            .encoder
            .encode_ticks(&dictionary, &[(position, &tick)])
            .expect("a frame");
        self.session
            .sender
            .send(&Message::Frame(frame))
            .await
            .expect("sent");
    }
}

async fn database() -> Database {
    Database::create(Flavor::Postgres).await.expect("a database")
}

/// Asks for a socket as whoever is logged in, from a page of `origin`.
fn request(server: &Server, origin: Option<&str>) -> Request {
    let mut request = format!("ws://{}/api/v1/live", server.address)
        .into_client_request()
        .expect("a request");
    let headers = request.headers_mut();
    let bearer = format!("Bearer {}", server.token.as_deref().unwrap_or_default());
    headers.insert("Authorization", bearer.parse().expect("a header"));
    if let Some(origin) = origin {
        headers.insert("Origin", origin.parse().expect("a header"));
    }
    request
}

struct Browser(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Browser {
    async fn open(server: &Server) -> Self {
        let (socket, _) = connect_async(request(server, None)).await.expect("a socket");
        Self(socket)
    }

    async fn say(&mut self, text: &str) {
        self.0.send(Text::text(text)).await.expect("sent");
    }

    async fn hear(&mut self) -> Json {
        let next = async {
            loop {
                if let Text::Text(text) = self.0.next().await.expect("open").expect("a message") {
                    return serde_json::from_str(&text).expect("JSON");
                }
            }
        };
        tokio::time::timeout(DEADLINE, next)
            .await
            .expect("an answer in time")
    }

    /// Waits for the feed to be as said; it may have been so from the beginning.
    async fn feed(&mut self, connected: bool) {
        while self.hear().await != json!({"type": "feed", "connected": connected}) {}
    }

    async fn subscribe(&mut self, entities: &[String]) {
        self.say(&json!({"type": "subscribe", "entities": entities}).to_string())
            .await;
        assert_eq!(
            self.hear().await,
            json!({"type": "subscribed", "entities": entities})
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_come_as_rates_to_who_asked_for_them() {
    let (database, collector) = (database().await, Collector::new());
    let server = collector.web(&database).await;
    let mut feed = Feed::new(collector.session().await);
    let (mut browser, mut other) = (Browser::open(&server).await, Browser::open(&server).await);
    browser.feed(true).await;
    other.feed(true).await;
    browser.subscribe(&[format!("vm:{VM}")]).await;
    other.subscribe(&[format!("host:{HOST}")]).await;

    feed.send(T0_MS, 1_000_000_000).await;
    let first =
        json!({"type": "sample", "entity": format!("vm:{VM}"), "time": T0_MS, "values": {"state": 1.0}});
    assert_eq!(browser.hear().await, first);
    let host = json!({"type": "sample", "entity": format!("host:{HOST}"), "time": T0_MS, "values": {"load_1m": 2.5}});
    assert_eq!(other.hear().await, host);

    feed.send(T0_MS + 500, 1_250_000_000).await;
    let second = browser.hear().await;
    assert_eq!(
        (&second["time"], &second["values"]),
        (&json!(T0_MS + 500), &json!({"state": 1.0, "cpu_time_ns": 0.5}))
    );

    browser
        .say(&json!({"type": "unsubscribe", "entities": [format!("vm:{VM}")]}).to_string())
        .await;
    assert_eq!(
        browser.hear().await,
        json!({"type": "subscribed", "entities": []})
    );
    feed.send(T0_MS + 1000, 1_500_000_000).await;
    assert_eq!(other.hear().await["time"], json!(T0_MS + 500));
    assert_eq!(other.hear().await["time"], json!(T0_MS + 1000));
    browser.say(r#"{"type":"ping"}"#).await;
    assert_eq!(browser.hear().await, json!({"type": "pong"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_collector_is_told_and_dialled_again() {
    let (database, collector) = (database().await, Collector::new());
    let server = collector.web(&database).await;
    let first = collector.session().await;
    let mut browser = Browser::open(&server).await;
    browser.feed(true).await;
    browser.subscribe(&[format!("vm:{VM}")]).await;
    first.close(CloseCode::Done, "restart");
    browser.feed(false).await;
    let mut feed = Feed::new(collector.session().await);
    browser.feed(true).await;
    feed.send(T0_MS, 1).await;
    assert_eq!(browser.hear().await["entity"], json!(format!("vm:{VM}")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_can_not_be_read_costs_the_session_only() {
    let (database, collector) = (database().await, Collector::new());
    let server = collector.web(&database).await;
    let mut session = collector.session().await;
    let mut browser = Browser::open(&server).await;
    browser.feed(true).await;
    let garbage = wire::Frame {
        host: HOST,
        body: vec![0xff; 100],
    };
    session.sender.send(&Message::Frame(garbage)).await.expect("sent");
    browser.feed(false).await;
    let _again = collector.session().await;
    browser.feed(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_answered_and_the_connection_stays() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let mut browser = Browser::open(&server).await;
    browser.feed(false).await;
    let many: Vec<_> = (0..1001)
        .map(|id| format!("vm:{}", Uuid::from_u128(id)))
        .collect();
    for nonsense in [
        "{".to_owned(),
        "[]".to_owned(),
        json!({"type": "dance"}).to_string(),
        json!({"type": "subscribe"}).to_string(),
        json!({"type": "subscribe", "entities": ["disk:1"]}).to_string(),
        json!({"type": "subscribe", "entities": ["vm:1"]}).to_string(),
        json!({"type": "subscribe", "entities": [], "more": 1}).to_string(),
        json!({"type": "subscribe", "entities": many}).to_string(),
    ] {
        browser.say(&nonsense).await;
        let answer = browser.hear().await;
        assert_eq!(
            (&answer["type"], &answer["code"]),
            (&json!("error"), &json!(40001)),
            "{nonsense}: {answer}"
        );
    }
    browser.0.send(Text::binary(vec![1, 2])).await.expect("sent");
    assert_eq!(browser.hear().await["code"], json!(40000));
    browser.say(r#"{"type":"ping"}"#).await;
    assert_eq!(browser.hear().await, json!({"type": "pong"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_sites_get_no_socket() {
    let database = database().await;
    let server = Server::over(database.url()).await;
    let open = async |origin: &str| connect_async(request(&server, Some(origin))).await.map(|_| ());
    let Err(tungstenite::Error::Http(refused)) = open("http://evil.example").await else {
        panic!("another site was let in")
    };
    assert_eq!(refused.status().as_u16(), 403);
    open(&format!("http://{}", server.address))
        .await
        .expect("the own page");
    assert_eq!(server.get("/api/v1/live").await.status, 400);
}
