//! What `exec` hands on and under which names: `--clean`, `--keep`, `--prefix`, credentials, and names that collide.

use crate::support::Dsops;

const FILE: &str = "\
secretStores:
  lit:
    type: literal
    values: {one/A: of-one, one/ONLY: x, two/A: of-two, two/ONLY: x, evil/LD_PRELOAD: /tmp/evil.so, evil/OK: fine, evil/BASH_ENV: /tmp/evil}
envs:
  dev: {A: {literal: a}, PATH_TO: {literal: p}}
  imports: {import: [{store: lit/one}, {store: lit/two}], ONLY: {literal: own}}
  same: {import: [{store: lit/one}], A: {from: lit/one/A}}
  apart: {import: [{store: lit/one}, {store: lit/two, prefix: T_}]}
  evil: {import: [{store: lit/evil}]}
  evil_prefixed: {import: [{store: lit/evil, prefix: APP_}]}
  named: {import: [{store: lit/evil}], LD_PRELOAD: {from: lit/evil/LD_PRELOAD}, BASH_ENV: {literal: ''}}
  path: {PATH: {literal: /nowhere}}
";

fn exec(environment: &str, options: &[&str], script: &str) -> Dsops {
    let run = Dsops::new().config(FILE).args(["exec", "--env", environment]).args(options);
    run.args(["--", "sh", "-c", script])
}

#[test]
fn a_clean_environment_keeps_what_is_named() {
    let script = "echo ${ONE-gone} ${TWO-gone} ${MY_A-gone} ${MY_B-gone} ${OTHER-gone}";
    let run = |options: &[&str]| {
        let run = exec("dev", options, script).env("ONE", "1").env("TWO", "2").env("OTHER", "o");
        run.env("MY_A", "a").env("MY_B", "b").run().code(0).stderr_empty()
    };
    let _ = run(&["--clean"]).stdout("gone gone gone gone gone\n");
    let _ = run(&["--clean", "--keep", "ONE"]).stdout("1 gone gone gone gone\n");
    let _ = run(&["--clean", "--keep", "ONE,MY_*"]).stdout("1 gone a b gone\n");
    let _ = run(&["--clean", "--keep", "ONE", "--keep", "TWO"]).stdout("1 2 gone gone gone\n");
    let _ = run(&["--keep", "ONE"]).stdout("1 2 a b o\n");
}

#[test]
fn a_name_to_keep_that_is_not_there_is_remarked_on() {
    let run = || exec("dev", &["--clean", "--keep", "ONE,TWOO,NO_*"], "true").env("ONE", "1");
    let _ = run().run().code(0).stderr("dsops: --keep names what is not inherited: `TWOO`, `NO_*`\n");
    let quiet =
        Dsops::new().config(FILE).args(["--quiet", "exec", "--env", "dev", "--keep", "TWOO", "--", "true"]);
    let _ = quiet.run().code(0).stderr_empty();
}

#[test]
fn what_is_no_name_to_keep_is_refused() {
    for word in ["", "*", "A=B", "A*B", "A,,B"] {
        let _ = exec("dev", &["--keep", word], "echo started").run().code(125).stdout_empty();
    }
}

const STORES: &str = "\
secretStores:
  one: {type: infisical, project_id: 64f7e4d2-1234-5678-abcd-1234567890ab, environment: dev, auth: {AUTH}}
envs: {dev: {A: {literal: a}}}
";

/// The ways to log in, with the variables that hold what opens the store.
const LOGINS: &[(&str, &[&str])] = &[
    ("client_id: '${ID}', client_secret: '${SECRET}'", &["ID", "SECRET"]),
    ("method: machine_identity", &["INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET"]),
    (
        "method: token_auth",
        &["INFISICAL_TOKEN", "INFISICAL_ACCESS_TOKEN", "INFISICAL_UNIVERSAL_AUTH_ACCESS_TOKEN"],
    ),
    ("method: token_auth, token: '${TOKEN}'", &["TOKEN"]),
    ("method: service_token", &["INFISICAL_TOKEN"]),
    ("method: service_token, service_token: '${ST}'", &["ST"]),
    ("method: api_key, api_key: '${KEY}'", &["KEY"]),
    (
        "method: oidc, identity_id: 00000000-0000-0000-0000-000000000000, token_env: JOB_TOKEN",
        &["JOB_TOKEN", "INFISICAL_ID_TOKEN", "INFISICAL_OIDC_AUTH_JWT"],
    ),
    ("method: oidc, identity_id: 00000000-0000-0000-0000-000000000000, jwt: '${JWT:-x.y.z}'", &["JWT"]),
    (
        "method: jwt, identity_id: 00000000-0000-0000-0000-000000000000",
        &["INFISICAL_JWT", "INFISICAL_AUTH_JWT"],
    ),
    (
        "method: ldap, identity_id: 00000000-0000-0000-0000-000000000000, username: '${WHO}', password: '${WORD}'",
        &["WHO", "WORD", "INFISICAL_LDAP_PASSWORD", "INFISICAL_LDAP_AUTH_PASSWORD"],
    ),
];

#[test]
fn no_way_to_log_in_leaves_its_credential_to_the_command() {
    for (auth, names) in LOGINS {
        let config = STORES.replace("AUTH", auth);
        let run = |options: &[&str], config: &str| {
            let script =
                names.iter().map(|name| format!("echo {name}=${{{name}-gone}};")).collect::<String>();
            let run = Dsops::new().config(config).args(["--quiet", "exec", "--env", "dev"]).args(options);
            let run = run.args(["--", "sh", "-c", &script]);
            names.iter().fold(run, |run, name| run.env(name, "of-the-store")).run().code(0).stderr_empty()
        };
        let lines = |word: &str| names.iter().map(|name| format!("{name}={word}\n")).collect::<String>();
        let _ = run(&[], &config).stdout(lines("gone").as_str());
        let _ = run(&["--clean", "--keep", "I*,S*,J*,T*,K*,W*"], &config).stdout(lines("gone").as_str());
        let _ = run(&["--keep-credentials"], &config).stdout(lines("of-the-store").as_str());
        for options in [&["--keep", &names.join(",")][..], &["--clean", "--keep", &names.join(",")]] {
            let _ = run(options, &config).stdout(lines("of-the-store").as_str());
        }
    }
}

#[test]
fn naming_a_credential_in_the_environment_gives_it_to_the_command() {
    let config = STORES
        .replace("AUTH", "method: service_token")
        .replace("A: {literal: a}", "INFISICAL_TOKEN: {literal: given}");
    let run = Dsops::new()
        .config(config)
        .env("INFISICAL_TOKEN", "of-the-store")
        .args(["exec", "--env", "dev", "--"]);
    let _ = run.args(["sh", "-c", "echo $INFISICAL_TOKEN"]).run().code(0).stdout("given\n");
}

#[test]
fn a_credential_in_a_file_leaves_nothing_behind_but_the_name_of_the_file() {
    let config = STORES.replace("AUTH", "method: service_token, token: {file: '${TOKEN_FILE}'}");
    let run = Dsops::new().config(config).file("token", "st.a.b.c").env("TOKEN_FILE", "token");
    let run = run.args(["exec", "--env", "dev", "--", "sh", "-c", "echo ${TOKEN_FILE-gone}"]).run();
    let _ = run.code(0).never_shows("st.a.b.c");
}

#[test]
fn a_prefix_stands_before_every_name_and_replaces_nothing() {
    let script = "echo $X_A $X_PATH_TO ${A-unset}";
    let _ = exec("dev", &["--prefix", "X_"], script).run().code(0).stdout("a p unset\n").stderr_empty();
    let _ = exec("path", &["--prefix", "X_"], "echo $X_PATH").run().code(0).stdout("/nowhere\n");
    let printed = exec("dev", &["--prefix", "X_", "--print"], "true").run().code(0);
    let _ = printed.stdout_has("X_A ").stdout_has("X_PATH_TO ").stdout_has("literal");
    for word in ["", "1A", "A-", "A B", "A="] {
        let _ = exec("dev", &["--prefix", word], "echo started").run().code(125).stdout_empty();
    }
}

#[test]
fn a_name_of_several_places_is_told_once_with_the_place_that_won() {
    let run = exec("imports", &[], "echo $A $ONLY").run().code(0).stdout("of-two own\n");
    let _ = run.stderr(
        "dsops: `A` is from lit/two, and not from lit/one\n\
                        dsops: `ONLY` is from literal, and not from lit/one, lit/two\n",
    );
    for environment in ["same", "apart"] {
        let _ = exec(environment, &[], "true").run().code(0).stderr_empty();
    }
}

#[test]
fn an_inherited_variable_of_another_value_is_named_when_it_is_replaced() {
    let run = || exec("dev", &[], "echo $A").env("PATH_TO", "p").env("a", "lower");
    let _ = run()
        .env("A", "other")
        .run()
        .code(0)
        .stdout("a\n")
        .stderr("dsops: in place of the inherited variable of another value: A\n");
    // As in a run inside a run; and case tells names apart.
    let _ = run().env("A", "a").run().code(0).stderr_empty();
    let kept = exec("dev", &["--allow-override"], "echo $A").env("A", "other");
    let _ = kept.run().code(0).stdout("other\n").stderr_empty();
}

#[test]
fn an_import_cannot_steer_what_runs() {
    for command in [&["exec", "--env", "evil", "--", "echo", "started"][..], &["render", "--env", "evil"]] {
        let output = Dsops::new().config(FILE).args(command).run();
        let output = output.code(if command[0] == "exec" { 125 } else { 10 }).stdout_empty();
        let _ = output.stderr_has("dsops::environment::steers").stderr_has("`BASH_ENV`, `LD_PRELOAD`");
    }
    // `--allow-missing` is about what is absent.
    let _ = exec("evil", &["--allow-missing"], "echo started").run().code(125).stdout_empty();
    let _ = exec("evil_prefixed", &[], "echo ${APP_LD_PRELOAD} ${LD_PRELOAD-unset}")
        .run()
        .code(0)
        .stdout("/tmp/evil.so unset\n");
    let _ = exec("evil", &["--prefix", "P_"], "echo $P_LD_PRELOAD").run().code(0).stdout("/tmp/evil.so\n");
    // A prefix can make such a name, too.
    let file = "secretStores: {lit: {type: literal, values: {f/PRELOAD: x}}}\nenvs: {dev: {import: {store: lit/f}}}\n";
    let run = Dsops::new().config(file).args(["exec", "--env", "dev", "--prefix", "LD_", "--", "true"]);
    let _ = run.run().code(125).stderr_has("dsops::environment::steers");
}

#[test]
fn what_the_file_names_is_meant() {
    let run = Dsops::new().config(FILE).args(["render", "--env", "named"]).run().code(0);
    let _ = run.stdout_has("LD_PRELOAD=").stdout_has("BASH_ENV=");
}
