//! Lists come in numbered pages; those of the inventory also one part after another.

use crate::api::counts;
use crate::error::ApiError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vmscope_store::{Cursor, Order, Paging};

/// Items a page when the caller does not say.
pub const DEFAULT_SIZE: u32 = 50;
/// Most items a page.
pub const MAX_SIZE: u32 = Paging::MAX_SIZE;
/// Last page that can be asked for: keeps the database from skipping for ever.
pub const MAX_PAGE: u32 = 100_000;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// What is on this page.
    pub items: Vec<T>,
    /// Number of this page, from 1.
    pub page: u32,
    /// Most items a page.
    pub page_size: u32,
    /// Items on all pages.
    pub total: u64,
}

/// Makes a page of what the database gave.
pub(super) fn of<S, T: From<S>>(page: vmscope_store::Page<S>, paging: Paging) -> Page<T> {
    Page {
        items: page.items.into_iter().map(T::from).collect(),
        page: paging.page,
        page_size: paging.page_size,
        total: counts::number(page.total),
    }
}

/// One part of a list: a numbered page, or what follows a place.
#[derive(Debug, Serialize, ToSchema)]
pub struct Slice<T> {
    /// What is in this part.
    pub items: Vec<T>,
    /// Number of this page, from 1; 0 for what follows a cursor.
    pub page: u32,
    /// Most items a part.
    pub page_size: u32,
    /// Items of the whole list.
    pub total: u64,
    /// What to give as `cursor` for the next part; null at the end.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The page; with a cursor only its size counts.
    pub(super) paging: Paging,
    /// Where it begins, unless the page says so.
    pub(super) cursor: Option<Cursor>,
    sort: String,
}

/// Where a list goes on, as callers get it: good for the same order alone.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    sort: String,
    #[serde(flatten)]
    cursor: Cursor,
}

impl Wanted {
    /// By `page` and `page_size`, or by `cursor` and `limit`.
    ///
    /// # Errors
    /// `ApiError::Parameter` names the one that is wrong.
    pub(super) fn new(
        (page, page_size): (Option<u32>, Option<u32>),
        (cursor, limit): (Option<&str>, Option<u32>),
        sort: &str,
    ) -> Result<Self, ApiError> {
        let by_cursor = cursor.is_some() || limit.is_some();
        if by_cursor && (page.is_some() || page_size.is_some()) {
            return Err(ApiError::parameter(
                "cursor",
                "goes with limit, not with page and page_size",
            ));
        }
        if limit.is_some_and(|limit| !(1..=MAX_SIZE).contains(&limit)) {
            return Err(ApiError::parameter(
                "limit",
                format_args!("must be from 1 to {MAX_SIZE}"),
            ));
        }
        let size = limit.or(page_size).unwrap_or(DEFAULT_SIZE);
        let place = |text: &str| -> Option<Place> {
            let json = URL_SAFE_NO_PAD.decode(text).ok()?;
            serde_json::from_slice(&json).ok()
        };
        let cursor = cursor.filter(|text| !text.is_empty()).map(|text| {
            let place = place(text).filter(|place| place.sort == sort);
            let place =
                place.ok_or_else(|| ApiError::parameter("cursor", "is none of this list in this order"));
            place.map(|place| place.cursor)
        });
        Ok(Self {
            paging: check(page.unwrap_or(1), size)?,
            cursor: cursor.transpose()?,
            sort: sort.to_owned(),
        })
    }

    /// Refuses a cursor that this list can't have made.
    ///
    /// # Errors
    /// `ApiError::Parameter` for `cursor`.
    pub(super) fn require(&self, fits: impl FnOnce(&Cursor) -> bool) -> Result<(), ApiError> {
        match &self.cursor {
            Some(cursor) if !fits(cursor) => Err(ApiError::parameter("cursor", "is none of this list")),
            _ => Ok(()),
        }
    }

    /// Makes the part of what the database gave.
    pub(super) fn slice<T>(&self, items: Vec<T>, total: i64, next: Option<Cursor>) -> Slice<T> {
        let written = |cursor| {
            let place = Place {
                sort: self.sort.clone(),
                cursor,
            };
            // Texts and numbers always are JSON.
            URL_SAFE_NO_PAD.encode(serde_json::to_vec(&place).unwrap_or_default())
        };
        Slice {
            items,
            page: if self.cursor.is_none() {
                self.paging.page
            } else {
                0
            },
            page_size: self.paging.page_size,
            total: counts::number(total),
            next_cursor: next.map(written),
        }
    }
}

/// The keys of `sort`: names with commas between them, `-` before those that are descending.
///
/// # Errors
/// `ApiError::Parameter` for a name that `known` does not know.
pub(super) fn order<K>(sort: &str, known: impl Fn(&str) -> Option<K>) -> Result<Vec<Order<K>>, ApiError> {
    const MAX_KEYS: usize = 4;
    let names = || sort.split(',').filter(|name| !name.is_empty());
    if names().count() > MAX_KEYS {
        return Err(ApiError::parameter(
            "sort",
            format_args!("has more than {MAX_KEYS} keys"),
        ));
    }
    let key = |name: &str| {
        let by = known(name.strip_prefix('-').unwrap_or(name));
        let by = by.ok_or_else(|| ApiError::parameter("sort", format_args!("there is no {name:?}")))?;
        Ok(Order {
            by,
            descending: name.starts_with('-'),
        })
    };
    names().map(key).collect()
}

/// Refuses page numbers and sizes out of range.
///
/// # Errors
/// `ApiError::Parameter` names the one that is out of range.
pub(super) fn check(page: u32, page_size: u32) -> Result<Paging, ApiError> {
    if !(1..=MAX_PAGE).contains(&page) {
        return Err(ApiError::parameter(
            "page",
            format_args!("must be from 1 to {MAX_PAGE}"),
        ));
    }
    if !(1..=MAX_SIZE).contains(&page_size) {
        return Err(ApiError::parameter(
            "page_size",
            format_args!("must be from 1 to {MAX_SIZE}"),
        ));
    }
    Ok(Paging { page, page_size })
}
