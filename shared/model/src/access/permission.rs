//! The names of permissions.

use super::catalogue;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The longest name.
const MAX_LENGTH: usize = 64;

/// A dotted name: lower-case words, or `*` for everything. Need not be one that this build knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Permission(Cow<'static, str>);

/// A text that can't be the name of a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a permission is lower-case words with dots between them, or an asterisk")]
pub struct Malformed;

impl Permission {
    /// Everything.
    pub const ALL: Self = Self(Cow::Borrowed("*"));

    /// The permission that this build calls `name`; `None` when it knows none.
    pub fn known(name: &str) -> Option<Self> {
        catalogue::find(name).map(|node| Self(Cow::Borrowed(node.name)))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this build knows it.
    pub fn is_known(&self) -> bool {
        catalogue::find(&self.0).is_some()
    }

    /// Whether it can be had for a group alone: as what is above it, where this build does not know it; what it knows nothing
    /// about can't be told apart, and can.
    pub fn is_scoped(&self) -> bool {
        let mut name = &*self.0;
        loop {
            if let Some(node) = catalogue::find(name) {
                return node.scoped;
            }
            match name.rsplit_once('.') {
                Some((above, _)) => name = above,
                None => return true,
            }
        }
    }

    /// Whether it, or a part of it that this build knows, can be had for a group alone.
    pub(super) fn has_scoped_part(&self) -> bool {
        let scoped = |node: &catalogue::Node| node.scoped && self.covers_name(node.name);
        self.is_scoped() || catalogue::permissions().iter().any(scoped)
    }

    /// Whether having this one is having `other`.
    pub fn covers(&self, other: &Self) -> bool {
        self.covers_name(&other.0)
    }

    /// Whether a part of one is a part of the other.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    pub(super) fn covers_name(&self, name: &str) -> bool {
        *self == Self::ALL
            || name
                .strip_prefix(&*self.0)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl FromStr for Permission {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        if text == "*" || (text.len() <= MAX_LENGTH && text.split('.').all(word)) {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(Malformed)
        }
    }
}

impl TryFrom<String> for Permission {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        permission.0.into_owned()
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
