//! References between secrets of Infisical: right, or an error that names what is missing, and never the nothing
//! or the text that servers put in the place of a target that is gone.

use crate::lab::{
    BOTH, CLIENT_ID, CLIENT_SECRET, Exec, Expected, GET, LIST, PROJECT, SERVICE_TOKEN, against, discreet,
    dsops, fails, file, options, options_with, server, value,
};
use crate::support::Dsops;
use crate::support::infisical::{Generation, Identity, Infisical, Server, ServiceToken, World};

const DANGLING: &str = "dsops::fetch::dangling";
const DENIED: &str = "dsops::auth::denied";
const URL: &str = "A: {from: infisical/URL}";
const TWO: &str = "A: {from: infisical/URL}\nB: {from: infisical/PLAIN}";

/// Every kind of server: both generations, and one that has the newer routes only.
fn servers() -> [Infisical; 3] {
    let newest = server(Generation::July2026).with(|world| {
        world.drop_older_routes();
    });
    [server(Generation::June2025), server(Generation::July2026), newest]
}

/// Counts lists and single reads, by whichever routes.
fn reads(server: &Server) -> (usize, usize) {
    let lists = server.count(LIST) + server.count("GET /api/v4/secrets");
    (lists, server.count(GET) + server.count("GET /api/v4/secrets/{name}"))
}

/// Checks that the run fails with the code and the words, and that no child starts.
#[track_caller]
fn refuses(server: &Server, variables: &str, code: &str, says: &[&str]) {
    let exit = if code == DENIED { 4 } else { 6 };
    fails(|| against(server, variables), Some(server), &Expected { exit, code, says, advises: "" });
}

#[test]
fn a_value_without_references_costs_nothing_more() {
    for generation in BOTH {
        let mut prepared = server(generation);
        let mut variables = String::new();
        for folder in 0..10 {
            for name in 0..10 {
                let text = if name == 0 { "a$b$$c ${} ${A B} ${A:-b} $(id)".to_owned() } else { value("x") };
                prepared = prepared.secret("dev", &format!("/f{folder}"), &format!("K{name}"), &text);
                variables.push_str(&format!("V{folder}{name}: {{from: infisical/f{folder}/K{name}}}\n"));
            }
        }
        let server = prepared.start();
        let run = against(&server, &variables).exec("printenv V00 V99").run();
        let _ = discreet(run, &server)
            .code(0)
            .stdout(format!("a$b$$c ${{}} ${{A B}} ${{A:-b}} $(id)\n{}\n", value("x")));
        assert_eq!((server.logins(), reads(&server), server.total()), (1, (10, 0), 11));
    }
}

#[test]
fn a_reference_is_replaced_and_its_target_is_read_once() {
    for prepared in servers() {
        let server = prepared
            .secret("dev", "/", "HOST", &value("host"))
            .secret("dev", "/", "URL", "https://${HOST}/${prod.sub.PATH}?${HOST}")
            .secret("dev", "/", "PLAIN", "also ${prod.sub.PATH} and ${URL}")
            .secret("prod", "/sub", "PATH", &value("path"))
            .start();
        let url = format!("https://{}/{}?{}", value("host"), value("path"), value("host"));
        let run = against(&server, URL).get("A").run();
        let _ = discreet(run, &server).code(0).stdout(&url);
        let (_, singles) = reads(&server);
        // As stored, as expanded, and two targets. An answer of 2025 does not say in which folder the secret
        // stands, and a server without the older routes is asked by them first.
        assert!((4..=5).contains(&singles), "{singles}");
        let before = server.total();
        let run = against(&server, TWO).exec("printenv A B").run();
        let expected = format!("{url}\nalso {} and {url}\n", value("path"));
        let _ = discreet(run, &server).code(0).stdout(expected);
        // A login, the list, two values as expanded, one target: the others stand in the list.
        assert!((5..=6).contains(&(server.total() - before)), "{}", server.total() - before);
    }
}

#[test]
fn many_values_with_references_are_read_by_one_more_list() {
    for prepared in servers() {
        let mut prepared = prepared.secret("dev", "/", "HOST", &value("host"));
        let mut variables = String::new();
        for name in 0..20 {
            prepared = prepared.secret("dev", "/", &format!("K{name}"), &format!("{name} ${{HOST}}"));
            variables.push_str(&format!("V{name}: {{from: infisical/K{name}}}\n"));
        }
        let server = prepared.start();
        let run = against(&server, &variables).exec("printenv V0 V19").run();
        let _ = discreet(run, &server).code(0).stdout(format!("0 {0}\n19 {0}\n", value("host")));
        assert_eq!(server.total() - server.logins() - reads(&server).0, 0, "lists and nothing else");
        assert!((2..=3).contains(&reads(&server).0));
    }
}

#[test]
fn a_reference_to_a_secret_that_is_not_there_is_an_error() {
    for prepared in servers() {
        let server = prepared
            .secret("dev", "/", "URL", "https://${HOST}/")
            .secret("dev", "/", "PLAIN", &value("plain"))
            .secret("dev", "/", "DEEP", "<${URL}>")
            .secret("dev", "/", "ELSEWHERE", "${prod.no.such.PLACE}")
            .secret("dev", "/", "ENVIRONMENT", "${qa.PLAIN}")
            .secret("dev", "/", "CUT", "${prod.}${.PLAIN}")
            .start();
        for (variables, says) in [
            (URL, &["`URL` in folder `/`", "`${HOST}`", "`HOST` in folder `/`", "not there"][..]),
            (TWO, &["`URL` in folder `/`", "`${HOST}`"]),
            ("A: {from: infisical/DEEP}", &["`DEEP`", "by way of `${dev.URL}`", "`${HOST}`"]),
            ("A: {from: infisical/ELSEWHERE}", &["`PLACE` in folder `/no/such`, environment `prod`"]),
            ("A: {from: infisical/ENVIRONMENT}", &["`${qa.PLAIN}`", "environment `qa`"]),
            ("A: {from: infisical/CUT}", &["`${prod.}`"]),
        ] {
            refuses(&server, variables, DANGLING, says);
        }
        // It is no absence, and takes no other value along.
        let variables = "A: {from: infisical/URL, optional: true, default: d, fallback: [infisical/PLAIN]}";
        refuses(&server, variables, DANGLING, &[]);
        let _ = discreet(against(&server, TWO).get("B").run(), &server).code(0).stdout(value("plain"));
        let run = against(&server, "import: {store: infisical, optional: true}").exec("true").run();
        let _ = discreet(run.code(125), &server).stderr_has(DANGLING);
    }
}

#[test]
fn text_that_looks_like_a_reference_is_kept_where_the_store_says_so() {
    for prepared in servers() {
        let server = prepared.secret("dev", "/", "URL", "https://${HOST}/").start();
        let options = format!("{}, expand_references: false", options(&server.url()));
        let _ = dsops().config(file(&options, URL)).get("A").run().code(0).stdout("https://${HOST}/");
    }
}

#[test]
fn references_in_a_circle_are_an_error_that_shows_the_circle() {
    for prepared in servers() {
        let server = prepared
            .secret("dev", "/", "URL", "${CIRCLE}")
            .secret("dev", "/", "CIRCLE", "a ${dev.sub.BACK}")
            .secret("dev", "/sub", "BACK", "b ${dev.CIRCLE}")
            .secret("dev", "/", "SELF", "${SELF}")
            .secret("dev", "/", "PLAIN", "x")
            .start();
        let circle = "`${dev.CIRCLE}` → `${dev.sub.BACK}` → `${dev.CIRCLE}`";
        for variables in [URL, TWO] {
            refuses(&server, variables, DANGLING, &["`URL`", circle]);
        }
        refuses(&server, "A: {from: infisical/SELF}", DANGLING, &["`${dev.SELF}` → `${dev.SELF}`"]);
    }
}

#[test]
fn references_are_followed_as_deep_as_the_server_follows_them() {
    for generation in BOTH {
        let mut prepared = server(generation).secret("dev", "/", "K0", &value("end"));
        for step in 1..=11 {
            let text = format!("${{K{}}}", step - 1);
            prepared = prepared.secret("dev", "/", &format!("K{step}"), &text);
        }
        let server = prepared.start();
        let run = against(&server, "A: {from: infisical/K10}\nB: {from: infisical/K0}").get("A").run();
        let _ = discreet(run, &server).code(0).stdout(value("end"));
        refuses(&server, "A: {from: infisical/K11}", DANGLING, &["more than 10 steps"]);
    }
}

#[test]
fn a_target_that_may_not_be_read_is_denied_by_name() {
    let restrict = |world: &mut World| {
        let identity = Identity::new(CLIENT_ID, CLIENT_SECRET).may_describe("dev", "/").may_read("dev", "/");
        world.project(PROJECT, "payroll", &["dev", "prod"]).add_identity(identity);
        world.secret("dev", "/", "URL", "<${prod.app.KEY}>").secret("dev", "/", "PLAIN", "plain");
        world.secret("prod", "/app", "KEY", "never");
        let token = ServiceToken::new(SERVICE_TOKEN).scope("dev", "/");
        world.service_token(token);
    };
    for generation in BOTH {
        let server = Infisical::new(generation).with(restrict).start();
        for variables in [URL, TWO] {
            refuses(&server, variables, DENIED, &["`URL`", "`${prod.app.KEY}`", "`KEY` in folder `/app`"]);
        }
        let _ = discreet(against(&server, TWO).get("B").run(), &server).code(0).stdout("plain");
        // A token of one folder would be answered for that folder, whatever is asked.
        let options = options_with(&server.url(), "{method: service_token, token: '${TOKEN}'}");
        let run = || Dsops::new().env("TOKEN", SERVICE_TOKEN).config(file(&options, URL));
        let expected = Expected { exit: 4, code: DENIED, says: &["`${prod.app.KEY}`"], advises: "" };
        fails(run, Some(&server), &expected);
    }
}

#[test]
fn a_list_that_is_refused_for_one_reference_does_not_take_the_others_along() {
    for generation in BOTH {
        let mut prepared = Infisical::new(generation).with(|world| {
            let identity =
                Identity::new(CLIENT_ID, CLIENT_SECRET).may_describe("dev", "/").may_read("dev", "/");
            world.project(PROJECT, "payroll", &["dev", "prod"]).add_identity(identity);
            world.secret("prod", "/", "KEY", "never").secret("dev", "/", "HOST", &value("host"));
            world.secret("dev", "/", "CLOSED", "${prod.KEY}");
        });
        let mut variables = "CLOSED: {from: infisical/CLOSED}\n".to_owned();
        for name in 0..5 {
            prepared = prepared.secret("dev", "/", &format!("K{name}"), "${HOST}");
            variables.push_str(&format!("V{name}: {{from: infisical/K{name}}}\n"));
        }
        let server = prepared.start();
        let run = against(&server, &variables).args(["--error-format", "json"]).exec("true").run().code(125);
        let errors = discreet(run, &server).stderr_json();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0]["variables"], serde_json::json!(["CLOSED"]));
    }
}

#[test]
fn an_imported_value_refers_to_secrets_of_the_folder_that_it_comes_from() {
    for prepared in servers() {
        let server = prepared
            .secret("dev", "/shared", "HOST", &value("shared"))
            .secret("dev", "/app", "HOST", &value("of the importer"))
            .secret("dev", "/shared", "URL", "<${HOST}>")
            .secret("dev", "/shared", "BROKEN", "<${GONE}>")
            .secret("dev", "/app", "GONE", &value("of the importer"))
            .secret("dev", "/deeper", "DEEP", "<${FAR}>")
            .secret("dev", "/deeper", "FAR", &value("far"))
            .import(("dev", "/app"), ("dev", "/shared"))
            .import(("dev", "/shared"), ("dev", "/deeper"))
            .start();
        let variables =
            "A: {from: infisical/app/URL}\nB: {from: infisical/app/DEEP}\nC: {from: infisical/app/HOST}";
        let run = against(&server, variables).exec("printenv A B C").run();
        let expected = format!("<{}>\n<{}>\n{}\n", value("shared"), value("far"), value("of the importer"));
        let _ = discreet(run, &server).code(0).stdout(expected);
        for (name, expected) in [("URL", "shared"), ("DEEP", "far")] {
            let variable = format!("A: {{from: infisical/app/{name}}}");
            let run = against(&server, &variable).get("A").run();
            let _ = discreet(run, &server).code(0).stdout(format!("<{}>", value(expected)));
        }
        refuses(&server, "A: {from: infisical/app/BROKEN}", DANGLING, &["`BROKEN`", "`${GONE}`", "/shared"]);
        let import = "import: {store: infisical/app, prefix: X_}";
        let run = against(&server, import).exec("true").run().code(125);
        let _ = discreet(run, &server).stderr_has(DANGLING).stderr_has("GONE");
    }
}

#[test]
fn a_reference_that_only_an_import_would_answer_is_believed_where_the_server_answers_it() {
    for prepared in servers() {
        let server = prepared
            .secret("dev", "/app", "URL", "<${HOST}>")
            .secret("dev", "/shared", "HOST", &value("host"))
            .import(("dev", "/app"), ("dev", "/shared"))
            .start();
        refuses(&server, "A: {from: infisical/app/URL}", DANGLING, &["by an import only"]);
    }
}

#[test]
fn a_pinned_version_is_expanded_against_the_targets_of_today() {
    for prepared in servers() {
        let server = prepared
            .secret("dev", "/", "HOST", &value("host"))
            .secret("dev", "/", "URL", "one ${HOST}")
            .secret("dev", "/", "URL", "two ${GONE}")
            .secret("dev", "/", "PLAIN", "x")
            .start();
        for variables in
            ["A: {from: infisical/URL@v1}", "A: {from: infisical/URL@v1}\nB: {from: infisical/PLAIN}"]
        {
            let run = against(&server, variables).get("A").run();
            let _ = discreet(run, &server).code(0).stdout(format!("one {}", value("host")));
        }
        refuses(&server, "A: {from: infisical/URL@v2}", DANGLING, &["`${GONE}`"]);
    }
}

#[test]
fn a_name_that_only_lists_show_is_expanded_by_a_list() {
    let long = "N".repeat(101);
    for prepared in servers() {
        let server = prepared
            .secret("dev", "/", "HOST", &value("host"))
            .secret("dev", "/", &long, "<${HOST}>")
            .start();
        let run = against(&server, &format!("A: {{from: infisical/{long}}}")).get("A").run();
        let _ = discreet(run, &server).code(0).stdout(format!("<{}>", value("host")));
    }
}
