//! Chains of transforms: no text panics, and what reads well prints as the same chain.
#![no_main]

use dsops::transform::Chain;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(chain) = Chain::parse(text) {
        let printed = chain.to_string();
        let again = Chain::parse(&printed).map(|chain| chain.to_string());
        assert_eq!(again.as_deref(), Ok(printed.as_str()));
    }
});
