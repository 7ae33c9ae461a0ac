//! Tokens between runs: one login for all of them, sealed on disk, replaced when the server wants another.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::lab::{BOTH, CLIENT_SECRET, Exec, LIST, LOGIN, discreet, dsops, file, options, server, value};
use crate::support::Dsops;
use crate::support::infisical::{Fault, Generation, Server};

const VARIABLES: &str = "A: {from: infisical/a/ONE}\nB: {from: infisical/a/TWO}";

fn project(generation: Generation) -> Server {
    server(generation)
        .secret("dev", "/a", "ONE", &value("one"))
        .secret("dev", "/a", "TWO", &value("two"))
        .start()
}

/// A cache directory that several runs share.
struct Shared(tempfile::TempDir);

impl Shared {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn run(&self, server: &Server) -> Dsops {
        self.run_with(server, "")
    }

    /// Prepares a run whose store has more options.
    fn run_with(&self, server: &Server, more: &str) -> Dsops {
        let options = format!("{}{more}", options(&server.url()));
        dsops().env("XDG_CACHE_HOME", self.0.path()).config(file(&options, VARIABLES))
    }

    fn directory(&self) -> PathBuf {
        self.0.path().join("dsops/tokens")
    }

    /// Returns the files that hold tokens.
    fn tokens(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory()).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_none()).collect()
    }
}

fn works(run: Dsops, server: &Server) {
    let output = run.exec("printf %s \"$A,$B\"").run().code(0);
    let output = discreet(output, server);
    let _ = output.stdout(format!("{},{}", value("one"), value("two")));
}

#[test]
fn the_second_run_makes_no_login() {
    for generation in BOTH {
        let (server, shared) = (project(generation), Shared::new());
        for runs in 1..=3 {
            works(shared.run(&server), &server);
            assert_eq!((server.count(LOGIN), server.count(LIST)), (1, runs), "{generation:?}");
        }
    }
}

#[test]
fn a_kept_token_is_sealed_and_for_its_owner_alone() {
    let (server, shared) = (project(Generation::July2026), Shared::new());
    works(shared.run(&server), &server);
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&shared.directory()), 0o700);
    let files: Vec<PathBuf> = fs::read_dir(shared.directory()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "a token and a lock: {files:?}");
    for path in files {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        let bytes = fs::read(&path).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for token in server.tokens() {
            assert!(!holds(&token) && !name.contains(&token), "a token stands in the clear");
        }
        assert!(!holds(CLIENT_SECRET) && !holds("127.0.0.1"), "the file tells what it is for");
    }
}

#[test]
fn a_token_that_the_server_no_longer_takes_costs_one_login() {
    for (what, spoil) in [("revoked", Fault::revocation as fn() -> Fault), ("expired", Fault::expiry)] {
        for generation in BOTH {
            let (server, shared) = (project(generation), Shared::new());
            works(shared.run(&server), &server);
            server.fault(LIST, spoil().times(1));
            works(shared.run(&server), &server);
            assert_eq!((server.count(LOGIN), server.count(LIST)), (2, 3), "{what}, {generation:?}");
            works(shared.run(&server), &server);
            assert_eq!((server.count(LOGIN), server.count(LIST)), (2, 4), "{what}, {generation:?}");
        }
    }
}

#[test]
fn a_kept_token_that_is_refused_leaves_the_new_one_its_own_chance() {
    let (server, shared) = (project(Generation::July2026), Shared::new());
    works(shared.run(&server), &server);
    // The kept token is refused, and so is the one of the login that follows, once.
    server.fault(LIST, Fault::expiry().times(2));
    works(shared.run(&server), &server);
    assert_eq!((server.count(LOGIN), server.count(LIST)), (3, 4));
    // Tokens that are always refused cost two logins a run, as without a cache.
    server.fault(LIST, Fault::expiry());
    let output = shared.run(&server).exec("echo started").run().code(125).stdout_empty();
    let _ = discreet(output, &server).stderr_has("dsops::auth::refused");
    assert_eq!(server.count(LOGIN), 5);
}

#[test]
fn processes_that_start_at_once_log_in_once() {
    let (server, shared) = (project(Generation::July2026), Shared::new());
    server.fault(LOGIN, Fault::delay(Duration::from_millis(150)));
    let running: Vec<_> = (0..20).map(|_| shared.run(&server).exec("printf %s \"$A\"").start()).collect();
    for run in running {
        let _ = discreet(run.wait().code(0), &server).stdout(value("one"));
    }
    assert_eq!(server.count(LOGIN), 1);
}

#[test]
fn processes_that_wait_for_a_refused_login_do_not_repeat_it() {
    let (server, shared) = (project(Generation::July2026), Shared::new());
    server.fault(LOGIN, Fault::delay(Duration::from_millis(300)));
    let wrong = || shared.run(&server).env("INFISICAL_CLIENT_SECRET", "wrong-secret").exec("echo started");
    let running: Vec<_> = (0..8).map(|_| wrong().start()).collect();
    for run in running {
        let _ = run
            .wait()
            .code(125)
            .stdout_empty()
            .stderr_has("Invalid credentials")
            .stderr_lacks("wrong-secret");
    }
    assert_eq!(server.count(LOGIN), 1, "an identity locks after three");
    // Somebody who comes later may have mended it.
    let _ = wrong().run().code(125);
    assert_eq!(server.count(LOGIN), 2);
}

#[test]
fn a_wrong_credential_neither_opens_nor_harms_what_is_kept() {
    let (server, shared) = (project(Generation::July2026), Shared::new());
    works(shared.run(&server), &server);
    let wrong = shared.run(&server).env("INFISICAL_CLIENT_SECRET", "wrong-secret");
    let _ = wrong.exec("echo started").run().code(125);
    assert_eq!(server.count(LOGIN), 2);
    works(shared.run(&server), &server);
    assert_eq!(server.count(LOGIN), 2);
}

#[test]
fn damage_is_a_miss_and_no_error() {
    let damages: [(&str, fn(&Path)); 5] = [
        ("torn", |path| fs::write(path, &fs::read(path).unwrap()[..40]).unwrap()),
        ("empty", |path| fs::write(path, b"").unwrap()),
        ("of a newer version", |path| fs::write(path, b"dsops cache 9\nwhatever").unwrap()),
        ("open to others", |path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap()),
        ("a link", |path| {
            let aside = path.with_extension("aside");
            fs::rename(path, &aside).unwrap();
            std::os::unix::fs::symlink(&aside, path).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let (server, shared) = (project(Generation::July2026), Shared::new());
        works(shared.run(&server), &server);
        shared.tokens().iter().for_each(|path| damage(path));
        works(shared.run(&server), &server);
        assert_eq!(server.count(LOGIN), 2, "{what}");
        works(shared.run(&server), &server);
        assert_eq!(server.count(LOGIN), 2, "{what}: it is replaced");
    }
}

#[test]
fn nothing_is_kept_where_it_is_not_wanted_or_cannot_be() {
    let (server, shared) = (project(Generation::July2026), Shared::new());
    works(shared.run_with(&server, ", token_cache: false"), &server);
    works(shared.run(&server).env("DSOPS_TOKEN_CACHE", "off"), &server);
    works(shared.run(&server).without_env("XDG_CACHE_HOME").without_env("HOME"), &server);
    assert!(!shared.directory().exists());
    assert_eq!(server.count(LOGIN), 3);

    // A directory that others can write to is not used, and one that cannot be made is no error.
    fs::create_dir_all(shared.directory()).unwrap();
    fs::set_permissions(shared.directory(), fs::Permissions::from_mode(0o777)).unwrap();
    works(shared.run(&server), &server);
    works(shared.run(&server).env("XDG_CACHE_HOME", "/dev/null"), &server);
    works(shared.run(&server).env("XDG_CACHE_HOME", "relative"), &server);
    assert_eq!(fs::read_dir(shared.directory()).unwrap().count(), 0);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a token's life is as long as the clock of this machine says")]
fn a_token_is_used_for_nine_tenths_of_its_life() {
    use crate::support::infisical::Identity;
    let (id, secret) = (crate::lab::CLIENT_ID, CLIENT_SECRET);
    let server = crate::support::infisical::Infisical::new(Generation::July2026)
        .project(crate::lab::PROJECT, "payroll", &["dev", "prod"])
        .identity_with(Identity::new(id, secret).token_ttl(2, 2))
        .secret("dev", "/a", "ONE", &value("one"))
        .secret("dev", "/a", "TWO", &value("two"))
        .start();
    let shared = Shared::new();
    works(shared.run(&server), &server);
    works(shared.run(&server), &server);
    assert_eq!(server.count(LOGIN), 1);
    std::thread::sleep(Duration::from_millis(1850));
    works(shared.run(&server), &server);
    assert_eq!(server.count(LOGIN), 2);
}

#[test]
fn a_holder_that_hangs_keeps_nobody_waiting_for_good() {
    let (server, shared) = (project(Generation::July2026), Shared::new());
    works(shared.run(&server), &server);
    let [token] = shared.tokens().try_into().expect("one token");
    let lock = fs::File::open(token.with_extension("lock")).expect("the lock's file");
    fs::remove_file(&token).unwrap();
    lock.lock().expect("the lock");
    works(shared.run_with(&server, ", timeout: 2s"), &server);
    assert_eq!(server.count(LOGIN), 2);
}

#[test]
fn what_is_kept_can_be_seen_and_taken_away() {
    let (server, shared) = (project(Generation::July2026), Shared::new());
    let cache = |command: &str| shared.run(&server).args(["cache", command]).run().code(0);
    let _ = cache("status").stdout_has("no tokens are kept");
    let _ = cache("clear").stdout_has("no tokens were kept");
    works(shared.run(&server), &server);
    let _ = discreet(cache("status"), &server).stdout_has("1 token is kept").stdout_has("dsops/tokens");
    let json = shared.run(&server).args(["cache", "status", "--json"]).run().code(0).json();
    assert_eq!(json["tokens"].as_array().map(Vec::len), Some(1), "{json}");
    let _ = discreet(cache("clear"), &server).stdout_has("removed 1 token");
    assert!(shared.tokens().is_empty());
    works(shared.run(&server), &server);
    assert_eq!(server.count(LOGIN), 2);
}
