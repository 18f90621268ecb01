//! The languages of the API's messages, chosen by `Accept-Language`.

use axum::extract::FromRequestParts;
use axum::http::header::ACCEPT_LANGUAGE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use std::convert::Infallible;
use vmscope_model::metric::Text;

/// A language that the API speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English, also for whoever asks for none of the three.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
    /// Japanese.
    Japanese,
}

impl Language {
    /// The caller's most preferred language among those spoken here.
    pub fn of(headers: &HeaderMap) -> Self {
        let wishes = headers.get(ACCEPT_LANGUAGE).map(HeaderValue::to_str);
        let Some(Ok(wishes)) = wishes else {
            return Self::default();
        };
        let mut best = (0.0, Self::default());
        for (language, quality) in wishes.split(',').filter_map(wish) {
            if quality > best.0 {
                best = (quality, language);
            }
        }
        best.1
    }

    /// The part of `text` in this language.
    pub const fn pick(self, text: &Text) -> &'static str {
        match self {
            Self::English => text.en,
            Self::Chinese => text.zh,
            Self::Japanese => text.ja,
        }
    }

    /// The tag for `Content-Language`.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
            Self::Japanese => "ja-JP",
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Language {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// One entry such as `zh-CN;q=0.8`, if it is a language spoken here.
fn wish(entry: &str) -> Option<(Language, f32)> {
    let mut parts = entry.split(';').map(str::trim);
    let tag = parts.next()?;
    let quality = match parts.next() {
        Some(weight) => weight.strip_prefix("q=")?.parse().ok()?,
        None => 1.0,
    };
    let primary = tag.split('-').next()?;
    let language = match primary.to_ascii_lowercase().as_str() {
        "en" => Language::English,
        "zh" => Language::Chinese,
        "ja" => Language::Japanese,
        _ => return None,
    };
    Some((language, quality))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(wishes: &'static str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(wishes));
        Language::of(&headers)
    }

    #[test]
    fn takes_the_most_preferred_language_that_is_spoken() {
        assert_eq!(chosen("ja-JP"), Language::Japanese);
        assert_eq!(chosen("fr, zh;q=0.9, en;q=0.3"), Language::Chinese);
        assert_eq!(chosen("en;q=0.3, zh-Hans-CN;q=0.9"), Language::Chinese);
        assert_eq!(chosen("zh, en"), Language::Chinese);
    }

    #[test]
    fn speaks_english_to_everyone_else() {
        assert_eq!(chosen("fr"), Language::English);
        assert_eq!(chosen(""), Language::English);
        assert_eq!(chosen("zh;q=much"), Language::English);
        assert_eq!(chosen("zh;q=0"), Language::English);
        assert_eq!(Language::of(&HeaderMap::new()), Language::English);
    }
}
