//! Secrets at rest, and what else of cryptography more than one program needs.
//!
//! - [`Keyring`]: master keys, from a file that only their owner may read or from a systemd credential; [`KeySource`] follows it.
//! - [`Vault`]: secrets in the database, each under a data key of its own that is sealed under a master key.
//! - [`Signer`]: the key that signs the audit trail's checkpoints, itself a secret.
//! - [`password`]: hashes of passwords and rules for them; [`code`]: codes that people copy.
//!
//! Invariants: neither a master key nor a plain secret reaches the database, a log, an error or `Debug`. A sealed secret opens only
//! with the purpose, owner and id that it was sealed for: rows that are swapped fail. What is written by [`Vault::rotate`] and
//! beside it stays readable at every moment by whoever has the present key file.
//!
//! Failure: [`Error`] says which key or secret; what can't be opened is an error and never an empty secret.

pub mod code;
mod error;
mod keyring;
pub mod password;
mod seal;
mod signer;
mod source;
mod vault;

pub use error::Error;
pub use keyring::Keyring;
pub use signer::{PublicKeys, Signer};
pub use source::{Config, KeySource};
pub use vault::{Rotated, Vault};
pub use zeroize::Zeroizing;
