//! The Ed25519 key that signs the checkpoints of the audit trail. It is a secret of the vault: who has the database and no
//! master key can't sign.

use crate::{Error, Vault};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::collections::HashMap;
use std::fmt;
use uuid::Uuid;
use zeroize::Zeroizing;

/// What the key is for, as a secret.
const PURPOSE: &str = "audit.checkpoint";
/// All collectors share it.
const OWNER: &str = "collector";

/// Signs.
pub struct Signer {
    id: Uuid,
    pair: Ed25519KeyPair,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// The key in the vault; makes one when there is none. Two collectors that do so at the same time make two, which
    /// does no harm: each checkpoint names its key.
    ///
    /// # Errors
    /// When the vault fails, or the key can't be opened: then nobody should sign with another one without knowing why.
    pub async fn find_or_make(vault: &Vault) -> Result<Self, Error> {
        match vault.find(PURPOSE, OWNER).await? {
            Some(id) => Self::open(vault, id).await,
            None => Self::make(vault).await,
        }
    }

    /// Another key, which is found from now on.
    ///
    /// # Errors
    /// When the vault fails.
    pub async fn make(vault: &Vault) -> Result<Self, Error> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| Error::Random)?;
        let document = Zeroizing::new(document.as_ref().to_vec());
        let id = vault.put(PURPOSE, OWNER, &document).await?;
        Ok(Self {
            id,
            pair: Ed25519KeyPair::from_pkcs8(&document).map_err(|_| Error::Broken(id))?,
        })
    }

    /// The key's id.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Signs a statement.
    pub fn sign(&self, statement: &[u8]) -> Vec<u8> {
        self.pair.sign(statement).as_ref().to_vec()
    }

    async fn open(vault: &Vault, id: Uuid) -> Result<Self, Error> {
        let document = vault.get(id, PURPOSE, OWNER).await?;
        let pair = Ed25519KeyPair::from_pkcs8(&document).map_err(|_| Error::Broken(id))?;
        Ok(Self { id, pair })
    }
}

/// Tells genuine signatures from others.
#[derive(Debug, Default)]
pub struct PublicKeys {
    keys: HashMap<Uuid, Vec<u8>>,
    unopened: Vec<Error>,
}

impl PublicKeys {
    /// The public halves of these keys, as far as they are in the vault. A key that is not, or that is sealed for something
    /// else, was never a signer's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load(vault: &Vault, ids: &[Uuid]) -> Result<Self, Error> {
        let mut loaded = Self::default();
        for id in ids {
            match Signer::open(vault, *id).await {
                Ok(signer) => {
                    let key = signer.pair.public_key().as_ref().to_vec();
                    loaded.keys.insert(*id, key);
                }
                Err(error @ Error::Store(_)) => return Err(error),
                Err(error) => loaded.unopened.push(error),
            }
        }
        Ok(loaded)
    }

    /// Why some of the keys are not here.
    pub fn unopened(&self) -> &[Error] {
        &self.unopened
    }

    /// Whether the key `id` has signed the statement.
    pub fn genuine(&self, id: Uuid, statement: &[u8], signature: &[u8]) -> bool {
        let key = self
            .keys
            .get(&id)
            .map(|key| UnparsedPublicKey::new(&ED25519, key));
        key.is_some_and(|key| key.verify(statement, signature).is_ok())
    }
}
