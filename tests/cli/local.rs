//! The whole life of a local store, in an empty home.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{Dsops, Output};

const CONFIG: &str = "secretStores: {mine: {type: local, path: team.age}}\n\
                      envs: {dev: {PASSWORD: {from: mine/db/PASSWORD}, OLD: {from: mine/db/PASSWORD@v1}}}\n";

/// A person: a home with an identity of their own, and a directory that may be shared.
struct Person {
    home: TempDir,
    work: PathBuf,
}

impl Person {
    fn new(work: &TempDir) -> Self {
        Self { home: tempfile::tempdir().expect("a home"), work: work.path().to_owned() }
    }

    fn run(&self, args: &[&str]) -> Dsops {
        Dsops::new().env("HOME", self.home.path()).directory(&self.work).args(args)
    }

    fn does(&self, args: &[&str]) -> Output {
        self.run(args).run().code(0)
    }

    fn set(&self, key: &str, value: &str) {
        let _ = self.run(&["local", "set", key]).stdin(value).run().code(0).stdout_empty();
    }

    fn identity(&self) -> PathBuf {
        self.home.path().join(".config/dsops/identity.txt")
    }

    fn public_key(&self) -> String {
        let output = self.does(&["local", "recipients", "--json"]);
        output.json()[0]["key"].as_str().expect("a public key").to_owned()
    }
}

fn started() -> (TempDir, Person) {
    let work = tempfile::tempdir().expect("a directory");
    fs::write(work.path().join("dsops.yaml"), CONFIG).expect("the file");
    let person = Person::new(&work);
    let _ = person.does(&["local", "init", "--name", "me"]).stdout_has("back it up").stdout_has("age1");
    (work, person)
}

#[test]
fn a_secret_is_set_read_listed_and_used() {
    let (_work, me) = started();
    let mode = |path: PathBuf| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(me.identity()), 0o600);
    me.set("db/PASSWORD", "first");
    me.set("db/PASSWORD", "two\n lines \n");
    let _ = me.does(&["local", "get", "db/PASSWORD"]).stdout("two\n lines \n");
    let _ = me.does(&["local", "get", "db/PASSWORD@v1"]).stdout("first");
    let _ = me.does(&["local", "list"]).stdout_has("db/PASSWORD").never_shows("first");
    let history = me.does(&["local", "history", "db/PASSWORD", "--json"]).json();
    assert_eq!(history.as_array().map(Vec::len), Some(2));
    let _ = me
        .does(&["exec", "--env", "dev", "--", "sh", "-c", "printf '%s|%s' \"$PASSWORD\" \"$OLD\""])
        .stdout("two\n lines \n|first");
    let _ = me.does(&["doctor", "--env", "dev"]).stdout_has("2 of 2");
}

#[test]
fn a_value_comes_from_stdin_or_a_file_and_never_from_an_argument() {
    let (work, me) = started();
    fs::write(work.path().join("key.pem"), [0xff, 0x00, b'\n']).expect("a file");
    let _ = me.does(&["local", "set", "PEM", "--from-file", "key.pem"]);
    assert_eq!(me.does(&["local", "get", "PEM"]).stdout_bytes(), [0xff, 0x00, b'\n']);
    let _ = me.run(&["local", "set", "N"]).stdin("v\n").run().code(0).stderr_has("newline");
    let _ = me.does(&["local", "get", "N"]).stdout("v\n");
    let _ =
        me.run(&["local", "set", "N", "--trim-newline"]).stdin("v\n").run().code(0).stderr_lacks("newline");
    let _ = me.does(&["local", "get", "N"]).stdout("v");
    let output = me.run(&["local", "set", "KEY", "hunter2-value"]).stdin("other").run().code(2);
    let _ = output.stderr_has("command line").stderr_lacks("hunter2-value");
    let _ = me.run(&["local", "get", "KEY"]).run().code(5);
    let _ = me.run(&["local", "set", "EMPTY"]).stdin("").run().code(0);
    let _ = me.does(&["local", "get", "EMPTY"]).stdout("");
}

#[test]
fn a_deleted_secret_is_gone_with_its_versions_and_its_numbers_are_not_used_again() {
    let (_work, me) = started();
    me.set("db/PASSWORD", "first");
    let _ = me.does(&["local", "delete", "db/PASSWORD"]);
    let _ = me.run(&["local", "get", "db/PASSWORD@v1"]).run().code(5).stdout_empty();
    let _ = me.run(&["local", "get", "db/PASSWORD"]).run().code(5).stdout_empty().stderr_has("deleted");
    let _ = me.run(&["local", "set", "db/PASSWORD"]).stdin("new").run().code(0).stderr_has("version 2");
    let _ = me.run(&["exec", "--env", "dev", "--", "true"]).run().code(125).stderr_has("version_not_found");
}

#[test]
fn a_team_shares_one_file_until_somebody_leaves() {
    let (work, me) = started();
    me.set("db/PASSWORD", "shared");
    let other = Person::new(&work);
    let _ = other.run(&["local", "list"]).run().code(4);
    // They make an identity with a store of their own, and send its public half.
    let _ = other.does(&["local", "init", "--file", "theirs.age"]);
    let key = {
        let output = other.does(&["local", "recipients", "--file", "theirs.age", "--json"]);
        output.json()[0]["key"].as_str().expect("a key").to_owned()
    };
    let _ = me.does(&["local", "recipients", "add", &key, "--name", "other"]);
    let _ = other.does(&["local", "get", "db/PASSWORD"]).stdout("shared");
    other.set("db/PASSWORD", "by the other");
    let _ = me.does(&["local", "get", "db/PASSWORD"]).stdout("by the other");

    let _ = me.does(&["local", "recipients", "remove", "other"]).stderr_has("new values");
    let _ = other.run(&["local", "get", "db/PASSWORD"]).run().code(4).stdout_empty();
    let _ = me.run(&["local", "recipients", "remove", &me.public_key()]).run().code(2).stderr_has("--force");
}

#[test]
fn a_passphrase_opens_the_file_where_the_store_says_so() {
    let work = tempfile::tempdir().expect("a directory");
    let config =
        "secretStores: {s: {type: local, passphrase: '${STORE_PASS}'}}\nenvs: {dev: {A: {from: s/A}}}\n";
    fs::write(work.path().join("dsops.yaml"), config).expect("the file");
    let me = Person::new(&work);
    let with = |pass: &str, args: &[&str]| me.run(args).env("STORE_PASS", pass);
    let _ = with("correct horse", &["local", "init"]).run().code(0);
    let _ = with("correct horse", &["local", "set", "A"]).stdin("v").run().code(0);
    let _ =
        with("correct horse", &["exec", "--env", "dev", "--", "printenv", "A"]).run().code(0).stdout("v\n");
    let output = with("wrong horse", &["get", "--env", "dev", "A"]).run().code(4).stdout_empty();
    let _ = output.stderr_has("passphrase").stderr_lacks("wrong horse");
    assert!(!me.identity().exists(), "no identity is needed");
}

#[test]
fn nothing_is_overwritten() {
    let (work, me) = started();
    me.set("A", "v");
    let (file, identity) = (fs::read(work.path().join("team.age")), fs::read(me.identity()));
    let _ = me.run(&["local", "init"]).run().code(6).stderr_has("is there already");
    let _ = me.run(&["local", "init", "--file", "new.age"]).run().code(0).stdout_has("for the identity");
    assert_eq!(fs::read(work.path().join("team.age")).ok(), file.ok());
    assert_eq!(fs::read(me.identity()).ok(), identity.ok());
}

#[test]
fn an_identity_that_others_can_read_is_not_used() {
    let (_work, me) = started();
    me.set("A", "v");
    fs::set_permissions(me.identity(), fs::Permissions::from_mode(0o644)).expect("to set permissions");
    let _ = me.run(&["local", "get", "A"]).run().code(6).stdout_empty().stderr_has("chmod 600");
}

#[test]
fn a_damaged_file_gives_no_value() {
    let (work, me) = started();
    me.set("db/PASSWORD", "v");
    let path = work.path().join("team.age");
    let whole = fs::read(&path).expect("the store");
    fs::write(&path, &whole[..whole.len() - 30]).expect("to cut it");
    let _ = me
        .run(&["local", "get", "db/PASSWORD"])
        .run()
        .code(6)
        .stdout_empty()
        .stderr_has("dsops::fetch::damaged");
    let output = me.run(&["exec", "--env", "dev", "--", "true"]).run().code(125).stdout_empty();
    let _ = output.stderr_has("dsops::fetch::damaged");
    fs::remove_file(&path).expect("to remove it");
    let _ = me.run(&["exec", "--env", "dev", "--", "true"]).run().code(125).stderr_has("dsops local init");
}

#[test]
fn writers_at_the_same_moment_lose_nothing() {
    let (work, me) = started();
    let writers: Vec<_> = (0..8)
        .map(|index| {
            let mut child = Command::new(env!("CARGO_BIN_EXE_dsops"))
                .args(["local", "set", &format!("KEY_{index}")])
                .env_clear()
                .env("HOME", me.home.path())
                .current_dir(work.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("a writer");
            std::io::Write::write_all(&mut child.stdin.take().expect("its stdin"), b"v").expect("to write");
            child
        })
        .collect();
    for mut writer in writers {
        assert!(writer.wait().expect("its end").success());
    }
    assert_eq!(me.does(&["local", "list", "--json"]).json().as_array().map(Vec::len), Some(8));
}

#[test]
fn the_store_is_found_by_name_or_by_file() {
    let work = tempfile::tempdir().expect("a directory");
    fs::write(
        work.path().join("dsops.yaml"),
        "secretStores: {a: {type: local, path: a.age}, b: {type: local, path: b.age}}\n",
    )
    .expect("the file");
    let me = Person::new(&work);
    let _ = me.run(&["local", "list"]).run().code(3).stderr_has("`a` and `b`");
    let _ = me.does(&["local", "init", "--store", "a"]);
    assert!(work.path().join("a.age").exists());
    let _ = me.run(&["local", "list", "--store", "c"]).run().code(3);
    let elsewhere = Person { home: tempfile::tempdir().expect("a home"), work: me.home.path().to_owned() };
    let _ = elsewhere.does(&["local", "init"]).stdout_has("secrets.age");
}

#[test]
fn a_private_key_in_the_place_of_a_public_one_is_not_repeated() {
    let (_work, me) = started();
    let private = fs::read_to_string(me.identity()).expect("the identity");
    let private = private.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).expect("a key").to_owned();
    for args in [
        &["local", "recipients", "add", &private][..],
        &["local", "rekey", "--recipient", &private],
        &["local", "init", "--file", "other.age", "--recipient", &private],
    ] {
        let output = me.run(args).run();
        let _ = output.stdout_empty().stderr_lacks(&private);
    }
}

#[test]
fn a_value_behind_an_equals_sign_is_an_argument_too() {
    let (_work, me) = started();
    let output = me.run(&["local", "set", "KEY=hunter2-value"]).stdin("").run().code(2);
    let _ = output.stderr_has("command line").stderr_lacks("hunter2-value");
}

#[test]
fn encrypting_anew_keeps_who_can_open_the_file_and_nobody_locks_themselves_out() {
    let (work, me) = started();
    me.set("A", "v");
    let before = fs::read(work.path().join("team.age")).expect("the file");
    let _ = me.does(&["local", "rekey"]);
    assert_ne!(fs::read(work.path().join("team.age")).expect("the file"), before);
    let _ = me.does(&["local", "get", "A"]).stdout("v");
    let other = Person::new(&work);
    let joined = other.does(&["local", "init"]).stdout_has("recipients add age1").stdout_has("back it up");
    let text = String::from_utf8_lossy(joined.stdout_bytes()).into_owned();
    let key = text.split_whitespace().find(|word| word.starts_with("age1")).expect("a public key").to_owned();
    let _ = me.run(&["local", "rekey", "--recipient", &key]).run().code(2).stderr_has("--force");
    let _ = me.does(&["local", "rekey", "--recipient", &key, "--recipient", &me.public_key()]);
    let _ = other.does(&["local", "get", "A"]).stdout("v");
    let _ = me.does(&["local", "get", "A"]).stdout("v");
}
