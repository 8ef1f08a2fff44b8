#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kboard::apps::board::fuzzing::parse(data));
