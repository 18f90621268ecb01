//! A session with an agent, from its welcome to its last acknowledgement.

use super::Centre;
use super::intake::Intake;
use super::session::{End, Greeting, Refusal, welcome};
use super::writer::Outcome;
use crate::enrol::renewal::{self, Letters, Renewals};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use vmscope_link::{Fingerprint, Receiver, Sender};
use vmscope_model::wire::Message;
use vmscope_model::{HostId, Position};

/// Frames of one session that may wait for their commit; then the session stops reading.
const FRAMES_IN_FLIGHT: usize = 256;

/// A frame that waits for its commit.
type Pending = (Position, oneshot::Receiver<Outcome>);

/// Serves an agent until it goes, breaks a rule, is revoked, is replaced by its own newer session, or the collector stops.
pub(super) async fn serve(
    centre: &Arc<Centre>,
    (host, certificate): (HostId, Fingerprint),
    greeting: Greeting,
    sender: &mut Sender,
    receiver: &mut Receiver,
) -> Result<(), End> {
    // Before it takes its seat: a stolen certificate must not displace the session of the host itself.
    let pass = centre.gate.admit(host, certificate).await?;
    let seat = centre.registry.enter(host);
    let letters = renewal::open(&centre.registrar, host, certificate);
    tokio::select! {
        end = converse(centre, host, seat.number(), letters, greeting, sender, receiver) => end,
        () = seat.replaced() => Err(Refusal::Replaced.into()),
        () = pass.revoked() => Err(Refusal::Revoked.into()),
    }
}

async fn converse(
    centre: &Centre,
    host: HostId,
    session: u64,
    (renewals, letters): (Renewals, Letters),
    greeting: Greeting,
    sender: &mut Sender,
    receiver: &mut Receiver,
) -> Result<(), End> {
    let store = &centre.database.store;
    let insist = &centre.database.availability;
    let host_id = insist
        .insist(|| vmscope_store::entity::register_host(store, host))
        .await
        .map_err(End::from_failure)?;
    let committed = insist
        .insist(|| vmscope_store::progress::marks(store, host_id))
        .await
        .map_err(End::from_failure)?;
    let intake = Intake::new(centre, host, host_id, session, &greeting.columns)?;
    sender.send(&welcome(committed)).await?;
    tracing::info!(host.id = %host, agent.version = greeting.software, "agent connected");

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
        let Some((job, position, outcome)) = intake.take(&frame).await? else {
            continue;
        };
        // Either end that is gone means that the collector stops.
        let slot = pending.reserve().await.map_err(|_| End::Stopping)?;
        centre.writers.send(job).await.map_err(|_| End::Stopping)?;
        slot.send((position, outcome));
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
            Err(_) => return Err(End::Stopping),
        }
    }
}
