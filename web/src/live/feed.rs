//! One session with one collector, for ever.

use super::Hub;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;
use vmscope_link::{Backoff, CloseCode, Dialer, Session};
use vmscope_model::HostId;
use vmscope_model::wire::{self, Columns, Frame, FrameDecoder, Message};

const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// How long the collector may take to answer a greeting.
const WELCOME_DEADLINE: Duration = Duration::from_secs(10);
/// Hosts of one collector that are decoded; each may cost some 100 kB.
const MAX_HOSTS: usize = 20_000;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{address} can't be looked up")]
    Resolve {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("{address} has no address")]
    NoAddress { address: String },
    #[error("session failed")]
    Link(#[from] vmscope_link::Error),
    #[error("collector did not answer in time")]
    NoWelcome,
    #[error("collector refused: {code}: {advice}")]
    Refused { code: String, advice: String },
    #[error("collector sent a message that does not belong here")]
    Unexpected,
    #[error("collector ended the session")]
    Ended,
    #[error("frame can't be read")]
    Frame(#[source] wire::Error),
    #[error("collector feeds more than {MAX_HOSTS} hosts")]
    TooManyHosts,
}

/// Feeds `hub` from the collector at `address` (`host:port`) until the stop; dials again after every failure.
pub(crate) async fn run(address: String, dialer: Arc<Dialer>, hub: Arc<Hub>, stopping: CancellationToken) {
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    let mut told = false;
    loop {
        let mut connected = false;
        let failure = tokio::select! {
            () = stopping.cancelled() => return,
            Err(failure) = attempt(&address, &dialer, &hub, &mut connected) => failure,
        };
        if connected {
            backoff.reset();
            told = false;
        }
        let error = format!("{:#}", anyhow::Error::from(failure));
        // Once for each loss; the attempts that follow are for who debugs.
        if told {
            tracing::debug!(collector.address = address, error, "live feed is still away");
        } else {
            tracing::warn!(
                collector.address = address,
                error,
                "live feed is away, dialling again"
            );
            told = true;
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(backoff.next_delay()) => {}
        }
    }
}

/// One session from its beginning to its end; says in `connected` whether it got as far as being fed.
async fn attempt(
    address: &str,
    dialer: &Dialer,
    hub: &Arc<Hub>,
    connected: &mut bool,
) -> Result<Infallible, Error> {
    let mut session = dial(address, dialer).await?;
    let columns = tokio::time::timeout(WELCOME_DEADLINE, greet(&mut session))
        .await
        .map_err(|_| Error::NoWelcome)??;
    session.sender.send(&Message::Subscribe { hosts: None }).await?;
    tracing::info!(collector.address = address, collector.role = %session.peer, "live feed is here");
    *connected = true;
    let _fed = hub.feed();
    let ended = receive(&mut session, &columns, hub).await;
    session.close(CloseCode::Done, "feed ended");
    ended
}

/// Tries every address of the name, in order.
async fn dial(address: &str, dialer: &Dialer) -> Result<Session, Error> {
    let resolve = |source| Error::Resolve {
        address: address.to_owned(),
        source,
    };
    let mut failure = Error::NoAddress {
        address: address.to_owned(),
    };
    for candidate in tokio::net::lookup_host(address).await.map_err(resolve)? {
        match dialer.connect(candidate).await {
            Ok(session) => return Ok(session),
            Err(error) => failure = error.into(),
        }
    }
    Err(failure)
}

/// How the collector writes its frames.
async fn greet(session: &mut Session) -> Result<Vec<Columns>, Error> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let hello = Message::Hello {
        software: env!("CARGO_PKG_VERSION").to_owned(),
        clock_us: i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX),
        columns: wire::columns(),
    };
    session.sender.send(&hello).await?;
    match session.receiver.recv().await? {
        Some(Message::Welcome { columns, .. }) => Ok(columns),
        Some(Message::Refuse { code, advice }) => Err(Error::Refused { code, advice }),
        Some(_) => Err(Error::Unexpected),
        None => Err(Error::Ended),
    }
}

async fn receive(session: &mut Session, columns: &[Columns], hub: &Hub) -> Result<Infallible, Error> {
    let mut decoders = HashMap::new();
    loop {
        match session.receiver.recv().await? {
            Some(Message::Frame(frame)) => publish(&mut decoders, columns, hub, &frame)?,
            Some(Message::Refuse { code, advice }) => return Err(Error::Refused { code, advice }),
            Some(_) => return Err(Error::Unexpected),
            None => return Err(Error::Ended),
        }
    }
}

fn publish(
    decoders: &mut HashMap<HostId, FrameDecoder>,
    columns: &[Columns],
    hub: &Hub,
    frame: &Frame,
) -> Result<(), Error> {
    let hosts = decoders.len();
    let decoder = match decoders.entry(frame.host) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(_) if hosts >= MAX_HOSTS => return Err(Error::TooManyHosts),
        Entry::Vacant(new) => new.insert(FrameDecoder::new(columns).map_err(Error::Frame)?),
    };
    let ticks = decoder.decode(frame).map_err(Error::Frame)?;
    for (position, tick) in &ticks {
        hub.publish(frame.host, *position, decoder.entities(), tick);
    }
    Ok(())
}
