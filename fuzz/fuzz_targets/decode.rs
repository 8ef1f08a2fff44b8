#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kboard_fuzz::decode::run(data));
