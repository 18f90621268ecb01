//! The seal: AES-256-GCM under a data key made for this one secret and version, the data key itself under a master key.
//!
//! Layout, all lengths fixed but the last: format 1, nonce and data key under the master key (12 + 32 + 16 bytes), nonce and
//! secret under the data key (12 + length + 16 bytes). Both are bound to the [`Context`]. Each seal draws a new data key, so the
//! second nonce could be any; the first is random, which is safe for some four billion seals under one master key.

use crate::keyring::{KEY, MasterKey};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;
use zeroize::Zeroizing;

/// The first byte.
const FORMAT: u8 = 1;
/// Bytes of an authentication tag.
const TAG: usize = 16;
/// Bytes of a data key under a master key.
const WRAPPED: usize = NONCE_LEN + KEY + TAG;

/// What a sealed secret is bound to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) purpose: &'a str,
    pub(crate) owner: &'a str,
    pub(crate) id: Uuid,
}

impl Context<'_> {
    /// Each text after its length, so that no two contexts look alike.
    fn bytes(&self, master_key: &str) -> Vec<u8> {
        format!(
            "vmscope secret {}:{}{}:{}{}{}:{}",
            self.purpose.len(),
            self.purpose,
            self.owner.len(),
            self.owner,
            self.id,
            master_key.len(),
            master_key
        )
        .into_bytes()
    }
}

/// Seals a secret.
pub(crate) fn seal(key: &MasterKey, context: &Context<'_>, plain: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let mut data_key = Zeroizing::new([0; KEY]);
    SystemRandom::new().fill(&mut *data_key)?;
    let aad = context.bytes(&key.id);
    let mut sealed = vec![FORMAT];
    encrypt(key.aead(), &aad, &*data_key, &mut sealed)?;
    encrypt(&data_aead(&*data_key)?, &aad, plain, &mut sealed)?;
    Ok(sealed)
}

/// Opens a secret.
pub(crate) fn open(
    key: &MasterKey,
    context: &Context<'_>,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let (&format, rest) = sealed.split_first().ok_or(Unspecified)?;
    if format != FORMAT {
        return Err(Unspecified);
    }
    let (wrapped, rest) = rest.split_at_checked(WRAPPED).ok_or(Unspecified)?;
    let aad = context.bytes(&key.id);
    let data_key = decrypt(key.aead(), &aad, wrapped)?;
    decrypt(&data_aead(&data_key)?, &aad, rest)
}

fn data_aead(key: &[u8]) -> Result<LessSafeKey, Unspecified> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new)
}

fn encrypt(key: &LessSafeKey, aad: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<(), Unspecified> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce)?;
    let mut text = Zeroizing::new(plain.to_vec());
    let nonce_value = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce_value, Aad::from(aad), &mut text)?;
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&text);
    out.extend_from_slice(tag.as_ref());
    Ok(())
}

fn decrypt(key: &LessSafeKey, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(Unspecified)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce)?;
    let mut text = Zeroizing::new(text.to_vec());
    let length = key.open_in_place(nonce, Aad::from(aad), &mut text)?.len();
    text.truncate(length);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keyring;

    fn ring() -> Keyring {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("master-keys");
        Keyring::generate_into(&path).expect("made");
        Keyring::generate_into(&path).expect("made");
        Keyring::load(&path).expect("a key file")
    }

    const CONTEXT: Context<'_> = Context {
        purpose: "totp",
        owner: "anna",
        id: Uuid::from_u128(7),
    };

    #[test]
    fn a_seal_opens_in_its_own_context_and_in_no_other() {
        let ring = ring();
        let key = ring.active();
        for plain in [&b""[..], b"secret", &[7; 5_000]] {
            let sealed = seal(key, &CONTEXT, plain).expect("sealed");
            assert_eq!(open(key, &CONTEXT, &sealed).expect("opened").as_slice(), plain);
            let others = [
                Context {
                    purpose: "jwt",
                    ..CONTEXT
                },
                Context {
                    owner: "bert",
                    ..CONTEXT
                },
                Context {
                    id: Uuid::from_u128(8),
                    ..CONTEXT
                },
                // The same letters, cut elsewhere.
                Context {
                    purpose: "totpa",
                    owner: "nna",
                    ..CONTEXT
                },
            ];
            for other in others {
                assert!(open(key, &other, &sealed).is_err(), "{other:?}");
            }
            let other_key = ring.get(ring.ids().last().expect("two")).expect("there");
            assert!(open(other_key, &CONTEXT, &sealed).is_err());
        }
    }

    #[test]
    fn a_seal_with_any_bit_changed_does_not_open() {
        let ring = ring();
        let sealed = seal(ring.active(), &CONTEXT, b"secret").expect("sealed");
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(ring.active(), &CONTEXT, &changed).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(
                open(ring.active(), &CONTEXT, &sealed[..length]).is_err(),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn two_seals_of_one_secret_have_nothing_in_common() {
        let ring = ring();
        let one = seal(ring.active(), &CONTEXT, &[0; 64]).expect("sealed");
        let two = seal(ring.active(), &CONTEXT, &[0; 64]).expect("sealed");
        let same = one.iter().zip(&two).filter(|(a, b)| a == b).count();
        assert!(same < 20, "{same} of {} bytes", one.len());
    }
}
