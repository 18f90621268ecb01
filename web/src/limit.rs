//! How often one address may ask.
//!
//! Everything counts against one allowance; each attempt to log in, to set up or to use a refresh token costs a hash or a look into the
//! database that strangers can ask for, and counts against a second, smaller one. Logins that fail are limited once more:
//! nobody tries many names from one address, while the lock of an account stops many addresses that try one name.
//!
//! Of IPv6 the first 64 bits count: that is what one customer has at least.

use crate::error::ApiError;
use crate::state::App;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use serde::Deserialize;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use vmscope_service::Lifecycle;
use vmscope_service::periodic::{self, Activity, Status};

/// How often addresses are forgotten that have their whole allowance again.
const SWEEP: Duration = Duration::from_mins(1);
/// The longest that an address is kept from logging in.
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// How often one address may ask; section `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Requests a second, in the long run.
    pub requests_per_s: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
    /// Attempts to log in, to set up or to refresh, in a minute.
    pub logins_per_min: NonZeroU32,
    /// Attempts to log in that fail, in a minute.
    pub failed_logins_per_min: NonZeroU32,
}

impl Default for Config {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            requests_per_s: number(50),
            burst: number(200),
            logins_per_min: number(60),
            failed_logins_per_min: number(10),
        }
    }
}

type Limiter = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, MonotonicClock, NoOpMiddleware<Instant>>;

/// The allowances of all addresses.
#[derive(Debug)]
pub(crate) struct Limits {
    requests: Limiter,
    logins: Limiter,
    failures: Limiter,
    /// Until when addresses wait that have failed too often.
    pauses: Mutex<HashMap<IpAddr, Instant>>,
}

impl Limits {
    /// Everybody has everything left.
    pub(crate) fn new(config: &Config) -> Self {
        let limiter = |quota: Quota| RateLimiter::new(quota, HashMapStateStore::default(), MonotonicClock);
        Self {
            requests: limiter(Quota::per_second(config.requests_per_s).allow_burst(config.burst)),
            logins: limiter(Quota::per_minute(config.logins_per_min)),
            failures: limiter(Quota::per_minute(config.failed_logins_per_min)),
            pauses: Mutex::default(),
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`].
    pub(crate) fn request(&self, address: IpAddr) -> Result<(), ApiError> {
        count(&self.requests, address)
    }

    /// Counts an attempt to log in.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`], also when too many have failed.
    pub(crate) fn login(&self, address: IpAddr) -> Result<(), ApiError> {
        let left = self
            .pauses()
            .get(&key(address))
            .map(|until| until.saturating_duration_since(Instant::now()));
        match left {
            Some(left) if !left.is_zero() => Err(too_many(left)),
            _ => count(&self.logins, address),
        }
    }

    /// Counts an attempt to log in that has failed.
    pub(crate) fn login_failed(&self, address: IpAddr) {
        if let Err(ApiError::TooManyRequests { retry_after_s }) = count(&self.failures, address) {
            let pause = Duration::from_secs(retry_after_s).min(MAX_PAUSE);
            self.pauses().insert(key(address), Instant::now() + pause);
        }
    }

    fn sweep(&self) {
        for limiter in [&self.requests, &self.logins, &self.failures] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        let now = Instant::now();
        self.pauses().retain(|_, until| *until > now);
    }

    fn pauses(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets addresses now and then.
pub(crate) fn sweep(lifecycle: &Lifecycle, app: App) {
    periodic::spawn(lifecycle, Sweep(app), SWEEP);
}

struct Sweep(App);

impl Activity for Sweep {
    fn name(&self) -> &'static str {
        "rate_limits"
    }

    async fn activate(&self) -> Status {
        self.0.auth.limits.sweep();
        Status::Done("swept".to_owned())
    }
}

fn count(limiter: &Limiter, address: IpAddr) -> Result<(), ApiError> {
    limiter
        .check_key(&key(address))
        .map_err(|refused| too_many(refused.wait_time_from(limiter.clock().now())))
}

fn too_many(wait: Duration) -> ApiError {
    let part = u64::from(wait.subsec_nanos() > 0);
    ApiError::TooManyRequests {
        retry_after_s: (wait.as_secs() + part).max(1),
    }
}

fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let number = |number| NonZeroU32::new(number).expect("not zero");
        Limits::new(&Config {
            requests_per_s: number(1),
            burst: number(3),
            logins_per_min: number(5),
            failed_logins_per_min: number(2),
        })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_its_own_allowance() {
        let limits = limits();
        let one = address("192.0.2.1");
        for _ in 0..3 {
            assert_eq!(limits.request(one), Ok(()));
        }
        assert_eq!(
            limits.request(one),
            Err(ApiError::TooManyRequests { retry_after_s: 1 })
        );
        assert!(limits.request(address("::ffff:192.0.2.1")).is_err());
        assert_eq!(limits.request(address("192.0.2.2")), Ok(()));
    }

    #[test]
    fn one_customer_of_ipv6_is_one_address() {
        let limits = limits();
        for host in 1..=3 {
            assert_eq!(limits.request(address(&format!("2001:db8::{host}"))), Ok(()));
        }
        assert!(limits.request(address("2001:db8::4")).is_err());
        assert_eq!(limits.request(address("2001:db8:0:1::4")), Ok(()));
    }

    #[test]
    fn failed_logins_run_out_first() {
        let limits = limits();
        let one = address("192.0.2.1");
        for _ in 0..2 {
            assert_eq!(limits.login(one), Ok(()));
            limits.login_failed(one);
        }
        assert_eq!(limits.login(one), Ok(()));
        limits.login_failed(one);
        assert!(limits.login(one).is_err(), "the third failure in a minute");
        assert_eq!(limits.login(address("192.0.2.2")), Ok(()));
    }
}
