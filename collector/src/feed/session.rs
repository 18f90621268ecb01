//! A session with a web server.

use super::{Live, Subscription};
use crate::ingest::{Centre, End, Refusal, welcome};
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use vmscope_link::{Receiver, Sender};
use vmscope_model::HostId;
use vmscope_model::wire::{FrameEncoder, Message};

/// Feeds a web server until it goes, breaks a rule, or the collector stops.
pub(crate) async fn serve(centre: &Centre, sender: &mut Sender, receiver: &mut Receiver) -> Result<(), End> {
    sender.send(&welcome(Vec::new())).await?;
    let subscription = centre.hub.subscribe();
    tokio::select! {
        end = listen(receiver, &subscription) => end,
        end = feed(centre, sender, &subscription) => end.map(|never| match never {}),
        () = centre.stopping.cancelled() => Ok(()),
    }
}

/// Follows what the web server wants.
async fn listen(receiver: &mut Receiver, subscription: &Subscription) -> Result<(), End> {
    while let Some(message) = receiver.recv().await? {
        let Message::Subscribe { hosts } = message else {
            return Err(Refusal::UnexpectedMessage.into());
        };
        subscription.want(hosts);
    }
    Ok(())
}

/// Sends what it wants, as fast as it takes it.
async fn feed(centre: &Centre, sender: &mut Sender, subscription: &Subscription) -> Result<Infallible, End> {
    let mut encoders: HashMap<HostId, FrameEncoder> = HashMap::new();
    loop {
        for (host, mut ticks) in subscription.next().await {
            let encoder = encoders.entry(host).or_insert_with(|| FrameEncoder::new(host));
            for ticks in epochs(&mut ticks) {
                let frame = encoder.encode(ticks).map_err(Refusal::FeedExhausted)?;
                sender.send(&Message::Frame(frame)).await?;
                centre.metrics.feed_ticks.inc_by(ticks.len() as u64);
            }
        }
    }
}

/// The ticks in runs of one epoch each: a frame has room for one.
fn epochs(ticks: &mut VecDeque<Live>) -> impl Iterator<Item = &[Live]> {
    ticks
        .make_contiguous()
        .chunk_by(|one, next| one.0.epoch == next.0.epoch)
}
