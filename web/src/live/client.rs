//! One WebSocket, from its upgrade to its end.

use super::hub::{Client, MAX_SUBSCRIPTIONS, Sample, TooManySubscriptions};
use super::protocol::{ClientMessage, ServerMessage};
use super::watch::{RECHECK, Watch};
use crate::api::entity;
use crate::error::ApiError;
use crate::language::Language;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use vmscope_store::entity::Reference;

/// How often the server pings.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A client from which nothing has come for this long, not even a pong, is dead.
const SILENCE: Duration = Duration::from_secs(50);
/// A client that takes no message for this long is dead.
const SEND_DEADLINE: Duration = Duration::from_secs(20);
/// The longest message that a client may send: 1000 subscriptions with room to spare.
pub(crate) const MAX_MESSAGE_BYTES: usize = 128 << 10;

/// The connection is over; nobody is left to be told why.
#[derive(Debug)]
struct Gone;

/// Serves one client until it goes, dies or the server stops.
pub(crate) async fn serve(mut socket: WebSocket, client: Client, language: Language, mut watch: Watch) {
    let stopping = watch.stopping();
    tokio::select! {
        Gone = converse(&mut socket, &client, language, &mut watch) => {}
        () = stopping.cancelled() => {
            // The client sees the end of the connection in any case.
            let _ = tokio::time::timeout(SEND_DEADLINE, socket.send(Message::Close(None))).await;
        }
    }
}

async fn converse(socket: &mut WebSocket, client: &Client, language: Language, watch: &mut Watch) -> Gone {
    let mut feeds = client.hub().feeds();
    let mut fed = *feeds.borrow_and_update() > 0;
    if send(socket, &ServerMessage::Feed { connected: fed })
        .await
        .is_err()
    {
        return Gone;
    }
    let mut ping = tokio::time::interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut recheck = tokio::time::interval_at(Instant::now() + RECHECK, RECHECK);
    recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        let done = tokio::select! {
            incoming = socket.recv() => {
                heard = Instant::now();
                match incoming {
                    Some(Ok(message)) => answer(socket, client, language, watch, &message).await,
                    Some(Err(_)) | None => Err(Gone),
                }
            }
            samples = client.next() => deliver(socket, samples).await,
            Ok(()) = feeds.changed() => {
                let now = *feeds.borrow_and_update() > 0;
                let changed = std::mem::replace(&mut fed, now) != now;
                if changed { send(socket, &ServerMessage::Feed { connected: now }).await } else { Ok(()) }
            }
            _ = recheck.tick() => look_again(socket, client, watch).await,
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE { Err(Gone) } else { transmit(socket, Message::Ping(Vec::new().into())).await }
            }
        };
        if let Err(gone) = done {
            return gone;
        }
    }
}

/// Sends samples; entities in any order.
async fn deliver(
    socket: &mut WebSocket,
    samples: impl IntoIterator<Item = (Reference, Sample)>,
) -> Result<(), Gone> {
    for (reference, sample) in samples {
        let time = sample.time_us.div_euclid(1000);
        send(
            socket,
            &ServerMessage::Sample {
                entity: entity::format(reference),
                time,
                values: sample.values,
            },
        )
        .await?;
    }
    Ok(())
}

/// Ends what the client may watch no more, and the connection when nobody is logged in any more.
async fn look_again(socket: &mut WebSocket, client: &Client, watch: &mut Watch) -> Result<(), Gone> {
    let outside = match watch.recheck(&client.references()).await {
        Ok(outside) => outside,
        Err(ApiError::NotLoggedIn) => {
            let over = CloseFrame {
                code: close_code::POLICY,
                reason: "not logged in any more".into(),
            };
            let _ = transmit(socket, Message::Close(Some(over))).await;
            return Err(Gone);
        }
        // Without the database nobody's rights can change either: it is asked again at the next turn.
        Err(_) => return Ok(()),
    };
    if outside.is_empty() {
        return Ok(());
    }
    client.unsubscribe(&outside);
    let entities = client.entities();
    send(socket, &ServerMessage::Subscribed { entities }).await
}

async fn answer(
    socket: &mut WebSocket,
    client: &Client,
    language: Language,
    watch: &Watch,
    message: &Message,
) -> Result<(), Gone> {
    let answer = match message {
        Message::Text(text) => obey(client, watch, text).await,
        Message::Binary(_) => Err(ApiError::BadRequest),
        Message::Ping(_) | Message::Pong(_) => return Ok(()),
        Message::Close(_) => return Err(Gone),
    };
    let answer = answer.unwrap_or_else(|error| ServerMessage::Error {
        code: error.code(),
        message: error.message(language),
    });
    send(socket, &answer).await
}

async fn obey(client: &Client, watch: &Watch, text: &str) -> Result<ServerMessage, ApiError> {
    let message = serde_json::from_str(text).map_err(|error| ApiError::Parameter {
        detail: error.to_string(),
    })?;
    match message {
        ClientMessage::Subscribe { entities } => {
            let entities = references(&entities)?;
            if entities.len() > MAX_SUBSCRIPTIONS {
                return Err(ApiError::parameter("entities", TooManySubscriptions));
            }
            watch.admit(&entities).await?;
            client
                .subscribe(&entities)
                .map_err(|error| ApiError::parameter("entities", error))?;
        }
        ClientMessage::Unsubscribe { entities } => client.unsubscribe(&references(&entities)?),
        ClientMessage::Ping => return Ok(ServerMessage::Pong),
    }
    Ok(ServerMessage::Subscribed {
        entities: client.entities(),
    })
}

fn references(entities: &[String]) -> Result<Vec<Reference>, ApiError> {
    let reference = |text: &String| match entity::parse(text) {
        Some(reference @ (Reference::Host(_) | Reference::Vm(_))) => Ok(reference),
        _ => Err(ApiError::parameter(
            "entities",
            format_args!("{text:?} is neither host:<uuid> nor vm:<uuid>"),
        )),
    };
    entities.iter().map(reference).collect()
}

async fn send(socket: &mut WebSocket, message: &ServerMessage) -> Result<(), Gone> {
    // Numbers and texts always fit into JSON.
    let text = serde_json::to_string(message).map_err(|_| Gone)?;
    transmit(socket, Message::Text(text.into())).await
}

async fn transmit(socket: &mut WebSocket, message: Message) -> Result<(), Gone> {
    match tokio::time::timeout(SEND_DEADLINE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Gone),
    }
}
