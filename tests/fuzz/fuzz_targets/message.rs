#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vmscope_fuzz::message(bytes));
