//! Whoever breaks a rule is refused with the cause, and the listener lives on.
#![expect(clippy::expect_used, reason = "a helper of tests fails by panicking")]

mod common;

use common::{Door, Raw, agent, collector, expired, identity, issue, message, soon, web};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use vmscope_link::role::Kind;
use vmscope_link::{Authority, Cause, CloseCode, Dialer, Error, Identity, Limits, Session, Timing};
use vmscope_model::wire::MAX_MESSAGE_BYTES;

const ALPN: &[u8] = b"vmscope/1";

/// Connects as `identity` and gives what the dialler sees in the end.
async fn dial(identity: &Identity, address: SocketAddr) -> Error {
    let dialer = Dialer::new(identity).expect("a dialer");
    match soon(dialer.connect(address)).await {
        Err(error) => error,
        Ok(mut session) => soon(session.receiver.recv()).await.expect_err("no session"),
    }
}

fn short_deadline() -> Limits {
    let handshake_deadline = Duration::from_millis(300);
    Limits {
        timing: Timing {
            handshake_deadline,
            ..Timing::default()
        },
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_client_without_a_certificate() {
    let mut door = Door::open(Limits::default());
    let raw = Raw::new(door.authority.certificate_pem(), None, ALPN);
    // The client's side may be done before the listener has judged.
    let _connection = raw.connect(door.address).await;
    assert_eq!(door.refusal().await.cause, Cause::NoCertificate);
    door.lives_on().await;
}

#[tokio::test]
async fn an_agent_of_another_authority() {
    let mut door = Door::open(Limits::default());
    let other = Authority::create("other").expect("an authority");
    let mut issued = issue(&other, &agent());
    door.authority.certificate_pem().clone_into(&mut issued.ca_pem);
    let error = dial(&issued.identity().expect("usable"), door.address).await;
    assert!(
        matches!(error, Error::Rejected(Cause::UnknownAuthority)),
        "{error:?}"
    );
    assert_eq!(door.refusal().await.cause, Cause::UnknownAuthority);
    door.lives_on().await;
}

#[tokio::test]
async fn a_collector_of_another_authority() {
    let mut door = Door::open(Limits::default());
    let other = Authority::create("other").expect("an authority");
    let error = dial(&identity(&other, &agent()), door.address).await;
    assert!(
        matches!(
            error,
            Error::Connect {
                cause: Cause::UnknownAuthority,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(door.refusal().await.cause, Cause::ClosedByPeer);
    door.lives_on().await;
}

#[tokio::test]
async fn an_expired_agent() {
    let mut door = Door::open(Limits::default());
    let issued = door.authority.issue(&agent(), expired()).expect("signed");
    let error = dial(&issued.identity().expect("usable"), door.address).await;
    assert!(matches!(error, Error::Rejected(Cause::Expired)), "{error:?}");
    assert_eq!(door.refusal().await.cause, Cause::Expired);
    door.lives_on().await;
}

#[tokio::test]
async fn an_expired_collector() {
    let authority = Authority::create("test").expect("an authority");
    let issued = authority.issue(&collector(), expired()).expect("signed");
    let door = Door::open_as(authority, &issued.identity().expect("usable"), Limits::default());
    let error = dial(&identity(&door.authority, &agent()), door.address).await;
    assert!(
        matches!(
            error,
            Error::Connect {
                cause: Cause::Expired,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_agent_posing_as_a_collector() {
    let authority = Authority::create("test").expect("an authority");
    let posing = identity(&authority, &agent());
    let mut door = Door::open_as(authority, &posing, Limits::default());
    let error = dial(&identity(&door.authority, &agent()), door.address).await;
    assert!(
        matches!(
            error,
            Error::Connect {
                cause: Cause::WrongRole,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(door.refusal().await.cause, Cause::ClosedByPeer);
}

#[tokio::test]
async fn a_collector_posing_as_an_agent() {
    let mut door = Door::open(Limits::default());
    let error = dial(&identity(&door.authority, &collector()), door.address).await;
    assert!(matches!(error, Error::Rejected(Cause::WrongRole)), "{error:?}");
    assert_eq!(door.refusal().await.cause, Cause::WrongRole);
    door.lives_on().await;
}

#[tokio::test]
async fn a_web_server_where_agents_belong() {
    let mut door = Door::open(Limits {
        admits: vec![Kind::Agent],
        ..Limits::default()
    });
    let error = dial(&identity(&door.authority, &web()), door.address).await;
    assert!(
        matches!(error, Error::Closed { code, .. } if code == CloseCode::WrongRole as u64),
        "{error:?}"
    );
    assert_eq!(door.refusal().await.cause, Cause::WrongRole);
    door.lives_on().await;
}

#[tokio::test]
async fn a_certificate_without_a_role() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::init(directory.path(), "test").expect("an authority");
    let key = std::fs::read_to_string(directory.path().join("ca.key")).expect("a key");
    let key = rcgen::KeyPair::from_pem(&key).expect("PEM");
    let issuer = rcgen::Issuer::from_ca_cert_pem(authority.certificate_pem(), key).expect("an issuer");
    let mut params = rcgen::CertificateParams::new(vec!["agent.example".to_owned()]).expect("a name");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut nameless = issue(&authority, &agent());
    nameless.certificate_pem = params.signed_by(&key, &issuer).expect("signed").pem();
    nameless.key_pem = key.serialize_pem();
    let serving = identity(&authority, &collector());
    let mut door = Door::open_as(authority, &serving, Limits::default());
    let raw = Raw::new(door.authority.certificate_pem(), Some(&nameless), ALPN);
    let connection = raw.connect(door.address).await.expect("TLS itself is content");
    assert_eq!(door.refusal().await.cause, Cause::BadCertificate);
    soon(connection.closed()).await;
    door.lives_on().await;
}

#[tokio::test]
async fn another_protocol() {
    let mut door = Door::open(Limits::default());
    let issued = issue(&door.authority, &agent());
    let raw = Raw::new(door.authority.certificate_pem(), Some(&issued), b"h3");
    raw.connect(door.address).await.expect_err("not spoken here");
    assert_eq!(door.refusal().await.cause, Cause::Protocol);
    door.lives_on().await;
}

#[tokio::test]
async fn a_client_that_opens_no_stream() {
    let mut door = Door::open(short_deadline());
    let issued = issue(&door.authority, &agent());
    let raw = Raw::new(door.authority.certificate_pem(), Some(&issued), ALPN);
    let connection = raw.connect(door.address).await.expect("connected");
    assert_eq!(door.refusal().await.cause, Cause::NoStream);
    soon(connection.closed()).await;
}

#[tokio::test]
async fn a_client_that_falls_silent_in_the_handshake() {
    let mut door = Door::open(short_deadline());
    let relay = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let relay_address = relay.local_addr().expect("an address");
    let dialer = Dialer::new(&identity(&door.authority, &agent())).expect("a dialer");
    let dialling = tokio::spawn(async move { dialer.connect(relay_address).await.map(drop) });
    let mut datagram = [0; 2048];
    let length = soon(relay.recv(&mut datagram))
        .await
        .expect("the client's first datagram");
    relay
        .send_to(&datagram[..length], door.address)
        .await
        .expect("passed on");
    assert_eq!(door.refusal().await.cause, Cause::HandshakeTimeout);
    dialling.abort();
}

#[tokio::test]
async fn more_handshakes_than_allowed() {
    let authority = Authority::create("test").expect("an authority");
    let limits = Limits {
        handshakes: 4,
        ..Limits::default()
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let door =
        vmscope_link::Listener::bind(address, &identity(&authority, &collector()), limits).expect("bound");
    let address = door.local_addr().expect("an address");
    let issued = identity(&authority, &agent());
    let dial_in_background = || {
        let issued = issued.clone();
        tokio::spawn(async move { dial(&issued, address).await })
    };
    let mut held = Vec::new();
    let mut diallers = Vec::new();
    // The last ones have to prove their address before they are handed out.
    for _ in 0..4 {
        diallers.push(dial_in_background());
        held.push(soon(door.accept()).await.expect("open"));
    }
    diallers.push(dial_in_background());
    let fifth = soon(door.accept()).await.expect("open");
    let refused = soon(fifth.establish()).await.expect_err("too many");
    assert_eq!(refused.cause, Cause::Overloaded);
    let error = soon(diallers.pop().expect("the fifth")).await.expect("an answer");
    assert!(
        matches!(
            error,
            Error::Connect {
                cause: Cause::ClosedByPeer,
                ..
            }
        ),
        "{error:?}"
    );
    drop(held);
    for dialler in diallers {
        soon(dialler)
            .await
            .expect("refused as well, because it was dropped");
    }
}

#[tokio::test]
async fn more_connections_than_allowed() {
    let mut door = Door::open(Limits {
        connections: 1,
        ..Limits::default()
    });
    let (_dialer, near, far) = door.pair().await;
    let error = dial(&identity(&door.authority, &web()), door.address).await;
    assert!(
        matches!(
            error,
            Error::Connect {
                cause: Cause::ClosedByPeer,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(door.refusal().await.cause, Cause::TooManyConnections);
    drop((near, far));
}

/// A session whose peer has sent `bytes` and ended its stream.
async fn after(door: &mut Door, bytes: &[u8]) -> Session {
    let issued = issue(&door.authority, &agent());
    let raw = Raw::new(door.authority.certificate_pem(), Some(&issued), ALPN);
    let connection = raw.connect(door.address).await.expect("connected");
    let (mut send, _receive) = connection.open_bi().await.expect("a stream");
    send.write_all(bytes).await.expect("written");
    send.finish().expect("finished");
    let session = door.session().await;
    // The connection lives until the session has read everything: the client waits for the acknowledgement.
    soon(send.stopped()).await.expect("taken");
    session
}

#[tokio::test]
async fn a_length_beyond_the_limit() {
    let mut door = Door::open(Limits::default());
    for length in [u32::try_from(MAX_MESSAGE_BYTES).expect("fits") + 1, u32::MAX] {
        let mut session = after(&mut door, &length.to_le_bytes()).await;
        let error = soon(session.receiver.recv()).await.expect_err("oversized");
        assert!(
            matches!(error, Error::Oversized { bytes } if bytes == length as usize),
            "{error:?}"
        );
    }
    door.lives_on().await;
}

#[tokio::test]
async fn a_message_that_is_cut_off() {
    let mut door = Door::open(Limits::default());
    let body = vmscope_model::wire::encode(&message(1)).expect("encoded");
    let mut bytes = u32::try_from(body.len()).expect("short").to_le_bytes().to_vec();
    bytes.extend_from_slice(&body);
    for cut in [1, 3, 4, bytes.len() - 1] {
        let mut session = after(&mut door, &bytes[..cut]).await;
        let error = soon(session.receiver.recv()).await.expect_err("cut off");
        assert!(matches!(error, Error::Truncated), "{cut}: {error:?}");
    }
    door.lives_on().await;
}

#[tokio::test]
async fn bytes_that_are_no_message() {
    let mut door = Door::open(Limits::default());
    let mut random = SmallRng::seed_from_u64(1);
    for round in 0..20 {
        let mut bytes = vec![0; random.random_range(0..2000)];
        random.fill(&mut bytes[..]);
        let mut framed = u32::try_from(bytes.len()).expect("short").to_le_bytes().to_vec();
        framed.append(&mut bytes);
        let mut session = after(&mut door, &framed).await;
        let error = soon(session.receiver.recv()).await.expect_err("no message");
        assert!(matches!(error, Error::Decode(_)), "round {round}: {error:?}");
    }
    door.lives_on().await;
}

#[tokio::test]
async fn datagrams_that_are_no_quic() {
    let mut door = Door::open(Limits::default());
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let mut random = SmallRng::seed_from_u64(2);
    let mut datagram = [0; 1400];
    for round in 0..3000 {
        let length = random.random_range(0..datagram.len());
        random.fill(&mut datagram[..length]);
        if round % 3 == 0 {
            // The looks of a first packet of QUIC version 1.
            datagram[..5].copy_from_slice(&[0xc3, 0, 0, 0, 1]);
        }
        socket
            .send_to(&datagram[..length], door.address)
            .await
            .expect("sent");
    }
    door.lives_on().await;
}

#[test]
fn every_cause_has_its_own_name() {
    let names: std::collections::BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.name()).collect();
    assert_eq!(names.len(), Cause::ALL.len());
}
