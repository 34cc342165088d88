//! The target `http1` of cargo-fuzz.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lamina::fuzz::check("http1", input));
