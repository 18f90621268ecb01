//! What is said of a user, and the rules for it, wherever it is said.

use crate::error::{Fault, Fields};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Longest name, in characters.
pub(crate) const MAX_NAME: usize = 64;
/// Longest name to be shown, in characters.
pub(crate) const MAX_DISPLAY_NAME: usize = 128;
/// Longest e-mail address, in characters.
const MAX_EMAIL: usize = 254;

/// A user by id and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserReference {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
}

/// A language of the dashboard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Tongue {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Simplified Chinese.
    #[serde(rename = "zh-CN")]
    Chinese,
    /// Japanese.
    #[serde(rename = "ja-JP")]
    Japanese,
}

impl Tongue {
    /// Its tag.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
            Self::Japanese => "ja-JP",
        }
    }

    /// The language with this tag; English for what is none.
    pub fn of(tag: &str) -> Self {
        [Self::Chinese, Self::Japanese]
            .into_iter()
            .find(|tongue| tongue.tag() == tag)
            .unwrap_or_default()
    }
}

/// Refuses what can't be a user's name: `@` would make it an e-mail address.
pub(crate) fn check_name(fields: &mut Fields, name: &str) {
    fields.text("name", name, 1, MAX_NAME);
    fields.require(!name.contains('@'), "name", Fault::Format);
}

/// The wish for an e-mail address: none, to have none, or this one.
#[expect(clippy::option_option, reason = "left alone, taken away, or set")]
pub(crate) fn email(fields: &mut Fields, wish: Option<&str>) -> Option<Option<String>> {
    let address = wish?.trim();
    if address.is_empty() {
        return Some(None);
    }
    fields.text("email", address, 3, MAX_EMAIL);
    let parts = address.split_once('@');
    let is_whole =
        parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    let has_space = address.contains(char::is_whitespace);
    fields.require(is_whole && !has_space, "email", Fault::Format);
    Some(Some(address.to_owned()))
}

/// Refuses a password that is easily guessed.
pub(crate) fn check_password(fields: &mut Fields, field: &str, password: &str, name: &str) {
    for weakness in vmscope_vault::password::weaknesses(password, name) {
        fields.refuse(field, weakness.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_and_a_host() {
        let is_right = |address: &str| {
            let mut fields = Fields::default();
            email(&mut fields, Some(address));
            fields.check().is_ok()
        };
        for right in ["ada@example.com", " a@b ", ""] {
            assert!(is_right(right), "{right}");
        }
        for wrong in ["ada", "@b", "a@", "a@b@c", "a b@c", "a\n@b"] {
            assert!(!is_right(wrong), "{wrong}");
        }
    }
}
