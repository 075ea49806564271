#![no_main]
#![expect(missing_docs, reason = "the library has them")]

libfuzzer_sys::fuzz_target!(init: fuzz::prepare(&fuzz::control::TARGET), |data: &[u8]| {
    fuzz::run(&fuzz::control::TARGET, data);
});
