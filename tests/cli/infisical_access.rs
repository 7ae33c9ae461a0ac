//! What a credential may not reach, what is there no more, and that neither is ever taken for an absence.

use super::lab::{
    BOTH, CANARY, CLIENT_ID, CLIENT_SECRET, DETAILS, Exec, Expected, GET, LIST, LOGIN, ONE, PROJECT,
    SERVICE_TOKEN, against, discreet, dsops, fails, file, options, options_with, server, value, with_key,
};
use crate::support::Dsops;
use crate::support::infisical::{Fault, Generation, Identity, Infisical, Server, ServiceToken};

const DENIED: &str = "dsops::auth::denied";
const REFUSED: &str = "dsops::auth::refused";

fn with_token(server: &Server, token: &str, variables: &str) -> Dsops {
    let options = options_with(&server.url(), "{method: service_token, token: '${TOKEN}'}");
    Dsops::new().env("TOKEN", token).config(file(&options, variables))
}

/// Prepares a server whose identity sees `/open` alone.
fn restricted(generation: Generation) -> Infisical {
    let identity =
        Identity::new(CLIENT_ID, CLIENT_SECRET).may_describe("dev", "/open").may_read("dev", "/open");
    Infisical::new(generation)
        .project(PROJECT, "payroll", &["dev", "prod"])
        .identity_with(identity)
        .secret("dev", "/closed", "ONE", &value("one"))
        .secret("dev", "/closed", "TWO", &value("two"))
        .secret("dev", "/open", "ONE", &value("open"))
}

/// Checks that `exec` fails with the code, writes nothing to standard output, and starts no child.
#[track_caller]
fn starts_nothing(run: Dsops, server: &Server, code: &str) {
    let child = run.exec("touch started");
    let started = child.path("started");
    let _ = discreet(child.run().code(125).stdout_empty(), server).stderr_has(code);
    assert!(!started.exists(), "the child was started");
}

#[test]
fn a_service_token_for_another_place_asks_for_nothing() {
    let other = "11111111-1111-4111-8111-111111111111";
    let token = |environment, path| ServiceToken::new(SERVICE_TOKEN).scope(environment, path);
    for generation in BOTH {
        let elsewhere = Infisical::new(generation)
            .project(other, "other", &["dev"])
            .service_token(token("dev", "/**"))
            .project(PROJECT, "payroll", &["dev"])
            .secret("dev", "/", "KEY", &value("key"));
        for (server, says) in [
            (with_key(generation).service_token(token("dev", "/app")), "folder `/app`"),
            (with_key(generation).service_token(token("prod", "/")), "environment `prod`"),
            (elsewhere, other),
        ] {
            let server = server.start();
            let expected = Expected {
                exit: 4,
                code: DENIED,
                says: &["the service token is for", says],
                advises: "create a service token for this place",
            };
            fails(|| with_token(&server, SERVICE_TOKEN, ONE), Some(&server), &expected);
            assert_eq!(server.count(DETAILS), server.total(), "only what the token is for was asked");
        }
    }
}

#[test]
fn what_lies_outside_of_a_service_tokens_scopes_is_denied_and_not_absent() {
    for generation in BOTH {
        let token = ServiceToken::new(SERVICE_TOKEN).scope("dev", "/app/**").scope("prod", "/");
        let server = server(generation)
            .secret("dev", "/outside", "ONE", &value("one"))
            .secret("dev", "/outside", "TWO", &value("two"))
            .service_token(token)
            .start();
        let expected = Expected { exit: 4, code: DENIED, says: &["no permission"], advises: "grant" };
        let one = || with_token(&server, SERVICE_TOKEN, "A: {from: infisical/outside/ONE}");
        fails(one, Some(&server), &expected);
        // The list of such a folder is empty, without a word.
        let two =
            "A: {from: infisical/outside/ONE, default: d}\nB: {from: infisical/outside/TWO, optional: true}";
        starts_nothing(with_token(&server, SERVICE_TOKEN, two), &server, DENIED);
        assert_eq!((server.count(LIST), server.count(GET)), (1, 4));
    }
}

#[test]
fn a_service_token_that_is_wrong_or_has_run_out_is_shown_once() {
    let other = "st.63811cad-7389-4c18-9bf4-43b637d6bbf2.ffeeddccbbaa99887766554433221100";
    let token = || ServiceToken::new(SERVICE_TOKEN).scope("dev", "/");
    for generation in BOTH {
        for (token, shown, says, advises) in [
            (token(), other, "Invalid service token", "check the credentials"),
            (token(), "st.unknown.00112233445566778899aabbccddeeff", "not found", "check the credentials"),
            (token().expired(), SERVICE_TOKEN, "expired", "create a new"),
        ] {
            let server = with_key(generation).service_token(token).start();
            let run = with_token(&server, shown, ONE).get("A").run().code(4).stdout_empty();
            let _ = discreet(run, &server).stderr_has(REFUSED).stderr_has(says).stderr_has(advises);
            assert_eq!((server.count(DETAILS), server.total()), (1, 1));
        }
    }
}

#[test]
fn half_a_service_token_is_refused_before_anything_is_sent() {
    let server = with_key(Generation::July2026).start();
    let expected =
        Expected { exit: 4, code: REFUSED, says: &["no service token"], advises: "copy the whole" };
    fails(|| with_token(&server, "st.63811cad-7389-4c18-9bf4-43b637d6bbf2", ONE), Some(&server), &expected);
    assert_eq!(server.connections(), 0);
}

#[test]
fn an_empty_credential_is_named_before_anything_is_sent() {
    let server = with_key(Generation::July2026).start();
    let run = || against(&server, ONE).env("INFISICAL_CLIENT_SECRET", " \n");
    let expected = Expected { exit: 4, code: REFUSED, says: &["client_secret"], advises: "set the variable" };
    fails(run, Some(&server), &expected);
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_credential_that_another_store_does_not_have_is_no_absence_of_values() {
    let server = with_key(Generation::July2026).start();
    let auth = format!("{{client_id: {CLIENT_ID}, client_secret: {{from: keys/ABSENT}}}}");
    let config = |variable: &str| {
        let store = "  keys: {type: literal, values: {THERE: x}}\nenvs:";
        let auth = auth.replace(CLIENT_ID, "'${INFISICAL_CLIENT_ID}'");
        dsops().config(file(&options_with(&server.url(), &auth), variable).replace("envs:", store))
    };
    let optional = "A: {from: infisical/KEY, optional: true, default: d}";
    let run = config(optional).get("A").run().code(4).stdout_empty();
    let _ = discreet(run, &server).stderr_has(REFUSED).stderr_has("keys/ABSENT");
    let run = config(ONE).args(["exec", "--env", "dev", "--allow-missing", "--", "touch", "started"]);
    let started = run.path("started");
    let _ = discreet(run.run().code(125).stdout_empty(), &server);
    assert!(!started.exists(), "a value that nobody asked for is not known to be missing");
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_folder_out_of_reach_is_denied_also_where_its_list_is_silently_empty() {
    for generation in BOTH {
        let server = restricted(generation).start();
        let expected =
            Expected { exit: 4, code: DENIED, says: &["no permission", "/closed"], advises: "grant" };
        fails(|| against(&server, "A: {from: infisical/closed/ONE}"), Some(&server), &expected);
        let variables = "
            A: {from: infisical/closed/ONE, default: d}
            B: {from: infisical/closed/TWO, optional: true, fallback: [infisical/open/ONE]}";
        starts_nothing(against(&server, variables), &server, DENIED);
    }
}

#[test]
fn nothing_but_an_absence_is_replaced() {
    let variables = "A: {from: infisical/closed/KEY, optional: true, default: d, fallback: [{store: infisical/open/ONE}]}";
    for generation in BOTH {
        let hidden =
            server(generation).secret("dev", "/closed", "KEY", &value("k")).hidden("dev", "/closed", "KEY");
        let there = || server(generation).secret("dev", "/closed", "KEY", &value("k"));
        for (server, code) in [
            (restricted(generation), DENIED),
            (hidden, "dsops::fetch::hidden"),
            (there().fault(GET, Fault::revocation()), REFUSED),
            (there().fault(GET, Fault::expiry()), REFUSED),
            (there().fault(GET, Fault::status(404)), "dsops::fetch::malformed"),
            (there().fault(GET, Fault::rate_limited(Some(60))), "dsops::fetch::rate_limited"),
            (there().fault(LOGIN, Fault::html()), "dsops::fetch::malformed"),
        ] {
            let server = server.start();
            starts_nothing(against(&server, variables), &server, code);
        }
        let server = there().start();
        let run = against(&server, variables).env("INFISICAL_CLIENT_ID", "somebody-else");
        starts_nothing(run, &server, REFUSED);
        assert_eq!((server.logins(), server.total()), (1, 1));
    }
}

#[test]
fn an_import_that_fails_is_placed_and_starts_nothing() {
    for generation in BOTH {
        let hidden =
            server(generation).secret("dev", "/closed", "KEY", &value("k")).hidden("dev", "/closed", "KEY");
        let there = || server(generation).secret("dev", "/closed", "KEY", &value("k"));
        for (server, optional, code, says) in [
            (server(generation), false, "dsops::fetch::not_found", "folder not found"),
            (restricted(generation), true, DENIED, "/closed"),
            (hidden, true, "dsops::fetch::hidden", "KEY"),
            (there().fault(LIST, Fault::html()), true, "dsops::fetch::malformed", "HTML"),
            (there().fault(LIST, Fault::rate_limited(Some(60))), true, "dsops::fetch::rate_limited", "pause"),
        ] {
            let server = server.start();
            let variables = format!("import: [{{store: infisical/closed, optional: {optional}}}]");
            let child = against(&server, &variables).exec("touch started");
            let started = child.path("started");
            let run = discreet(child.run().code(125).stdout_empty(), &server);
            let _ = run.stderr_has(code).stderr_has(says).stderr_has("dsops.yaml:6:").stderr_has("help:");
            assert!(!started.exists());
        }
    }
}

#[test]
fn a_version_of_a_secret_that_is_gone_or_has_another_name_is_not_used() {
    let not_found = "dsops::fetch::not_found";
    let no_version = "dsops::fetch::version_not_found";
    for generation in BOTH {
        let gone = || {
            with_key(generation).with(|world| {
                world.delete("dev", "/", "KEY");
            })
        };
        let renamed = with_key(generation).with(|world| {
            world.rename("dev", "/", "KEY", "NEW");
        });
        let again = gone().secret("dev", "/", "KEY", &value("k1")).secret("dev", "/", "KEY", &value("k2"));
        for (prepared, version, code) in
            [(gone(), 1, not_found), (renamed, 1, not_found), (again, 3, no_version)]
        {
            let server = prepared.start();
            let variables = format!("A: {{from: infisical/KEY@v{version}}}");
            let expected = Expected { exit: 5, code, says: &["KEY"], advises: "" };
            fails(|| against(&server, &variables), Some(&server), &expected);
        }
        // Two secrets had version 1 under this name. Whichever the server shows, the deleted one's is not used.
        let server = gone().secret("dev", "/", "KEY", &value("of today")).start();
        let run = against(&server, "A: {from: infisical/KEY@v1}").get("A").run();
        match generation {
            Generation::June2025 => {
                let _ = discreet(run, &server).code(5).stdout_empty().stderr_has(no_version);
            }
            Generation::July2026 => {
                let _ = discreet(run, &server).code(0).stdout(value("of today"));
            }
        }
    }
}

#[test]
fn garbage_in_place_of_a_list_or_a_login_is_no_value_and_shows_none() {
    let malformed = "dsops::fetch::malformed";
    let two = "A: {from: infisical/KEY}\nB: {from: infisical/OTHER}";
    for route in [LIST, LOGIN] {
        for fault in [
            Fault::html(),
            Fault::cut(),
            Fault::empty(),
            Fault::content_type("text/plain"),
            Fault::body(format!("{{\"secrets\": \"{CANARY}\", \"accessToken\": 5}}")),
            Fault::body(format!(
                "{{\"secrets\": [{{\"secretValue\": \"{CANARY}\"}}], \"accessToken\": [\"{CANARY}\"]}}"
            )),
            Fault::body(format!("[\"{CANARY}\"")),
        ] {
            let server = with_key(Generation::July2026).secret("dev", "/", "OTHER", &value("other"));
            let server = server.fault(route, fault).start();
            let options = format!("{}, timeout_ms: 800", options(&server.url()));
            starts_nothing(dsops().config(file(&options, two)), &server, malformed);
            assert!(server.count(route) > 0);
        }
    }
}

#[test]
fn a_pause_that_is_longer_than_the_time_left_ends_the_run_at_once() {
    let server = with_key(Generation::July2026).fault(GET, Fault::rate_limited(Some(3600))).start();
    let started = std::time::Instant::now();
    let expected = Expected {
        exit: 6,
        code: "dsops::fetch::rate_limited",
        says: &["3600 seconds"],
        advises: "try again after the pause",
    };
    fails(|| against(&server, ONE), Some(&server), &expected);
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(server.count(GET), 2, "once for each of the two runs");
}

#[test]
fn a_failing_store_does_not_keep_another_from_being_told() {
    let (down, refusing) = (with_key(Generation::July2026), with_key(Generation::July2026));
    let down = down.fault(GET, Fault::html()).start();
    let refusing = refusing.start();
    let config = format!(
        "secretStores:\n  down: {{{}}}\n  refusing: {{{}}}\nenvs:\n  dev:\n    A: {{from: down/KEY}}\n    \
         B: {{from: refusing/KEY}}\n    C: {{from: refusing/ABSENT}}\n    D: {{literal: there}}\n",
        options(&down.url()),
        options_with(&refusing.url(), "{client_id: '${INFISICAL_CLIENT_ID}', client_secret: '${WRONG}'}")
    );
    let run =
        dsops().env("WRONG", "wrong").config(config).args(["--error-format", "json"]).exec("true").run();
    let run = discreet(discreet(run.code(125).stdout_empty(), &down), &refusing);
    let errors = run.stderr_json();
    let told: Vec<_> =
        errors.iter().map(|error| (&error["code"], &error["line"], &error["variables"])).collect();
    let [one, two] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((one.0, one.1), (&"dsops::fetch::malformed".into(), &6.into()));
    assert_eq!((two.0, two.1, two.2), (&REFUSED.into(), &7.into(), &serde_json::json!(["B", "C"])));
    assert_eq!(refusing.logins(), 1);
}
