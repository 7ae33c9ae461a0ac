//! What must hold whatever is in the file, on the command line, or on the other side of a connection.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::Dsops;

const VALUE: &str = "hunter2-VALUE";

/// A server that gives every request these bytes and then breaks off, and counts the requests.
fn answering(answer: &'static str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            let mut read = 0;
            // Head and body may come apart; the body of a login ends with a brace.
            while read == 0 || !request[..read].ends_with(b"}") {
                match stream.read(&mut request[read..]) {
                    Ok(more @ 1..) => read += more,
                    _ => break,
                }
            }
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (port, count)
}

fn infisical(host: &str) -> String {
    format!(
        "secretStores:\n  s:\n    type: infisical\n    host: '{host}'\n    \
         project_id: 64f7e4d2-1234-5678-abcd-1234567890ab\n    environment: dev\n    \
         auth: {{client_id: '${{ID}}', client_secret: '${{SECRET}}'}}\nenvs: {{dev: {{A: {{from: s/K}}}}}}\n"
    )
}

fn logging_in(host: &str) -> Dsops {
    Dsops::new().config(infisical(host)).env("ID", "id").env("SECRET", VALUE)
}

#[test]
fn a_refused_login_is_not_repeated_where_the_refusal_cannot_be_read() {
    for answer in [
        "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: 6\r\n\r\n{\"mess",
        "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{\"mess",
        "HTTP/1.1 403 Forbidden\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\nno!!",
    ] {
        let (port, count) = answering(answer);
        let run = logging_in(&format!("http://127.0.0.1:{port}")).args(["get", "--env", "dev", "A"]);
        let _ = run.run().code(6).stdout_empty().never_shows(VALUE);
        assert_eq!(count.load(Ordering::SeqCst), 1, "{answer}");
    }
}

#[test]
fn a_report_does_not_show_what_stands_in_the_wrong_place() {
    for file in [
        "secretStores:\n  s: {type: exec, command: x, client_secert: hunter2-VALUE}\n",
        "secretStores:\n  s: {type: exec, command: [x, hunter2-VALUE], nothing: 1}\n",
        "envs: {dev: {A: {from: {literal: hunter2-VALUE}}}}\n",
        "envs: {dev: {A: {from: 'admin:hunter2-VALUE'}}}\n",
        "envs: {dev: {A: {from: 'postgres://u:hunter2-VALUE@${PATH}/db'}}}\n",
        "envs: {dev: {A: {literal: {hunter2-VALUE: x}}}}\n",
    ] {
        let _ = Dsops::new().config(file).args(["plan", "--env", "dev"]).run().code(3).never_shows(VALUE);
    }
}

#[test]
fn an_address_with_a_password_or_a_token_is_not_shown() {
    for host in [
        "https://u:hunter2-VALUE@host:99999",
        "user:hunter2-VALUE@host",
        "https://host/?token=hunter2-VALUE",
        "https://u:hun#hunter2-VALUE@host",
    ] {
        let _ = logging_in(host).args(["validate"]).run().code(3).never_shows(VALUE);
        let from_variable = logging_in("${HOST}").env("HOST", host).args(["get", "--env", "dev", "A"]);
        let _ = from_variable.run().code(6).never_shows(VALUE);
    }
}

#[test]
fn a_private_key_in_the_wrong_place_is_not_shown_and_makes_no_file() {
    const KEY: &str = "AGE-SECRET-KEY-1HUNTER2VALUE";
    let lower = KEY.to_lowercase();
    for args in
        [&["init", "--recipient", KEY][..], &["--identity", KEY, "init"], &["rekey", "--recipient", KEY]]
    {
        let output = Dsops::new().args(["local", "--file", "x.age"]).args(args).run();
        let output = output.stdout_empty().never_shows(KEY);
        assert!(!output.path("x.age").exists(), "{args:?}");
        assert!(!output.path(KEY).exists(), "{args:?}");
    }
    for key in [KEY, &lower] {
        let run = Dsops::new().args(["local", "--file", "x.age", "init"]).env("DSOPS_LOCAL_IDENTITY", key);
        let _ = run.run().stdout_empty().never_shows(key);
    }
}

#[test]
fn a_credential_that_comes_from_the_environment_by_way_of_a_store_is_not_inherited() {
    let file = "secretStores:\n  e: {type: env, prefix: MY_}\n  \
                l: {type: exec, command: x, env: {TOKEN: {from: {store: e/TOKEN}}}}\n\
                envs: {dev: {A: {literal: one}}}\n";
    let run = |options: &[&str]| {
        let dsops = Dsops::new().config(file).env("MY_TOKEN", VALUE).env("MY_OTHER", "kept");
        dsops.args(["exec", "--env", "dev"]).args(options).args(["--", "env"]).run().code(0)
    };
    let _ = run(&[]).stdout_has("MY_OTHER=kept").never_shows(VALUE);
    let _ = run(&["--keep-credentials"]).stdout_has(VALUE);
}

#[test]
fn a_default_names_no_other_variable() {
    let file = "secretStores:\n  s: {type: exec, command: x, env: {TOKEN: '${ONE:-${TWO}}'}}\nenvs: {}\n";
    let _ = Dsops::new().config(file).args(["validate"]).run().code(3).stderr_has("dsops.yaml:2:");
}

#[test]
fn a_reference_is_not_answered_with_the_secret_of_a_similar_one() {
    let file = "secretStores:\n  l: {type: literal, values: {a/KEY: one, /a/KEY: two}}\n\
                envs: {dev: {import: {store: l/a}, X: {from: l//a/KEY}}}\n";
    let run =
        Dsops::new().config(file).args(["exec", "--env", "dev", "--", "sh", "-c", "echo $KEY $X"]).run();
    let _ = run.code(0).stdout("one two\n");
}

#[test]
fn render_does_not_replace_a_pipe_or_a_device() {
    let dsops = Dsops::new().config("envs: {dev: {A: {literal: one}}}\n");
    nix::unistd::mkfifo(&dsops.path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    symlink("/dev/null", dsops.path("device")).unwrap();
    symlink("/proc/self/fd/1", dsops.path("stdout")).unwrap();
    let root = dsops.path("");
    for name in ["pipe", "device", "stdout"] {
        let again = Dsops::new().config("envs: {dev: {A: {literal: one}}}\n");
        let out = root.join(name);
        let run = again.args(["render", "--env", "dev", "--format", "json", "--out"]).args([&out]);
        let _ = run.run().code(2).stdout_empty().stderr_has("pipe or a device");
    }
    assert!(root.join("pipe").symlink_metadata().unwrap().file_type().is_fifo());
    assert!(root.join("device").symlink_metadata().unwrap().is_symlink());
}

#[test]
fn a_lock_that_is_a_link_is_neither_followed_nor_waited_for() {
    let dsops = Dsops::new().args(["local", "init"]);
    symlink(dsops.path("elsewhere"), dsops.path(".secrets.age.lock")).unwrap();
    let started = Instant::now();
    let output = dsops.run().code(6).stderr_has("cannot be locked");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(!output.path("elsewhere").exists(), "the link was followed");
}

#[test]
fn a_name_of_this_machine_is_not_looked_up_in_the_network() {
    let (port, count) = answering("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
    let _ = logging_in(&format!("http://secrets.localhost:{port}")).args(["get", "--env", "dev", "A"]).run();
    assert_eq!(count.load(Ordering::SeqCst), 1);
}
