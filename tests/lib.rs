//! The package exists for its one integration-test binary, `it`.
