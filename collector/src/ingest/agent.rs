//! A session with an agent, from its welcome to its last acknowledgement.

use super::Centre;
use super::intake::{Identified, Intake};
use super::session::{End, Greeting, Refusal, welcome};
use super::writer::Outcome;
use crate::database::chain;
use crate::enrol::renewal::{self, Letters, Renewals};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use vmscope_link::{Fingerprint, Receiver, Sender};
use vmscope_model::wire::Message;
use vmscope_model::{HostId, Position};
use vmscope_store::session::Opening;

/// Frames of one session that may wait for their commit; then the session stops reading.
const FRAMES_IN_FLIGHT: usize = 256;

/// How long noting the end of a session may take.
const END_DEADLINE: Duration = Duration::from_secs(2);

/// A frame that waits for its commit.
type Pending = (Position, oneshot::Receiver<Outcome>);

/// A session's place in the database: while its fence is the newest, it speaks for the host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tenure {
    host_id: i32,
    fence: i64,
}

impl Tenure {
    /// Notes that the session is over; a newer one is left alone.
    ///
    /// Tried once: a session that can't be noted counts as over when its collector has stopped or started again.
    pub(super) async fn end(self, centre: &Centre) {
        let ending = vmscope_store::session::end(&centre.database.store, self.host_id, self.fence);
        match timeout(END_DEADLINE, ending).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::debug!(
                    host.db_id = self.host_id,
                    error = chain(&error),
                    "session's end not noted"
                );
            }
            Err(_) => tracing::debug!(host.db_id = self.host_id, "session's end not noted in time"),
        }
    }
}

/// Who an agent's session comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) host: HostId,
    pub(super) certificate: Fingerprint,
    pub(super) remote: SocketAddr,
}

/// Serves an agent until it goes, breaks a rule, is revoked, is replaced by its own newer session, or the collector stops.
pub(super) async fn serve(
    centre: &Arc<Centre>,
    caller: Caller,
    greeting: Greeting,
    tenure: &mut Option<Tenure>,
    sender: &mut Sender,
    receiver: &mut Receiver,
) -> Result<(), End> {
    // Before it takes its seat: a stolen certificate must not displace the session of the host itself.
    let host = caller.host;
    let pass = centre.gate.admit(host, caller.certificate).await?;
    centre.pace.begin(Some(host))?;
    let seat = centre.registry.enter(host);
    let conversation = async {
        centre.clocks.note(host, greeting.clock_offset_us);
        let (held, committed) = begin(centre, caller, &greeting).await?;
        *tenure = Some(held);
        let identified = Identified {
            host,
            host_id: held.host_id,
            fence: held.fence,
            session: seat.number(),
            clock_offset_us: greeting.clock_offset_us,
        };
        let intake = Intake::new(centre, identified, &greeting.columns)?;
        sender.send(&welcome(committed)).await?;
        tracing::info!(
            host.id = %host,
            agent.version = greeting.software,
            session.fence = held.fence,
            clock.offset_ms = greeting.clock_offset_us / 1000,
            "agent connected"
        );
        let letters = renewal::open(&centre.registrar, host, caller.certificate);
        converse(centre, intake, letters, sender, receiver).await
    };
    tokio::select! {
        end = conversation => end,
        () = seat.replaced() => Err(Refusal::Replaced.into()),
        () = pass.revoked() => Err(Refusal::Revoked.into()),
    }
}

/// Makes the session the host's newest, and learns what is committed: nothing older can change that any more.
async fn begin(centre: &Centre, caller: Caller, greeting: &Greeting) -> Result<(Tenure, Vec<Position>), End> {
    let store = &centre.database.store;
    let insist = &centre.database.availability;
    let _beginning = centre.beginnings.acquire().await.map_err(|_| End::Stopping)?;
    let host_id = insist
        .insist(|| vmscope_store::entity::register_host(store, caller.host))
        .await
        .map_err(End::from_failure)?;
    let opening = Opening {
        host_id,
        collector: centre.name.clone(),
        remote: caller.remote.to_string(),
        agent_version: greeting.software.clone(),
        clock_offset_us: greeting.clock_offset_us,
    };
    let fence = insist
        .insist(|| vmscope_store::session::begin(store, &opening))
        .await
        .map_err(End::from_failure)?;
    let committed = insist
        .insist(|| vmscope_store::progress::marks(store, host_id))
        .await
        .map_err(End::from_failure)?;
    Ok((Tenure { host_id, fence }, committed))
}

async fn converse(
    centre: &Centre,
    intake: Intake<'_>,
    (renewals, letters): (Renewals, Letters),
    sender: &mut Sender,
    receiver: &mut Receiver,
) -> Result<(), End> {
    let (pending, outcomes) = mpsc::channel(FRAMES_IN_FLIGHT);
    let reading = async move {
        tokio::select! {
            end = read(intake, renewals, centre, receiver, pending) => end,
            () = centre.stopping.cancelled() => Ok(()),
        }
    };
    // Reading that ends well drops `pending`; what is queued is still committed and acknowledged.
    tokio::try_join!(reading, acknowledge(outcomes, letters, sender)).map(|_| ())
}

/// Hands frames to the host's writer until the agent ends its stream.
async fn read(
    mut intake: Intake<'_>,
    mut renewals: Renewals,
    centre: &Centre,
    receiver: &mut Receiver,
    pending: mpsc::Sender<Pending>,
) -> Result<(), End> {
    while let Some(message) = receiver.recv().await? {
        let frame = match message {
            Message::Frame(frame) => frame,
            Message::Renew { request } => {
                renewals.take(&request).await;
                continue;
            }
            _ => return Err(Refusal::UnexpectedMessage.into()),
        };
        if let Some((job, position, outcome)) = intake.take(&frame).await? {
            // Either end that is gone means that the collector stops.
            let slot = pending.reserve().await.map_err(|_| End::Stopping)?;
            centre
                .writers
                .send(intake.lane(), job)
                .await
                .map_err(|_| End::Stopping)?;
            slot.send((position, outcome));
        }
        drop(frame);
        // The session holds nothing now: what it waits here, its agent waits.
        intake.pay().await;
    }
    Ok(())
}

/// Tells the agent of each commit, and what else it has to know.
async fn acknowledge(
    mut outcomes: mpsc::Receiver<Pending>,
    mut letters: Letters,
    sender: &mut Sender,
) -> Result<(), End> {
    loop {
        let (position, outcome) = tokio::select! {
            pending = outcomes.recv() => match pending {
                Some(pending) => pending,
                None => return Ok(()),
            },
            letter = letters.next() => {
                sender.send(&letter).await?;
                continue;
            }
        };
        match outcome.await {
            Ok(Outcome::Committed) => sender.send(&Message::Ack(position)).await?,
            Ok(Outcome::Refused) => return Err(Refusal::BadData(None).into()),
            Ok(Outcome::Replaced) => return Err(Refusal::Replaced.into()),
            Err(_) => return Err(End::Stopping),
        }
    }
}
