//! `dsops init --type infisical` with a login: what it writes works at once, and holds no credential and no value.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use nix::pty::openpty;

use super::lab::{CANARY, CLIENT_ID, CLIENT_SECRET, PROJECT, discreet, value};
use crate::support::infisical::{Fault, Generation, Identity, Infisical, Server};
use crate::support::{Dsops, Output};

const OTHER: &str = "f6cba663-585b-4add-b15b-060d022ce8de";

fn project(generation: Generation) -> Infisical {
    Infisical::new(generation)
        .project(PROJECT, "payroll", &["dev", "prod", "qa"])
        .secret("dev", "/", "URL", &value("url"))
        .secret("dev", "/", "odd name", &value("odd"))
        .secret("dev", "/", "import", &value("import"))
        .secret("dev", "/db", "PASSWORD", &value("db"))
        .secret("dev", "/db", "URL", &value("db-url"))
        .secret("dev", "/mail-out", "PASSWORD", &value("mail"))
        .secret("dev", "/mail-out", "SENDER", &value("sender"))
        .secret("dev", "/mail-out/deeper", "DEEP", &value("deep"))
        .secret("prod", "/", "URL", &value("prod-url"))
        .identity(CLIENT_ID, CLIENT_SECRET)
}

fn init(server: &Server, args: &[&str]) -> Dsops {
    with_credentials(Dsops::new()).args(["init", "--type", "infisical", "--host", &server.url()]).args(args)
}

fn with_credentials(run: Dsops) -> Dsops {
    run.env("INFISICAL_UNIVERSAL_AUTH_CLIENT_ID", CLIENT_ID)
        .env("INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET", CLIENT_SECRET)
}

fn written(output: &Output) -> String {
    let text = String::from_utf8(output.read("dsops.yaml")).unwrap();
    assert!(!text.contains(CLIENT_SECRET) && !text.contains(CLIENT_ID) && !text.contains(CANARY), "{text}");
    text
}

/// Runs another command on what a first one wrote.
fn then(output: &Output, args: &[&str]) -> Output {
    with_credentials(Dsops::new()).config(output.read("dsops.yaml")).args(args).run()
}

#[test]
fn a_login_fills_the_file_so_that_it_works_at_once() {
    for generation in [Generation::June2025, Generation::July2026] {
        let server = project(generation).start();
        let output = discreet(init(&server, &[]).run().code(0).stderr_empty(), &server).never_shows(CANARY);
        let output = output.stdout_has("wrote dsops.yaml\n").stdout_has("dsops exec --env dev -- env");
        assert!(!String::from_utf8_lossy(output.stdout_bytes()).contains("project's id"));
        let text = written(&output);
        for line in [
            "  infisical-dev: &infisical",
            "    project_id: 9cd41904-ea03-4da2-aff5-cafa69d1eadc # Payroll",
            "      client_id: ${INFISICAL_UNIVERSAL_AUTH_CLIENT_ID}",
            "  infisical-prod:\n    <<: *infisical\n    environment: prod",
            "    URL: {from: {store: infisical-dev/URL}}",
            "    DB_PASSWORD: {from: {store: infisical-dev/db/PASSWORD}}",
            "    DB_URL: {from: {store: infisical-dev/db/URL}}",
            "    MAIL_OUT_PASSWORD: {from: {store: infisical-dev/mail-out/PASSWORD}}",
            "    SENDER: {from: {store: infisical-dev/mail-out/SENDER}}",
            "    # Not a variable's name: /import",
            "    # Not a variable's name: /odd name",
            "    URL: {from: {store: infisical-prod/URL}}",
            "  qa:\n    # No secret here",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        assert!(!text.contains("DEEP"), "{text}");
        assert_eq!(server.logins(), 1);
        let _ = then(&output, &["validate"]).code(0).stderr_empty();
        for environment in ["dev", "prod", "qa"] {
            let _ = then(&output, &["doctor", "--env", environment]).code(0);
        }
        let script = "echo $URL $DB_URL $DB_PASSWORD $MAIL_OUT_PASSWORD $SENDER";
        let run = then(&output, &["exec", "--env", "dev", "--", "sh", "-c", script]).code(0);
        let values = ["url", "db-url", "db", "mail", "sender"].map(value).join(" ");
        let _ = run.stdout(format!("{values}\n"));
        let run = then(&output, &["exec", "--env", "prod", "--", "printenv", "URL"]).code(0);
        let _ = run.stdout(format!("{}\n", value("prod-url")));
    }
}

#[test]
fn environments_are_chosen_by_slug_or_by_the_name_that_people_see() {
    let server = project(Generation::July2026).start();
    let output = init(&server, &["--env", "production"]).run().code(0);
    let text = written(&output);
    assert!(text.contains("  infisical:\n") && text.contains("    environment: prod\n"), "{text}");
    assert!(text.contains("  production:\n    URL: {from: {store: infisical/URL}}"), "{text}");
    let _ = then(&output, &["exec", "--env", "production", "--", "printenv", "URL"]).code(0);
    let output = init(&server, &["--env", "dev", "--env", "staging"]).run().code(2);
    let output = output.stderr_has("no environment `staging`").stderr_has("`dev`, `prod` and `qa`");
    assert!(!output.path("dsops.yaml").exists());
}

#[test]
fn one_of_several_projects_is_named() {
    let server = project(Generation::July2026).project(OTHER, "website", &["dev"]).start();
    let output = init(&server, &[]).run().code(2).stdout_empty();
    let output = output.stderr_has("several projects").stderr_has("`--project`: `payroll` and `website`");
    assert!(!output.path("dsops.yaml").exists());
    for named in [["--project", "website"], ["--project", "Website"], ["--project-id", OTHER]] {
        let output = init(&server, &named).run().code(0);
        assert!(written(&output).contains(OTHER));
    }
    let _ = init(&server, &["--project", "web"]).run().code(5).stderr_has("project not found");
}

#[test]
fn a_refused_login_writes_nothing_and_a_server_that_is_not_there_leaves_a_file_to_fill_in() {
    let server = project(Generation::July2026).start();
    let output = init(&server, &[]).env("INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET", "wrong").run();
    let output = output.code(4).stdout_empty().stderr_has("refused the login");
    assert!(!output.path("dsops.yaml").exists());
    assert_eq!(server.logins(), 1);
    let silent = project(Generation::July2026).fault("*", Fault::status(503)).start();
    let output = init(&silent, &[]).run().code(0).stderr_has("nothing is taken from Infisical");
    assert!(written(&output).contains("00000000"));
    let output = init(&silent, &["--offline"]).run().code(0).stderr_empty();
    assert!(written(&output).contains("DATABASE_URL"));
    let nobody =
        project(Generation::July2026).identity_with(Identity::new("nobody", "secret").member_of(&[]));
    let nobody = nobody.start();
    let run = init(&nobody, &[]).env("INFISICAL_UNIVERSAL_AUTH_CLIENT_ID", "nobody");
    let run = run.env("INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET", "secret").run();
    let _ = run.code(4).stderr_has("in no project").stderr_has("Access Control");
}

/// Says whether a terminal shows what is typed.
fn echoes(terminal: &File) -> bool {
    let flags = nix::sys::termios::tcgetattr(terminal).unwrap().local_flags;
    flags.contains(nix::sys::termios::LocalFlags::ECHO)
}

#[test]
fn credentials_can_be_typed_and_are_neither_shown_nor_kept() {
    let server = project(Generation::July2026).project(OTHER, "website", &["dev"]).start();
    let dir = tempfile::tempdir().unwrap();
    let terminal = openpty(None, None).unwrap();
    let mut keyboard = File::from(terminal.master);
    let answers = format!("\n{CLIENT_ID}\n{CLIENT_SECRET}\npayroll\n");
    // The terminal is the program's own, since a secret is asked for there and not on standard input.
    let slave = File::from(terminal.slave);
    let mut child = Command::new("setsid")
        .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_dsops"), "init", "--type", "infisical", "--host"])
        .arg(server.url())
        .current_dir(dir.path())
        .env_clear()
        .env("HOME", dir.path())
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::from(slave.try_clone().unwrap()))
        .stdout(Stdio::from(slave.try_clone().unwrap()))
        .stderr(Stdio::from(slave))
        .spawn()
        .unwrap();
    let mut screen = keyboard.try_clone().unwrap();
    let (sender, shown) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut text, mut chunk) = (String::new(), [0; 4096]);
        // Reading fails once the program and its terminal are gone.
        while let Ok(read @ 1..) = screen.read(&mut chunk) {
            text.push_str(&String::from_utf8_lossy(&chunk[..read]));
            let _ = sender.send(text.clone());
        }
    });
    let mut seen = String::new();
    for (asked, answer) in
        ["name of the store", "client id", "client secret", "project, or"].into_iter().zip(answers.lines())
    {
        while !seen.contains(asked) {
            seen = shown
                .recv_timeout(std::time::Duration::from_secs(10))
                .unwrap_or_else(|_| panic!("{asked}: {seen}"));
        }
        // What is typed before the terminal is told to show nothing would be shown.
        while asked == "client secret" && echoes(&keyboard) {
            std::thread::yield_now();
        }
        keyboard.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }
    assert!(child.wait().unwrap().success(), "{seen}");
    while let Ok(more) = shown.recv_timeout(std::time::Duration::from_millis(100)) {
        seen = more;
    }
    assert!(!seen.contains(CLIENT_SECRET), "{seen}");
    assert!(seen.contains("export INFISICAL_CLIENT_SECRET=…"), "{seen}");
    let text = std::fs::read_to_string(dir.path().join("dsops.yaml")).unwrap();
    assert!(text.contains("${INFISICAL_CLIENT_ID}") && text.contains(PROJECT), "{text}");
    assert!(!text.contains(CLIENT_ID) && !text.contains(CLIENT_SECRET), "{text}");
}
