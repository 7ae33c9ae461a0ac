//! Where the identity is looked for, and which files are refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::support::Fixture;
use crate::contract::{Backend as _, Context, FetchErrorKind};
use crate::local::identity::{self, Origin, Source};
use crate::local::{Identity, LocalConfig, LocalStore, Recipient};

async fn found(cx: &Context, configured: Option<&str>) -> (Recipient, Source) {
    let found = identity::find(cx, configured).await.unwrap();
    (found.identities[0].recipient(), found.source)
}

#[tokio::test]
async fn the_variable_goes_before_the_option_and_that_before_the_default() {
    let fixture = Fixture::new();
    let (in_variable, in_option) = (Identity::generate(), Identity::generate());
    identity::write_file(&fixture.dir.path().join("keys/mine.txt"), &in_option).unwrap();
    let option = fixture.dir.path().join("keys/mine.txt");
    let secret = in_variable.to_secret();
    let variable = secret.expose_str().unwrap();

    let cx = fixture.context(&[]);
    let default = fixture.dir.path().join(".config/dsops/identity.txt");
    assert_eq!(found(&cx, None).await, (fixture.identity.recipient(), Source::File(default)));
    assert_eq!(
        found(&cx, Some("keys/mine.txt")).await,
        (in_option.recipient(), Source::File(option.clone()))
    );
    let cx = fixture.context(&[("DSOPS_LOCAL_IDENTITY", variable)]);
    assert_eq!(found(&cx, Some("keys/mine.txt")).await, (in_variable.recipient(), Source::Variable));
    let cx = fixture.context(&[("DSOPS_LOCAL_IDENTITY", option.to_str().unwrap())]);
    assert_eq!(found(&cx, None).await, (in_option.recipient(), Source::File(option.clone())));
    let cx = fixture.context(&[("DSOPS_LOCAL_IDENTITY", "~/keys/mine.txt")]);
    assert_eq!(found(&cx, None).await, (in_option.recipient(), Source::File(option)));
    let cx = fixture.context(&[("DSOPS_LOCAL_IDENTITY", "")]);
    assert_eq!(found(&cx, None).await.0, fixture.identity.recipient());
}

#[tokio::test]
async fn the_default_follows_xdg_config_home() {
    let fixture = Fixture::new();
    let other = Identity::generate();
    let xdg = fixture.dir.path().join("xdg");
    identity::write_file(&xdg.join("dsops/identity.txt"), &other).unwrap();
    let cx = fixture.context(&[("XDG_CONFIG_HOME", xdg.to_str().unwrap())]);
    assert_eq!(found(&cx, None).await.0, other.recipient());
    let cx = fixture.context(&[("XDG_CONFIG_HOME", "not/absolute")]);
    assert_eq!(found(&cx, None).await.0, fixture.identity.recipient());
}

#[tokio::test]
async fn no_identity_anywhere_is_an_error_that_says_where_it_was_looked_for() {
    let fixture = Fixture::new();
    fs::remove_dir_all(fixture.dir.path().join(".config")).unwrap();
    let error = identity::find(&fixture.context(&[]), None).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Unauthenticated);
    assert!(error.message().contains(".config/dsops/identity.txt"), "{error}");
    let error = identity::find(&fixture.context(&[]), Some("nope.txt")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Unauthenticated);
    assert!(error.message().contains("nope.txt"), "{error}");
    // Asked for by name, and there is no bus on which one could answer.
    let error = identity::find(&fixture.context(&[]), Some("keyring")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::ToolMissing);
}

#[tokio::test]
async fn an_identity_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let fixture = Fixture::new();
    let path = fixture.dir.path().join(".config/dsops/identity.txt");
    let cx = fixture.context(&[]);
    for mode in [0o644, 0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = identity::find(&cx, None).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Damaged, "{mode:o}");
        assert_eq!(error.advice(), Some(format!("run `chmod 600 {}`", path.display()).as_str()));
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    found(&cx, None).await;
}

#[tokio::test]
async fn a_file_that_holds_no_identity_is_refused_without_being_quoted() {
    let fixture = Fixture::new();
    let path = fixture.dir.path().join("mine.txt");
    let write = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    let cx = fixture.context(&[]);
    let age = fs::read(fixture.path()).unwrap();
    let public = fixture.identity.recipient().to_string();
    for (content, kind) in [
        (&b""[..], FetchErrorKind::Damaged),
        (b"# only a comment\n", FetchErrorKind::Damaged),
        (b"hunter2\n", FetchErrorKind::Damaged),
        (b"\xff\xfehunter2", FetchErrorKind::Damaged),
        (public.as_bytes(), FetchErrorKind::Damaged),
        (&age, FetchErrorKind::Unsupported),
    ] {
        write(content);
        let error = identity::find(&cx, Some("mine.txt")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    let both = [fixture.identity.to_secret(), Identity::generate().to_secret()];
    let text: Vec<&str> = both.iter().map(|secret| secret.expose_str().unwrap()).collect();
    write(format!("# a\n\n{}\r\n  {}", text[0], text[1]).as_bytes());
    assert_eq!(identity::find(&cx, Some("mine.txt")).await.unwrap().identities.len(), 2);
}

#[test]
fn a_new_identity_is_its_owners_alone_and_never_replaces_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config/dsops/identity.txt");
    let (first, second) = (Identity::generate(), Identity::generate());
    identity::write_file(&path, &first).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    for made in ["config", "config/dsops"] {
        assert_eq!(fs::metadata(dir.path().join(made)).unwrap().permissions().mode() & 0o7777, 0o700);
    }
    let written = fs::read(&path).unwrap();
    assert_eq!(identity::write_file(&path, &second).unwrap_err().kind(), FetchErrorKind::Unsupported);
    assert_eq!(fs::read(&path).unwrap(), written);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_private_key_given_as_a_recipient_is_not_repeated() {
    let secret = Identity::generate().to_secret();
    let text = secret.expose_str().unwrap();
    for text in [text.to_owned(), text.to_lowercase()] {
        let error = text.parse::<Recipient>().unwrap_err();
        assert!(!format!("{error:?}").to_uppercase().contains(&text.to_uppercase()));
    }
    assert!("age1nonsense".parse::<Recipient>().unwrap_err().message().contains("age1nonsense"));
}

#[tokio::test]
async fn init_uses_the_identity_that_is_there_and_makes_one_only_where_none_is() {
    let fixture = Fixture::new();
    let cx = fixture.context(&[]);
    let at = |path: &str, identity: Option<&str>| {
        let config = LocalConfig { identity: identity.map(str::to_owned), ..LocalConfig::at(path) };
        LocalStore::open(config, &cx).unwrap()
    };
    let started = at("second.age", None).init(&cx, Some("me".to_owned())).await.unwrap();
    assert_eq!(started.origin, Origin::Found);
    assert_eq!(started.recipients[0].recipient, fixture.identity.recipient());

    let third = at("third.age", Some("keys/third.txt"));
    let started = third.init(&cx, None).await.unwrap();
    assert_eq!(started.origin, Origin::Made);
    assert_eq!(started.source, Source::File(fixture.dir.path().join("keys/third.txt")));
    assert!(third.document(&cx).await.unwrap().secrets().next().is_none());

    let again = at("third.age", Some("keys/fourth.txt")).init(&cx, None).await.unwrap_err();
    assert_eq!(again.kind(), FetchErrorKind::Unsupported);
    assert!(!fixture.dir.path().join("keys/fourth.txt").exists());

    let cx = fixture.context(&[("DSOPS_LOCAL_IDENTITY", "/nowhere/identity.txt")]);
    let error = at("fifth.age", None).init(&cx, None).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Unauthenticated);
    assert!(!fixture.dir.path().join("fifth.age").exists());
}
