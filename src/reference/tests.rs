//! The grammar's spellings, its refusals, and `print ∘ parse = identity`.

use proptest::prelude::*;

use super::*;

fn named(store: &str, path: &str, field: Option<&str>, version: Option<&str>) -> Reference {
    Reference {
        store: StoreName::Named(store.to_owned()),
        locator: Locator {
            path: path.to_owned(),
            field: field.map(str::to_owned),
            version: version.map(str::to_owned),
        },
    }
}

#[test]
fn every_spelling_is_the_same_reference() {
    for text in [
        "vault/app/db#password@v3",
        "vault/app/db@v3#password",
        "vault:app/db#password@v3",
        "store://vault/app/db#password?version=3",
        "store://vault/app/db?version=3#password",
    ] {
        assert_eq!(
            Reference::parse(text),
            Ok(named("vault", "app/db", Some("password"), Some("3"))),
            "{text}"
        );
    }
}

#[test]
fn a_folder_is_part_of_the_path() {
    let reference = Reference::parse("infisical/payments/live/KEY").unwrap();
    assert_eq!(reference.locator.folder(), "payments/live");
    assert_eq!(reference.locator.name(), "KEY");
}

#[test]
fn a_leading_slash_of_the_path_is_kept() {
    assert_eq!(Reference::parse("ssm//prod/db"), Ok(named("ssm", "/prod/db", None, None)));
    assert_eq!(Reference::parse("aws:/prod/db"), Ok(named("aws", "/prod/db", None, None)));
    assert_eq!(Reference::parse("aws:ssm:/prod/db"), Ok(named("aws", "ssm:/prod/db", None, None)));
}

#[test]
fn an_at_sign_that_is_no_version_belongs_to_the_name() {
    assert_eq!(Reference::parse("s/me@example.org"), Ok(named("s", "me@example.org", None, None)));
    assert_eq!(Reference::parse("s/KEY@vNext"), Ok(named("s", "KEY@vNext", None, None)));
}

#[test]
fn a_bare_op_reference_is_kept_whole() {
    let reference = Reference::parse("op://Private/DB/password").unwrap();
    assert_eq!(reference.store, StoreName::OnePassword);
    assert_eq!(reference.to_string(), "op://Private/DB/password");
}

#[test]
fn what_is_no_reference_says_why_and_where() {
    for (text, message, offset) in [
        ("", "an empty reference", 0),
        ("KEY", "a reference needs a store and a name", 0),
        ("store/", "the reference ends before a name", 6),
        ("store/folder/", "the reference ends before a name", 6),
        ("s/key#", "`#` without a field behind it", 5),
        ("s/a\u{0}b", "a control character in a reference", 3),
        ("svc://pg/main", "`svc://` names a service, which holds no secrets", 0),
        ("https://x/y", "no reference starts with this scheme", 0),
        ("store://s", "`store://` needs a store and a path", 0),
        ("store://s/p?v=1", "only `version` can stand behind `?`", 12),
        ("store://s/p%zz", "a `%` that does not encode text", 10),
        ("store://s/p#a#b", "a part that is empty or stands twice", 14),
        ("op://vault", "`op://` needs a vault, an item and a field", 0),
    ] {
        let error = Reference::parse(text).unwrap_err();
        assert_eq!((error.message.as_str(), error.offset), (message, offset), "{text:?}");
    }
}

fn references() -> impl Strategy<Value = Reference> {
    let text = "[^\\p{Cc}]{1,24}";
    let path = "[^\\p{Cc}]{0,24}[^\\p{Cc}/]";
    ("[a-zA-Z0-9_.-]{1,12}", path, proptest::option::of(text), proptest::option::of(text))
        .prop_map(|(store, path, field, version)| named(&store, &path, field.as_deref(), version.as_deref()))
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same(reference in references()) {
        let printed = reference.to_string();
        prop_assert_eq!(Reference::parse(&printed), Ok(reference), "{}", printed);
    }

    #[test]
    fn printing_what_was_read_is_stable(text in "(store://)?[a-z]{1,4}[/:][a-z/#?@v=0-9%.:]{1,24}") {
        if let Ok(reference) = Reference::parse(&text) {
            let printed = reference.to_string();
            prop_assert_eq!(Reference::parse(&printed), Ok(reference));
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Reference::parse(&String::from_utf8_lossy(&bytes));
    }
}
