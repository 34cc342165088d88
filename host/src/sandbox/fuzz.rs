//! Fuzz check of components: what is no component is refused as the caller's fault, leaves nothing behind, and is
//! read to its end without a panic.

use wasmparser::Validator;

use super::Target;
use super::compile::compile_here;
use super::engine_kind::Shape;

/// Bytes of an input; a larger one takes long to compile.
const BYTES_MAX: usize = 16 << 10;

/// Checks one file.
pub fn check(input: &[u8]) {
    if input.len() > BYTES_MAX {
        return;
    }
    let kind = Shape::of(input).map(|shape| shape.kind());
    let is_valid = Validator::new().validate_all(input).is_ok();
    assert!(!is_valid || kind.is_ok(), "{kind:?}");
    // Only what can be told apart by its first bytes gets as far as the compiler.
    if !input.starts_with(b"\0asm") {
        return;
    }
    let directory = tempfile::tempdir().expect("there is room");
    let (component, artifact) = (directory.path().join("in"), directory.path().join("out"));
    std::fs::write(&component, input).expect("there is room");
    match compile_here(Target::Here, &component, &artifact) {
        Ok(made) => {
            assert!(is_valid, "it is compiled");
            assert_eq!(Some(made), kind.ok());
        }
        Err(error) => {
            assert!(error.is_callers_fault(), "{error}");
            assert!(!artifact.exists(), "{error}");
        }
    }
}
