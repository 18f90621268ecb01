//! Words and signs of a rule.

use super::{Error, Problem};
use std::iter::Peekable;
use std::str::Chars;

/// A word or sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Quoted(String),
    Open,
    Close,
    Comma,
    Equal,
    Unequal,
    Like,
    Unlike,
}

/// Words that have a meaning, in any case: as values they need quotes.
const KEYWORDS: [&str; 5] = ["and", "or", "not", "in", "exists"];

impl Token {
    /// Whether it is this word of the language.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// The value that it is.
    pub(super) fn value(&self) -> Option<&str> {
        match self {
            Self::Quoted(text) => Some(text),
            Self::Word(word) if !is_keyword(word) => Some(word),
            _ => None,
        }
    }
}

/// A value as it is written.
pub(super) fn quoted(value: &str) -> String {
    if !value.is_empty() && value.chars().all(is_of_word) && !is_keyword(value) {
        return value.to_owned();
    }
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// The tokens of a text, each with where it begins.
pub(super) fn read(text: &str) -> Result<Vec<(usize, Token)>, Error> {
    let mut reader = Reader {
        rest: text.chars().peekable(),
        position: 0,
    };
    let mut tokens = Vec::new();
    loop {
        while reader.next_if(char::is_whitespace).is_some() {}
        let position = reader.position;
        let Some(first) = reader.next() else {
            return Ok(tokens);
        };
        tokens.push((position, reader.token(first, position)?));
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    position: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.position += usize::from(next.is_some());
        next
    }

    fn next_if(&mut self, wanted: impl FnOnce(char) -> bool) -> Option<char> {
        let next = self.rest.next_if(|next| wanted(*next));
        self.position += usize::from(next.is_some());
        next
    }

    fn token(&mut self, first: char, position: usize) -> Result<Token, Error> {
        let error = |problem| Err(Error { position, problem });
        match first {
            '(' => Ok(Token::Open),
            ')' => Ok(Token::Close),
            ',' => Ok(Token::Comma),
            '=' => Ok(Token::Equal),
            '~' => Ok(Token::Like),
            '!' if self.next_if(|next| next == '=').is_some() => Ok(Token::Unequal),
            '!' if self.next_if(|next| next == '~').is_some() => Ok(Token::Unlike),
            '"' => match self.quoted() {
                Some(text) => Ok(Token::Quoted(text)),
                None => error(Problem::Unquoted),
            },
            first if is_of_word(first) => {
                let mut word = String::from(first);
                while let Some(next) = self.next_if(is_of_word) {
                    word.push(next);
                }
                Ok(Token::Word(word))
            }
            _ => error(Problem::Character),
        }
    }

    /// What follows, to the closing quote; a backslash takes the next character as it is.
    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.next()?),
                other => text.push(other),
            }
        }
    }
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || "_-.:/@+*?".contains(character)
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}
