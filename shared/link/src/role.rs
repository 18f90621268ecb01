//! Who a certificate speaks for.
//!
//! The role is a URI among the certificate's subject alternative names: `vmscope://agent/<host uuid>`,
//! `vmscope://collector/<name>` or `vmscope://web/<name>`. A certificate has exactly one of them; reading is total.

use std::fmt;
use std::str::FromStr;
use vmscope_model::HostId;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

const SCHEME: &str = "vmscope://";
/// The longest name of a collector or web server, in bytes.
pub const MAX_NAME_BYTES: usize = 63;

/// What the owner of a certificate is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Role {
    /// The agent of one host, which may deliver that host's samples only.
    Agent(HostId),
    /// A collector.
    Collector(String),
    /// A web server, which may read the live feed.
    Web(String),
}

/// A role without its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Some agent.
    Agent,
    /// Some collector.
    Collector,
    /// Some web server.
    Web,
}

/// Why no role can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are no X.509 certificate.
    #[error("not a certificate")]
    Certificate,
    /// The certificate names no role of vmscope.
    #[error("certificate names no vmscope role")]
    Absent,
    /// The certificate names more than one role.
    #[error("certificate names more than one vmscope role")]
    Ambiguous,
    /// The URI has another form.
    #[error("{0:?} is no vmscope role")]
    Form(String),
}

impl Role {
    /// The role without its name.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Agent(_) => Kind::Agent,
            Self::Collector(_) => Kind::Collector,
            Self::Web(_) => Kind::Web,
        }
    }

    /// The name within the kind: the host's UUID, or the name of the collector or web server.
    pub fn name(&self) -> String {
        match self {
            Self::Agent(host) => host.to_string(),
            Self::Collector(name) | Self::Web(name) => name.clone(),
        }
    }

    /// Makes a role of its two parts, as a command line gives them.
    ///
    /// # Errors
    /// [`Error::Form`] when `name` is not a UUID (agent), or not 1 to [`MAX_NAME_BYTES`] letters, digits, `-`, `_` or `.`.
    pub fn new(kind: Kind, name: &str) -> Result<Self, Error> {
        let form = || Error::Form(format!("{SCHEME}{kind}/{name}"));
        match kind {
            Kind::Agent => name.parse().map(Self::Agent).map_err(|_| form()),
            _ if !is_name(name) => Err(form()),
            Kind::Collector => Ok(Self::Collector(name.to_owned())),
            Kind::Web => Ok(Self::Web(name.to_owned())),
        }
    }

    /// Reads the role out of a certificate.
    ///
    /// # Errors
    /// Every variant of [`Error`]. That the certificate is genuine is not checked here.
    pub fn from_certificate(der: &[u8]) -> Result<Self, Error> {
        let (_, certificate) = parse_x509_certificate(der).map_err(|_| Error::Certificate)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| Error::Certificate)?;
        let mut uris = names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match name {
                GeneralName::URI(uri) if uri.starts_with(SCHEME) => Some(*uri),
                _ => None,
            });
        match (uris.next(), uris.next()) {
            (None, _) => Err(Error::Absent),
            (Some(uri), None) => uri.parse(),
            (Some(_), Some(_)) => Err(Error::Ambiguous),
        }
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Agent, Self::Collector, Self::Web];

    /// The lower-case name in URIs and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Collector => "collector",
            Self::Web => "web",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let kind = Self::ALL.into_iter().find(|kind| kind.name() == text);
        kind.ok_or_else(|| Error::Form(text.to_owned()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.kind(), self.name())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(uri: &str) -> Result<Self, Error> {
        let form = || Error::Form(uri.to_owned());
        let (kind, name) = uri
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(form)?;
        Self::new(kind.parse().map_err(|_| form())?, name)
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Kind, Role};
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use vmscope_model::HostId;

    proptest! {
        #[test]
        fn every_role_survives_its_uri(host in any::<u128>(), name in "[a-zA-Z0-9._-]{1,63}") {
            let agent = Role::Agent(HostId(uuid::Uuid::from_u128(host)));
            for role in [agent, Role::Collector(name.clone()), Role::Web(name)] {
                prop_assert_eq!(role.to_string().parse::<Role>(), Ok(role));
            }
        }

        #[test]
        fn no_text_and_no_bytes_make_reading_panic(text in ".*", bytes in any::<Vec<u8>>()) {
            let _ = text.parse::<Role>();
            let _ = Role::from_certificate(&bytes);
        }
    }

    #[test]
    fn refuses_names_that_could_be_mistaken() {
        let long = "x".repeat(64);
        for name in ["", "a/b", "a b", "ä", "..\n", long.as_str()] {
            assert!(
                matches!(Role::new(Kind::Web, name), Err(Error::Form(_))),
                "{name:?}"
            );
        }
        assert!(matches!(Role::new(Kind::Agent, "host-1"), Err(Error::Form(_))));
        assert!(matches!("https://agent/x".parse::<Role>(), Err(Error::Form(_))));
        assert!(matches!("vmscope://judge/x".parse::<Role>(), Err(Error::Form(_))));
    }
}
