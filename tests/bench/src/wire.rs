//! Bytes on the wire for each value, on recorded series of fifty real guests, one tick a frame as a live agent sends them.

use crate::figure::{Bar, Report};
use crate::recording;
use anyhow::{Context, ensure};
use std::net::Ipv4Addr;
use std::path::Path;
use uuid::Uuid;
use vmscope_link::authority::LEAF_DAYS;
use vmscope_link::{Authority, Dialer, Limits, Listener, Role, Session, Validity};
use vmscope_model::wire::{self, FrameDecoder, FrameEncoder, Message};
use vmscope_model::{HostId, Position, Record};

/// Bytes for each value, everything that UDP carries counted.
const BAR: f64 = 2.0;

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let records = recording::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/guests-50.records"))?;
    let values: usize = records.iter().map(values_of).sum();
    let host = HostId(Uuid::new_v4());
    let messages = coded(host, &records)?;
    let frame_bytes: usize = messages
        .iter()
        .map(|m| wire::encode(m).map(|b| b.len()))
        .sum::<Result<_, _>>()?;
    let udp_bytes = send(host, &messages).await?;
    let per_value = |bytes: f64| bytes / values as f64;
    let per_tick = values as f64 / records.len() as f64;
    report.say("wire.values_per_tick", per_tick, "values");
    report.say(
        "wire.frame_bytes_per_value",
        per_value(frame_bytes as f64),
        "bytes",
    );
    let udp = per_value(udp_bytes as f64);
    report.hold("wire.udp_bytes_per_value", udp, "bytes", Bar::AtMost(BAR));
    Ok(())
}

/// How many values a tick really has: absent ones don't count.
fn values_of(record: &Record) -> usize {
    let tables = record.tick.tables.iter();
    tables
        .map(|table| table.values.iter().filter(|value| value.get().is_some()).count())
        .sum()
}

fn coded(host: HostId, records: &[Record]) -> anyhow::Result<Vec<Message>> {
    let mut encoder = FrameEncoder::new(host);
    let mut decoder = FrameDecoder::new(&wire::columns())?;
    let mut messages = Vec::with_capacity(records.len());
    for (sequence, record) in (1..).zip(records) {
        let frame = encoder.encode(&[(Position { epoch: 1, sequence }, record)])?;
        let ticks = decoder.decode(&frame)?;
        ensure!(
            ticks.len() == 1 && ticks[0].1.time_us == record.tick.time_us,
            "a tick did not survive the wire"
        );
        messages.push(Message::Frame(frame));
    }
    Ok(messages)
}

/// Sends the messages one by one over a real session, each answered by an acknowledgement as a collector does; returns the
/// bytes of all datagrams in both directions, the handshake's included.
async fn send(host: HostId, messages: &[Message]) -> anyhow::Result<u64> {
    let authority = Authority::create("bench")?;
    let issue = |role: Role| authority.issue(&role, Validity::days(LEAF_DAYS));
    let collector = issue(Role::Collector("bench".to_owned()))?.identity()?;
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), &collector, Limits::default())?;
    let address = listener.local_addr()?;
    let answering = tokio::spawn(async move {
        let incoming = listener.accept().await.context("no session came")?;
        answer(
            incoming
                .establish()
                .await
                .map_err(|refused| anyhow::anyhow!("{refused:?}"))?,
        )
        .await
    });
    let dialer = Dialer::new(&issue(Role::Agent(host))?.identity()?)?;
    let mut session = dialer.connect(address).await?;
    for message in messages {
        session.sender.send(message).await?;
        session.receiver.recv().await?.context("no acknowledgement")?;
    }
    let bytes = session.wire_bytes();
    session.sender.finish().await?;
    answering.await??;
    Ok(bytes.sent + bytes.received)
}

async fn answer(mut session: Session) -> anyhow::Result<()> {
    let mut sequence = 0;
    while session.receiver.recv().await?.is_some() {
        sequence += 1;
        session
            .sender
            .send(&Message::Ack(Position { epoch: 1, sequence }))
            .await?;
    }
    Ok(())
}
