//! Credentials that lie in files: `{file: path}` and `{systemd: name}`.

use crate::lab::{CLIENT_ID, CLIENT_SECRET, Exec, LOGIN, discreet, file, options_with, server, value};
use crate::support::Dsops;
use crate::support::infisical::{Generation, Server};

fn project() -> Server {
    server(Generation::July2026).secret("dev", "/", "ONE", &value("one")).start()
}

/// Prepares a run whose client secret is what `secret` says, as YAML.
fn run(server: &Server, secret: &str) -> Dsops {
    let auth = format!("{{client_id: '${{INFISICAL_CLIENT_ID}}', client_secret: {secret}}}");
    let dsops = Dsops::new().env("INFISICAL_CLIENT_ID", CLIENT_ID);
    dsops.config(file(&options_with(&server.url(), &auth), "A: {from: infisical/ONE}"))
}

#[test]
fn a_file_gives_a_credential_without_the_line_break_at_its_end() {
    for end in ["", "\n", "\r\n"] {
        let server = project();
        let run =
            run(&server, "{file: secrets/client}").file("secrets/client", format!("{CLIENT_SECRET}{end}"));
        // The path starts where the file is, and not where the command runs.
        let output = run.directory("below").exec("printf %s \"$A\"").run().code(0);
        let _ = discreet(output, &server).stdout(value("one"));
    }
}

#[test]
fn a_path_may_name_variables_and_the_home_directory() {
    let server = project();
    let run = run(&server, "{file: '~/${WHERE}/client'}").file("../home/keys/client", CLIENT_SECRET);
    let output = run.env("WHERE", "keys").exec("printf %s \"$A\"").run().code(0);
    let _ = discreet(output, &server).stdout(value("one"));
}

#[test]
fn systemd_gives_a_credential_by_its_name() {
    let server = project();
    let run = run(&server, "{systemd: infisical}").file("../credentials/infisical", CLIENT_SECRET);
    let directory = run.path("../credentials");
    let output = run.env("CREDENTIALS_DIRECTORY", directory).exec("printf %s \"$A\"").run().code(0);
    let _ = discreet(output, &server).stdout(value("one"));
}

#[test]
fn what_cannot_be_read_stops_the_run_before_anything_is_asked() {
    for (secret, says, advises) in [
        ("{file: nowhere}", "nowhere` is not there", "correct the path"),
        ("{file: empty}", "empty` is empty", "write the credential"),
        ("{file: .}", "cannot be read", "correct the path"),
        ("{file: large}", "larger than 1 MiB", "correct the path"),
        ("{systemd: infisical}", "`CREDENTIALS_DIRECTORY` is not set", "LoadCredential=infisical:"),
    ] {
        let server = project();
        let run = run(&server, secret).file("empty", "\n").file("large", vec![b'x'; (1 << 20) + 1]);
        let output = run.exec("echo started").run().code(125).stdout_empty();
        let output = discreet(output, &server).stderr_has("dsops::config::credential_file");
        let _ = output.stderr_has(says).stderr_has(advises).stderr_has("dsops.yaml:3:");
        assert_eq!(server.total(), 0, "{secret}");
    }
    let server = project();
    let run = run(&server, "{systemd: gone}").env("CREDENTIALS_DIRECTORY", "/nonexistent");
    let output = run.exec("echo started").run().code(125);
    let _ = output.stderr_has("/nonexistent/gone` is not there").stderr_has("LoadCredential=gone:");
}

#[test]
fn mistakes_are_found_without_reading_anything() {
    for (secret, says) in [
        ("{systemd: ../shadow}", "no name of a systemd credential"),
        ("{systemd: ''}", "no name of a systemd credential"),
        ("{file: ''}", "a file without a name"),
        ("{file: a, systemd: b}", "a credential"),
        ("{path: a}", "a credential"),
        ("{file: [a]}", "a credential"),
    ] {
        let server = project();
        let _ = run(&server, secret).args(["validate"]).run().code(3).stderr_has(says);
    }
    let server = project();
    let _ = run(&server, "{file: nowhere}").args(["validate", "--strict"]).run().code(0);
    let _ = run(&server, "{file: '${NOWHERE}'}")
        .exec("true")
        .run()
        .code(125)
        .stderr_has("`${NOWHERE}` is not set");
    // A name out of the environment is checked like one of the file.
    let escape = run(&server, "{systemd: '${NAME}'}").env("NAME", "../../etc/passwd");
    let escape = escape.env("CREDENTIALS_DIRECTORY", "/tmp/x");
    let _ = escape.exec("true").run().code(125).stderr_has("no name of a systemd credential");
    assert_eq!(server.count(LOGIN), 0);
}

#[test]
fn a_report_shows_where_a_credential_lies() {
    let server = project();
    let output = run(&server, "{file: /run/secrets/infisical}").exec("true").run().code(125);
    let _ = output.stderr_has("client_secret: {file: /run/secrets/infisical}");
}

#[test]
fn a_pipe_or_a_device_keeps_nobody_waiting() {
    let server = project();
    let waits = run(&server, "{file: pipe}");
    nix::unistd::mkfifo(&waits.path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let _ = waits.exec("echo started").run().code(125).stdout_empty().stderr_has("it is a pipe or");
    let _ = run(&server, "{file: /dev/zero}").exec("true").run().code(125).stderr_has("it is a pipe or");
    assert_eq!(server.total(), 0);
}

#[test]
fn another_mistake_of_the_file_makes_no_mistake_of_a_credential() {
    let server = project();
    for secret in ["{file: nope}", "{systemd: name}", "{from: {store: other/KEY}}", "'${SECRET}'"] {
        let options =
            options_with(&server.url(), &format!("{{client_id: '${{ID}}', client_secret: {secret}}}"));
        let config = file(&options, "A: {from: infisical/ONE}")
            .replace("envs:", "  other: {type: env}\nenvironments: {}\nenvs:");
        let errors = Dsops::new().config(config).args(["--error-format", "json", "validate"]).run().code(3);
        let codes: Vec<_> = errors.stderr_json().iter().map(|error| error["message"].clone()).collect();
        assert_eq!(codes, ["unknown key `environments`"], "{secret}");
    }
    let options = options_with(&server.url(), "{client_id: '${ID}', client_secret: {path: nope}}");
    let config = file(&options, "A: {from: infisical/ONE}").replace("envs:", "environments: {}\nenvs:");
    let output = Dsops::new().config(config).args(["validate"]).run().code(3);
    let _ = output.stderr_has("unknown key `path`").stderr_has("`from`, `file` and `systemd`");
}
