//! A real collector's end of the link, and sockets as browsers have.

use crate::support::{Server, authority, identity};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Text;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;
use vmscope_link::{Authority, Limits, Listener, Role, Session};
use vmscope_model::catalogue::{host, vm};
use vmscope_model::wire::{self, FrameEncoder, Message};
use vmscope_model::{Entity, HostId, Kind, Position, Table, Tick, Value, VmId};
use vmscope_store::Flavor;
use vmscope_store::testing::Database;

pub(super) const DEADLINE: Duration = Duration::from_secs(20);
pub(super) const HOST: HostId = HostId(Uuid::from_u128(0xa1));
pub(super) const VM: VmId = VmId(Uuid::from_u128(0xb1));
pub(super) const T0_MS: i64 = 1_700_000_000_000;

/// The collector's end: accepts, greets, and then does what the test says.
pub(super) struct Collector {
    listener: Listener,
    authority: Authority,
}

impl Collector {
    pub(super) fn new() -> Self {
        let authority = authority();
        let own = identity(&authority, &Role::Collector("test".to_owned()));
        let listener =
            Listener::bind(([127, 0, 0, 1], 0).into(), &own, Limits::default()).expect("a listener");
        Self { listener, authority }
    }

    pub(super) async fn web(&self, database: &Database) -> Server {
        let address = self.listener.local_addr().expect("an address").to_string();
        let identity = identity(&self.authority, &Role::Web("test".to_owned()));
        let mut server = Server::start(database.url(), vec![address], &identity).await;
        server.log_in_root(database.url()).await;
        server
    }

    pub(super) async fn session(&self) -> Session {
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
pub(super) struct Feed {
    session: Session,
    encoder: FrameEncoder,
    sequence: u64,
}

impl Feed {
    pub(super) fn new(session: Session) -> Self {
        Self {
            session,
            encoder: FrameEncoder::new(HOST),
            sequence: 0,
        }
    }

    pub(super) async fn send(&mut self, time_ms: i64, cpu_time_ns: i64) {
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

pub(super) async fn database() -> Database {
    Database::create(Flavor::Postgres).await.expect("a database")
}

/// Asks for a socket as whoever is logged in, from a page of `origin`.
pub(super) fn request(server: &Server, origin: Option<&str>) -> Request {
    request_by(server, server.token.as_deref().unwrap_or_default(), origin)
}

/// Asks for a socket as whoever has this token, from a page of `origin`.
pub(super) fn request_by(server: &Server, token: &str, origin: Option<&str>) -> Request {
    let mut request = format!("ws://{}/api/v1/live", server.address)
        .into_client_request()
        .expect("a request");
    let headers = request.headers_mut();
    let bearer = format!("Bearer {token}");
    headers.insert("Authorization", bearer.parse().expect("a header"));
    if let Some(origin) = origin {
        headers.insert("Origin", origin.parse().expect("a header"));
    }
    request
}

pub(super) struct Browser(pub(super) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Browser {
    pub(super) async fn open(server: &Server) -> Self {
        let (socket, _) = connect_async(request(server, None)).await.expect("a socket");
        Self(socket)
    }

    /// As whoever has this token.
    pub(super) async fn open_by(server: &Server, token: &str) -> Self {
        let request = request_by(server, token, None);
        let (socket, _) = connect_async(request).await.expect("a socket");
        Self(socket)
    }

    pub(super) async fn say(&mut self, text: &str) {
        self.0.send(Text::text(text)).await.expect("sent");
    }

    /// The next message that is no ping.
    pub(super) async fn hear(&mut self) -> Json {
        let next = async {
            loop {
                if let Text::Text(text) = self.0.next().await.expect("open").expect("a message") {
                    let message: Json = serde_json::from_str(&text).expect("JSON");
                    if message["type"] != "ping" {
                        return message;
                    }
                }
            }
        };
        tokio::time::timeout(DEADLINE, next)
            .await
            .expect("an answer in time")
    }

    /// The next message of this type; others are passed over.
    pub(super) async fn hear_of(&mut self, kind: &str) -> Json {
        loop {
            let message = self.hear().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Waits for the feed to be as said; it may have been so from the beginning.
    pub(super) async fn feed(&mut self, connected: bool) {
        while self.hear_of("feed").await["connected"] != json!(connected) {}
    }

    /// Subscribes; gives the snapshot.
    pub(super) async fn subscribe(&mut self, entities: &[String]) -> Json {
        self.say(&json!({"type": "subscribe", "entities": entities}).to_string())
            .await;
        assert_eq!(
            self.hear().await,
            json!({"type": "subscribed", "entities": entities})
        );
        self.snapshot().await
    }

    /// Subscribes to one more, or one again; gives the snapshot.
    pub(super) async fn subscribe_again(&mut self, entity: &str) -> Json {
        self.say(&json!({"type": "subscribe", "entities": [entity]}).to_string())
            .await;
        self.snapshot().await
    }

    /// The samples of the next snapshot, which is whole.
    pub(super) async fn snapshot(&mut self) -> Json {
        let mut snapshot = self.hear_of("snapshot").await;
        assert_eq!(snapshot["complete"], json!(true), "{snapshot}");
        snapshot["samples"].take()
    }

    /// Waits for the end, which the server announces; says why.
    pub(super) async fn end(&mut self) -> String {
        let end = async {
            loop {
                if let Text::Close(frame) = self.0.next().await.expect("open").expect("a message") {
                    return frame.expect("a reason").reason.to_string();
                }
            }
        };
        tokio::time::timeout(DEADLINE, end).await.expect("an end in time")
    }
}
