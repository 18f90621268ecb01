//! Paging and sorting of lists.

use serde::{Deserialize, Serialize};

/// Which page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// Number of the page, from 1.
    pub page: u32,
    /// Items on a page, at most [`Paging::MAX_SIZE`].
    pub page_size: u32,
}

impl Paging {
    /// The most items a page can have.
    pub const MAX_SIZE: u32 = 500;

    pub(crate) fn limit(self) -> i64 {
        self.page_size.clamp(1, Self::MAX_SIZE).into()
    }

    pub(crate) fn offset(self) -> i64 {
        i64::from(self.page.max(1) - 1) * self.limit()
    }
}

impl Default for Paging {
    fn default() -> Self {
        Self {
            page: 1,
            page_size: 50,
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Items on all pages.
    pub total: i64,
}

/// By what a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Order<K> {
    /// By what.
    pub by: K,
    /// Largest first.
    pub descending: bool,
}

impl<K> Order<K> {
    /// `ORDER BY` for a whitelisted column, with `id` as the tie-break that keeps pages apart.
    pub(crate) fn clause(&self, column: &str, id: &str) -> String {
        let direction = if self.descending {
            "DESC NULLS LAST"
        } else {
            "ASC NULLS FIRST"
        };
        format!("ORDER BY {column} {direction}, {id}")
    }
}

/// The patterns that find `search` anywhere in a name and at the beginning of a UUID, its wildcards taken literally.
pub(crate) fn patterns(search: &str) -> (String, String) {
    let literal = literal(search);
    (format!("%{literal}%"), format!("{}%", literal.to_lowercase()))
}

fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    // PostgreSQL's text has no place for NUL.
    for character in text.chars().filter(|character| *character != '\0') {
        if matches!(character, '%' | '_' | '\\') {
            literal.push('\\');
        }
        literal.push(character);
    }
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_wildcards_literally() {
        assert_eq!(
            patterns("5%_\\A"),
            ("%5\\%\\_\\\\A%".to_owned(), "5\\%\\_\\\\a%".to_owned())
        );
    }

    #[test]
    fn offset_counts_pages_from_one() {
        assert_eq!(
            Paging {
                page: 3,
                page_size: 20
            }
            .offset(),
            40
        );
        assert_eq!(
            Paging {
                page: 0,
                page_size: 0
            }
            .offset(),
            0
        );
    }
}
