//! The certificate that the uplink shows, and its succession.

use crate::metrics::Metrics;
use crate::uplink::chain;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use vmscope_link::{
    Cause, Dialer, Error, Fingerprint, Identity, IdentityFiles, Request, Role, Timing, Validity,
};
use vmscope_model::HostId;
use vmscope_model::wire::Message;

/// A successor is asked for when this part of a certificate's life is left, as a divisor.
const LEFT: u32 = 3;
/// By how much the moment is put forward at random, as a part of what is left then.
const JITTER: f64 = 0.2;
/// Parts of a certificate's life between two attempts, and their bounds.
const RETRY_PART: u32 = 30;
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_hours(1));
/// Over how long a fleet spreads that learns of other roots at the same moment.
const SPREAD: Duration = Duration::from_mins(1);
/// How often the files are looked at while the agent waits for a person.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long to sleep at most before looking at the clock again: it may have been set.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// What this agent shows to collectors.
#[derive(Debug)]
pub struct Credentials {
    host: HostId,
    files: IdentityFiles,
    dialer: Dialer,
    metrics: Metrics,
    state: Mutex<State>,
    earlier: Notify,
}

#[derive(Debug)]
struct State {
    identity: Identity,
    /// When to ask for a successor.
    renew_at: SystemTime,
    /// What was asked for and not answered yet.
    request: Option<Request>,
}

impl Credentials {
    /// Shows `identity`, in sessions with these times; its successors go to `files`.
    ///
    /// # Errors
    /// [`Error::Tls`] when the identity can't be used.
    pub fn new(
        host: HostId,
        identity: Identity,
        files: IdentityFiles,
        timing: Timing,
        metrics: Metrics,
    ) -> Result<Self, Error> {
        let credentials = Self {
            host,
            files,
            dialer: Dialer::with_timing(&identity, timing)?,
            metrics,
            state: Mutex::new(State {
                renew_at: renewal(identity.validity()),
                identity,
                request: None,
            }),
            earlier: Notify::new(),
        };
        credentials.note_expiry();
        Ok(credentials)
    }

    pub(crate) const fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// Takes over files that someone else has changed: an enrolment by hand needs no restart.
    pub(crate) async fn refresh(&self) {
        let Some(identity) = self.replacement().await else {
            return;
        };
        if *identity.role() != Role::Agent(self.host) {
            tracing::error!(
                identity = %identity.role(),
                "the certificate on disk is for another host: restart the agent to use it"
            );
            return;
        }
        tracing::info!(certificate = %identity.fingerprint(), "using the certificate that was put on disk");
        self.show(identity);
    }

    /// Waits until someone else has put another certificate of this host on disk. Cancel-safe.
    pub(crate) async fn replaced(&self) {
        let role = Role::Agent(self.host);
        while self.replacement().await.is_none_or(|found| *found.role() != role) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The identity on disk, if it is another one than that in use.
    async fn replacement(&self) -> Option<Identity> {
        let (files, known) = (self.files.clone(), self.state().identity.clone());
        let loaded = tokio::task::spawn_blocking(move || on_disk_instead(&files, &known));
        loaded.await.ok().flatten()
    }

    /// Whether it is time to ask for a successor.
    pub(crate) fn is_due(&self) -> bool {
        self.state().renew_at <= SystemTime::now()
    }

    /// Waits until it is. Cancel-safe.
    pub(crate) async fn due(&self) {
        loop {
            let left = self.state().renew_at.duration_since(SystemTime::now());
            let Ok(left) = left.map(|left| left.min(LONGEST_SLEEP)) else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                () = self.earlier.notified() => {}
            }
        }
    }

    /// The message that asks for a successor; nothing when the key for it can't be kept. The next time is later.
    pub(crate) async fn request(&self) -> Option<Message> {
        let files = self.files.clone();
        let prepared = tokio::task::spawn_blocking(move || Request::prepare(&files))
            .await
            .ok()?;
        let mut state = self.state();
        state.renew_at = SystemTime::now() + retry(state.identity.validity());
        match prepared {
            Ok(request) => {
                let message = Message::Renew {
                    request: request.der().to_vec(),
                };
                state.request = Some(request);
                Some(message)
            }
            Err(error) => {
                tracing::error!(
                    error = chain(&error),
                    "no certificate can be asked for: can the agent write where its identity is?"
                );
                None
            }
        }
    }

    /// Takes the answer.
    pub(crate) async fn accept(&self, certificate: String, authority: String) {
        let (request, known) = {
            let mut state = self.state();
            (state.request.take(), state.identity.clone())
        };
        let Some(request) = request else { return };
        if self.replacement().await.is_some() {
            // An enrolment by hand was faster, and counts for more.
            return;
        }
        let kept =
            tokio::task::spawn_blocking(move || request.accept(known.role(), &certificate, &authority));
        match kept.await {
            Ok(Ok(identity)) => {
                tracing::info!(certificate = %identity.fingerprint(), "certificate renewed");
                self.metrics.renewals.inc();
                self.show(identity);
            }
            Ok(Err(error)) => tracing::error!(
                error = chain(&error),
                "the renewed certificate can't be used or kept"
            ),
            Err(_) => {}
        }
    }

    /// Notes that there is no successor now.
    pub(crate) fn not_renewed(&self, code: &str, advice: &str) {
        let left = self
            .state()
            .identity
            .validity()
            .not_after
            .duration_since(SystemTime::now());
        let hours_left = left.unwrap_or_default().as_secs() / 3_600;
        tracing::error!(
            code,
            advice,
            certificate.hours_left = hours_left,
            "collector does not renew the certificate"
        );
    }

    /// Asks soon when the collector's authority has other roots than those that are trusted here.
    pub(crate) fn compare(&self, roots: Fingerprint) {
        let mut state = self.state();
        if state.identity.trust() == roots {
            return;
        }
        let spread = SPREAD.min(life(state.identity.validity()) / RETRY_PART);
        let soon = SystemTime::now() + spread.mul_f64(rand::random_range(0.0..=1.0));
        if soon < state.renew_at {
            state.renew_at = soon;
            drop(state);
            tracing::info!("the authority has other roots: asking for a new certificate early");
            self.earlier.notify_one();
        }
    }

    /// What a person can do about a session that failed because of certificates.
    pub(crate) fn advice(&self, error: &Error) -> Option<String> {
        let what = match error {
            Error::Rejected(Cause::Expired) => "this agent's certificate has expired",
            Error::Rejected(_) => "the collector does not accept this agent's certificate",
            Error::Connect {
                cause: Cause::UnknownAuthority | Cause::BadCertificate,
                ..
            } => "the collector's certificate is of an authority that this agent does not know",
            _ => return None,
        };
        Some(format!("{what}: {}", again(self.host)))
    }

    fn show(&self, identity: Identity) {
        if let Err(error) = self.dialer.set_identity(&identity) {
            tracing::error!(error = chain(&error), "the new certificate can't be used");
            return;
        }
        let mut state = self.state();
        state.renew_at = renewal(identity.validity());
        state.identity = identity;
        drop(state);
        self.note_expiry();
    }

    fn note_expiry(&self) {
        let end = self.state().identity.validity().not_after;
        let since_epoch = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.metrics
            .certificate_expiry
            .set(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX));
        if end <= SystemTime::now() {
            tracing::error!(
                advice = again(self.host),
                "this agent's certificate has expired: no collector accepts it"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn on_disk_instead(files: &IdentityFiles, known: &Identity) -> Option<Identity> {
    let differs =
        |found: &Identity| found.fingerprint() != known.fingerprint() || found.trust() != known.trust();
    Identity::load(files).ok().filter(differs)
}

fn again(host: HostId) -> String {
    format!(
        "on the collector run `vmscope-collector enrol token create --host {host}`, here `vmscope-agent enrol` with that token; \
         the agent goes on by itself"
    )
}

fn life(validity: Validity) -> Duration {
    validity
        .not_after
        .duration_since(validity.not_before)
        .unwrap_or_default()
}

/// When two thirds of a life have passed, or somewhat later.
fn renewal(validity: Validity) -> SystemTime {
    let left = life(validity) / LEFT;
    let kept = left.mul_f64(1.0 - rand::random_range(0.0..=JITTER));
    validity
        .not_after
        .checked_sub(kept)
        .unwrap_or(validity.not_before)
}

/// How long to wait after an attempt.
fn retry(validity: Validity) -> Duration {
    (life(validity) / RETRY_PART).clamp(RETRY.0, RETRY.1)
}

#[cfg(test)]
mod tests {
    use super::{RETRY, Validity, renewal, retry};
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_certificate_is_renewed_between_two_thirds_of_its_life_and_a_little_later() {
        let not_before = SystemTime::now();
        let validity = Validity {
            not_before,
            not_after: not_before + Duration::from_hours(90 * 24),
        };
        for _ in 0..100 {
            let days = renewal(validity)
                .duration_since(not_before)
                .unwrap()
                .as_secs_f64()
                / 86_400.0;
            assert!((60.0..=66.001).contains(&days), "{days}");
        }
        assert_eq!(retry(validity), RETRY.1);
    }
}
