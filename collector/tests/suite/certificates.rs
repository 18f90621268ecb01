//! Certificates, at the wire: what a session is told, how often one may ask.

use crate::support::{PATIENCE, Peer, Site, database, host, until};
use tokio::time::timeout;
use vmscope_link::{Authority, Identity, IdentityFiles, Request, Role, Timing, enrolment};
use vmscope_model::wire::{Message, Token};
use vmscope_store::Flavor;
use vmscope_store::revocation;

/// A request that is never accepted, and the folder that its key lives in.
fn request() -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let request = Request::prepare(&IdentityFiles::within(folder.path())).expect("a request");
    let der = request.der().to_vec();
    (folder, der)
}

/// The next answer to a request for renewal.
async fn renewal(peer: &mut Peer, request: Vec<u8>) -> Message {
    peer.send(&Message::Renew { request }).await;
    peer.receive().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_hears_of_the_roots_and_renews_its_certificate() {
    let database = database(Flavor::Postgres).await;
    let folder = tempfile::tempdir().expect("a folder");
    Authority::init(folder.path(), "test").expect("an authority");
    let site = Site::start_with_authority(database.url(), folder.path()).await;
    site.ready(200).await;
    let mut agent = site.agent(host(1)).await;
    let roots = site
        .authority
        .issue(&Role::Agent(host(1)), vmscope_link::Validity::default());
    let roots = roots.expect("signed").identity().expect("usable").trust();
    assert_eq!(
        agent.peer.receive().await,
        Message::Trust {
            roots: *roots.bytes()
        }
    );

    let broken = renewal(&mut agent.peer, vec![0x30, 0]).await;
    assert!(matches!(broken, Message::NotRenewed { code, .. } if code == "bad_csr"));
    let (keys, der) = request();
    let Message::Issued {
        certificate,
        authority,
    } = renewal(&mut agent.peer, der.clone()).await
    else {
        panic!("no certificate")
    };
    let key = std::fs::read_to_string(keys.path().join("key.pem.next")).expect("a key");
    let identity = Identity::from_pem(&authority, &certificate, &key).expect("usable");
    assert_eq!(*identity.role(), Role::Agent(host(1)));
    let again = renewal(&mut agent.peer, der.clone()).await;
    assert!(matches!(again, Message::NotRenewed { code, .. } if code == "too_soon"));
    agent.send(1, 1..=1).await;
    agent.acknowledged(1, 1).await;

    revocation::revoke_host(database.store(), host(1), "")
        .await
        .expect("revoked");
    assert_eq!(agent.peer.refusal().await, "revoked");
    let mut late = site.dial(&Role::Agent(host(1))).await;
    late.send(&Message::Hello {
        software: "test".to_owned(),
        clock_us: 0,
        columns: Vec::new(),
    })
    .await;
    assert_eq!(late.refusal().await, "revoked");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_without_an_authority_keeps_the_session_and_says_so() {
    let database = database(Flavor::Postgres).await;
    let site = Site::start(database.url()).await;
    site.ready(200).await;
    let mut agent = site.agent(host(1)).await;
    let answer = renewal(&mut agent.peer, request().1).await;
    assert!(matches!(answer, Message::NotRenewed { code, .. } if code == "authority_missing"));
    agent.send(1, 1..=1).await;
    agent.acknowledged(1, 1).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_from_one_address_are_limited_and_sessions_are_not() {
    let database = database(Flavor::Postgres).await;
    let site = Site::start(database.url()).await;
    site.ready(200).await;
    let pin = site.authority.roots()[0];
    let ask = Message::Enrol {
        token: Token("vse_guess".to_owned()),
        host: host(1),
        request: Vec::new(),
        software: "test".to_owned(),
    };
    let limited = timeout(PATIENCE, async {
        loop {
            let answer = enrolment::ask(site.collector.address, pin, Timing::default(), &ask).await;
            let Ok(Message::Refuse { code, .. }) = answer else {
                panic!("{answer:?}")
            };
            if code == "too_many_attempts" {
                return;
            }
        }
    });
    limited.await.expect("a limit");
    let counted = "vmscope_collector_enrolments_total{outcome=\"too_many_attempts\"}";
    until("it is counted", async || site.metric(counted).await >= 1).await;
    let mut agent = site.agent(host(1)).await;
    agent.send(1, 1..=1).await;
    agent.acknowledged(1, 1).await;
    site.stop().await;
}

/// The database is away when the revocation is made known: the sessions are looked at when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_nobody_was_told_of_cuts_the_session_all_the_same() {
    let database = database(Flavor::Postgres).await;
    let site = Site::start(database.url()).await;
    site.ready(200).await;
    let mut agent = site.agent(host(1)).await;
    let client = database.client().await.expect("connected");
    let quietly = "INSERT INTO host_revocation (host_uuid) VALUES ('00000000-0000-0000-0000-000000000001')";
    client.batch_execute(quietly).await.expect("revoked");
    assert_eq!(agent.peer.refusal().await, "revoked");
    site.stop().await;
}
