//! How many requests a run makes: what `plan` promises, what `exec --stats` reports and what the server saw agree.

use std::time::Duration;

use crate::lab::{
    BOTH, DETAILS, Exec, GET, LIST, SERVICE_TOKEN, against, discreet, dsops, file, options, options_with,
    server, value,
};
use crate::support::infisical::{Fault, Generation, Server, ServiceToken};

/// Prepares the project that every shape reads from.
fn project(generation: Generation) -> Server {
    let mut server = server(generation);
    for folder in ["/", "/a", "/b", "/c/d"] {
        for name in ["ONE", "TWO", "THREE"] {
            server = server.secret("dev", folder, name, &value(&format!("{folder}{name}")));
        }
    }
    server
        .secret("dev", "/a", "ONE", &value("second version"))
        .secret("dev", "/long", &"x".repeat(120), &value("long"))
        .start()
}

/// A shape of environment, and the logins, lists and single reads that it takes.
struct Shape {
    name: &'static str,
    variables: &'static str,
    logins: usize,
    lists: usize,
    singles: usize,
}

const SHAPES: &[Shape] = &[
    Shape { name: "nothing", variables: "A: {literal: one}", logins: 0, lists: 0, singles: 0 },
    Shape { name: "one key", variables: "A: {from: infisical/ONE}", logins: 1, lists: 0, singles: 1 },
    Shape {
        name: "one key of a folder",
        variables: "A: {from: infisical/c/d/ONE}",
        logins: 1,
        lists: 0,
        singles: 1,
    },
    Shape {
        name: "one key for two variables",
        variables: "A: {from: infisical/ONE}\nB: {from: {store: infisical, key: ONE}}\nC: {from: 'store://infisical/ONE'}",
        logins: 1,
        lists: 0,
        singles: 1,
    },
    Shape {
        name: "two keys of one folder",
        variables: "A: {from: infisical/a/ONE}\nB: {from: infisical/a/TWO}",
        logins: 1,
        lists: 1,
        singles: 0,
    },
    Shape {
        name: "three keys in each of three folders",
        variables: "A: {from: infisical/ONE}\nB: {from: infisical/TWO}\nC: {from: infisical/THREE}
            D: {from: infisical/a/ONE}\nE: {from: infisical/a/TWO}\nF: {from: infisical/a/THREE}
            G: {from: infisical/c/d/ONE}\nH: {from: infisical/c/d/TWO}\nI: {from: infisical/c/d/THREE}",
        logins: 1,
        lists: 3,
        singles: 0,
    },
    Shape {
        name: "one key in each of three folders",
        variables: "A: {from: infisical/ONE}\nB: {from: infisical/a/ONE}\nC: {from: infisical/b/ONE}",
        logins: 1,
        lists: 0,
        singles: 3,
    },
    Shape {
        name: "a folder in two spellings",
        variables: "A: {from: infisical/a/ONE}\nB: {from: 'infisical//a/TWO'}",
        logins: 1,
        lists: 1,
        singles: 0,
    },
    Shape {
        name: "a pinned version",
        variables: "A: {from: infisical/a/ONE@v1}",
        logins: 1,
        lists: 0,
        // The version, and the latest that it must be of.
        singles: 2,
    },
    Shape {
        name: "two versions and the latest of one key",
        variables: "A: {from: infisical/a/ONE@v1}\nB: {from: infisical/a/ONE@v2}\nC: {from: infisical/a/ONE}",
        logins: 1,
        lists: 0,
        singles: 3,
    },
    Shape {
        name: "a pinned version beside another key",
        variables: "A: {from: infisical/a/ONE@v1}\nB: {from: infisical/a/TWO}",
        logins: 1,
        lists: 1,
        singles: 1,
    },
    Shape {
        name: "an imported folder",
        variables: "import: [{store: infisical/a}]",
        logins: 1,
        lists: 1,
        singles: 0,
    },
    Shape {
        name: "an imported folder, keys of it and of another",
        variables: "import: {store: infisical/a, prefix: X_}\nA: {from: infisical/a/ONE}\nB: {from: infisical/b/ONE}",
        logins: 1,
        lists: 1,
        singles: 1,
    },
    Shape {
        name: "an imported folder twice, and a version of it",
        variables: "import: [{store: infisical/a, prefix: X_}, {store: infisical/a, prefix: Y_}]
            A: {from: infisical/a/ONE@v1}",
        logins: 1,
        lists: 1,
        singles: 2,
    },
    Shape {
        name: "the root and a folder imported",
        variables: "import: [{store: infisical}, {store: infisical/a/, prefix: A_}]\nB: {from: infisical/ONE}",
        logins: 1,
        lists: 2,
        singles: 0,
    },
    Shape {
        name: "a name too long for an address",
        variables: concat!(
            "A: {from: infisical/long/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}"
        ),
        logins: 1,
        lists: 1,
        singles: 0,
    },
    Shape {
        name: "fallbacks and defaults that are not needed",
        variables: "A: {from: infisical/ONE, fallback: [infisical/a/ONE], default: x}\nB: {from: infisical/b/TWO, optional: true}",
        logins: 1,
        lists: 0,
        singles: 2,
    },
];

#[test]
fn the_plan_the_report_and_the_server_agree_on_every_shape() {
    for generation in BOTH {
        for shape in SHAPES {
            let server = project(generation);
            let name = shape.name;
            let planned =
                against(&server, shape.variables).args(["plan", "--env", "dev", "--json"]).run().code(0);
            let cost = planned.json()["cost"].clone();
            assert_eq!(server.connections(), 0, "{name}: `plan` asks nobody");
            let run = against(&server, shape.variables)
                .args(["exec", "--env", "dev", "--stats", "--", "true"])
                .run();
            let run = discreet(run, &server).code(0).stdout_empty();
            let total = shape.logins + shape.lists + shape.singles;
            assert_eq!(
                cost,
                serde_json::json!({"requests": total, "logins": shape.logins, "processes": 0}),
                "{name}"
            );
            let seen = (server.logins(), server.count(LIST), server.count(GET), server.total());
            assert_eq!(seen, (shape.logins, shape.lists, shape.singles, total), "{name}\n{run}");
            let requests = if total == 1 { "request" } else { "requests" };
            let _ = run.stderr_has(&format!("{total} {requests}, {} of them login", shape.logins));
        }
    }
}

#[test]
fn a_service_token_costs_its_details_in_place_of_a_login() {
    for generation in BOTH {
        let server = server(generation)
            .secret("dev", "/a", "ONE", &value("one"))
            .secret("dev", "/b", "ONE", &value("two"))
            .service_token(ServiceToken::new(SERVICE_TOKEN).scope("dev", "/**"))
            .start();
        let options = options_with(&server.url(), "{method: service_token, token: '${TOKEN}'}");
        let config = file(&options, "A: {from: infisical/a/ONE}\nB: {from: infisical/b/ONE}");
        let prepared = || dsops().env("TOKEN", SERVICE_TOKEN).config(&config);
        let planned =
            prepared().args(["plan", "--env", "dev", "--json"]).run().code(0).json()["cost"].clone();
        assert_eq!(planned, serde_json::json!({"requests": 3, "logins": 0, "processes": 0}));
        let run = prepared().args(["exec", "--env", "dev", "--stats", "--", "true"]).run();
        let _ = discreet(run, &server).code(0).stderr_has("3 requests, 0 of them login");
        assert_eq!((server.count(DETAILS), server.count(GET), server.total()), (1, 2, 3));
    }
}

#[test]
fn several_stores_cost_the_sum_and_a_credential_its_read() {
    for generation in BOTH {
        let (one, two) = (project(generation), project(generation));
        let config = format!(
            "secretStores:\n  one: {{{}}}\n  two: {{{}}}\n  keys: {{type: literal, values: {{ID: a}}}}\nenvs:\n  dev:\n    \
             A: {{from: one/ONE}}\n    B: {{from: two/a/ONE}}\n    C: {{from: two/a/TWO}}\n    D: {{from: keys/ID}}\n",
            options(&one.url()),
            options(&two.url())
        );
        let planned =
            dsops().config(&config).args(["plan", "--env", "dev", "--json"]).run().code(0).json()["cost"]
                .clone();
        assert_eq!(planned, serde_json::json!({"requests": 4, "logins": 2, "processes": 0}));
        let run = dsops().config(&config).args(["exec", "--env", "dev", "--stats", "--", "true"]).run();
        let _ = discreet(run, &one).code(0).stderr_has("4 requests, 2 of them logins");
        assert_eq!((one.total(), two.total()), (2, 2));
    }
}

#[test]
fn one_variable_of_many_costs_its_own_read_only() {
    let server = project(Generation::July2026);
    let variables = "A: {from: infisical/ONE}\nB: {from: infisical/a/ONE}\nC: {from: infisical/a/TWO}";
    let _ = discreet(against(&server, variables).get("B").run(), &server).code(0);
    assert_eq!((server.logins(), server.count(GET), server.total()), (1, 1, 2));
}

#[test]
fn a_thousand_references_over_twenty_folders_take_one_login_and_twenty_lists_at_once() {
    for generation in BOTH {
        let mut prepared = server(generation).fault("*", Fault::delay(Duration::from_millis(50)));
        let mut variables = String::new();
        for folder in 0..20 {
            for key in 0..50 {
                let (path, name) = (format!("/folder-{folder}"), format!("KEY_{key}"));
                prepared = prepared.secret("dev", &path, &name, &value(&format!("{folder}-{key}")));
                variables
                    .push_str(&format!("V_{folder}_{key}: {{from: infisical/folder-{folder}/KEY_{key}}}\n"));
            }
        }
        let server = prepared.start();
        let run = against(&server, &variables)
            .args(["exec", "--env", "dev", "--stats", "--", "sh", "-c", "env | grep -c ^V_; echo $V_19_49"])
            .run();
        let _ = discreet(run, &server)
            .code(0)
            .stdout(format!("1000\n{}\n", value("19-49")))
            .stderr_has("21 requests, 1 of them login");
        assert_eq!((server.logins(), server.count(LIST), server.total()), (1, 20, 21));
        // What is sent one after the other would have one under way.
        assert!(server.most_at_once() >= 10, "{} at once", server.most_at_once());
    }
}

#[test]
fn absent_names_cost_a_read_each_and_a_missing_folder_one_for_all() {
    for generation in BOTH {
        let server = project(generation);
        let variables = "
            A: {from: infisical/a/ONE}
            B: {from: infisical/a/ABSENT, optional: true}
            C: {from: infisical/a/MISSING, optional: true}";
        let _ = discreet(against(&server, variables).exec("true").run(), &server).code(0);
        assert_eq!((server.count(LIST), server.count(GET)), (1, 2));
        let server = project(generation);
        let variables = "
            A: {from: infisical/none/A, optional: true}
            B: {from: infisical/none/B, optional: true}
            C: {from: infisical/none/C, optional: true}";
        let _ = discreet(against(&server, variables).exec("true").run(), &server).code(0);
        // June 2025 shows an empty list for a folder that is not there, and only a read tells the truth.
        let reads = if generation == Generation::June2025 { 1 } else { 0 };
        assert_eq!((server.count(LIST), server.count(GET)), (1, reads));
    }
}

#[test]
fn a_log_tells_the_requests_and_nothing_that_they_carry() {
    let server = server(Generation::July2026).secret("dev", "/", "SOME_KEY", &value("logged")).start();
    let run = || against(&server, "A: {from: infisical/SOME_KEY}").env("DSOPS_LOG", "trace");
    let output =
        discreet(run().get("A").run().code(0), &server).stderr_has("status=200").stderr_lacks("SOME_KEY");
    let _ = output.stdout(value("logged"));
    let _ = run().env("DSOPS_LOG", "loud").get("A").run().code(0).stderr_has("DSOPS_LOG");
}
