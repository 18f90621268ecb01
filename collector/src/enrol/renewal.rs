//! Successors of certificates, within the sessions that the certificates opened.
//!
//! A session has one [`Renewals`] that answers requests, and [`Letters`] that carry the answers, and the news that the
//! authority has other roots, to whoever sends the session's messages.

use super::{Refusal, Registrar, Seals, issued, sign};
use crate::database::chain;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use vmscope_link::Fingerprint;
use vmscope_model::HostId;
use vmscope_model::wire::Message;
use vmscope_store::certificate::{self, Shown};

/// Answers that wait to be sent; then the session waits with the next request.
const ANSWERS: usize = 4;
/// The least time between two successors in one session.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers one session's requests.
#[derive(Debug)]
pub(crate) struct Renewals {
    registrar: Arc<Registrar>,
    shown: Shown,
    answers: mpsc::Sender<Message>,
    last: Option<Instant>,
}

/// What one session has to be told beside its acknowledgements.
#[derive(Debug)]
pub(crate) struct Letters {
    answers: mpsc::Receiver<Message>,
    seals: Seals,
}

/// The two ends for a session of `host` with `certificate`.
pub(crate) fn open(
    registrar: &Arc<Registrar>,
    host: HostId,
    certificate: Fingerprint,
) -> (Renewals, Letters) {
    let (answers, taken) = mpsc::channel(ANSWERS);
    let mut seals = registrar.seals.clone();
    // Every session begins with them.
    seals.mark_changed();
    let renewals = Renewals {
        registrar: Arc::clone(registrar),
        shown: Shown {
            host,
            sha256: *certificate.bytes(),
        },
        answers,
        last: None,
    };
    (
        renewals,
        Letters {
            answers: taken,
            seals,
        },
    )
}

impl Renewals {
    /// Answers a request. A session that ends meanwhile is not told.
    pub(crate) async fn take(&mut self, request: &[u8]) {
        let host = self.shown.host;
        let answer = match self.renew(request).await {
            Ok(message) => {
                self.registrar.metrics.renewed("issued");
                tracing::info!(host.id = %host, "certificate renewed");
                message
            }
            Err(refusal) => {
                let code = refusal.code();
                self.registrar.metrics.renewed(code);
                tracing::warn!(host.id = %host, code, error = chain(&refusal), "certificate not renewed");
                Message::NotRenewed {
                    code: code.to_owned(),
                    advice: refusal.to_string(),
                }
            }
        };
        let _ = self.answers.send(answer).await;
    }

    async fn renew(&mut self, request: &[u8]) -> Result<Message, Refusal> {
        if self.last.is_some_and(|last| last.elapsed() < PAUSE) {
            return Err(Refusal::TooSoon);
        }
        let seal = self.registrar.seal()?;
        let mut signed = None;
        let recorded = certificate::renew(&self.registrar.database.store, self.shown, || {
            sign(&seal, self.shown.host, request, &mut signed)
        })
        .await;
        let message = issued(recorded, signed)?;
        self.last = Some(Instant::now());
        Ok(message)
    }
}

impl Letters {
    /// Waits for the next one. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Message {
        loop {
            tokio::select! {
                Some(answer) = self.answers.recv() => return answer,
                Ok(()) = self.seals.changed() => {
                    let seal = self.seals.borrow_and_update().clone();
                    if let Some(seal) = seal {
                        return Message::Trust { roots: *seal.roots().bytes() };
                    }
                }
                else => std::future::pending().await,
            }
        }
    }
}
