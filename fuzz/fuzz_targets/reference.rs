//! References: no bytes panic, and what reads well prints as the same reference.
#![no_main]

use dsops::reference::Reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Reference::parse(text) {
        Ok(reference) => assert_eq!(Reference::parse(&reference.to_string()), Ok(reference)),
        Err(error) => assert!(error.offset <= text.len(), "the culprit is outside the text"),
    }
});
