//! What a client says, and what it may watch.

use super::client::{Answer, End, SILENCE, refusal, text};
use super::hub::{Client, MAX_SUBSCRIPTIONS};
use super::protocol::{ClientMessage, Sample, ServerMessage};
use super::session::Held;
use super::topic::Topic;
use super::watch::{RECHECK, Watch};
use crate::api::entity;
use crate::error::ApiError;
use crate::language::Language;
use axum::extract::ws::{Message, WebSocket};
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;
use vmscope_store::entity::Reference;

/// Entities in one `snapshot` message.
const SNAPSHOT_PART: usize = 100;
/// How long the database may take for what the client says.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// How long it may take for last values.
const RECALL_DEADLINE: Duration = Duration::from_secs(3);

/// A client watches at most [`MAX_SUBSCRIPTIONS`] entities.
#[derive(Debug, thiserror::Error)]
#[error("more than {MAX_SUBSCRIPTIONS} subscriptions")]
struct TooManySubscriptions;

/// The half of a connection that listens.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    client: &'a Client,
    held: Held,
    language: Language,
    watch: Watch,
    topics: Arc<HashSet<Topic>>,
    /// What was last told of each group: who is watched of it, and how many more it has.
    groups: BTreeMap<Uuid, Group>,
    answers: mpsc::Sender<Answer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    members: Vec<Reference>,
    more: usize,
}

impl<'a> Conversation<'a> {
    /// A client that watches nothing yet.
    pub(super) fn new(
        client: &'a Client,
        held: Held,
        language: Language,
        watch: Watch,
        answers: mpsc::Sender<Answer>,
    ) -> Self {
        Self {
            client,
            held,
            language,
            watch,
            topics: Arc::default(),
            groups: BTreeMap::new(),
            answers,
        }
    }

    /// Listens until the client is gone or nobody is logged in any more.
    pub(super) async fn listen(&mut self, mut stream: SplitStream<WebSocket>) -> End {
        // Those who come back at once after a loss don't ask at once for ever.
        let first = Instant::now() + RECHECK.mul_f64(rand::random_range(0.5..=1.0));
        let mut recheck = tokio::time::interval_at(first, RECHECK);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let done = tokio::select! {
                incoming = stream.next() => {
                    let done = match incoming {
                        Some(Ok(message)) => self.answer(&message).await,
                        Some(Err(_)) | None => Err(End::Gone),
                    };
                    // Not before: what it said while it was being answered has not been heard.
                    heard = Instant::now();
                    done
                }
                _ = recheck.tick() => self.look_again().await,
                () = tokio::time::sleep_until(heard + SILENCE) => Err(End::Gone),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn answer(&mut self, message: &Message) -> Result<(), End> {
        let done = match message {
            Message::Text(text) => self.obey(text).await,
            Message::Binary(_) => Err(ApiError::BadRequest),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(End::Gone),
        };
        match done {
            Ok(()) => Ok(()),
            Err(error) => self.tell(&refusal(&error, self.language)).await,
        }
    }

    /// Does what the client says, and answers it.
    async fn obey(&mut self, words: &str) -> Result<(), ApiError> {
        let message = serde_json::from_str(words).map_err(|error| ApiError::Parameter {
            detail: error.to_string(),
        })?;
        let done = async {
            match message {
                ClientMessage::Subscribe { entities } => self.subscribe(topics(&entities)?).await,
                ClientMessage::Unsubscribe { entities } => self.unsubscribe(topics(&entities)?).await,
                ClientMessage::Resume { token } => self.resume(&token).await,
                ClientMessage::Ping => {
                    // Whoever can't be told is gone, which the other half finds.
                    let _ = self.tell(&ServerMessage::Pong).await;
                    Ok(())
                }
                ClientMessage::Pong => Ok(()),
            }
        };
        let in_time = tokio::time::timeout(ANSWER_DEADLINE, done);
        in_time.await.unwrap_or(Err(ApiError::Timeout))
    }

    async fn subscribe(&mut self, new: Vec<Topic>) -> Result<(), ApiError> {
        let all: HashSet<Topic> = self.topics.iter().chain(&new).copied().collect();
        if all.len() > MAX_SUBSCRIPTIONS {
            return Err(ApiError::parameter("entities", TooManySubscriptions));
        }
        self.watch.admit(&new).await?;
        self.settle(
            all,
            Occasion::Asked {
                resumed: None,
                topics: new,
            },
        )
        .await
    }

    async fn unsubscribe(&mut self, gone: Vec<Topic>) -> Result<(), ApiError> {
        let gone: HashSet<Topic> = gone.into_iter().collect();
        let left = self.topics.difference(&gone).copied().collect();
        let topics = Vec::new();
        self.settle(
            left,
            Occasion::Asked {
                resumed: None,
                topics,
            },
        )
        .await
    }

    async fn resume(&mut self, token: &str) -> Result<(), ApiError> {
        let earlier = self.held.resume(token).unwrap_or_default();
        let earlier: Vec<Topic> = earlier.iter().copied().collect();
        let outside = self.watch.outside(&earlier).await;
        let good = |topic: &&Topic| outside.as_ref().is_ok_and(|outside| !outside.contains(topic));
        let all: HashSet<Topic> = self
            .topics
            .iter()
            .chain(earlier.iter().filter(good))
            .copied()
            .collect();
        if earlier.is_empty() || outside.is_err() || all.len() > MAX_SUBSCRIPTIONS {
            // The client knows what it wants and says it.
            let _ = self.tell(&ServerMessage::Resumed { ok: false }).await;
            return Ok(());
        }
        let resumed = Some(ServerMessage::Resumed { ok: true });
        self.settle(
            all,
            Occasion::Asked {
                resumed,
                topics: earlier,
            },
        )
        .await
    }

    /// Ends what the client may watch no more, and follows its groups.
    async fn look_again(&mut self) -> Result<(), End> {
        let looked = tokio::time::timeout(ANSWER_DEADLINE, async {
            self.watch.renew().await?;
            let topics: Vec<Topic> = self.topics.iter().copied().collect();
            let outside = self.watch.outside(&topics).await?;
            let left = topics.into_iter().filter(|topic| !outside.contains(topic));
            self.settle(left.collect(), Occasion::Looked).await
        });
        match looked.await {
            Ok(Err(ApiError::NotLoggedIn)) => Err(End::NotLoggedIn),
            // Without the database nobody's rights can change either: it is asked again at the next turn.
            Ok(Ok(()) | Err(_)) | Err(_) => Ok(()),
        }
    }

    /// Makes `topics` the subscriptions, and tells the client what is new to it.
    async fn settle(&mut self, topics: HashSet<Topic>, occasion: Occasion) -> Result<(), ApiError> {
        let ids: Vec<Uuid> = topics.iter().filter_map(|topic| topic.group()).collect();
        let members = self.watch.members(&ids).await?;
        let direct = topics.iter().filter_map(|topic| topic.entity()).collect();
        let (entities, groups) = fit(direct, members);
        let before = self.client.watched();
        let asked = occasion.entities(&groups);
        let mut told: HashSet<Reference> = entities.difference(&before).copied().collect();
        told.extend(asked.filter(|entity| entities.contains(entity)));
        let told: Vec<Reference> = told.into_iter().collect();
        self.recall(&told).await;
        // From here to the sending nothing waits, so that no sample comes between a snapshot and what it is the beginning of.
        let Ok(place) = self.answers.clone().reserve_owned().await else {
            return Ok(());
        };
        let snapshot = self.client.watch(entities, &told);
        let mut answer = occasion.begin(&topics, &self.topics);
        answer.extend(changes(&groups, &self.groups, &occasion));
        if !told.is_empty() || occasion.wants_snapshot() {
            answer.extend(parts(snapshot));
        }
        place.send(answer.iter().filter_map(text).collect());
        (self.topics, self.groups) = (Arc::new(topics), groups);
        self.held.keep(&self.topics);
        Ok(())
    }

    async fn recall(&self, entities: &[Reference]) {
        let (hub, store) = (self.client.hub(), self.watch.store());
        let unknown = hub.unknown(entities.iter().copied());
        // A database that hangs does not keep anybody from the samples that come.
        let _ = tokio::time::timeout(RECALL_DEADLINE, hub.past.recall(store, hub, unknown)).await;
    }

    async fn tell(&self, message: &ServerMessage) -> Result<(), End> {
        let answer = text(message).into_iter().collect();
        self.answers.send(answer).await.map_err(|_| End::Gone)
    }
}

/// Why subscriptions are settled.
#[derive(Debug)]
enum Occasion {
    /// The client wants it so.
    Asked {
        /// What is said first.
        resumed: Option<ServerMessage>,
        /// Of what it wants the last values.
        topics: Vec<Topic>,
    },
    /// It was time to look.
    Looked,
}

impl Occasion {
    fn topics(&self) -> &[Topic] {
        match self {
            Self::Asked { topics, .. } => topics,
            Self::Looked => &[],
        }
    }

    fn wants_snapshot(&self) -> bool {
        !self.topics().is_empty()
    }

    /// Of what the client wants the last values.
    fn entities<'a>(&'a self, groups: &'a BTreeMap<Uuid, Group>) -> impl Iterator<Item = Reference> + 'a {
        let direct = self.topics().iter().filter_map(|topic| topic.entity());
        let wanted = self
            .topics()
            .iter()
            .filter_map(|topic| groups.get(&topic.group()?));
        direct.chain(wanted.flat_map(|group| group.members.iter().copied()))
    }

    /// What is said first.
    fn begin(&self, topics: &HashSet<Topic>, before: &HashSet<Topic>) -> Vec<ServerMessage> {
        let mut names: Vec<String> = topics.iter().map(|topic| topic.format()).collect();
        names.sort_unstable();
        let subscribed = ServerMessage::Subscribed { entities: names };
        match self {
            Self::Asked {
                resumed: Some(resumed),
                ..
            } => vec![resumed.clone(), subscribed],
            Self::Looked if topics == before => Vec::new(),
            Self::Asked { .. } | Self::Looked => vec![subscribed],
        }
    }
}

/// What all groups and single things come to, within what one client may watch; and what that leaves of each group.
fn fit(
    direct: HashSet<Reference>,
    groups: BTreeMap<Uuid, Vec<Reference>>,
) -> (HashSet<Reference>, BTreeMap<Uuid, Group>) {
    let mut all = direct;
    let mut fitted = BTreeMap::new();
    for (id, members) in groups {
        let (mut kept, mut more) = (Vec::new(), 0);
        for member in members {
            if all.contains(&member) || all.len() < MAX_SUBSCRIPTIONS {
                all.insert(member);
                kept.push(member);
            } else {
                more += 1;
            }
        }
        fitted.insert(id, Group { members: kept, more });
    }
    (all, fitted)
}

/// The groups that are new to the client, have changed, or were asked for.
fn changes(
    groups: &BTreeMap<Uuid, Group>,
    before: &BTreeMap<Uuid, Group>,
    occasion: &Occasion,
) -> Vec<ServerMessage> {
    let is_news = |(id, group): &(&Uuid, &Group)| {
        before.get(*id) != Some(*group) || occasion.topics().contains(&Topic::Group(**id))
    };
    let message = |(id, group): (&Uuid, &Group)| ServerMessage::Group {
        group: Topic::Group(*id).format(),
        entities: group
            .members
            .iter()
            .map(|member| entity::format(*member))
            .collect(),
        more: group.more,
    };
    groups.iter().filter(is_news).map(message).collect()
}

/// The last values in messages that are not too long; at least one.
fn parts(samples: Vec<Sample>) -> Vec<ServerMessage> {
    let count = samples.len().div_ceil(SNAPSHOT_PART).max(1);
    let mut samples = samples.into_iter();
    let part = |number: usize| ServerMessage::Snapshot {
        samples: samples.by_ref().take(SNAPSHOT_PART).collect(),
        complete: number == count,
    };
    (1..=count).map(part).collect()
}

fn topics(entities: &[String]) -> Result<Vec<Topic>, ApiError> {
    let topic = |text: &String| {
        Topic::parse(text).ok_or_else(|| {
            ApiError::parameter(
                "entities",
                format_args!("{text:?} is none of host:<uuid>, vm:<uuid> and group:<uuid>"),
            )
        })
    };
    entities.iter().map(topic).collect()
}

#[cfg(test)]
mod tests;
