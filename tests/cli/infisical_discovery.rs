//! `dsops infisical`: the ids and names that a file needs, from both generations of the server, and no value.

use serde_json::{Value, json};

use super::lab::{
    AUTH, BOTH, CANARY, CLIENT_ID, CLIENT_SECRET, PROJECT, SERVICE_TOKEN, discreet, dsops, file, options,
    options_with, value,
};
use crate::support::infisical::{Fault, Generation, Identity, Infisical, Server, ServiceToken};
use crate::support::{Dsops, Output};

const OTHER: &str = "f6cba663-585b-4add-b15b-060d022ce8de";

/// Two projects that the identity is in, and one that it is not in.
fn organization(generation: Generation) -> Infisical {
    Infisical::new(generation)
        .project(OTHER, "website", &["dev"])
        .project(PROJECT, "payroll", &["dev", "prod"])
        .secret("dev", "/", "ROOT", &value("root"))
        .secret("dev", "/db", "URL", &value("url"))
        .secret("dev", "/db/replica", "URL", &value("replica"))
        .folder("dev", "/empty")
        .secret("prod", "/", "ONLY_PROD", &value("prod"))
        .identity(CLIENT_ID, CLIENT_SECRET)
}

/// Runs `dsops infisical …` with a file whose one store is of the server.
fn look(server: &Server, args: &[&str]) -> Dsops {
    let config = file(&options(&server.url()), "A: {literal: one}");
    dsops().config(config).args(["infisical"]).args(args)
}

fn json_of(server: &Server, args: &[&str]) -> Value {
    let output = look(server, args).args(["--json"]).run().code(0).stderr_empty();
    discreet(output, server).never_shows(CANARY).json()
}

/// Runs it without a file, with what Infisical's own CLI keeps in the environment.
fn without_file(server: &Server, args: &[&str]) -> Dsops {
    Dsops::new()
        .env("INFISICAL_UNIVERSAL_AUTH_CLIENT_ID", CLIENT_ID)
        .env("INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET", CLIENT_SECRET)
        .env("INFISICAL_API_URL", format!("{}/api", server.url()))
        .args(["infisical"])
        .args(args)
}

fn fails(output: Output, server: &Server, code: i32, says: &[&str]) {
    let output = discreet(output.code(code).stdout_empty(), server).never_shows(CANARY);
    let _ = says.iter().fold(output, |output, says| output.stderr_has(says));
}

#[test]
fn the_projects_of_the_identity_come_with_what_the_file_needs() {
    for generation in BOTH {
        let server = organization(generation).start();
        let projects = json_of(&server, &["projects"]);
        let ids: Vec<_> = projects.as_array().unwrap().iter().map(|project| project["id"].clone()).collect();
        assert_eq!(ids, [PROJECT, OTHER], "by name");
        assert_eq!(projects[0]["slug"], "payroll");
        assert_eq!(projects[0]["environments"][1]["slug"], "prod");
        assert_eq!(projects[0]["environments"][1]["name"], "Production");
        let table = look(&server, &["projects"]).run().code(0).stderr_empty();
        let table = table.stdout_has("NAME").stdout_has(PROJECT).stdout_has("dev, prod");
        let _ = table.never_shows(CANARY);
        assert_eq!(server.logins(), 2, "one for each run");
    }
}

#[test]
fn environments_are_those_of_the_store_or_of_a_project_by_id_slug_or_name() {
    for generation in BOTH {
        let server = organization(generation).start();
        let slugs = |args: &[&str]| {
            let found = json_of(&server, &[&["environments"], args].concat());
            found.as_array().unwrap().iter().map(|known| known["slug"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(slugs(&[]), ["dev", "prod"]);
        for which in [OTHER, "website", "Website"] {
            assert_eq!(slugs(&["--project", which]), ["dev"], "{which}");
        }
        let run = look(&server, &["environments", "--project", "websit"]).run();
        fails(run, &server, 5, &["project not found", "did you mean `website`?"]);
        let unknown = "00000000-0000-4000-8000-000000000000";
        let run = look(&server, &["environments", "--project", unknown]).run();
        fails(run, &server, 5, &["project not found"]);
    }
}

#[test]
fn folders_and_secrets_are_listed_here_or_below() {
    for generation in BOTH {
        let server = organization(generation).start();
        assert_eq!(json_of(&server, &["folders"]), json!(["/db", "/empty"]));
        assert_eq!(json_of(&server, &["folders", "--recursive"]), json!(["/db", "/db/replica", "/empty"]));
        assert_eq!(json_of(&server, &["folders", "--path", "db/"]), json!(["/db/replica"]));
        assert_eq!(json_of(&server, &["folders", "--path", "/empty"]), json!([]));
        assert_eq!(json_of(&server, &["secrets"]), json!([{"folder": "/", "name": "ROOT"}]));
        assert_eq!(
            json_of(&server, &["secrets", "--path", "/db", "-r"]),
            json!([{"folder": "/db", "name": "URL"}, {"folder": "/db/replica", "name": "URL"}])
        );
        assert_eq!(
            json_of(&server, &["secrets", "-e", "prod"]),
            json!([{"folder": "/", "name": "ONLY_PROD"}])
        );
        let _ = look(&server, &["secrets", "-r"]).run().code(0).stdout_has("/db/replica  URL");
        let other = look(&server, &["secrets", "--project", "website", "--env", "dev"]).run();
        let _ = other.code(0).stdout_empty().stderr_has("none here that the identity may know of");
    }
}

#[test]
fn values_are_never_asked_for() {
    for generation in BOTH {
        let server = organization(generation).start();
        let _ = json_of(&server, &["secrets", "--recursive"]);
        for seen in server.requests() {
            let asks =
                |name: &str| seen.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
            if seen.path.contains("secrets") {
                assert_eq!(asks("viewSecretValue"), Some("false"));
            }
        }
    }
}

#[test]
fn what_is_not_there_is_named_although_the_server_lists_it_as_empty() {
    for generation in BOTH {
        let server = organization(generation).start();
        for command in ["folders", "secrets"] {
            let run = look(&server, &[command, "--path", "/dbs"]).run();
            fails(run, &server, 5, &["folder not found: `/dbs`"]);
            let run = look(&server, &[command, "--env", "pro"]).run();
            fails(run, &server, 5, &["environment not found: `pro`", "did you mean `prod`?"]);
            let run = look(&server, &[command, "--env", "qa"]).run();
            fails(run, &server, 5, &["environment not found: `qa`", "`dev`, `prod`"]);
        }
    }
}

#[test]
fn a_server_without_the_older_routes_is_asked_by_the_newer_ones() {
    let server = organization(Generation::July2026);
    let older = ["workspace", "workspace/{id}", "folders"].map(|route| format!("GET /api/v1/{route}"));
    let server = older.iter().fold(server, |server, route| server.fault(route, Fault::gone()));
    let server = server.fault("GET /api/v3/secrets/raw", Fault::gone()).start();
    assert_eq!(json_of(&server, &["projects"])[0]["id"], PROJECT);
    assert_eq!(json_of(&server, &["environments"])[0]["slug"], "dev");
    assert_eq!(json_of(&server, &["folders"]), json!(["/db", "/empty"]));
    assert_eq!(json_of(&server, &["secrets"]), json!([{"folder": "/", "name": "ROOT"}]));
}

#[test]
fn without_a_file_the_environment_gives_server_and_credentials() {
    let server = organization(Generation::July2026).start();
    let projects = without_file(&server, &["projects"]).run().code(0).stdout_has(PROJECT);
    let _ = discreet(projects, &server);
    // An address on the command line comes first, and the shorter names will do.
    let run =
        Dsops::new().env("INFISICAL_CLIENT_ID", CLIENT_ID).env("INFISICAL_CLIENT_SECRET", CLIENT_SECRET);
    let run =
        run.args(["infisical", "secrets", "--host", &server.url(), "--project", "payroll", "-e", "prod"]);
    let _ = run.run().code(0).stdout_has("ONLY_PROD");
    // What is not said is asked for, with what there is.
    let run = without_file(&server, &["secrets"]).run();
    fails(run, &server, 2, &["no project is named", "`--project`: `payroll` and `website`"]);
    let run = without_file(&server, &["folders", "--project", "payroll"]).run();
    fails(run, &server, 2, &["no environment is named", "`--env`: `dev` and `prod`"]);
    let run = without_file(&server, &["folders", "--project", "website"]).run();
    let _ = run.code(0).stdout_empty();
    let run = Dsops::new().args(["infisical", "projects"]).run();
    let _ = run.code(2).stderr_has("no credentials").stderr_has("INFISICAL_UNIVERSAL_AUTH_CLIENT_ID");
}

#[test]
fn a_store_of_another_type_is_refused_and_several_are_told_apart() {
    let server = organization(Generation::July2026).start();
    let one = options(&server.url());
    let two = one.replace("environment: dev", "environment: prod");
    let config =
        format!("secretStores:\n  one: {{{one}}}\n  two: {{{two}}}\n  keys: {{type: env}}\nenvs: {{}}\n");
    let run = |args: &[&str]| dsops().config(&config).args(["infisical"]).args(args).run();
    fails(run(&["projects"]), &server, 2, &["several stores", "`--store`: `one` and `two`"]);
    fails(run(&["projects", "--store", "keys"]), &server, 2, &["`keys` is of type `env`", "`one` and `two`"]);
    fails(
        run(&["projects", "--store", "tow"]),
        &server,
        2,
        &["no store is named `tow`", "did you mean `two`?"],
    );
    let _ = run(&["secrets", "--store", "two"]).code(0).stdout_has("ONLY_PROD");
    let none = Dsops::new().config("envs: {}\n").args(["infisical", "projects"]).run();
    let _ = none.code(2).stderr_has("no store of type `infisical`");
}

#[test]
fn refusals_say_what_they_say_elsewhere() {
    let server = organization(Generation::July2026).start();
    let run = look(&server, &["projects"]).env("INFISICAL_CLIENT_SECRET", "wrong").run();
    fails(run, &server, 4, &["dsops::auth::refused", "refused the login"]);
    assert_eq!(server.logins(), 1, "a refused login is final");
    let run = Dsops::new().config(file(&options(&server.url()), "A: {literal: one}"));
    fails(run.args(["infisical", "projects"]).run(), &server, 3, &["`${INFISICAL_CLIENT_ID}` is not set"]);
    let silent = organization(Generation::July2026).fault("*", Fault::status(503)).start();
    let options = format!("{}, timeout_ms: 300", options_with(&silent.url(), AUTH));
    let run = dsops().config(file(&options, "A: {literal: one}")).args(["infisical", "projects"]).run();
    fails(run, &silent, 6, &["dsops::fetch::unavailable"]);
}

#[test]
fn what_passes_is_waited_for() {
    let server = organization(Generation::July2026);
    let server = server.fault("GET /api/v1/workspace", Fault::status(503).times(1)).start();
    assert_eq!(json_of(&server, &["projects"])[0]["id"], PROJECT);
}

#[test]
fn an_identity_in_no_project_and_a_service_token_are_told_what_to_do() {
    let server = organization(Generation::July2026)
        .identity_with(Identity::new("stranger", "stranger-secret").member_of(&[]))
        .service_token(ServiceToken::new(SERVICE_TOKEN).scope("dev", "/"))
        .start();
    let run = look(&server, &["projects"]).env("INFISICAL_CLIENT_ID", "stranger");
    let run = run.env("INFISICAL_CLIENT_SECRET", "stranger-secret").run();
    let _ = run.code(0).stdout_empty().stderr_has("in no project").stderr_has("Access Control");
    let options =
        options_with(&server.url(), &format!("{{method: service_token, token: '{SERVICE_TOKEN}'}}"));
    let run = |args: &[&str]| {
        Dsops::new().config(file(&options, "A: {literal: one}")).args(["infisical"]).args(args).run()
    };
    let _ = run(&["projects"]).code(6).stderr_has("a service token cannot list projects");
    let _ = run(&["secrets"]).code(0).stdout_has("ROOT");
    let _ = run(&["secrets", "--env", "prod"]).code(4).stderr_has("the service token is for");
}
