//! What the host itself says about its load.
