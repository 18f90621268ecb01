//! Lists come in numbered pages.

use crate::api::counts;
use crate::error::ApiError;
use serde::Serialize;
use utoipa::ToSchema;
use vmscope_store::Paging;

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
