//! Imports that go deeper or choose: folders below, tags, metadata, and a user's own values.

use crate::lab::{
    BOTH, CLIENT_ID, CLIENT_SECRET, Exec, GET, LIST, PROJECT, against, discreet, dsops, file, options,
    server, value,
};
use crate::support::infisical::{Fault, Generation, Identity, Infisical, Server};

/// Prepares a project with folders below folders.
fn tree(generation: Generation) -> Infisical {
    server(generation)
        .secret("dev", "/app", "TOP", &value("top"))
        .secret("dev", "/app/db", "URL", "<${HOST}>")
        .secret("dev", "/app/db", "HOST", &value("host"))
        .secret("dev", "/app/db/deep", "DEEP", &value("deep"))
        .secret("dev", "/apples", "OTHER", &value("other"))
        .secret("dev", "/", "ROOT", &value("root"))
        .folder("dev", "/app/empty")
}

fn newest(prepared: Infisical) -> Infisical {
    prepared.with(|world| {
        world.drop_older_routes();
    })
}

#[test]
fn a_recursive_import_takes_what_is_below_and_nothing_beside() {
    let newest = newest(tree(Generation::July2026));
    for prepared in [tree(Generation::June2025), tree(Generation::July2026), newest] {
        let server = prepared.start();
        let import = "import: {store: infisical/app/, recursive: true, prefix: X_}";
        let script = "echo \"$X_TOP $X_URL $X_HOST $X_DEEP ${X_OTHER-unset} ${X_ROOT-unset}\"";
        let run = against(&server, import).exec(script).run();
        let expected =
            format!("{} <{}> {} {} unset unset\n", value("top"), value("host"), value("host"), value("deep"));
        let _ = discreet(run, &server).code(0).stdout(expected);
    }
}

#[test]
fn a_recursive_import_asks_for_the_folders_and_then_lists_each() {
    for generation in BOTH {
        let server = tree(generation).start();
        let import = "import: {store: infisical/app/db, recursive: true}";
        let run = against(&server, import).exec("printenv DEEP").run();
        let _ = discreet(run, &server).code(0).stdout(format!("{}\n", value("deep")));
        assert_eq!((server.logins(), server.count("GET /api/v1/folders"), server.count(LIST)), (1, 1, 2));
        let run = against(&server, import).args(["plan", "--env", "dev", "--json"]).run().code(0);
        let plan = run.json();
        assert_eq!(plan["imports"][0]["recursive"], true);
        assert_eq!(plan["imports"][0].get("tags"), None);
        let run = against(&server, import).args(["plan", "--env", "dev"]).run().code(0);
        let _ = run.stdout_has("infisical/app/db and below");
        assert_eq!(plan["cost"]["requests"], 3, "a login, the folders, and the folder: {plan}");
    }
}

#[test]
fn a_name_in_two_folders_of_a_recursive_import_is_an_error_that_names_both() {
    for generation in BOTH {
        let server = tree(generation).secret("dev", "/app/db/deep", "TOP", &value("top")).start();
        let run = against(&server, "import: {store: infisical/app, recursive: true}").exec("true").run();
        let _ = discreet(run.code(125), &server)
            .stderr_has("two folders have a secret `TOP`: `/app` and `/app/db/deep`")
            .stderr_has("prefix of its own");
    }
}

#[test]
fn a_folder_out_of_reach_stops_a_recursive_import() {
    for generation in BOTH {
        let identity =
            Identity::new(CLIENT_ID, CLIENT_SECRET).may_describe("dev", "/app").may_read("dev", "/app");
        let server = Infisical::new(generation)
            .project(PROJECT, "payroll", &["dev"])
            .identity_with(identity)
            .secret("dev", "/app", "TOP", &value("top"))
            .secret("dev", "/app/closed", "KEY", &value("never"))
            .start();
        let import = "import: {store: infisical/app, recursive: true, optional: true}";
        let run = against(&server, import).exec("true").run().code(125);
        let _ = discreet(run, &server).stderr_has("dsops::auth::denied").stderr_has("/app/closed");
    }
}

/// Prepares secrets with tags and metadata.
fn labelled(generation: Generation) -> Server {
    let prepared = server(generation)
        .secret("dev", "/app", "ONE", &value("one"))
        .secret("dev", "/app", "TWO", &value("two"))
        .secret("dev", "/app", "THREE", &value("three"))
        .secret("dev", "/shared", "SHARED", &value("shared"))
        .import(("dev", "/app"), ("dev", "/shared"));
    let prepared = prepared.with(|world| {
        world.adjust("dev", "/app", "ONE", |secret| {
            secret.label("", &["backend"], &[("owner", "lab"), ("tier", "1")]);
        });
        world.adjust("dev", "/app", "TWO", |secret| {
            secret.label("", &["web", "backend"], &[("owner", "lab")]);
        });
    });
    prepared.start()
}

#[test]
fn an_import_takes_only_what_its_tags_and_metadata_choose() {
    for generation in BOTH {
        let server = labelled(generation);
        for (choice, expected) in [
            ("tags: [web]", "unset two unset unset"),
            ("tags: [web, nothing]", "unset two unset unset"),
            ("tags: [backend, web]", "one two unset unset"),
            ("metadata: {owner: lab}", "one two unset unset"),
            ("metadata: {owner: lab, tier: 1}", "one unset unset unset"),
            ("tags: [web], metadata: {owner: lab}", "unset two unset unset"),
            ("tags: [nothing]", "unset unset unset unset"),
        ] {
            let import = format!("import: {{store: infisical/app, {choice}}}");
            let script = "echo ${ONE-unset} ${TWO-unset} ${THREE-unset} ${SHARED-unset}";
            let run = against(&server, &import).exec(script).run();
            let expected: Vec<String> = expected
                .split(' ')
                .map(|word| if word == "unset" { word.to_owned() } else { value(word) })
                .collect();
            let _ = discreet(run, &server).code(0).stdout(format!("{}\n", expected.join(" ")));
        }
    }
}

#[test]
fn an_empty_choice_of_a_folder_that_is_not_there_is_no_empty_choice() {
    for generation in BOTH {
        let server = labelled(generation);
        let import = "import: {store: infisical/nope, tags: [web]}";
        let run = against(&server, import).exec("true").run().code(125);
        let _ = discreet(run, &server).stderr_has("folder not found");
        assert!(server.count(GET) <= 1);
    }
}

#[test]
fn a_variable_of_its_own_is_not_taken_from_a_choice() {
    for generation in BOTH {
        let server = labelled(generation);
        let variables = "import: {store: infisical/app, tags: [web]}\nTHREE: {from: infisical/app/THREE}";
        let run = against(&server, variables).exec("echo $TWO $THREE").run();
        let _ = discreet(run, &server).code(0).stdout(format!("{} {}\n", value("two"), value("three")));
    }
}

#[test]
fn a_choice_that_cannot_be_asked_for_is_refused_before_anything_is_sent() {
    let server = labelled(Generation::July2026);
    let eleven: Vec<String> = (0..11).map(|number| format!("k{number}: v")).collect();
    for (import, code, says) in [
        ("{store: infisical/app, tags: ['a,b']}", "dsops::config::invalid", "comma"),
        ("{store: infisical/app, tags: ['']}", "dsops::config::invalid", "not empty"),
        ("{store: infisical/app, metadata: {a: 'b|c'}}", "dsops::config::invalid", "`a`"),
        ("{store: infisical/app, metadata: {a: ''}}", "dsops::config::invalid", "`a`"),
        (
            &format!("{{store: infisical/app, metadata: {{{}}}}}", eleven.join(", ")),
            "dsops::reference::import_unsupported",
            "10 pairs",
        ),
    ] {
        let run = against(&server, &format!("import: {import}")).args(["validate"]).run().code(3);
        let _ = run.stderr_has(code).stderr_has(says);
    }
    let config = |import: &str| {
        format!(
            "secretStores: {{keys: {{type: literal, values: {{a/B: x}}}}}}\nenvs: {{dev: {{import: {import}}}}}"
        )
    };
    for (import, says) in [
        ("{store: keys/a, recursive: true}", "folders below"),
        ("{store: keys/a, tags: [web]}", "no tags"),
        ("{store: keys/a, metadata: {a: b}}", "no metadata"),
    ] {
        let run = dsops().config(config(import)).args(["validate"]).run().code(3);
        let _ = run.stderr_has("dsops::reference::import_unsupported").stderr_has(says);
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn two_stores_of_one_server_learn_once_that_its_older_routes_are_gone() {
    let server = newest(tree(Generation::July2026)).start();
    let two = format!(
        "secretStores:\n  one: {{{}}}\n  two: {{{}}}\nenvs:\n  dev:\n    A: {{from: one/ROOT, fallback: [two/ROOT]}}\n    \
         B: {{from: one/NOPE, fallback: [two/ROOT]}}\n",
        options(&server.url()),
        options(&server.url())
    );
    let run = dsops().config(two).exec("echo $A $B").run();
    let _ = discreet(run, &server).code(0).stdout(format!("{} {}\n", value("root"), value("root")));
    assert_eq!((server.count(LIST), server.count(GET)), (1, 0), "the older routes were asked once");
}

#[test]
fn a_missing_name_on_the_newer_routes_is_absent_also_where_it_is_long() {
    let server = newest(tree(Generation::July2026)).start();
    for name in ["NOPE".to_owned(), "N".repeat(100), "N".repeat(101), "N".repeat(300)] {
        let variables =
            format!("A: {{from: infisical/{name}, default: replaced}}\nB: {{from: infisical/ROOT}}");
        let run = dsops().config(file(&options(&server.url()), &variables)).get("A").run();
        let _ = discreet(run, &server).code(0).stdout("replaced");
    }
}

#[test]
fn a_value_that_may_not_be_read_is_named_where_it_stops_an_import() {
    for generation in BOTH {
        let server = server(generation)
            .secret("dev", "/app", "OPEN", &value("open"))
            .secret("dev", "/app", "CLOSED", &value("closed"))
            .fault(
                LIST,
                Fault::refusal(403, "PermissionDenied", "You are not allowed to readValue on secrets")
                    .times(1),
            )
            .fault(
                "GET /api/v3/secrets/raw/CLOSED",
                Fault::refusal(403, "ForbiddenReadSecretError", "You do not"),
            )
            .start();
        let run = against(&server, "import: {store: infisical/app}").exec("true").run().code(125);
        let _ = discreet(run, &server)
            .stderr_has("dsops::fetch::hidden")
            .stderr_has("`CLOSED` in folder `/app`")
            .stderr_lacks("OPEN");
    }
}

#[test]
fn a_value_that_cannot_be_had_for_a_moment_is_asked_for_again() {
    for generation in BOTH {
        let server = tree(generation).start();
        server.fault(GET, Fault::status(500).times(1));
        let run = against(&server, "import: {store: infisical/app/db}").exec("printf %s \"$URL\"").run();
        let _ = discreet(run, &server).code(0).stdout(format!("<{}>", value("host")));
    }
}

#[test]
fn an_import_whose_own_import_is_out_of_reach_is_an_error_that_names_it() {
    for generation in BOTH {
        let identity =
            Identity::new(CLIENT_ID, CLIENT_SECRET).may_describe("dev", "/app").may_read("dev", "/app");
        let server = Infisical::new(generation)
            .project(PROJECT, "payroll", &["dev", "prod"])
            .secret("dev", "/app", "OWN", &value("own"))
            .secret("dev", "/shared", "ONLY_SHARED", &value("shared"))
            .import(("dev", "/app"), ("dev", "/shared"))
            .identity_with(identity)
            .start();
        let run = against(&server, "import: {store: infisical/app}").exec("echo started").run().code(125);
        let _ = discreet(run, &server).stdout_empty().stderr_has("out of reach").stderr_has("/shared");
    }
}

#[test]
fn an_import_whose_own_import_is_empty_or_gone_is_complete() {
    for generation in BOTH {
        let server = server(generation)
            .secret("dev", "/app", "OWN", &value("own"))
            .folder("dev", "/empty")
            .import(("dev", "/app"), ("dev", "/empty"))
            .start();
        let run = against(&server, "import: {store: infisical/app}").exec("printf %s \"$OWN\"").run().code(0);
        let _ = discreet(run, &server).stdout(value("own"));
    }
}
