//! Messages between two peers that trust each other.

mod common;

use common::{Door, Raw, agent, issue, message, soon, web};
use std::time::Duration;
use vmscope_link::{CloseCode, Dialer, Error, Limits, Timing};
use vmscope_model::HostId;
use vmscope_model::wire::{Frame, MAX_MESSAGE_BYTES, Message};

fn frame(bytes: usize, fill: u8) -> Message {
    Message::Frame(Frame {
        host: HostId(uuid::Uuid::nil()),
        body: vec![fill; bytes],
    })
}

#[tokio::test]
async fn carries_messages_both_ways_in_order_to_the_end() {
    let mut door = Door::open(Limits::default());
    let (_dialer, mut near, mut far) = door.pair().await;
    assert_eq!((&near.peer, &far.peer), (&common::collector(), &agent()));
    for sequence in 1..=100 {
        near.sender.send(&message(sequence)).await.expect("sent");
        far.sender.send(&message(1000 + sequence)).await.expect("sent");
    }
    for sequence in 1..=100 {
        assert_eq!(
            soon(far.receiver.recv()).await.expect("received"),
            Some(message(sequence))
        );
        assert_eq!(
            soon(near.receiver.recv()).await.expect("received"),
            Some(message(1000 + sequence))
        );
    }
    soon(near.sender.finish()).await.expect("finished");
    assert_eq!(soon(far.receiver.recv()).await.expect("the end"), None);
    assert!(matches!(near.sender.send(&message(0)).await, Err(Error::Ended)));
    let bytes = far.wire_bytes();
    assert!(bytes.sent > 1000 && bytes.received > 1000, "{bytes:?}");
}

#[tokio::test]
async fn carries_the_largest_message_and_refuses_to_send_a_larger_one() {
    let mut door = Door::open(Limits::default());
    let (_dialer, mut near, mut far) = door.pair().await;
    let largest = frame(MAX_MESSAGE_BYTES - 64, 5);
    let sending = tokio::spawn({
        let largest = largest.clone();
        async move {
            let oversized = near.sender.send(&frame(MAX_MESSAGE_BYTES, 6)).await;
            assert!(matches!(oversized, Err(Error::Encode(_))), "{oversized:?}");
            near.sender.send(&largest).await.expect("sent");
            near
        }
    });
    assert!(soon(far.receiver.recv()).await.expect("received") == Some(largest));
    soon(sending).await.expect("sent");
}

#[tokio::test]
async fn holds_a_sender_back_whose_peer_does_not_read_and_loses_nothing_by_it() {
    const MESSAGE_BYTES: usize = 64 << 10;
    // The windows of both sides, and room for what is between them.
    const HELD_BYTES: usize = 3 << 20;
    let mut door = Door::open(Limits::default());
    let (_dialer, mut near, mut far) = door.pair().await;
    let mut accepted = 0;
    // Cancelled when the sender is held back; its message goes on all the same.
    while tokio::time::timeout(
        Duration::from_secs(1),
        near.sender.send(&frame(MESSAGE_BYTES, accepted)),
    )
    .await
    .is_ok()
    {
        accepted += 1;
        assert!(
            usize::from(accepted) * MESSAGE_BYTES < HELD_BYTES,
            "the sender is never held back"
        );
    }
    let sending = tokio::spawn(async move {
        near.sender.send(&message(9)).await.expect("sent");
        near
    });
    for fill in 0..=accepted {
        let received = soon(far.receiver.recv()).await.expect("received");
        assert!(
            received == Some(frame(MESSAGE_BYTES, fill)),
            "message {fill} of {accepted}"
        );
    }
    assert_eq!(
        soon(far.receiver.recv()).await.expect("received"),
        Some(message(9))
    );
    soon(sending).await.expect("sent");
}

#[tokio::test]
async fn a_cancelled_receive_loses_nothing() {
    let mut door = Door::open(Limits::default());
    let raw = Raw::new(
        door.authority.certificate_pem(),
        Some(&issue(&door.authority, &agent())),
        b"vmscope/1",
    );
    let connection = raw.connect(door.address).await.expect("connected");
    let (mut send, _receive) = connection.open_bi().await.expect("a stream");
    let body = vmscope_model::wire::encode(&message(3)).expect("encoded");
    let mut bytes = u32::try_from(body.len()).expect("short").to_le_bytes().to_vec();
    bytes.extend_from_slice(&body);
    let mut far = None;
    for byte in bytes {
        send.write_all(&[byte]).await.expect("written");
        let session = match &mut far {
            Some(session) => session,
            slot => slot.insert(door.session().await),
        };
        let cut = tokio::time::timeout(Duration::from_millis(5), session.receiver.recv()).await;
        if let Ok(received) = cut {
            assert_eq!(received.expect("received"), Some(message(3)));
            return;
        }
    }
    let received = soon(far.expect("a session").receiver.recv()).await;
    assert_eq!(received.expect("received"), Some(message(3)));
}

#[tokio::test]
async fn tells_a_refused_peer_why() {
    let mut door = Door::open(Limits::default());
    let (_dialer, mut near, far) = door.pair().await;
    let refusing =
        tokio::spawn(async move { far.refuse("host_mismatch", "issue another certificate").await });
    let expected = Message::Refuse {
        code: "host_mismatch".to_owned(),
        advice: "issue another certificate".to_owned(),
    };
    assert_eq!(
        soon(near.receiver.recv()).await.expect("received"),
        Some(expected)
    );
    soon(refusing).await.expect("refused");
    let Error::Closed { code, reason } = soon(near.control.closed()).await else {
        panic!("not closed")
    };
    assert_eq!(
        (code, reason.as_str()),
        (CloseCode::Refused as u64, "host_mismatch")
    );
}

#[tokio::test]
async fn closing_says_why_and_accepting_ends() {
    let mut door = Door::open(Limits::default());
    let (_dialer, mut near, far) = door.pair().await;
    door.listener.stop_accepting();
    let timing = Timing {
        handshake_deadline: Duration::from_millis(300),
        ..Timing::default()
    };
    let late = Dialer::with_timing(&common::identity(&door.authority, &web()), timing).expect("a dialer");
    let error = soon(late.connect(door.address))
        .await
        .expect_err("nobody is let in any more");
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    near.sender.send(&message(1)).await.expect("sessions go on");
    soon(door.listener.close("maintenance")).await;
    let error = soon(near.receiver.recv()).await.expect_err("closed");
    assert!(
        matches!(&error, Error::Closed { code: 0, reason } if reason == "maintenance"),
        "{error}"
    );
    assert!(soon(door.listener.accept()).await.is_none());
    drop(far);
}

#[tokio::test]
async fn one_dialer_serves_many_sessions_over_one_socket() {
    let mut door = Door::open(Limits::default());
    let dialer = Dialer::new(&common::identity(&door.authority, &web())).expect("a dialer");
    let mut sessions = Vec::new();
    for sequence in 0..5 {
        let mut near = soon(dialer.connect(door.address)).await.expect("connected");
        near.sender.send(&message(sequence)).await.expect("sent");
        let far = door.session().await;
        assert_eq!(far.peer, web());
        sessions.push((near, far));
    }
    let ports: std::collections::BTreeSet<_> = sessions.iter().map(|(_, far)| far.remote.port()).collect();
    assert_eq!(ports.len(), 1, "one socket for all");
}
