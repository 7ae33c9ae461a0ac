//! Writers beside each other, and writers that stop in the middle.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Child, Command, Stdio};

use super::support::Fixture;
use crate::contract::{FetchErrorKind, SecretValue};
use crate::local::file::{Old, Writer};
use crate::local::{Document, Keys, Vault, identity};

/// Tells this test program to be a writer, on the fixture in that directory.
const WRITER: &str = "TEST_WRITER_HOME";

fn written_by() -> Option<std::path::PathBuf> {
    std::env::vars_os().find(|(name, _)| name == OsStr::new(WRITER)).map(|(_, home)| home.into())
}

/// Starts a process that runs one test of this program as a writer.
fn start_writer(test: &str, fixture: &Fixture) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("local::tests::writers::{test}")])
        .env(WRITER, fixture.dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn edit(vault: &Vault, keys: &Keys, name: &str, value: &str) {
    vault.edit(keys, |document| document.set(name, SecretValue::from(value), None)).unwrap();
}

fn opened(home: &std::path::Path) -> (Vault, Keys) {
    let text = fs::read_to_string(home.join(".config/dsops/identity.txt")).unwrap();
    let env = [(identity::VARIABLE, text.as_str())].into_iter().collect();
    let cx = crate::contract::Context::builder().env(env).build();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = runtime.block_on(identity::find(&cx, None)).unwrap();
    (Vault::at(home.join("secrets.age")), Keys::Identities(found.identities))
}

#[test]
fn edits_from_several_processes_and_threads_all_survive() {
    if let Some(home) = written_by() {
        let (vault, keys) = opened(&home);
        let me = std::process::id();
        (0..20).for_each(|n| edit(&vault, &keys, &format!("p{me}/{n}"), "v"));
        return;
    }
    let fixture = Fixture::new();
    let children: Vec<Child> = (0..2)
        .map(|_| start_writer("edits_from_several_processes_and_threads_all_survive", &fixture))
        .collect();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (vault, keys) = (fixture.vault.clone(), fixture.keys());
            scope.spawn(move || (0..20).for_each(|n| edit(&vault, &keys, &format!("t{thread}/{n}"), "v")));
        }
    });
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let document = fixture.vault.read(&fixture.keys()).unwrap();
    assert_eq!(document.secrets().count(), 80);
    assert_eq!(fixture.files(), [".config", "secrets.age"]);
}

#[test]
fn a_writer_killed_at_any_moment_leaves_a_whole_file() {
    if let Some(home) = written_by() {
        let (vault, keys) = opened(&home);
        (0..10_000).for_each(|n| edit(&vault, &keys, "KEY", &format!("{n}")));
        return;
    }
    let fixture = Fixture::new();
    let keys = fixture.keys();
    let mut versions = 0;
    for round in 0..12u32 {
        let mut child = start_writer("a_writer_killed_at_any_moment_leaves_a_whole_file", &fixture);
        // Reads all the while: each must see a whole file, none older than the one before. A
        // different number of reads each round kills at a different moment.
        let mut reads_after_first_write = 0;
        let before = versions;
        while reads_after_first_write < round * 3 {
            let document = fixture.vault.read(&keys).unwrap();
            let now = document.history("KEY").map_or(0, <[_]>::len);
            assert!(now >= versions, "{now} after {versions}");
            versions = now;
            reads_after_first_write += u32::from(versions > before);
            assert!(child.try_wait().unwrap().is_none(), "the writer stopped by itself");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        versions = fixture.vault.read(&keys).unwrap().history("KEY").map_or(0, <[_]>::len);
    }
    assert!(versions > 0);
    // Whatever the last one left, the next writer is not held up by it, and tidies.
    fixture.set("KEY", "after");
    assert_eq!(fixture.get("KEY"), b"after");
    assert_eq!(fixture.files(), [".config", "secrets.age"]);
}

#[test]
fn leftovers_of_a_crash_neither_matter_nor_stay() {
    let fixture = Fixture::new();
    fixture.set("KEY", "value");
    fs::write(fixture.dir.path().join(".secrets.age.Ab12Cd.dsops-tmp"), "half a file").unwrap();
    fs::write(fixture.dir.path().join(".secrets.age.lock"), "").unwrap();
    let others = [".secrets.age.backup.tmp", ".secrets.age.old.Ab12Cd.dsops-tmp", ".secrets.age.swp"];
    for other in others {
        fs::write(fixture.dir.path().join(other), "not ours").unwrap();
    }
    assert_eq!(fixture.get("KEY"), b"value");
    fixture.set("KEY", "next");
    assert_eq!(fixture.get("KEY"), b"next");
    assert_eq!(fixture.files(), [&[".config"], &others[..], &["secrets.age"]].concat());
}

#[test]
fn an_edit_that_fails_changes_nothing() {
    let fixture = Fixture::new();
    fixture.set("KEY", "value");
    let before = fs::read(fixture.path()).unwrap();
    let failed = fixture.vault.edit(&fixture.keys(), |document| {
        document.set("KEY", SecretValue::from("next"), None)?;
        document.set("a//b", SecretValue::from("never"), None)
    });
    assert_eq!(failed.unwrap_err().kind(), FetchErrorKind::Unsupported);
    assert_eq!(fs::read(fixture.path()).unwrap(), before);
    assert_eq!(fixture.files(), [".config", "secrets.age"]);
}

#[test]
fn a_change_by_a_program_without_the_lock_is_not_overwritten() {
    let fixture = Fixture::new();
    fixture.set("KEY", "value");
    let theirs = b"what git checked out meanwhile";
    let error = fixture
        .vault
        .edit(&fixture.keys(), |document| {
            fs::write(fixture.path(), theirs).unwrap();
            document.set("KEY", SecretValue::from("next"), None)
        })
        .unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Unavailable);
    assert_eq!(fs::read(fixture.path()).unwrap(), theirs);
    assert_eq!(fixture.files(), [".config", "secrets.age"]);
}

#[test]
fn a_write_keeps_the_mode_and_goes_through_links() {
    let fixture = Fixture::new();
    assert_eq!(fs::metadata(fixture.path()).unwrap().permissions().mode() & 0o7777, 0o600);
    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let link = fixture.dir.path().join("link.age");
    symlink(fixture.path(), &link).unwrap();
    let linked = Vault::at(&link);
    edit(&linked, &fixture.keys(), "KEY", "through the link");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fixture.get("KEY"), b"through the link");
    assert_eq!(fs::metadata(fixture.path()).unwrap().permissions().mode() & 0o7777, 0o644);
}

#[test]
fn a_writer_waits_for_the_one_before_it_even_if_the_lock_file_is_removed() {
    let fixture = Fixture::new();
    let first = Writer::lock(&fixture.path()).unwrap();
    let lock_path = fixture.dir.path().canonicalize().unwrap().join(".secrets.age.lock");
    assert!(File::open(&lock_path).unwrap().try_lock().is_err());
    std::thread::scope(|scope| {
        let second = scope.spawn(|| Writer::lock(&fixture.path()).unwrap().read().unwrap());
        first.write(Old::Content(&first.read().unwrap()), b"of the first").unwrap();
        drop(first);
        assert_eq!(second.join().unwrap(), b"of the first");
    });
}

#[test]
fn a_file_that_could_not_be_read_again_is_not_written() {
    let fixture = Fixture::new();
    let before = std::fs::read(fixture.path()).unwrap();
    let change =
        |document: &mut Document| document.set("LARGE", SecretValue::new(vec![b'x'; 50 << 20]), None);
    let error = fixture.vault.edit(&fixture.keys(), change).unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Unsupported);
    assert!(error.message().ends_with("would be larger than 64 MiB"), "{error}");
    assert_eq!(std::fs::read(fixture.path()).unwrap(), before);
}
