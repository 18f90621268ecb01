//! Access tokens: JSON Web Tokens (RFC 7519) signed with RS256, and nothing else.
//!
//! The format is `jsonwebtoken`'s, the arithmetic ring's. A token names its key (`kid`); one that says another algorithm, or none, is
//! refused before any key is looked at.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey, Header, Validation};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who issues access tokens.
const ISSUER: &str = "vmscope";
/// How far the clocks of two web servers may be apart, in seconds.
const LEEWAY_S: u64 = 5;

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// Always `vmscope`.
    iss: String,
    /// The user.
    pub(crate) sub: Uuid,
    /// The session.
    pub(crate) sid: Uuid,
    /// This token.
    jti: Uuid,
    /// When it was issued, in seconds since the Unix epoch.
    iat: u64,
    /// When it expires, in seconds since the Unix epoch.
    exp: u64,
}

impl Claims {
    /// A new token of a session, good for so long from now.
    pub(crate) fn new(user: Uuid, session: Uuid, lifetime_s: u64) -> Self {
        let iat = jsonwebtoken::get_current_timestamp();
        Self {
            iss: ISSUER.to_owned(),
            sub: user,
            sid: session,
            jti: Uuid::new_v4(),
            iat,
            exp: iat + lifetime_s,
        }
    }
}

/// Makes ring the arithmetic of every token. Doing it twice does no harm.
pub(crate) fn prepare() {
    // Whoever was first has installed the same one.
    let _ = PROVIDER.install_default();
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Signs `claims` with the private key (PKCS #1, DER) that is known as `kid`.
pub(crate) fn sign(claims: &Claims, kid: &str, private_der: &[u8]) -> Result<String, Error> {
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_rsa_der(private_der))
}

/// The name of the key that signed `token`, if it is a token of ours at all. Nothing is verified yet.
pub(crate) fn kid(token: &str) -> Option<String> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    header.kid.filter(|_| header.alg == Algorithm::RS256)
}

/// The claims of `token`, if `key` signed it and it has not expired.
pub(crate) fn verify(token: &str, key: &DecodingKey) -> Result<Claims, Error> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    validation.leeway = LEEWAY_S;
    Ok(jsonwebtoken::decode(token, key, &validation)?.claims)
}

struct Rs256Signer(RsaKeyPair);

impl Signer<Vec<u8>> for Rs256Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| SignatureError::new())?;
        Ok(signature)
    }
}

impl JwtSigner for Rs256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

struct Rs256Verifier {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl Verifier<Vec<u8>> for Rs256Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        let key = RsaPublicKeyComponents {
            n: &self.modulus,
            e: &self.exponent,
        };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for Rs256Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is given")]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    ours(*algorithm)?;
    let pair = RsaKeyPair::from_der(key.as_bytes())
        .map_err(|rejected| ErrorKind::InvalidRsaKey(rejected.to_string()))?;
    Ok(Box::new(Rs256Signer(pair)))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is given")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    ours(*algorithm)?;
    match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => Ok(Box::new(Rs256Verifier {
            modulus: n.clone(),
            exponent: e.clone(),
        })),
        DecodingKeyKind::SecretOrDer(_) => Err(ErrorKind::InvalidKeyFormat.into()),
    }
}

fn ours(algorithm: Algorithm) -> Result<(), Error> {
    match algorithm {
        Algorithm::RS256 => Ok(()),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}
