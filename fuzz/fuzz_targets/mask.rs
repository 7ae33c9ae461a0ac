//! Whatever the values, the text and the pieces it comes in: no value comes through, and without values nothing changes.
#![no_main]

use dsops::mask::{Mask, SHORTEST};
use dsops_providers::contract::SecretValue;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<Vec<u8>>, Vec<Vec<u8>>)| {
    let (values, pieces) = input;
    let values: Vec<SecretValue> = values.into_iter().map(SecretValue::new).collect();
    let mask = Mask::new(values.iter().map(|value| ("NAME", value)));
    let (mut masker, mut out) = (mask.masker(), Vec::new());
    pieces.iter().for_each(|piece| masker.push(piece, &mut out));
    masker.finish(&mut out);

    // The same text at once comes out the same.
    let text = pieces.concat();
    let (mut masker, mut whole) = (mask.masker(), Vec::new());
    masker.push(&text, &mut whole);
    masker.finish(&mut whole);
    assert_eq!(out, whole);
    // What is left between replacements holds no value.
    let holds = |part: &[u8], value: &[u8]| part.windows(value.len()).any(|window| window == value);
    let contains_stars = text.contains(&b'*');
    for value in values.iter().map(SecretValue::expose).filter(|value| value.len() >= SHORTEST) {
        assert!(contains_stars || value.contains(&b'*') || !holds(&out, value));
    }
    if values.iter().all(|value| value.len() < SHORTEST) {
        assert_eq!(out, text);
    }
});
