//! The masker against an oracle that sees the whole text, and the forms against programs' own.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;

/// Masks a text that arrives in pieces.
fn masked(patterns: &Arc<Patterns>, pieces: &[&[u8]]) -> Vec<u8> {
    let mut masker = Masker::new(Arc::clone(patterns));
    let mut out = Vec::new();
    for piece in pieces {
        masker.push(piece, &mut out);
    }
    masker.finish(&mut out);
    out
}

fn compiled(patterns: &[Vec<u8>]) -> Arc<Patterns> {
    Arc::new(Patterns::new(patterns.iter().cloned().map(Zeroizing::new).collect()))
}

/// Finds every occurrence of every pattern, and replaces each stretch that they cover.
fn oracle(patterns: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
    let mut covered = vec![false; text.len()];
    for pattern in patterns.iter().filter(|pattern| pattern.len() >= SHORTEST) {
        for (start, window) in text.windows(pattern.len()).enumerate() {
            if window == pattern.as_slice() {
                covered[start..start + pattern.len()].fill(true);
            }
        }
    }
    let mut out = Vec::new();
    let mut inside = false;
    for (byte, covered) in text.iter().zip(covered) {
        if !covered {
            out.push(*byte);
        } else if !inside {
            out.extend_from_slice(REPLACEMENT);
        }
        inside = covered;
    }
    out
}

/// Cuts a text into pieces at these places.
fn cut<'a>(text: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (text.len() + 1)).collect();
    places.sort_unstable();
    places.push(text.len());
    let mut start = 0;
    let pieces = places.into_iter().map(|end| &text[std::mem::replace(&mut start, end)..end]);
    pieces.collect()
}

/// Patterns of few letters, so that they overlap, and a text with many of them and their parts.
fn scene(shortest: usize, longest: usize) -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<u8>)> {
    let letters = |len| prop::collection::vec(prop::sample::select(b"ab".as_slice()), len);
    prop::collection::vec(letters(shortest..longest), 1..6).prop_flat_map(move |patterns| {
        let of_pattern = (prop::sample::select(patterns.clone()), any::<(prop::sample::Index, bool)>());
        let part = prop_oneof![
            letters(0..4),
            of_pattern.prop_map(|(pattern, (end, whole))| {
                let end = if whole { pattern.len() } else { end.index(pattern.len()) };
                pattern[..end].to_vec()
            }),
            prop::collection::vec(prop::sample::select(b"abc\n".as_slice()), 0..40),
        ];
        let text = prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat());
        (Just(patterns), text)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_stream_is_masked_as_the_whole_text_would_be(
        (patterns, text) in prop_oneof![scene(1, 8), scene(4, 12), scene(8, 40), scene(20, 60)],
        places in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let pieces = cut(&text, &places);
        let out = masked(&compiled(&patterns), &pieces);
        prop_assert_eq!(out, oracle(&patterns, &text));
    }

    #[test]
    fn no_more_is_held_back_than_could_become_a_value(
        (patterns, text) in prop_oneof![scene(4, 12), scene(8, 40), scene(20, 60)],
    ) {
        let mut masker = Masker::new(compiled(&patterns));
        masker.push(&text, &mut Vec::new());
        let starts_one = |start: &usize| {
            let rest = &text[*start..];
            patterns.iter().any(|pattern| pattern.len() > rest.len() && pattern.starts_with(rest))
        };
        let first = (0..text.len()).find(starts_one).unwrap_or(text.len());
        prop_assert_eq!(masker.filled, text.len() - first);
    }

    #[test]
    fn at_most_three_bytes_of_a_value_show_where_the_stream_rests(
        (patterns, text) in prop_oneof![scene(4, 8), scene(4, 12)],
    ) {
        // Released after every byte. Each value's fourth byte and all that follow must still be covered.
        let mut masker = Masker::new(compiled(&patterns));
        let mut shown = vec![false; text.len()];
        for (place, byte) in text.iter().enumerate() {
            let mut out = Vec::new();
            let settled_before = place - (masker.filled - masker.settled);
            masker.push(&[*byte], &mut out);
            masker.release(&mut out);
            // What was shown before the first replacement, and after the last one.
            let settled = place + 1 - (masker.filled - masker.settled);
            let out = String::from_utf8(out).unwrap();
            let first = out.split("***").next().map_or(0, str::len);
            let last = out.rsplit("***").next().map_or(0, str::len);
            shown[settled_before..settled_before + first].fill(true);
            shown[settled - last..settled].fill(true);
        }
        for pattern in &patterns {
            for (start, window) in text.windows(pattern.len()).enumerate() {
                if window == pattern.as_slice() {
                    prop_assert!(!shown[start + 3..start + pattern.len()].contains(&true));
                }
            }
        }
    }
}

#[test]
fn values_that_overlap_show_no_part_of_either() {
    let patterns = compiled(&[b"abcdef".to_vec(), b"defghi".to_vec()]);
    assert_eq!(masked(&patterns, &[b"-abcdefghi-"]), b"-***-");
    assert_eq!(masked(&patterns, &[b"-abcdef", b"ghi-"]), b"-***-");
    assert_eq!(masked(&patterns, &[b"abcdefdefghi"]), b"***");
}

#[test]
fn typed_characters_and_prompts_appear_and_the_rest_of_a_value_does_not() {
    let mut masker = Masker::new(compiled(&[b"abcdefgh".to_vec()]));
    let mut out = Vec::new();
    masker.push(b"$ abc", &mut out);
    assert_eq!(out, b"$ ");
    assert!(masker.is_waiting());
    masker.release(&mut out);
    assert_eq!(out, b"$ abc");
    assert!(!masker.is_waiting());
    masker.push(b"d", &mut out);
    assert!(!masker.is_waiting());
    masker.release(&mut out);
    assert_eq!(out, b"$ abc");
    masker.push(b"efgh.", &mut out);
    assert_eq!(out, b"$ abc***.");
}

#[test]
fn what_is_no_value_after_all_is_shown_at_the_end() {
    assert_eq!(masked(&compiled(&[b"abcdefgh".to_vec()]), &[b"abcd", b"efg"]), b"abcdefg");
}

#[test]
fn without_patterns_everything_passes() {
    assert_eq!(masked(&compiled(&[]), &[b"abc", b"\xff\x00"]), b"abc\xff\x00");
}

fn mask_of(value: &[u8]) -> Mask {
    Mask::new([("A", &SecretValue::copy_of(value))])
}

#[track_caller]
fn hides(value: &[u8], text: &[u8], expected: &str) {
    let mask = mask_of(value);
    let mut out = Vec::new();
    let mut masker = mask.masker();
    masker.push(text, &mut out);
    masker.finish(&mut out);
    assert_eq!(String::from_utf8_lossy(&out), expected, "{}", String::from_utf8_lossy(text));
}

#[test]
fn short_values_are_named_and_not_masked() {
    let values = [("EMPTY", ""), ("ONE", "1"), ("THREE", "abc"), ("FOUR", "abcd")];
    let values: Vec<_> = values.map(|(name, value)| (name, SecretValue::from(value))).into();
    let mask = Mask::new(values.iter().map(|(name, value)| (*name, value)));
    assert_eq!(mask.too_short(), ["ONE", "THREE"]);
}

#[test]
fn lines_are_masked_alone_and_with_either_break() {
    let value = b"first line\nab\n    \nsecond\r\nlast one";
    hides(value, b"<first line>", "<***>");
    hides(value, b"<second>", "<***>");
    hides(value, b"<second\r>", "<***\r>");
    hides(value, b"<ab>    <", "<ab>    <");
    hides(value, b"<first line\r\nab\r\n    \r\nsecond\r\nlast one>", "<***>");
    hides(value, b"<first line\nab\n    \nsecond\nlast one>", "<***>");
    hides(b"{\n    \"password\": 1\n}", b"\t\"password\": 1", "\t***");
}

#[test]
fn base64_is_masked_wherever_the_value_stands_in_it() {
    use base64::prelude::*;

    let value = b"correct horse\xfb\xff\xfe battery?>";
    for before in 0..4 {
        for after in 0..4 {
            let text = [&b"user:"[..before], value, &b"@end"[..after]].concat();
            for encoded in [
                BASE64_STANDARD.encode(&text),
                BASE64_STANDARD_NO_PAD.encode(&text),
                BASE64_URL_SAFE.encode(&text),
                BASE64_URL_SAFE_NO_PAD.encode(&text),
            ] {
                let mut out = Vec::new();
                let mut masker = mask_of(value).masker();
                masker.push(encoded.as_bytes(), &mut out);
                masker.finish(&mut out);
                let shown = String::from_utf8(out).unwrap();
                let (start, end) = shown.split_once("***").unwrap_or_else(|| panic!("{encoded}: {shown}"));
                // No more than the digits that hold neighbours' bits too.
                assert!(start.len() <= (before * 8).div_ceil(6), "{encoded}: {shown}");
                assert!(end.len() <= (after * 8).div_ceil(6) + 3, "{encoded}: {shown}");
                assert!(after > 0 || end.is_empty(), "{encoded}: {shown}");
            }
        }
    }
}

#[test]
fn base64_in_lines_is_masked_to_its_last_sign() {
    for len in [54, 56, 57, 58, 96, 97, 98, 99, 114, 115, 2000] {
        let value: Vec<u8> = (0..len).map(|i| (i * 7 % 251) as u8).collect();
        let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &value);
        for width in [76, 64] {
            for line_break in ["\n", "\r\n"] {
                let lines: Vec<&str> =
                    encoded.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
                let text = lines.join(line_break);
                let mut out = Vec::new();
                let mut masker = mask_of(&value).masker();
                masker.push(text.as_bytes(), &mut out);
                masker.finish(&mut out);
                let shown = String::from_utf8(out).unwrap();
                assert!(
                    shown.trim_matches(['*', '\r', '\n']).is_empty()
                        || shown.split(line_break).all(|line| line == "***"),
                    "{len}: {shown}"
                );
            }
        }
    }
}

#[test]
fn the_newline_at_the_end_of_a_value_stays() {
    hides(b"one-secret\n", b"a one-secret\nb", "a ***\nb");
    hides(b"one-secret\r\n", b"a one-secret\r\nb", "a ***\r\nb");
    hides(b"abc\n", b"a abc\nb", "a ***b");
}

#[test]
fn encodings_of_text_are_masked() {
    let value = "pa/ss \"w'o\\rd\" <€&+é=#?>!".as_bytes();
    for form in [
        // Python: json.dumps, repr, quote, quote_plus, quote(safe=""), shlex.quote.
        r#"pa/ss \"w'o\\rd\" <\u20ac&+\u00e9=#?>!"#,
        r#"pa/ss "w\'o\\rd" <€&+é=#?>!"#,
        "pa/ss%20%22w%27o%5Crd%22%20%3C%E2%82%AC%26%2B%C3%A9%3D%23%3F%3E%21",
        "pa%2Fss+%22w%27o%5Crd%22+%3C%E2%82%AC%26%2B%C3%A9%3D%23%3F%3E%21",
        "pa%2Fss%20%22w%27o%5Crd%22%20%3C%E2%82%AC%26%2B%C3%A9%3D%23%3F%3E%21",
        r#"pa/ss "w'"'"'o\rd" <€&+é=#?>!"#,
        // encodeURIComponent, and the same in lower case.
        "pa%2Fss%20%22w'o%5Crd%22%20%3C%E2%82%AC%26%2B%C3%A9%3D%23%3F%3E!",
        "pa%2fss%20%22w'o%5crd%22%20%3c%e2%82%ac%26%2b%c3%a9%3d%23%3f%3e!",
        // serde_json, Go, PHP.
        r#"pa/ss \"w'o\\rd\" <€&+é=#?>!"#,
        r#"pa/ss \"w'o\\rd\" \u003c€\u0026+é=#?\u003e!"#,
        r#"pa\/ss \"w'o\\rd\" <\u20ac&+\u00e9=#?>!"#,
        // Shells: in single quotes, in double quotes, `printf %q`, `$'…'`.
        r#"pa/ss "w'\''o\rd" <€&+é=#?>!"#,
        r#"pa/ss \"w'o\\rd\" <€&+é=#?>!"#,
        r#"pa/ss\ \"w\'o\\rd\"\ \<€\&+é=#\?\>\!"#,
        r#"pa/ss "w\'o\\rd" <€&+é=#?>!"#,
        r#"pa/ss "w\'o\\rd" <\342\202\254&+\303\251=#?>!"#,
    ] {
        hides(value, format!("[{form}]").as_bytes(), "[***]");
    }
}

#[test]
fn long_values_are_masked_in_pieces_and_whole() {
    let value: Vec<u8> = (0..5000).map(|i| b'a' + (i * i % 23) as u8).collect();
    hides(&value, &[b"<", value.as_slice(), b">"].concat(), "<***>");
    assert!(mask_of(&value).patterns.longest() <= 1024);
}

#[test]
fn nothing_of_a_value_is_in_debug() {
    let mask = mask_of(b"kEeP-tHiS");
    assert_eq!(format!("{mask:?} {:?}", mask.masker()), "Mask(***) Masker(***)");
}
