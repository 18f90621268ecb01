//! Tests of the whole product: see `tests/`.
