//! Why a host gets no certificate: a code for programs, and what a person can do about it.

use vmscope_link::authority;
use vmscope_store::enrolment::{Denied, Failure};

/// The reasons; the text is advice.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "no such token; is it copied whole? make one on the collector: vmscope-collector enrol token create"
    )]
    UnknownToken,
    #[error("the token was revoked; make another one on the collector: vmscope-collector enrol token create")]
    RevokedToken,
    #[error(
        "the token's time is over; make another one on the collector: vmscope-collector enrol token create --ttl 1h"
    )]
    ExpiredToken,
    #[error(
        "the token was used as often as it may be; make another one on the collector: vmscope-collector enrol token create \
         --uses 10"
    )]
    UsedUpToken,
    #[error(
        "the token is for another host; make one for this host: vmscope-collector enrol token create --host UUID"
    )]
    HostMismatchToken,
    #[error(
        "this host is revoked; if it may come back, make a token for it: vmscope-collector enrol token create --host UUID"
    )]
    HostRevoked,
    #[error(
        "a host with this id is known already; if this is the same machine, make a token for it: vmscope-collector enrol \
         token create --host UUID; if its disk is a copy of another host's, remove host-id from the agent's data directory"
    )]
    HostKnown,
    #[error(
        "this collector signs no certificates; set [authority] dir in its configuration, or ask another collector"
    )]
    AuthorityMissing,
    #[error("the request for a certificate is not valid; is this another version of vmscope?")]
    BadRequest(#[source] authority::Error),
    #[error("the authority can't sign; the collector's log says why")]
    NotSigned(#[source] authority::Error),
    #[error("too many attempts from this address; this agent tries again by itself")]
    TooManyAttempts,
    #[error("what came is no request for a certificate; is this another version of vmscope?")]
    NoRequest,
    #[error("the collector's database does not answer; this agent tries again by itself")]
    DatabaseAway(#[source] vmscope_store::Error),
    #[error("asked for again too soon")]
    TooSoon,
}

impl Refusal {
    /// Stable code for programs and counters.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::UnknownToken => "unknown_token",
            Self::RevokedToken => "revoked_token",
            Self::ExpiredToken => "expired_token",
            Self::UsedUpToken => "used_up_token",
            Self::HostMismatchToken => "host_mismatch_token",
            Self::HostRevoked => "host_revoked",
            Self::HostKnown => "host_known",
            Self::AuthorityMissing => "authority_missing",
            Self::BadRequest(_) => "bad_csr",
            Self::NotSigned(_) => "not_signed",
            Self::TooManyAttempts => "too_many_attempts",
            Self::NoRequest => "no_request",
            Self::DatabaseAway(_) => "database_away",
            Self::TooSoon => "too_soon",
        }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::UnknownToken => Self::UnknownToken,
            Denied::RevokedToken => Self::RevokedToken,
            Denied::ExpiredToken => Self::ExpiredToken,
            Denied::UsedUpToken => Self::UsedUpToken,
            Denied::HostMismatchToken => Self::HostMismatchToken,
            Denied::HostRevoked => Self::HostRevoked,
            Denied::HostKnown => Self::HostKnown,
        }
    }
}

impl From<Failure<authority::Error>> for Refusal {
    fn from(failure: Failure<authority::Error>) -> Self {
        match failure {
            Failure::Denied(denied) => denied.into(),
            Failure::Unsigned(error @ (authority::Error::Request(_) | authority::Error::RequestKey)) => {
                Self::BadRequest(error)
            }
            Failure::Unsigned(error) => Self::NotSigned(error),
            Failure::Database(error) => Self::DatabaseAway(error),
        }
    }
}
