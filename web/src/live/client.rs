//! One WebSocket, from its upgrade to its end.
//!
//! Two halves run side by side: what the client says is answered in [`super::conversation`], which may have to wait for the database;
//! what is said to the client is written here. So samples flow while the database is away. Answers have one place to
//! wait in: a client that does not take them is not listened to either.

use super::conversation::Conversation;
use super::hub::Client;
use super::protocol::ServerMessage;
use super::session::{Held, RESUME_FOR};
use super::watch::Watch;
use crate::error::ApiError;
use crate::language::Language;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

/// How often the server pings.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A client from which nothing has come for this long, not even a pong, is dead.
pub(super) const SILENCE: Duration = Duration::from_secs(50);
/// A client that takes no message for this long is dead.
const SEND_DEADLINE: Duration = Duration::from_secs(20);
/// Answers that wait to be written.
const ANSWERS: usize = 1;
/// The longest message that a client may send: 1000 subscriptions with room to spare.
pub(crate) const MAX_MESSAGE_BYTES: usize = 128 << 10;
/// Messages gather up to this much before they are written. Besides one message this is what a client that does not read costs.
pub(crate) const WRITE_BUFFER_BYTES: usize = 16 << 10;
/// More can't gather: the longest message is a part of a snapshot.
pub(crate) const MAX_WRITE_BUFFER_BYTES: usize = 2 << 20;
/// Clients say little; this much is held by each.
pub(crate) const READ_BUFFER_BYTES: usize = 4 << 10;

/// Messages for the client, to be written in one go.
pub(super) type Answer = Vec<Utf8Bytes>;

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum End {
    /// The client is gone, or dead; nobody is left to be told why.
    Gone,
    /// Nobody is logged in any more.
    NotLoggedIn,
    /// Another connection goes on in its place.
    Resumed,
    /// The server stops.
    Stopping,
}

impl End {
    fn close(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Gone => return None,
            Self::NotLoggedIn => (close_code::POLICY, "not logged in any more"),
            Self::Resumed => (close_code::POLICY, "resumed by another connection"),
            Self::Stopping => (close_code::RESTART, "the server stops"),
        };
        Some(CloseFrame {
            code,
            reason: reason.into(),
        })
    }
}

/// Serves one client until it goes, dies or the server stops.
pub(crate) async fn serve(socket: WebSocket, client: Client, language: Language, watch: Watch) {
    let (stopping, opened) = (watch.stopping(), client.hub().sessions.open(watch.user()));
    let (mut sink, stream) = socket.split();
    let Ok(held) = opened else {
        return;
    };
    let (answers, waiting) = mpsc::channel(ANSWERS);
    let over = held.over.clone();
    let greeting = hello(&held);
    let mut conversation = Conversation::new(&client, held, language, watch, answers);
    let end = tokio::select! {
        end = conversation.listen(stream) => end,
        end = speak(&mut sink, &client, greeting, waiting) => end,
        () = over.cancelled() => End::Resumed,
        () = stopping.cancelled() => End::Stopping,
    };
    if let Some(frame) = end.close() {
        // The client sees the end of the connection in any case.
        let _ = transmit(&mut sink, Message::Close(Some(frame))).await;
    }
}

fn hello(held: &Held) -> ServerMessage {
    ServerMessage::Hello {
        session: held.id.to_string(),
        resume: held.token.clone(),
        resume_s: RESUME_FOR.as_secs(),
        ping_s: PING_INTERVAL.as_secs(),
    }
}

/// Writes everything that the client is told: answers before samples.
async fn speak(
    sink: &mut SplitSink<WebSocket, Message>,
    client: &Client,
    greeting: ServerMessage,
    mut waiting: mpsc::Receiver<Answer>,
) -> End {
    let Err(end) = converse(sink, client, greeting, &mut waiting).await;
    end
}

async fn converse(
    sink: &mut SplitSink<WebSocket, Message>,
    client: &Client,
    greeting: ServerMessage,
    waiting: &mut mpsc::Receiver<Answer>,
) -> Result<std::convert::Infallible, End> {
    let mut feeds = client.hub().feeds();
    let mut fed = *feeds.borrow_and_update() > 0;
    let begin = [greeting, ServerMessage::Feed { connected: fed }];
    write(sink, begin.iter().filter_map(text)).await?;
    let mut ping = tokio::time::interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            answer = waiting.recv() => write(sink, answer.ok_or(End::Gone)?).await?,
            _ = ping.tick() => {
                // A browser's page sees the second one only, a program that does not know it answers the first one.
                transmit(sink, Message::Ping(Vec::new().into())).await?;
                write(sink, text(&ServerMessage::Ping)).await?;
            }
            Ok(()) = feeds.changed() => {
                let now = *feeds.borrow_and_update() > 0;
                if std::mem::replace(&mut fed, now) != now {
                    write(sink, text(&ServerMessage::Feed { connected: now })).await?;
                }
            }
            samples = client.next() => write(sink, samples).await?,
        }
    }
}

/// The message as it is sent. Numbers and texts always fit into JSON.
pub(super) fn text(message: &ServerMessage) -> Option<Utf8Bytes> {
    serde_json::to_string(message).ok().map(Into::into)
}

/// What refuses the client's last message.
pub(super) fn refusal(error: &ApiError, language: Language) -> ServerMessage {
    ServerMessage::Error {
        code: error.code(),
        message: error.message(language),
    }
}

async fn write(
    sink: &mut SplitSink<WebSocket, Message>,
    texts: impl IntoIterator<Item = Utf8Bytes>,
) -> Result<(), End> {
    for text in texts {
        in_time(sink.feed(Message::Text(text))).await?;
    }
    in_time(sink.flush()).await
}

async fn transmit(sink: &mut SplitSink<WebSocket, Message>, message: Message) -> Result<(), End> {
    in_time(sink.send(message)).await
}

async fn in_time(sending: impl Future<Output = Result<(), axum::Error>>) -> Result<(), End> {
    match tokio::time::timeout(SEND_DEADLINE, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Gone),
    }
}
