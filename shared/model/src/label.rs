//! Labels: what people write on virtual machines and hosts, a value for each key.

use std::collections::BTreeMap;

/// Labels of one thing.
pub type Labels = BTreeMap<String, String>;

/// Most labels of one thing.
pub const MAX_LABELS: usize = 64;
/// Most characters of a key.
pub const MAX_KEY: usize = 63;
/// Most characters of a value.
pub const MAX_VALUE: usize = 128;

/// Whether this can be a key: lower-case letters, digits and `.`, `_`, `/`, `-`, a letter or a digit at both ends. So that a
/// rule can name it without quotes.
pub fn is_key(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    bytes.len() <= MAX_KEY
        && plain(*first)
        && plain(*last)
        && bytes.iter().all(|byte| plain(*byte) || b"._/-".contains(byte))
}

/// Whether this can be a value: any text without control characters, also none.
pub fn is_value(text: &str) -> bool {
    text.chars().count() <= MAX_VALUE && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_plain_words() {
        for key in ["env", "a", "app.kubernetes.io/name", "cost-centre_2"] {
            assert!(is_key(key), "{key}");
        }
        let long = "x".repeat(64);
        for key in ["", "Env", "-a", "a-", "a b", "ü", "a=b", "a\n", &long] {
            assert!(!is_key(key), "{key:?}");
        }
    }

    #[test]
    fn values_are_any_text_in_a_line() {
        assert!(is_value("") && is_value("東京 \"1\""));
        assert!(!is_value("a\nb") && !is_value("a\0") && !is_value(&"x".repeat(129)));
    }
}
