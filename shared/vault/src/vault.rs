//! Secrets in the database.

use crate::seal::{self, Context};
use crate::{Error, KeySource, Keyring};
use uuid::Uuid;
use vmscope_store::Store;
use vmscope_store::secret::{self, Sealed, Stored, Written};
use zeroize::Zeroizing;

/// Secrets that are resealed between two looks at the table.
const PAGE: u16 = 200;

/// How often a write is tried that others get in the way of.
const TRIES: usize = 50;

/// What [`Vault::rotate`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rotated {
    /// The key that everything is sealed under now.
    pub key: String,
    /// Secrets that were sealed anew.
    pub resealed: u64,
    /// Secrets that could not be opened and stay as they are, with the reason.
    pub failed: Vec<(Uuid, String)>,
}

/// Secrets in the database, and the keys to them. Cheap to clone.
///
/// `purpose` says what a secret is for (`totp`), `owner` whose it is (a user's id): a secret opens only with those that it was put
/// with.
#[derive(Debug, Clone)]
pub struct Vault {
    store: Store,
    keys: KeySource,
}

impl Vault {
    /// The secrets in `store`, under `keys`.
    pub const fn new(store: Store, keys: KeySource) -> Self {
        Self { store, keys }
    }

    /// The keys.
    pub const fn keys(&self) -> &KeySource {
        &self.keys
    }

    /// The newest secret of this purpose and owner.
    ///
    /// # Errors
    /// The database's failures.
    pub async fn find(&self, purpose: &str, owner: &str) -> Result<Option<Uuid>, Error> {
        Ok(secret::newest(&self.store, purpose, owner).await?)
    }

    /// Seals a secret and stores it; gives the id by which it is found again.
    ///
    /// # Errors
    /// [`Error::RetiredKey`] when this program's keys are out of date, or the database's failures.
    pub async fn put(&self, purpose: &str, owner: &str, plain: &[u8]) -> Result<Uuid, Error> {
        let context = Context {
            purpose,
            owner,
            id: Uuid::new_v4(),
        };
        let ring = self.keys.present();
        let sealed = seal(&ring, &context, plain)?;
        match secret::insert(&self.store, &row(&ring, &context, &sealed)).await? {
            Written::Done => Ok(context.id),
            Written::RetiredKey => Err(retired(&ring)),
            Written::Changed => Err(Error::Contended(context.id)),
        }
    }

    /// Opens a secret.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Broken`], [`Error::UnknownKey`], or the database's failures.
    pub async fn get(&self, id: Uuid, purpose: &str, owner: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let stored = secret::get(&self.store, id).await?.ok_or(Error::Missing(id))?;
        self.open(&stored, &Context { purpose, owner, id })
    }

    /// Puts another secret in the place of one.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Broken`] when it is of another purpose or owner, [`Error::RetiredKey`], or the database's
    /// failures.
    pub async fn replace(&self, id: Uuid, purpose: &str, owner: &str, plain: &[u8]) -> Result<(), Error> {
        let context = Context { purpose, owner, id };
        for _ in 0..TRIES {
            let stored = secret::get(&self.store, id).await?.ok_or(Error::Missing(id))?;
            if (stored.purpose.as_str(), stored.owner.as_str()) != (purpose, owner) {
                return Err(Error::Broken(id));
            }
            let ring = self.keys.present();
            let sealed = seal(&ring, &context, plain)?;
            match secret::update(&self.store, &row(&ring, &context, &sealed), stored.version).await? {
                Written::Done => return Ok(()),
                Written::RetiredKey => return Err(retired(&ring)),
                Written::Changed => {}
            }
        }
        Err(Error::Contended(id))
    }

    /// Removes a secret; `false` when there is none.
    ///
    /// # Errors
    /// The database's failures.
    pub async fn remove(&self, id: Uuid) -> Result<bool, Error> {
        Ok(secret::remove(&self.store, id).await?)
    }

    /// Seals everything anew, with new data keys, that is not under the first master key. Others may read and write all the
    /// while; what they write meanwhile is never overwritten.
    ///
    /// # Errors
    /// [`Error::RetiredKey`] when this program's keys are out of date, or the database's failures. What can't be opened is no
    /// error but told in [`Rotated`].
    pub async fn rotate(&self) -> Result<Rotated, Error> {
        let ring = self.keys.present();
        if secret::is_retired(&self.store, &ring.active().id).await? {
            return Err(retired(&ring));
        }
        let mut rotated = Rotated {
            key: ring.active().id.clone(),
            ..Rotated::default()
        };
        let mut after = Uuid::nil();
        loop {
            let page = secret::sealed_otherwise(&self.store, &rotated.key, after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(rotated);
            };
            after = last.id;
            for stored in page {
                match self.reseal(&ring, stored).await {
                    Ok(resealed) => rotated.resealed += u64::from(resealed),
                    Err((
                        id,
                        error @ (Error::Broken(_) | Error::UnknownKey { .. } | Error::Contended(_)),
                    )) => {
                        rotated.failed.push((id, error.to_string()));
                    }
                    Err((_, error)) => return Err(error),
                }
            }
        }
    }

    /// Seals one secret anew, unless it is gone or somebody else has done so.
    async fn reseal(&self, ring: &Keyring, mut stored: Stored) -> Result<bool, (Uuid, Error)> {
        let id = stored.id;
        let at = |error: Error| (id, error);
        for _ in 0..TRIES {
            let context = Context {
                purpose: &stored.purpose,
                owner: &stored.owner,
                id,
            };
            let plain = self.open(&stored, &context).map_err(at)?;
            let sealed = seal(ring, &context, &plain).map_err(at)?;
            let written = secret::update(&self.store, &row(ring, &context, &sealed), stored.version).await;
            match written.map_err(|error| (id, error.into()))? {
                Written::Done => return Ok(true),
                Written::RetiredKey => return Err((id, retired(ring))),
                Written::Changed => {}
            }
            let now = secret::get(&self.store, id).await;
            match now.map_err(|error| (id, error.into()))? {
                Some(now) if now.master_key != ring.active().id => stored = now,
                _ => return Ok(false),
            }
        }
        Err((id, Error::Contended(id)))
    }

    fn open(&self, stored: &Stored, context: &Context<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut ring = self.keys.known();
        if ring.get(&stored.master_key).is_none() {
            ring = self.keys.present();
        }
        let key = ring.get(&stored.master_key).ok_or_else(|| Error::UnknownKey {
            secret: stored.id,
            key: stored.master_key.clone(),
        })?;
        seal::open(key, context, &stored.sealed).map_err(|_| Error::Broken(stored.id))
    }
}

fn seal(ring: &Keyring, context: &Context<'_>, plain: &[u8]) -> Result<Vec<u8>, Error> {
    seal::seal(ring.active(), context, plain).map_err(|_| Error::Random)
}

fn row<'a>(ring: &'a Keyring, context: &Context<'a>, sealed: &'a [u8]) -> Sealed<'a> {
    Sealed {
        id: context.id,
        purpose: context.purpose,
        owner: context.owner,
        master_key: &ring.active().id,
        sealed,
    }
}

fn retired(ring: &Keyring) -> Error {
    Error::RetiredKey {
        id: ring.active().id.clone(),
    }
}
