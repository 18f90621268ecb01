//! Hosts without a certificate: one request, one answer, then the connection ends.

use super::{Refusal, Registrar, issued, sign};
use crate::database::chain;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::timeout;
use vmscope_link::{Enrolment, Token};
use vmscope_model::wire::Message;
use vmscope_store::enrolment::{Attempt, enrol};

/// How long a host may take to say what it wants.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// Attempts a second of one address, in the long run.
const ATTEMPTS_PER_S: NonZeroU32 = NonZeroU32::MIN;
/// Attempts of one address at once: a rack behind one address comes up together.
const ATTEMPTS_AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
/// Addresses that are remembered before those are forgotten that have been quiet.
const ADDRESSES: usize = 10_000;
/// The network part of an IPv6 address: what one customer has.
const NETWORK_V6: u128 = !0 << 64;
/// The longest version of a program that is believed.
const MAX_SOFTWARE_BYTES: usize = 64;

/// How often each address may try.
pub(super) type Limiter = DefaultKeyedRateLimiter<IpAddr>;

pub(super) fn limiter() -> Limiter {
    RateLimiter::keyed(Quota::per_second(ATTEMPTS_PER_S).allow_burst(ATTEMPTS_AT_ONCE))
}

/// Serves one host.
pub(crate) async fn serve(mut enrolment: Enrolment, registrar: &Registrar) {
    let remote = enrolment.remote;
    match registrar.receive(&mut enrolment).await {
        Ok(message) => {
            registrar.metrics.enrolled("issued");
            enrolment.answer(&message).await;
        }
        Err(refusal) => {
            let code = refusal.code();
            registrar.metrics.enrolled(code);
            tracing::warn!(%remote, code, error = chain(&refusal), "enrolment refused");
            enrolment.refuse(code, &refusal.to_string()).await;
        }
    }
}

impl Registrar {
    async fn receive(&self, enrolment: &mut Enrolment) -> Result<Message, Refusal> {
        self.admit(enrolment.remote)?;
        let Ok(Ok(Some(Message::Enrol {
            token,
            host,
            request,
            software,
        }))) = timeout(REQUEST_DEADLINE, enrolment.request()).await
        else {
            return Err(Refusal::NoRequest);
        };
        let seal = self.seal()?;
        let token: Token = token.0.parse().map_err(|_| Refusal::UnknownToken)?;
        let attempt = Attempt {
            token_id: token.id(),
            secret_sha256: *token.digest().bytes(),
            host,
        };
        let mut signed = None;
        let recorded = enrol(&self.database.store, &attempt, || {
            sign(&seal, host, &request, &mut signed)
        });
        let message = issued(recorded.await, signed)?;
        let software: String = software.chars().take(MAX_SOFTWARE_BYTES).collect();
        tracing::info!(host.id = %host, token.id = token.id(), remote = %enrolment.remote, agent.version = software, "host enrolled");
        Ok(message)
    }

    /// QUIC has made sure that the address is the host's own.
    fn admit(&self, remote: SocketAddr) -> Result<(), Refusal> {
        if self.limiter.len() > ADDRESSES {
            self.limiter.retain_recent();
        }
        self.limiter
            .check_key(&network(remote.ip()))
            .map_err(|_| Refusal::TooManyAttempts)
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & NETWORK_V6).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::{ATTEMPTS_AT_ONCE, limiter, network};

    #[test]
    fn one_network_does_not_use_up_what_another_may() {
        let key = |text: &str| network(text.parse().expect("an address"));
        let limiter = limiter();
        for _ in 0..ATTEMPTS_AT_ONCE.get() {
            assert!(limiter.check_key(&key("2001:db8::1")).is_ok());
        }
        assert!(
            limiter.check_key(&key("2001:db8::ffff")).is_err(),
            "the same network"
        );
        assert!(limiter.check_key(&key("2001:db8:0:1::1")).is_ok());
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.2"), key("192.0.2.1"));
    }
}
