//! The target `policy` of cargo-fuzz.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lamina::fuzz::check("policy", input));
