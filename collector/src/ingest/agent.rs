//! A session with an agent, from its welcome to its last acknowledgement.

use super::Centre;
use super::intake::Intake;
use super::session::{End, Greeting, Refusal, welcome};
use super::writer::Outcome;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use vmscope_link::{Receiver, Sender};
use vmscope_model::wire::Message;
use vmscope_model::{HostId, Position};

/// Frames of one session that may wait for their commit; then the session stops reading.
const FRAMES_IN_FLIGHT: usize = 256;

/// A frame that waits for its commit.
type Pending = (Position, oneshot::Receiver<Outcome>);

/// Serves an agent until it goes, breaks a rule, is replaced by its own newer session, or the collector stops.
pub(super) async fn serve(
    centre: &Arc<Centre>,
    host: HostId,
    greeting: Greeting,
    sender: &mut Sender,
    receiver: &mut Receiver,
) -> Result<(), End> {
    let seat = centre.registry.enter(host);
    tokio::select! {
        end = converse(centre, host, seat.number(), greeting, sender, receiver) => end,
        () = seat.replaced() => Err(Refusal::Replaced.into()),
    }
}

async fn converse(
    centre: &Centre,
    host: HostId,
    session: u64,
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
            end = read(intake, centre, receiver, pending) => end,
            () = centre.stopping.cancelled() => Ok(()),
        }
    };
    // Reading that ends well drops `pending`; what is queued is still committed and acknowledged.
    tokio::try_join!(reading, acknowledge(outcomes, sender)).map(|_| ())
}

/// Hands frames to the host's writer until the agent ends its stream.
async fn read(
    mut intake: Intake<'_>,
    centre: &Centre,
    receiver: &mut Receiver,
    pending: mpsc::Sender<Pending>,
) -> Result<(), End> {
    while let Some(message) = receiver.recv().await? {
        let Message::Frame(frame) = message else {
            return Err(Refusal::UnexpectedMessage.into());
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

/// Tells the agent of each commit.
async fn acknowledge(mut outcomes: mpsc::Receiver<Pending>, sender: &mut Sender) -> Result<(), End> {
    while let Some((position, outcome)) = outcomes.recv().await {
        match outcome.await {
            Ok(Outcome::Committed) => sender.send(&Message::Ack(position)).await?,
            Ok(Outcome::Refused) => return Err(Refusal::BadData(None).into()),
            Err(_) => return Err(End::Stopping),
        }
    }
    Ok(())
}
