//! Files on their way to the caller.
//!
//! What is made while it is sent has a task, which is a few pieces ahead of the network and no more. There are at most
//! [`STREAMS`] of these, and one ends when its reader takes nothing for [`STALLED`], or after [`LONGEST`]: each holds a snapshot
//! of the database. What fails before the first piece is an answer; later, the file breaks off, and the reader's HTTP says so.

use crate::auth::Caller;
use crate::error::ApiError;
use crate::state::App;
use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use vmscope_export::{Entities, Export, Format, List};
use vmscope_storage::{Key, Storage};
use vmscope_store::audit;

/// Files that are made and sent at the same time.
pub(crate) const STREAMS: usize = 4;

/// Pieces that are made and not yet sent, of each.
const PIECES: usize = 2;

/// How long a reader may take nothing.
const STALLED: Duration = Duration::from_mins(1);

/// How long a file may take; whoever wants more has it made as a job.
const LONGEST: Duration = Duration::from_mins(15);

/// How long the answer waits for the first piece, to say what is wrong if something is.
const FIRST_PIECE: Duration = Duration::from_secs(10);

/// Why a file breaks off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("rows can't be had any more")]
    Export(#[source] vmscope_export::Error),
    #[error("its reader has gone or takes nothing")]
    Reader,
    #[error("it takes too long")]
    TooLong,
    #[error("the server stops")]
    Stopping,
    #[error("it was given up")]
    GivenUp,
}

type Piece = Result<Bytes, Broken>;

/// Sends a list as a file, as far as the caller may see it.
pub(crate) async fn send(
    app: &App,
    caller: &Caller,
    format: Format,
    list: List,
) -> Result<Response, ApiError> {
    let permit = app
        .exports
        .clone()
        .try_acquire_owned()
        .map_err(|_| ApiError::TooManyExports)?;
    let headers = headers(format, list.name(), Timestamp::now());
    let entry = audit::Entry::done("export.stream").on("export", list.name(), "");
    let entry = entry.changing(None, Some(summary(format, &list)));
    let source = list.open(&app.store, caller.rights()).await?;
    let export = Export::new(source, format)?;
    let (sender, mut pieces) = mpsc::channel(PIECES);
    let is_whole = Arc::new(AtomicBool::new(false));
    let make = make(export, sender, Arc::clone(&is_whole), app.lifecycle.stopping());
    app.lifecycle.spawn_finite("export", async move {
        make.await;
        drop::<OwnedSemaphorePermit>(permit);
    });
    let first = match timeout(FIRST_PIECE, pieces.recv()).await {
        Ok(Some(Err(Broken::Export(error)))) => return Err(error.into()),
        Ok(first) => first,
        Err(_) => None,
    };
    audit::record(&app.store, &caller.context(), &entry).await?;
    let body = StreamExt::chain(stream::iter(first), rest(pieces, is_whole));
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Makes a file until it is whole, or there is a reason not to.
async fn make(
    export: Export,
    pieces: mpsc::Sender<Piece>,
    is_whole: Arc<AtomicBool>,
    stopping: CancellationToken,
) {
    let end = tokio::select! {
        end = timeout(LONGEST, feed(export, &pieces)) => end.unwrap_or(Err(Broken::TooLong)),
        () = stopping.cancelled() => Err(Broken::Stopping),
    };
    match end {
        Ok(()) => is_whole.store(true, Ordering::Release),
        // When there is no room for the reason, the file breaks off all the same: it is not whole.
        Err(broken) => _ = pieces.try_send(Err(broken)),
    }
}

/// Gives the pieces of a file, no faster than they are taken.
async fn feed(mut export: Export, pieces: &mpsc::Sender<Piece>) -> Result<(), Broken> {
    while let Some(piece) = export.next().await.map_err(Broken::Export)? {
        let sent = timeout(STALLED, pieces.send(Ok(piece.into()))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return Err(Broken::Reader);
        }
    }
    Ok(())
}

/// The pieces after the first; an error at the end when the file is not whole, so that nobody takes it for such.
fn rest(mut pieces: mpsc::Receiver<Piece>, is_whole: Arc<AtomicBool>) -> impl Stream<Item = Piece> {
    let mut is_over = false;
    let all = stream::poll_fn(move |context| {
        let piece = std::task::ready!(pieces.poll_recv(context));
        if piece.is_none() && !std::mem::replace(&mut is_over, true) && !is_whole.load(Ordering::Acquire) {
            return Poll::Ready(Some(Err(Broken::GivenUp)));
        }
        Poll::Ready(piece)
    });
    all.inspect(|piece| {
        if let Err(broken) = piece {
            let error = broken as &dyn std::error::Error;
            tracing::warn!(error, "a file that was being sent breaks off");
        }
    })
}

/// Sends a file that is in storage.
pub(crate) async fn file(
    storage: &Storage,
    key: &str,
    asked: &Json,
    at: Timestamp,
) -> Result<Response, ApiError> {
    let key: Key = key.parse()?;
    let Some(download) = storage.open(&key).await? else {
        tracing::warn!(file = %key, "the file of an export is not here: collectors and web servers must share a directory");
        return Err(ApiError::NotFound);
    };
    let size_bytes = download.size_bytes();
    let format: Format = serde_json::from_value(asked["format"].clone()).unwrap_or_default();
    let what = asked["what"].as_str().unwrap_or("export");
    let body = stream::try_unfold(download, async |mut download| {
        let piece = download.next().await?;
        Ok::<_, vmscope_storage::Error>(piece.map(|piece| (piece, download)))
    });
    let length = [(CONTENT_LENGTH, size_bytes.to_string())];
    Ok((headers(format, what, at), length, Body::from_stream(body)).into_response())
}

fn headers(format: Format, what: &str, at: Timestamp) -> [(axum::http::HeaderName, String); 2] {
    let name = format!(
        "vmscope-{what}-{}.{}",
        at.strftime("%Y%m%dT%H%M%SZ"),
        format.extension()
    );
    [
        (CONTENT_TYPE, format.content_type().to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ]
}

/// What is exported, for the audit trail, which takes no thousand names.
fn summary(format: Format, list: &List) -> Json {
    let filter = match list {
        List::History(query) => {
            let entities = match &query.entities {
                Entities::Listed(listed) => json!(listed.len()),
                members @ Entities::Members { .. } => json!(members),
            };
            json!({
                "entities": entities, "kind": query.kind, "metrics": query.metrics, "from": query.from, "to": query.to,
                "step_s": query.step_s,
            })
        }
        List::Vms(filter) => json!(filter),
        List::Hosts(filter) => json!(filter),
        List::Gaps(filter) => json!(filter),
    };
    json!({ "format": format, "filter": filter })
}
