//! What a store's bad moments do to a run, and to a program that resolves again and again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dsops::config::{self, Config};
use dsops::plan::Plan;
use dsops::resolve::{self, OpenStores, Resolution};
use dsops_providers::contract::{Context, EnvSnapshot, FetchErrorKind};

use super::lab::{
    AUTH, BOTH, CLIENT_ID, CLIENT_SECRET, Exec, LIST, against, discreet, dsops, file, options, options_with,
    value, with_key,
};
use crate::support::infisical::{Fault, Generation, Server};

#[test]
fn a_folder_that_hangs_leaves_the_answers_of_the_others() {
    for generation in BOTH {
        let server = with_key(generation)
            .secret("dev", "/slow", "TWO", &value("two"))
            .fault("GET /api/v3/secrets/raw/TWO", Fault::silence())
            .start();
        let variables = "A: {from: infisical/KEY}\nB: {from: infisical/slow/TWO}";
        let options = format!("{}, timeout_ms: 700", options(&server.url()));
        let run = || dsops().config(file(&options, variables)).args(["--error-format", "json"]);
        let output = discreet(run().exec("touch started").run(), &server).code(125);
        let errors = output.stderr_json();
        assert_eq!(errors.len(), 1, "{output}");
        assert_eq!(errors[0]["variables"], serde_json::json!(["B"]), "{output}");
        assert_eq!(errors[0]["code"], "dsops::fetch::timed_out", "{output}");
        assert!(!output.path("started").exists());
        let _ = run().get("A").run().code(0).stdout(value("key"));
    }
}

#[test]
fn a_list_that_hangs_leaves_the_other_lists() {
    let mut server = with_key(Generation::July2026);
    let mut variables = String::new();
    for folder in ["one", "two", "three"] {
        for name in ["A", "B"] {
            server = server.secret("dev", &format!("/{folder}"), name, &value("x"));
            variables.push_str(&format!("{folder}_{name}: {{from: infisical/{folder}/{name}}}\n"));
        }
    }
    let server = server.fault(LIST, Fault::silence().after(1).times(1)).start();
    let options = format!("{}, timeout_ms: 700", options(&server.url()));
    let run = dsops().config(file(&options, &variables)).args(["--error-format", "json"]);
    let output = run.exec("true").run().code(125);
    let errors = output.stderr_json();
    assert_eq!(errors.len(), 1, "{output}");
    assert_eq!(errors[0]["variables"].as_array().unwrap().len(), 2, "those of one folder\n{output}");
}

#[test]
fn a_pause_that_a_server_asks_for_is_kept_and_hardly_lengthened() {
    let server = with_key(Generation::July2026).secret("dev", "/", "OTHER", &value("other"));
    let server = server.fault(LIST, Fault::rate_limited(Some(1)).times(1)).start();
    let started = Instant::now();
    let folder = "A: {from: infisical/KEY}\nB: {from: infisical/OTHER}";
    let _ = against(&server, folder).exec("true").run().code(0);
    let took = started.elapsed();
    // 1.3 s is what it may take on an idle machine; this one runs other tests at the same time.
    assert!(took >= Duration::from_secs(1) && took < Duration::from_millis(2500), "{took:?}");
}

/// A program that uses the library, and keeps what one resolve leaves to the next.
struct Program {
    config: Config,
    plan: Plan,
    cx: Context,
    kept: OpenStores,
    runtime: tokio::runtime::Runtime,
}

impl Program {
    fn new(server: &Server, more: &str) -> Self {
        let options = format!("{}{more}", options(&server.url()));
        Self::of(file(&options, "A: {from: infisical/KEY}"), CLIENT_SECRET)
    }

    fn of(text: String, secret: &str) -> Self {
        let config = config::load_text(Path::new("dsops.yaml"), text).expect("a file that loads");
        let env: EnvSnapshot =
            [("INFISICAL_CLIENT_ID", CLIENT_ID), ("INFISICAL_CLIENT_SECRET", secret)].into_iter().collect();
        let plan = Plan::new(&config, config.environment("dev").expect("an environment"), &env);
        let cx = Context::builder().env(env).build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { plan: plan.expect("a plan"), config, cx, kept: OpenStores::default(), runtime }
    }

    fn resolve(&self) -> Resolution {
        self.runtime.block_on(resolve::resolve_with(&self.config, &self.plan, &self.cx, &self.kept))
    }

    /// Resolves in vain, and returns why.
    fn fail(&self) -> String {
        let resolution = self.resolve();
        assert_eq!(resolution.failures.len(), 1);
        match &resolution.failures[0].cause {
            resolve::Cause::Fetch { error, .. } => {
                assert_eq!(error.kind(), FetchErrorKind::Unavailable);
                error.message().to_owned()
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_store_that_keeps_failing_is_left_alone_and_asked_again_later() {
    let server = with_key(Generation::July2026).fault("*", Fault::status(503)).start();
    let program = Program::new(&server, ", timeout_ms: 150, breaker: {half_open_after: 400ms}");
    for _ in 0..5 {
        assert!(program.fail().contains("cannot serve now"));
    }
    let opened = Instant::now();
    let asked = server.total();
    for _ in 0..20 {
        let message = program.fail();
        assert!(
            message.contains("not asked: left alone since ") && message.contains(" GMT, until "),
            "{message}"
        );
    }
    assert_eq!(server.total(), asked, "no request went out");
    server.heal();
    let resolution = loop {
        let resolution = program.resolve();
        if resolution.failures.is_empty() {
            break resolution;
        }
        assert_eq!(server.total(), asked, "no request went out");
        assert!(opened.elapsed() < Duration::from_secs(10), "it is never asked again");
    };
    assert!(opened.elapsed() >= Duration::from_millis(350), "{:?}", opened.elapsed());
    assert_eq!(Arc::as_ref(&resolution.values["A"].value).len(), value("key").len());
}

#[test]
fn a_thousand_resolves_take_one_login_and_one_connection() {
    for generation in BOTH {
        let server = with_key(generation).start();
        let program = Program::new(&server, "");
        for _ in 0..1_000 {
            assert!(program.resolve().failures.is_empty());
        }
        assert_eq!((server.logins(), server.total(), server.connections()), (1, 1_001, 1));
        // A value that changes is seen, and a token that is refused is replaced.
        server.change(|world| {
            world.secret("dev", "/", "KEY", "another").revoke_tokens();
        });
        let resolution = program.resolve();
        assert!(resolution.failures.is_empty(), "{:?}", resolution.failures);
        assert_eq!(resolution.values["A"].value.len(), "another".len());
        assert_eq!(server.logins(), 2);
    }
}

#[test]
fn a_refused_login_is_final_unless_another_store_may_hold_other_credentials() {
    let fixed = options_with("HOST", AUTH);
    let held = options_with(
        "HOST",
        "{client_id: '${INFISICAL_CLIENT_ID}', client_secret: {from: keys/INFISICAL_CLIENT_SECRET}}",
    );
    for (options, logins) in [(fixed, 1), (held, 2)] {
        let server = with_key(Generation::June2025).start();
        let options = options.replace("HOST", &server.url());
        let text = file(&options, "A: {from: infisical/KEY}").replace("envs:", "  keys: {type: env}\nenvs:");
        let program = Program::of(text, "wrong");
        for _ in 0..2 {
            assert_eq!(program.resolve().failures.len(), 1);
        }
        assert_eq!(server.logins(), logins);
    }
}

#[test]
fn refusals_leave_no_store_alone() {
    let server = with_key(Generation::July2026).start();
    server.change(|world| {
        world.expire_tokens();
    });
    let program = Program::new(&server, ", breaker: {failures: 1, half_open_after: 1h}");
    let strange = file(&options(&server.url()), "A: {from: infisical/NO_SUCH_KEY}");
    let config = config::load_text(Path::new("dsops.yaml"), strange).expect("a file that loads");
    let plan = Plan::new(&config, config.environment("dev").expect("an environment"), program.cx.env());
    let plan = plan.expect("a plan");
    for _ in 0..3 {
        let resolving = resolve::resolve_with(&config, &plan, &program.cx, &program.kept);
        let resolution = program.runtime.block_on(resolving);
        assert!(resolution.failures[0].cause.is_absence());
    }
    assert!(program.resolve().failures.is_empty());
}

#[test]
fn the_settings_of_the_breaker_are_checked_with_the_file() {
    for (breaker, says) in [
        ("{failures: 0}", "not a number of failures"),
        ("{failures: -1}", "not a number of failures"),
        ("{half_open_after: soon}", "not a length of time"),
        ("{half_open_after: 2h}", "not a length of time"),
        ("{failure: 3}", "did you mean `failures`?"),
        ("5", "where"),
    ] {
        let options = format!("{}, breaker: {breaker}", options("https://infisical.example"));
        let run = dsops().config(file(&options, "A: {from: infisical/KEY}")).args(["validate"]);
        let _ = run.run().code(3).stderr_has(says);
    }
    let options =
        format!("{}, breaker: {{failures: 3, half_open_after: 5m}}", options("https://infisical.example"));
    let _ = dsops().config(file(&options, "A: {from: infisical/KEY}")).args(["validate"]).run().code(0);
}
