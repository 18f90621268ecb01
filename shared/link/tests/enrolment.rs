//! Hosts without a certificate, on the port where everyone else shows one.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of tests fails by panicking"
)]

mod common;

use common::{Raw, agent, collector, expired, identity, issue, message, soon};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use vmscope_link::{
    Arrival, Authority, Cause, Dialer, Error, Fingerprint, Identity, Limits, Listener, Refused, Timing,
    enrolment,
};
use vmscope_model::wire::Message;

/// A collector's door that is open to hosts without a certificate.
struct Desk {
    authority: Authority,
    listener: Arc<Listener>,
    address: SocketAddr,
    arrivals: mpsc::Receiver<Result<Arrival, Refused>>,
}

impl Desk {
    fn open() -> Self {
        let authority = Authority::create("test").expect("an authority");
        let serving = identity(&authority, &collector());
        Self::open_as(authority, &serving)
    }

    fn open_as(authority: Authority, serving: &Identity) -> Self {
        let limits = Limits {
            enrolment: true,
            timing: Timing {
                handshake_deadline: Duration::from_secs(2),
                ..Timing::default()
            },
            ..Limits::default()
        };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Arc::new(Listener::bind(any, serving, limits).expect("bound"));
        let (sender, arrivals) = mpsc::channel(64);
        let accepting = Arc::clone(&listener);
        tokio::spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move { sender.send(incoming.receive().await).await });
            }
        });
        Self {
            authority,
            address: listener.local_addr().expect("an address"),
            listener,
            arrivals,
        }
    }

    fn pin(&self) -> Fingerprint {
        self.authority.roots()[0]
    }

    async fn arrival(&mut self) -> Result<Arrival, Refused> {
        soon(self.arrivals.recv()).await.expect("an arrival")
    }

    /// A host asks with `pin`; the request is answered with itself.
    async fn ask(&mut self, pin: Fingerprint) -> Result<Message, Error> {
        let address = self.address;
        let asking =
            tokio::spawn(
                async move { soon(enrolment::ask(address, pin, Timing::default(), &message(7))).await },
            );
        if let Ok(Arrival::Enrolment(mut enrolment)) = self.arrival().await {
            let request = soon(enrolment.request())
                .await
                .expect("received")
                .expect("a request");
            enrolment.answer(&request).await;
        }
        asking.await.expect("asked")
    }

    /// An agent with a certificate has its session.
    async fn serves_sessions(&mut self) {
        let dialer = Dialer::new(&identity(&self.authority, &agent())).expect("a dialer");
        let mut near = soon(dialer.connect(self.address)).await.expect("connected");
        near.sender.send(&message(1)).await.expect("sent");
        let Ok(Arrival::Session(far)) = self.arrival().await else {
            panic!("no session")
        };
        assert_eq!(far.peer, agent());
    }
}

#[tokio::test]
async fn a_host_without_a_certificate_asks_and_is_answered() {
    let mut desk = Desk::open();
    let pin = desk.pin();
    assert_eq!(desk.ask(pin).await.expect("an answer"), message(7));
    desk.serves_sessions().await;
    assert_eq!(desk.ask(pin).await.expect("an answer"), message(7));
}

#[tokio::test]
async fn a_refusal_arrives_with_its_code() {
    let mut desk = Desk::open();
    let (address, pin) = (desk.address, desk.pin());
    let asking =
        tokio::spawn(async move { soon(enrolment::ask(address, pin, Timing::default(), &message(7))).await });
    let Ok(Arrival::Enrolment(enrolment)) = desk.arrival().await else {
        panic!("no enrolment")
    };
    enrolment.refuse("used_up_token", "ask for another").await;
    let answer = asking.await.expect("asked").expect("an answer");
    assert!(matches!(answer, Message::Refuse { code, .. } if code == "used_up_token"));
}

#[tokio::test]
async fn a_wrong_pin_ends_it_before_anything_is_sent() {
    let mut desk = Desk::open();
    let root = desk.pin();
    let error = desk
        .ask(Fingerprint::of(b"another"))
        .await
        .expect_err("not this one");
    assert!(
        matches!(&error, Error::WrongPin { shown, .. } if *shown == [root]),
        "{error:?}"
    );
    desk.serves_sessions().await;
}

/// The pinned root is shown, and has not signed the certificate of whoever shows it.
#[tokio::test]
async fn showing_the_pinned_root_is_not_enough() {
    let genuine = Authority::create("test").expect("an authority");
    let forger = Authority::create("test").expect("an authority");
    let mut issued = issue(&forger, &collector());
    genuine.certificate_pem().clone_into(&mut issued.ca_pem);
    let mut desk = Desk::open_as(genuine, &issued.identity().expect("usable"));
    let pin = desk.pin();
    let error = desk.ask(pin).await.expect_err("a forger");
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
}

#[tokio::test]
async fn a_collector_is_checked_as_in_sessions() {
    let authority = Authority::create("test").expect("an authority");
    let old = authority.issue(&collector(), expired()).expect("signed");
    let posing = issue(&authority, &agent());
    for (issued, expected) in [(old, Cause::Expired), (posing, Cause::WrongRole)] {
        let mut desk = Desk::open_as(
            Authority::create("unused").expect("an authority"),
            &issued.identity().expect("usable"),
        );
        let error = desk.ask(authority.roots()[0]).await.expect_err("no collector");
        assert!(
            matches!(error, Error::Connect { cause, .. } if cause == expected),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn sessions_still_need_a_certificate() {
    let mut desk = Desk::open();
    for (protocol, cause) in [
        (&b"vmscope/1"[..], Cause::NoCertificate),
        (b"h3", Cause::Protocol),
    ] {
        let raw = Raw::new(desk.authority.certificate_pem(), None, protocol);
        let _connection = raw.connect(desk.address).await;
        let refused = desk.arrival().await.expect_err("refused");
        assert_eq!(refused.cause, cause);
    }
    let raw = Raw::new(desk.authority.certificate_pem(), None, b"vmscope-enrol/1");
    let _connection = raw.connect(desk.address).await.expect("connected");
    let refused = desk.arrival().await.expect_err("nothing is asked");
    assert_eq!(refused.cause, Cause::NoStream);
    desk.serves_sessions().await;
}

#[tokio::test]
async fn a_request_may_not_be_long() {
    let mut desk = Desk::open();
    let raw = Raw::new(desk.authority.certificate_pem(), None, b"vmscope-enrol/1");
    let connection = raw.connect(desk.address).await.expect("connected");
    let (mut send, _receive) = connection.open_bi().await.expect("a stream");
    send.write_all(&(1_u32 << 20).to_le_bytes())
        .await
        .expect("written");
    let Ok(Arrival::Enrolment(mut enrolment)) = desk.arrival().await else {
        panic!("no enrolment")
    };
    let error = soon(enrolment.request()).await.expect_err("too long");
    assert!(matches!(error, Error::Oversized { .. }), "{error:?}");
}

/// A root takes the place of another: sessions live on, and each side finds the other whatever came first.
#[tokio::test]
async fn both_ends_change_their_identity_while_sessions_live_on() {
    let folder = tempfile::tempdir().expect("a directory");
    let old = Authority::init(folder.path(), "test").expect("an authority");
    let serving = identity(&old, &collector());
    let mut desk = Desk::open_as(old, &serving);
    let dialer = Dialer::new(&identity(&desk.authority, &agent())).expect("a dialer");
    let mut near = soon(dialer.connect(desk.address)).await.expect("connected");
    near.sender.send(&message(1)).await.expect("sent");
    let Ok(Arrival::Session(mut far)) = desk.arrival().await else {
        panic!("no session")
    };
    assert_eq!(
        soon(far.receiver.recv()).await.expect("received"),
        Some(message(1))
    );

    let both = Authority::rotate(folder.path(), "test").expect("rotated");
    let trusting = serving.trusting(both.certificate_pem()).expect("usable");
    desk.listener.set_identity(&trusting).expect("changed");
    dialer.set_identity(&identity(&both, &agent())).expect("changed");
    near.sender.send(&message(2)).await.expect("sent");
    assert_eq!(
        soon(far.receiver.recv()).await.expect("received"),
        Some(message(2))
    );
    let mut newer = soon(dialer.connect(desk.address)).await.expect("connected");
    newer.sender.send(&message(3)).await.expect("sent");
    let Ok(Arrival::Session(second)) = desk.arrival().await else {
        panic!("no session")
    };
    assert_ne!(second.certificate, far.certificate);
    assert_eq!(identity(&both, &agent()).trust(), trusting.trust());
}
