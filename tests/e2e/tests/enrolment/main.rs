//! Certificates from the first to the last, by the real programs: enrolment, renewal, revocation, removal, a change of the
//! authority's root.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at what fails"
)]

mod first;
mod revocation;
mod succession;
mod support;
