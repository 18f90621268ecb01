//! Where the values of each collector arrive to be counted.

use super::count::{self, Count, Values};
use crate::http;
use anyhow::Context;
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval};
use vmscope_harness::simulated;
use vmscope_harness::site::Site;
use vmscope_link::authority::LEAF_DAYS;
use vmscope_link::{Limits, Listener, Role, Session, Validity};
use vmscope_model::Entity;
use vmscope_model::wire::{self, FrameDecoder, Message};

/// More than collectd puts into a datagram.
const DATAGRAM_BYTES: usize = 65_536;

/// A listener that one agent of `site` can send to.
pub(super) fn listen(site: &Site) -> anyhow::Result<(Listener, SocketAddr)> {
    let role = Role::Collector("bench".to_owned());
    let identity = site
        .authority
        .issue(&role, Validity::days(LEAF_DAYS))?
        .identity()?;
    let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), &identity, Limits::default())?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Takes an agent's session, counts and acknowledges what comes.
pub(super) async fn take_ticks(listener: Listener, count: Arc<Count>) -> anyhow::Result<()> {
    let incoming = listener.accept().await.context("no session came")?;
    let session = incoming.establish().await;
    let Session {
        mut sender,
        mut receiver,
        ..
    } = session.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    let Some(Message::Hello { columns, .. }) = receiver.recv().await? else {
        anyhow::bail!("the agent did not say hello")
    };
    let welcome = Message::Welcome {
        software: "bench".to_owned(),
        clock_us: simulated::wall_us()?,
        columns: wire::columns(),
        committed: Vec::new(),
    };
    sender.send(&welcome).await?;
    let mut decoder = FrameDecoder::new(&columns)?;
    while let Some(message) = receiver.recv().await? {
        let Message::Frame(frame) = message else {
            anyhow::bail!("the agent said {message:?}")
        };
        for (position, tick) in decoder.decode(&frame)? {
            let entities = decoder.entities();
            let guests = entities.iter().filter(|entity| matches!(entity, Entity::Vm(_)));
            count.add(count::of_tick(entities, &tick), guests.count());
            sender.send(&Message::Ack(position)).await?;
        }
    }
    Ok(())
}

/// Counts what collectd sends to `socket`.
pub(super) async fn take_datagrams(socket: UdpSocket, count: Arc<Count>) -> anyhow::Result<()> {
    let mut guests = HashSet::new();
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let values = count::of_collectd(&buffer[..length], &mut guests)?;
        count.add(values, guests.len());
    }
}

/// Reads exporters once a second, as a server of theirs would, over connections that stay open.
pub(super) async fn scrape(urls: Vec<String>, count: Arc<Count>) -> anyhow::Result<()> {
    let client = http::Client::new();
    let mut every_second = interval(Duration::from_secs(1));
    every_second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        every_second.tick().await;
        let (mut values, mut guests) = (Values::default(), 0);
        for url in &urls {
            let (some, of_guests) = count::of_exposition(&client.fetch(url.clone()).await?);
            values += some;
            guests += of_guests;
        }
        count.add(values, guests);
    }
}
