//! Who may do what: permissions, roles, grants, and what follows from them.
//!
//! A **permission** is a dotted name; one covers everything below it (`vm` covers `vm.read`), and `*` covers all. A **role**
//! allows and denies permissions and inherits what its parents do. A **grant** gives a person a role within a **scope**:
//! everywhere, or for the virtual machines of a group. What a person may do to something ([`Subject`]) is decided by the
//! rules of all his grants whose scope has it: one must allow it and none deny it ([`Effective::decide`]).
//!
//! Invariants: deny wins over allow, whichever role or grant it comes from. Nobody gives what he does not hold himself
//! ([`guard`]); what he holds includes what permissions that are yet to be invented will be, so that holding `vm.read` and
//! every other part of `vm` of today is still less than holding `vm`. Inheritance in a circle gives what its roles give,
//! once, and is refused where roles are written ([`Roles::cycle`]).
//!
//! Pure: no database, no clock. Grants that have expired are not handed in.

mod catalogue;
mod effective;
pub mod guard;
mod permission;
mod reach;
mod role;

pub use catalogue::{Node, permissions};
pub use effective::{Conflict, Decision, Effective, Grant, Held, Reason};
pub use permission::{Malformed, Permission};
pub use reach::{Reach, Scope, Subject};
pub use role::{Effect, Entry, Role, Roles};

use uuid::Uuid;

/// Reads everything except people and their doings.
pub const VIEWER: Uuid = built_in(1);
/// A viewer who makes groups.
pub const OPERATOR: Uuid = built_in(2);
/// An operator who makes people and gives them what he has.
pub const ADMIN: Uuid = built_in(3);
/// May do everything. One is always left.
pub const SUPER_ADMIN: Uuid = built_in(4);

/// The ids of the roles that every installation has.
pub const BUILT_IN: [Uuid; 4] = [VIEWER, OPERATOR, ADMIN, SUPER_ADMIN];

const fn built_in(number: u128) -> Uuid {
    Uuid::from_u128(0x4000_8000_0000_0000_0000 + number)
}
