//! The authority and this collector's own certificate, as they are on disk.
//!
//! Both are looked at every few seconds. What has changed takes effect at once and without ending a session: the listener
//! shows and trusts the new, sessions tell their agents of other roots. A change that would leave this collector with a
//! certificate that its agents don't trust is not taken over, and logged.

use crate::config;
use crate::database::chain;
use crate::metrics::Metrics;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vmscope_link::{
    Authority, Fingerprint, Identity, IdentityFiles, Listener, Role, Signed, Validity, authority,
};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often the log speaks of a certificate that expires soon.
const WARN_EVERY: Duration = Duration::from_hours(24);

/// Why the authority can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be opened.
    #[error("the authority in {path} can't be opened", path = path.display())]
    Authority {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: authority::Error,
    },
    /// The collector's own files can't be read.
    #[error("the collector's identity can't be used")]
    Identity(#[source] vmscope_link::identity::Error),
    /// The collector's certificate is of another authority.
    #[error(
        "the collector's own certificate is not signed by a root of the authority: issue it again \
         (vmscope-collector ca issue --role collector)"
    )]
    Stranger,
    /// The listener can't serve with it.
    #[error("the listener can't use it")]
    Listen(#[source] vmscope_link::Error),
}

/// The authority of one moment.
#[derive(Debug)]
pub(crate) struct Seal {
    authority: Authority,
    roots: Fingerprint,
    life: Duration,
}

impl Seal {
    /// One name for all its roots.
    pub(crate) const fn roots(&self) -> Fingerprint {
        self.roots
    }

    pub(super) fn sign(&self, role: &Role, request: &[u8]) -> Result<Signed, authority::Error> {
        self.authority.sign(request, role, Validity::lasting(self.life))
    }
}

/// What this collector shows and what it signs with.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) identity: Identity,
    pub(crate) seal: Option<Arc<Seal>>,
}

impl Standing {
    /// `identity`, trusting the authority's roots and no others when there is an authority.
    pub(crate) fn new(identity: Identity, config: Option<&config::Authority>) -> Result<Self, Error> {
        let Some(config) = config else {
            return Ok(Self { identity, seal: None });
        };
        let authority = Authority::open(&config.dir).map_err(|source| Error::Authority {
            path: config.dir.clone(),
            source,
        })?;
        let identity = identity
            .trusting(authority.certificate_pem())
            .map_err(Error::Identity)?;
        if identity.issuer().is_none() {
            return Err(Error::Stranger);
        }
        let seal = Seal {
            roots: identity.trust(),
            authority,
            life: Duration::from_secs(config.certificate_lifetime_s.get().into()),
        };
        Ok(Self {
            identity,
            seal: Some(Arc::new(seal)),
        })
    }
}

/// Follows the files.
pub(crate) struct Keeper {
    files: IdentityFiles,
    config: Option<config::Authority>,
    listener: Arc<Listener>,
    standing: Standing,
    seals: watch::Sender<Option<Arc<Seal>>>,
    metrics: Metrics,
    seen: Vec<Option<Fingerprint>>,
    warned: Option<SystemTime>,
}

impl Keeper {
    pub(crate) fn new(
        config: &config::Config,
        standing: Standing,
        listener: Arc<Listener>,
        metrics: Metrics,
    ) -> Self {
        let mut keeper = Self {
            files: config.identity.clone(),
            config: config.authority.clone(),
            listener,
            seals: watch::Sender::new(standing.seal.clone()),
            standing,
            metrics,
            seen: Vec::new(),
            warned: None,
        };
        keeper.seen = keeper.look();
        keeper
    }

    pub(crate) fn seals(&self) -> super::Seals {
        self.seals.subscribe()
    }

    /// Looks again and again until the collector stops.
    pub(crate) async fn run(mut self, stopping: CancellationToken) {
        self.speak_of_the_end();
        while tokio::time::timeout(LOOK_EVERY, stopping.cancelled())
            .await
            .is_err()
        {
            let seen = self.look();
            if seen != self.seen {
                self.seen = seen;
                self.take_over();
            }
            self.speak_of_the_end();
        }
    }

    /// What is in the files; nothing for one that can't be read, which is as good as unchanged if it never could.
    fn look(&self) -> Vec<Option<Fingerprint>> {
        let IdentityFiles { ca, certificate, key } = &self.files;
        let authority = self
            .config
            .iter()
            .flat_map(|config| Authority::files(&config.dir));
        let paths = [ca, certificate, key].into_iter().cloned().chain(authority);
        paths
            .map(|path| std::fs::read(path).ok().map(|bytes| Fingerprint::of(&bytes)))
            .collect()
    }

    fn take_over(&mut self) {
        let change = Identity::load(&self.files)
            .map_err(Error::Identity)
            .and_then(|identity| Standing::new(identity, self.config.as_ref()))
            .and_then(|standing| {
                self.listener
                    .set_identity(&standing.identity)
                    .map_err(Error::Listen)?;
                Ok(standing)
            });
        match change {
            Ok(standing) => {
                let roots = standing
                    .seal
                    .as_ref()
                    .map_or(0, |seal| seal.authority.roots().len());
                tracing::info!(authority.roots = roots, certificate = %standing.identity.fingerprint(), "certificates changed on disk and are in use");
                self.seals.send_replace(standing.seal.clone());
                self.standing = standing;
                self.warned = None;
            }
            Err(error) => tracing::error!(
                error = chain(&error),
                "certificates changed on disk and can't be used: those from before stay in use"
            ),
        }
    }

    fn speak_of_the_end(&mut self) {
        let (now, end) = (SystemTime::now(), self.standing.identity.validity().not_after);
        let since_epoch = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.metrics.expires(since_epoch.as_secs());
        let quiet = self.warned.is_some_and(|at| now < at + WARN_EVERY);
        if let Some(days) = self.standing.identity.days_left_if_few().filter(|_| !quiet) {
            self.warned = Some(now);
            tracing::warn!(
                certificate.days_left = days,
                "this collector's own certificate expires soon: issue it again (vmscope-collector ca issue --role collector)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Standing};
    use crate::config;
    use vmscope_link::{Authority, Role, Validity};

    /// Retiring a root before the collector has a certificate of the new one would lock every agent out.
    #[test]
    fn an_authority_that_did_not_sign_the_own_certificate_is_not_taken_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config::Authority::new(folder.path().to_owned());
        let role = Role::Collector("north".to_owned());
        let old = Authority::init(folder.path(), "test").expect("an authority");
        let issued = old.issue(&role, Validity::default()).expect("signed");
        let identity = issued.identity().expect("usable");
        let before = Standing::new(identity.clone(), Some(&config)).expect("usable");
        Authority::rotate(folder.path(), "test").expect("rotated");
        let both = Standing::new(identity.clone(), Some(&config)).expect("usable");
        assert_ne!(both.identity.trust(), before.identity.trust());
        Authority::retire(folder.path()).expect("retired");
        assert!(matches!(
            Standing::new(identity, Some(&config)),
            Err(Error::Stranger)
        ));
    }
}
