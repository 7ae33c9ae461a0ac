//! Memory and file descriptors over a long life: a thousand resolves in one process leave nothing behind.
//!
//! The process that resolves is a second one of this very test, so that neither the fake server nor other tests are
//! measured with it.

use std::process::Command;

use dsops::config::{self, Config};
use dsops::plan::Plan;
use dsops::resolve::{OpenStores, Resolution, check, resolve, resolve_with};
use dsops_providers::contract::{Context, EnvSnapshot};

use crate::chaos::text;
use crate::support::infisical::{Fault, Generation, Infisical};

const PROJECT: &str = "9cd41904-ea03-4da2-aff5-cafa69d1eadc";

/// What tells the second process that it is the one, and what to do: the file's path, and `leak` where it is to leak.
const FILE: &str = "DSOPS_FLATNESS_FILE";
const LEAK: &str = "DSOPS_FLATNESS_LEAK";

/// How many resolves come first: connections, caches of the allocator and lazily built tables are there then.
const WARM_UP: usize = 100;
const RESOLVES: usize = 1000;

/// How much memory may be held in the end that was not after the warm-up, in KiB. The allocator's own heaps breathe by
/// up to four hundred; a leak of one answer a resolve is two thousand.
const MEMORY: i64 = 1000;

/// How many descriptors may be open in the end that were not after the warm-up: connections that a server keeps open
/// for the next request differ by what was asked last.
const DESCRIPTORS: i64 = 8;

/// Memory in KiB and descriptors of this process.
fn held() -> (i64, i64) {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells what a process holds");
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of resident memory");
    let memory = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("Linux lists descriptors").count();
    (memory, i64::try_from(descriptors).expect("few descriptors"))
}

/// Returns how much the second process held in the end that it did not hold after the warm-up.
fn growth(leak: &str) -> (i64, i64) {
    let mut asked = 0;
    let server = Infisical::new(Generation::July2026)
        .project(PROJECT, "payroll", &["dev"])
        .identity("id", "secret")
        .faults_by(move |route, _| {
            asked += 1;
            // What fails takes other ways than what succeeds, and must not leak on them.
            let fault = match asked % 50 {
                7 => Fault::truncated(),
                17 => Fault::html(),
                27 => Fault::expiry(),
                37 => Fault::refusal(
                    403,
                    "PermissionDenied",
                    "You are not allowed to describeSecret on secrets",
                ),
                // These are asked again, after a pause.
                47 if asked % 450 == 47 => Fault::reset(),
                48 if asked % 450 == 48 => Fault::cut(),
                _ => return None,
            };
            (!route.ends_with("/login")).then_some(fault)
        });
    let server = ["A", "B", "C"].iter().fold(server, |server, name| {
        server.secret("dev", "/", name, &"v".repeat(100)).secret("dev", "/b", name, &"w".repeat(100))
    });
    let server = server.start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("dsops.yaml");
    let text = format!(
        "secretStores:\n  s: {{type: infisical, host: '{}', project_id: {PROJECT}, environment: dev, timeout_ms: 5000, \
         auth: {{client_id: id, client_secret: '${{SECRET}}'}}}}\nenvs:\n  dev:\n    A: {{from: s/A}}\n    B: {{from: s/B}}\n    \
         C: {{from: s/C}}\n    D: {{from: s/b/A}}\n    E: {{from: s/b/B}}\n",
        server.url()
    );
    std::fs::write(&file, text).expect("a writable file");
    let this = std::env::current_exe().expect("the path of this test");
    let output = Command::new(this)
        .args(["--exact", "flatness::the_second_process_resolves", "--nocapture"])
        .env(FILE, &file)
        .env(LEAK, leak)
        // Keeping every cached token of the user's own out.
        .env("HOME", directory.path())
        .env("XDG_CACHE_HOME", directory.path())
        .output()
        .expect("this test starts");
    let written = String::from_utf8_lossy(&output.stdout);
    let line = written.lines().find_map(|line| line.split_once("grown: ")).map(|(_, line)| line.to_owned());
    let line = line.unwrap_or_else(|| panic!("{written}\n{}", String::from_utf8_lossy(&output.stderr)));
    let (memory, descriptors) = line.split_once(' ').expect("two numbers");
    (memory.parse().expect("a number of KiB"), descriptors.parse().expect("a number of descriptors"))
}

#[test]
fn a_thousand_resolves_leave_no_memory_and_no_descriptor_behind() {
    let (memory, descriptors) = growth("nothing");
    println!("grown by {memory} KiB and {descriptors} descriptors");
    assert!(memory <= MEMORY, "{memory} KiB more are held after {RESOLVES} resolves");
    assert!(descriptors <= DESCRIPTORS, "{descriptors} descriptors more are open after {RESOLVES} resolves");
}

#[test]
fn a_leak_of_one_answer_or_one_descriptor_a_resolve_is_noticed() {
    let (memory, descriptors) = growth("leak");
    println!("noticed {memory} KiB and {descriptors} descriptors");
    assert!(memory > MEMORY, "only {memory} KiB were noticed");
    assert!(descriptors > DESCRIPTORS, "only {descriptors} descriptors were noticed");
}

/// What the second process does; in the first one there is nothing to do.
#[test]
fn the_second_process_resolves() {
    let Some(file) = text(FILE) else { return };
    let leak = text(LEAK).is_some_and(|leak| leak == "leak");
    let config = config::load(file.as_ref()).expect("a good file");
    let env = EnvSnapshot::from_iter([("SECRET", "secret")]);
    let environment = config.environment("dev").expect("the environment");
    let plan = Plan::new(&config, environment, &env).expect("a plan");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (memory, descriptors) = runtime.block_on(long_life(&config, &plan, &env, leak));
    println!("grown: {memory} {descriptors}");
}

async fn long_life(config: &Config, plan: &Plan, env: &EnvSnapshot, leak: bool) -> (i64, i64) {
    let context = || Context::builder().env(env.clone()).build();
    let lasting = context();
    let open: OpenStores = check(config, plan, &lasting).await.stores;
    let (mut before, mut good, mut bad, mut last) = ((0, 0), 0, 0, None);
    let mut kept: Vec<(Resolution, std::fs::File)> = Vec::new();
    for index in 0..WARM_UP + RESOLVES {
        if index == WARM_UP {
            before = held();
        }
        let resolution = match index % 4 {
            // All anew, the client with its connections too.
            0 => resolve(config, plan, &context()).await,
            // The stores anew, with a login of their own.
            1 => resolve(config, plan, &lasting).await,
            // Nothing anew, as what runs for long does it.
            _ => resolve_with(config, plan, &lasting, &open).await,
        };
        match resolution.failures.is_empty() {
            true => good += 1,
            false => bad += 1,
        }
        last = resolution.failures.first().map(|failure| format!("{:?}", failure.cause)).or(last);
        if leak {
            kept.push((resolution, std::fs::File::open("/dev/null").expect("a device")));
        }
    }
    assert!(good > RESOLVES / 2 && bad > 5, "{good} good and {bad} bad resolves: {last:?}");
    let after = held();
    (after.0 - before.0, after.1 - before.1)
}
