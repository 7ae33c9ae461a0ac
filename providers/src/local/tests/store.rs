//! What the store gives back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::support::{Fixture, named, passphrase};
use crate::contract::{
    Backend as _, Context, FetchErrorKind, Key, Lister as _, Locator, NoExpansion, Node, NodeKind, Prompt,
    Provider as _, Scalar, SecretValue, Span, Status, Writer as _, decode,
};
use crate::local::{Content, Identity, Keys, LocalConfig, LocalStore, Named, Passphrase, Seal};

const ODD: &[(&str, &[u8])] = &[
    ("empty", b""),
    ("newline", b"\n"),
    ("last newline", b"value\n"),
    ("crlf", b"a\r\nb\r\n"),
    ("outer space", b" \t value \t "),
    ("quotes", b"\"it's\" \\ $HOME `x` #{}"),
    ("controls", b"\x01\x1b[31m\x7f"),
    ("nul", b"a\0b"),
    ("unicode", "ü🔑\u{2028}\u{feff}".as_bytes()),
    ("not utf-8", b"\xff\xfe\x00\x80"),
    ("utf-8 cut", b"\xf0\x9f\x94"),
    ("surrogate", b"\xed\xa0\x80"),
    ("looks like json", b"{\"a\": 1e400}"),
    ("looks like base64", b"aHVudGVyMg=="),
];

#[tokio::test]
async fn odd_values_come_back_to_the_byte() {
    let fixture = Fixture::new();
    let large: Vec<u8> = (0..200 * 1024u32).map(|n| u8::try_from(n % 509 % 256).unwrap()).collect();
    let lines = "-----BEGIN KEY-----\nabc\n".repeat(10_000);
    let mut values: Vec<(&str, &[u8])> = ODD.to_vec();
    values.push(("folder/large", &large));
    values.push(("folder/lines", lines.as_bytes()));
    for (name, value) in &values {
        fixture.set(name, value);
    }
    let cx = fixture.context(&[]);
    let locators: Vec<Locator> = values.iter().map(|(name, _)| Locator::new(*name)).collect();
    let answers = fixture.open(&cx).fetch(&cx, &locators).await.into_vec();
    for ((name, value), answer) in values.iter().zip(answers) {
        assert_eq!(answer.unwrap().expose(), *value, "{name}");
    }
}

#[tokio::test]
async fn a_batch_is_answered_in_order_and_each_failure_is_its_own() {
    let fixture = Fixture::new();
    fixture.set("db/PASSWORD", "one");
    fixture.set("db/PASSWORD", "two");
    fixture.set("TOKEN", "token");
    let cx = fixture.context(&[]);
    let asked = [
        Locator::new("db/PASSWORD"),
        Locator::new("db/PASSWORD").at_version("1"),
        Locator::new("absent"),
        Locator::new("TOKEN"),
        Locator::new("db/PASSWORD").at_version("3"),
        Locator::new("db/PASSWORD").at_version("latest"),
        Locator::new("TOKEN"),
    ];
    let shown: Vec<String> = fixture
        .open(&cx)
        .fetch(&cx, &asked)
        .await
        .into_vec()
        .into_iter()
        .map(|answer| match answer {
            Ok(value) => value.expose_str().unwrap().to_owned(),
            Err(error) => error.kind().name().to_owned(),
        })
        .collect();
    assert_eq!(shown, ["two", "one", "not_found", "token", "version_not_found", "unsupported", "token"]);
}

#[test]
fn versions_count_up_and_survive_a_deletion_without_their_values() {
    let fixture = Fixture::new();
    assert_eq!(fixture.set("KEY", "first"), 1);
    assert_eq!(fixture.set("KEY", "second"), 2);
    let keys = fixture.keys();
    fixture.vault.edit(&keys, |document| document.delete("KEY")).unwrap();

    let document = fixture.vault.read(&keys).unwrap();
    for version in [None, Some(1), Some(2), Some(9)] {
        let error = document.get("KEY", version).unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::NotFound);
        assert!(error.message().starts_with("`KEY` was deleted on 20"), "{error}");
    }
    assert_eq!(document.history("KEY").unwrap().len(), 2);
    assert!(document.history("KEY").unwrap().iter().all(|one| matches!(one.content, Content::Deleted(_))));

    assert_eq!(fixture.set("KEY", "third"), 3);
    let document = fixture.vault.read(&keys).unwrap();
    assert_eq!(document.get("KEY", Some(3)).unwrap().expose(), b"third");
    let error = document.get("KEY", Some(1)).unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::VersionNotFound);
    assert!(error.message().starts_with("version 1 of `KEY` was deleted on 20"), "{error}");
    assert_eq!(
        fixture.vault.edit(&keys, |document| document.delete("other")).unwrap_err().kind(),
        FetchErrorKind::NotFound
    );
}

#[test]
fn a_comment_stays_until_another_replaces_it() {
    let fixture = Fixture::new();
    let keys = fixture.keys();
    let set = |comment: Option<&str>| {
        let comment = comment.map(str::to_owned);
        fixture.vault.edit(&keys, |document| document.set("KEY", SecretValue::from("v"), comment)).unwrap();
    };
    set(Some("from the vendor's portal"));
    set(None);
    set(Some("rotated"));
    set(Some(""));
    let document = fixture.vault.read(&keys).unwrap();
    let comments: Vec<Option<&str>> =
        document.history("KEY").unwrap().iter().map(|version| version.comment.as_deref()).collect();
    assert_eq!(
        comments,
        [Some("from the vendor's portal"), Some("from the vendor's portal"), Some("rotated"), None]
    );
}

#[tokio::test]
async fn a_folder_lists_what_lies_directly_in_it() {
    let fixture = Fixture::new();
    for name in ["A", "db/PASSWORD", "db/USER", "db/replica/PASSWORD", "db-old/X", "db/gone", "zz/deep/er/Y"]
    {
        fixture.set(name, name);
    }
    let keys = fixture.keys();
    fixture.vault.edit(&keys, |document| document.delete("db/gone")).unwrap();
    let document = fixture.vault.read(&keys).unwrap();
    let root = document.list("").unwrap();
    assert_eq!(root.secrets.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["A"]);
    assert_eq!(root.folders, ["db", "db-old", "zz"]);
    assert_eq!(document.list("db").unwrap().folders, ["replica"]);
    assert_eq!(document.list("zz").unwrap().folders, ["deep"]);
    assert_eq!(document.list("d").unwrap_err().kind(), FetchErrorKind::NotFound);
    assert_eq!(document.list("A").unwrap_err().kind(), FetchErrorKind::NotFound);

    let cx = fixture.context(&[]);
    let store = fixture.open(&cx);
    let entries = store.list(&cx, "db").await.unwrap();
    let shown: Vec<(&str, &[u8])> =
        entries.iter().map(|entry| (entry.name.as_str(), entry.value.as_ref().unwrap().expose())).collect();
    assert_eq!(shown, [("PASSWORD", &b"db/PASSWORD"[..]), ("USER", b"db/USER")]);
    assert_eq!(store.list(&cx, "nope").await.unwrap_err().kind(), FetchErrorKind::NotFound);
}

#[test]
fn an_absent_secret_is_answered_with_the_name_that_was_probably_meant() {
    let fixture = Fixture::new();
    for name in ["db/PASSWORD", "STRIPE_KEY", "X"] {
        fixture.set(name, "v");
    }
    let document = fixture.vault.read(&fixture.keys()).unwrap();
    for (asked, meant) in [
        ("PASSWORD", Some("db/PASSWORD")),
        ("db/password", Some("db/PASSWORD")),
        ("STIRPE_KEY", Some("STRIPE_KEY")),
        ("db/PASWORD", Some("db/PASSWORD")),
        ("Y", Some("X")),
        ("something else", None),
    ] {
        let error = document.get(asked, None).unwrap_err();
        match meant {
            Some(meant) => {
                assert_eq!(error.advice(), Some(format!("did you mean `{meant}`?").as_str()), "{asked}")
            }
            None => assert_eq!(error.advice(), Some("run `dsops local list` for the names")),
        }
    }
}

#[test]
fn a_removed_recipient_cannot_open_the_next_file() {
    let fixture = Fixture::new();
    fixture.set("KEY", "value");
    let (mine, other) = (fixture.keys(), Identity::generate());
    let theirs = Keys::Identities(vec![other.clone()]);
    assert_eq!(fixture.vault.read(&theirs).unwrap_err().kind(), FetchErrorKind::Unauthenticated);

    let add = |name: &str| {
        let name = Some(name.to_owned());
        fixture.vault.edit(&mine, |document| document.add_recipient(other.recipient(), name))
    };
    add("alice").unwrap();
    assert_eq!(add("again").unwrap_err().kind(), FetchErrorKind::Unsupported);
    assert_eq!(fixture.vault.read(&theirs).unwrap().get("KEY", None).unwrap().expose(), b"value");
    // Who was added can write, and locks nobody out by it.
    fixture.vault.edit(&theirs, |document| document.set("KEY", SecretValue::from("theirs"), None)).unwrap();
    assert_eq!(fixture.get("KEY"), b"theirs");

    let remove = |who: &str| fixture.vault.edit(&mine, |document| document.remove_recipient(who));
    assert_eq!(remove("bob").unwrap_err().kind(), FetchErrorKind::NotFound);
    assert_eq!(
        remove("alice").unwrap(),
        Named { recipient: other.recipient(), name: Some("alice".to_owned()) }
    );
    let error = fixture.vault.read(&theirs).unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Unauthenticated);
    assert!(error.advice().unwrap().contains(&other.recipient().to_string()), "{error:?}");
    let last = fixture.identity.recipient().to_string();
    assert_eq!(remove(&last).unwrap_err().kind(), FetchErrorKind::Unsupported);
    assert_eq!(fixture.get("KEY"), b"theirs");
}

#[test]
fn rekey_changes_what_opens_the_store_and_keeps_its_content() {
    let fixture = Fixture::new();
    fixture.set("KEY", "value");
    let next = Identity::generate();
    fixture.vault.rekey(&fixture.keys(), &Seal::Recipients(vec![named(next.recipient())])).unwrap();
    assert_eq!(fixture.vault.read(&fixture.keys()).unwrap_err().kind(), FetchErrorKind::Unauthenticated);

    let next = Keys::Identities(vec![next]);
    fixture.vault.rekey(&next, &Seal::Passphrase(passphrase("correct horse"))).unwrap();
    assert_eq!(fixture.vault.read(&next).unwrap_err().kind(), FetchErrorKind::Unauthenticated);
    let typed = Keys::Passphrase(passphrase("correct horse"));
    fixture.vault.edit(&typed, |document| document.set("KEY", SecretValue::from("two"), None)).unwrap();
    let document = fixture.vault.read(&typed).unwrap();
    assert_eq!(document.get("KEY", Some(1)).unwrap().expose(), b"value");
    assert!(document.recipients().is_empty());

    let nobody = fixture.vault.rekey(&typed, &Seal::Recipients(Vec::new())).unwrap_err();
    assert_eq!(nobody.kind(), FetchErrorKind::Unsupported);
    assert_eq!(fixture.vault.read(&typed).unwrap().get("KEY", None).unwrap().expose(), b"two");
}

#[test]
fn a_wrong_passphrase_and_an_absurd_work_factor_are_told_apart() {
    let fixture = Fixture::new();
    fixture.vault.rekey(&fixture.keys(), &Seal::Passphrase(passphrase("right"))).unwrap();
    let error = fixture.vault.read(&Keys::Passphrase(passphrase("wrong"))).unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Unauthenticated);
    assert!(error.message().starts_with("the passphrase does not open"), "{error}");

    // The factor is in the header, which is only authenticated once the work is done. Unarmored,
    // it stands there in the clear.
    let mut recipient = age::scrypt::Recipient::new("right".to_owned().into());
    recipient.set_work_factor(4);
    let file = age::encrypt(&recipient, b"{}").unwrap();
    let at = file.windows(3).position(|window| window == b" 4\n").unwrap();
    let absurd = [&file[..at], b" 30\n", &file[at + 3..]].concat();
    std::fs::write(fixture.path(), absurd).unwrap();
    let error = fixture.vault.read(&Keys::Passphrase(passphrase("right"))).unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Damaged);
    assert!(error.message().contains("asks for 2^30 rounds"), "{error}");
}

#[test]
fn a_passphrase_that_no_file_can_have_is_refused() {
    for value in [&b""[..], b"\xff"] {
        let error = Passphrase::new(&SecretValue::copy_of(value)).unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Unauthenticated);
    }
}

#[test]
fn init_leaves_alone_what_is_there() {
    let fixture = Fixture::new();
    fixture.set("KEY", "value");
    let error =
        fixture.vault.create(&Seal::Recipients(vec![named(fixture.identity.recipient())])).unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Unsupported);
    assert_eq!(fixture.get("KEY"), b"value");
}

#[tokio::test]
async fn a_missing_file_is_no_absence_that_optional_would_accept() {
    let fixture = Fixture::new();
    std::fs::remove_file(fixture.path()).unwrap();
    let cx = fixture.context(&[]);
    let error = fixture.open(&cx).fetch(&cx, &[Locator::new("KEY")]).await.into_vec().remove(0).unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Unavailable);
    assert!(!error.is_absence() && !error.is_temporary());
    assert!(error.advice().unwrap().contains("dsops local init"));
    let put = fixture.open(&cx).put(&cx, &Locator::new("KEY"), SecretValue::from("v")).await.unwrap_err();
    assert_eq!(put.kind(), FetchErrorKind::Unavailable);
    assert_eq!(fixture.files(), [".config"]);
}

#[tokio::test]
async fn a_run_sees_one_moment_of_the_file_and_its_own_writes() {
    let fixture = Fixture::new();
    fixture.set("KEY", "old");
    let cx = fixture.context(&[]);
    let store = fixture.open(&cx);
    let ask = async |store: &LocalStore| {
        let answer = store.fetch(&cx, &[Locator::new("KEY")]).await.into_vec().remove(0);
        answer.unwrap().expose().to_vec()
    };
    assert_eq!(ask(&store).await, b"old");
    fixture.set("KEY", "new");
    assert_eq!(ask(&store).await, b"old");
    assert_eq!(ask(&fixture.open(&cx)).await, b"new");
    store.put(&cx, &Locator::new("KEY"), SecretValue::from("mine")).await.unwrap();
    assert_eq!(ask(&store).await, b"mine");
    store.delete(&cx, &Locator::new("KEY")).await.unwrap();
    let error = store.delete(&cx, &Locator::new("KEY")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::NotFound);
    let part = Locator::new("KEY").at_version("1");
    assert_eq!(store.delete(&cx, &part).await.unwrap_err().kind(), FetchErrorKind::Unsupported);
}

struct Typed(Option<&'static str>, Arc<AtomicUsize>);

impl Prompt for Typed {
    fn secret(&self, _: &str) -> Option<SecretValue> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.map(SecretValue::from)
    }
}

#[tokio::test]
async fn a_passphrase_is_asked_for_once_and_a_refusal_too() {
    let fixture = Fixture::new();
    fixture.set("a/KEY", "value");
    fixture.vault.rekey(&fixture.keys(), &Seal::Passphrase(passphrase("right"))).unwrap();
    for (typed, kind) in
        [(Some("right"), None), (Some("wrong"), Some("unauthenticated")), (None, Some("unauthenticated"))]
    {
        let asked = Arc::new(AtomicUsize::new(0));
        let cx = fixture.context_with(&[], Typed(typed, Arc::clone(&asked)));
        let store = fixture.open(&cx);
        let listed = store.list(&cx, "a").await;
        let fetched = store.fetch(&cx, &[Locator::new("a/KEY")]).await.into_vec().remove(0);
        assert_eq!(listed.as_ref().err().map(|error| error.kind().name()), kind);
        assert_eq!(fetched.as_ref().err().map(|error| error.kind().name()), kind);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn check_names_the_step_that_fails() {
    let fixture = Fixture::new();
    fixture.set("KEY", "hunter2");
    let cx = fixture.context(&[]);
    let steps = async |cx: &Context| {
        let findings = fixture.open(cx).check(cx).await;
        assert!(!format!("{findings:?}").contains("hunter2"));
        findings.into_iter().map(|finding| (finding.step, finding.status)).collect::<Vec<_>>()
    };
    assert_eq!(steps(&cx).await, [("file", Status::Ok), ("keys", Status::Ok), ("content", Status::Ok)]);
    let findings = fixture.open(&cx).check(&cx).await;
    assert_eq!(findings[2].message, "1 secrets");
    assert!(findings[2].latency.is_some());

    let other = Identity::generate().to_secret();
    let stranger = fixture.context(&[("DSOPS_LOCAL_IDENTITY", other.expose_str().unwrap())]);
    assert_eq!(
        steps(&stranger).await,
        [("file", Status::Ok), ("keys", Status::Ok), ("content", Status::Failed)]
    );
    std::fs::remove_dir_all(fixture.dir.path().join(".config")).unwrap();
    assert_eq!(
        steps(&cx).await,
        [("file", Status::Ok), ("keys", Status::Failed), ("content", Status::Skipped)]
    );
    std::fs::remove_file(fixture.path()).unwrap();
    assert_eq!(
        steps(&cx).await,
        [("file", Status::Failed), ("keys", Status::Skipped), ("content", Status::Skipped)]
    );
}

#[test]
fn a_reference_that_the_store_could_not_use_is_refused_before_it_is_opened() {
    let accept = |locator| LocalStore::accept(&LocalConfig::default(), &locator);
    accept(Locator::new("db/KEY").at_version("2")).unwrap();
    for locator in [
        Locator::new(""),
        Locator::new("a//b"),
        Locator::new("../KEY"),
        Locator::new("KEY").at_version("0"),
        Locator::new("KEY").at_version("-1"),
        Locator::new("KEY").at_version("latest"),
    ] {
        assert!(accept(locator.clone()).is_err(), "{locator}");
    }
}

#[test]
fn options_that_contradict_each_other_are_refused_at_their_place() {
    let valid = |options: &[(&str, &str)]| {
        let node = section(options);
        LocalStore::validate(&decode(&node, &NoExpansion).unwrap(), &node)
            .map_err(|error| error.span.unwrap().start)
    };
    assert_eq!(valid(&[]), Ok(()));
    assert_eq!(valid(&[("identity", "keyring")]), Ok(()));
    assert_eq!(valid(&[("path", "")]), Err(0));
    assert_eq!(valid(&[("path", "x"), ("identity", "")]), Err(1));
    assert_eq!(valid(&[("identity", "x"), ("passphrase", "y")]), Err(1));
    let error = decode::<LocalConfig>(&section(&[("pasphrase", "y")]), &NoExpansion).unwrap_err();
    assert_eq!(error.message, "unknown key `pasphrase`");
}

#[tokio::test]
async fn a_passphrase_from_the_options_opens_the_store_through_its_descriptor() {
    let fixture = Fixture::new();
    fixture.set("KEY", "value");
    fixture.vault.rekey(&fixture.keys(), &Seal::Passphrase(passphrase("right"))).unwrap();
    let cx = fixture.context(&[]);
    let local = crate::find("local").unwrap();
    for (given, expected) in [("right", None), ("wrong", Some(FetchErrorKind::Unauthenticated))] {
        let store = (local.open)(&section(&[("passphrase", given)]), &NoExpansion, &cx).unwrap();
        let answer = store.fetch(&cx, &[Locator::new("KEY")]).await.into_vec().remove(0);
        assert_eq!(answer.map(|value| value.expose().to_vec()).map_err(|error| error.kind()).err(), expected);
    }
    assert_eq!(cx.meter().requests() + cx.meter().logins() + cx.meter().processes(), 0);
}

/// A store's section, each option at the position of its index.
fn section(options: &[(&str, &str)]) -> Node {
    let entry = |(start, (name, text)): (usize, &(&str, &str))| {
        let span = Span { start, len: 1 };
        let kind = NodeKind::Scalar(Scalar { text: (*text).to_owned(), plain: true });
        (Key { name: (*name).to_owned(), span }, Node { span, kind })
    };
    Node { span: Span::default(), kind: NodeKind::Map(options.iter().enumerate().map(entry).collect()) }
}

#[test]
fn debug_of_everything_that_holds_a_secret_shows_none() {
    let fixture = Fixture::new();
    fixture.set("KEY", "hunter2");
    let document = fixture.vault.read(&fixture.keys()).unwrap();
    let typed = Keys::Passphrase(passphrase("hunter2"));
    let shown =
        format!("{document:?} {typed:?} {:?} {:?}", fixture.keys(), Seal::Passphrase(passphrase("hunter2")));
    assert!(!shown.contains("hunter2") && !shown.to_uppercase().contains("AGE-SECRET"), "{shown}");
}
