//! Under systemd: a service that says it is ready from the process that systemd started, and encrypted credentials.
//!
//! `tests/peers/systemd.py` does the same with systemd itself.

use std::fs;
use std::io::IoSliceMut;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::sys::socket::sockopt::PassCred;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, setsockopt};

use crate::support::compiled::compiled;
use crate::support::{Dsops, Running};

/// Starts the service under dsops and returns the message with the pid that the kernel says sent it.
fn notified(options: &[&str]) -> (Running, String, i32) {
    let dsops = Dsops::new().config("envs: {dev: {A: {literal: x}}}");
    let path = dsops.path("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    setsockopt(&socket, PassCred, &true).expect("credentials");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    let service = compiled("tests/cli/service.c");
    let run = dsops.env("NOTIFY_SOCKET", &path).args(["exec", "--env", "dev"]).args(options).args(["--"]);
    let running = run.args([service]).start();

    let mut text = [0; 64];
    let mut slices = [IoSliceMut::new(&mut text)];
    let mut space = nix::cmsg_space!(nix::sys::socket::UnixCredentials);
    let message = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty())
        .expect("a message");
    let length = message.bytes;
    let sender = message.cmsgs().expect("control messages").find_map(|message| match message {
        ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.pid()),
        _ => None,
    });
    let sender = sender.expect("the sender");
    (running, String::from_utf8(text[..length].to_vec()).expect("text"), sender)
}

#[test]
fn a_service_says_that_it_is_ready_from_the_process_that_systemd_started() {
    let (running, text, sender) = notified(&[]);
    assert_eq!(text, "READY=1");
    assert_eq!(sender, running.pid().as_raw(), "systemd would take it for another process");
}

#[test]
fn a_service_beside_which_dsops_stays_is_another_process() {
    // What `NotifyAccess=all` is for; the guide says so.
    let (running, text, sender) = notified(&["--timeout", "1m"]);
    assert_eq!(text, "READY=1");
    assert_ne!(sender, running.pid().as_raw());
}

const CONFIG: &str = "envs: {dev: {A: {literal: s3cret-one}, B: {literal: \"s3cret\\n two\\n\"}}}";

/// In the place of systemd-creds: keeps its arguments and its environment, and "encrypts".
const PROGRAM: &str = "#!/bin/sh\necho \"$*\" >> calls\nenv > environment\nif [ -f fail ]; then cat fail >&2; exit 1; fi\n\
    echo encrypted; tr 'a-z' 'b-za'\n";

fn with_program() -> Dsops {
    let dsops = Dsops::new().config(CONFIG).program("bin/systemd-creds", PROGRAM).file("creds/A", "old");
    let path = format!("{}:/usr/bin:/bin", dsops.path("bin").display());
    dsops.env("PATH", path).env("OTHER", "x")
}

const RENDER: [&str; 7] = ["render", "--env", "dev", "--format", "systemd-creds", "--out", "creds"];

#[test]
fn each_value_is_encrypted_under_its_name_and_is_no_argument() {
    let output = with_program().args(RENDER).args(["--with-key", "host"]).run().code(0).stdout_empty();
    let calls = String::from_utf8(output.read("calls")).expect("text");
    assert_eq!(calls, "encrypt --name=A --with-key=host - -\nencrypt --name=B --with-key=host - -\n");
    assert_eq!(output.read("creds/A"), b"encrypted\nt3dsfu-pof");
    assert_eq!(output.read("creds/B"), b"encrypted\nt3dsfu\n uxp\n");
    for name in ["A", "B"] {
        let mode = fs::metadata(output.path("creds").join(name)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let environment = String::from_utf8(output.read("environment")).expect("text");
    assert!(!environment.contains("s3cret") && !environment.contains("OTHER"), "{environment}");
    let _ = output.stderr_has("wrote 2 credentials");
}

#[test]
fn what_cannot_be_encrypted_leaves_the_old_files_and_says_what_to_do() {
    for (said, advice) in [
        ("TPM2 support not installed: s3cret-one", "`--with-key host`"),
        ("Failed to read local host key: Permission denied", "systemd-creds setup"),
        ("something else s3cret", "systemd-creds setup"),
    ] {
        let output = with_program().file("fail", said).args(RENDER).run().code(6).stdout_empty();
        assert_eq!(output.read("creds/A"), b"old");
        let _ = output
            .stderr_has("dsops::render::program")
            .stderr_has("`A`")
            .stderr_has(advice)
            .never_shows("s3cret");
    }
    let output = with_program().env("PATH", "/nowhere").args(RENDER).run().code(6);
    let _ = output.stderr_has("`systemd-creds` is not on `PATH`");
}

#[test]
fn credentials_go_to_a_directory_that_is_there_and_may_be_written_to() {
    let render = |out: &[&str]| with_program().args(&RENDER[..5]).args(out).run();
    let _ = render(&[]).code(2).stderr_has("--out DIR");
    let _ = render(&["--out", "-"]).code(2);
    let _ = render(&["--out", "none"]).code(6).stderr_has("make the directory first");
    let _ = render(&["--out", "dsops.yaml"]).code(2).stderr_has("names no directory");
    let _ = with_program()
        .args(["render", "-e", "dev", "--with-key", "host"])
        .run()
        .code(2)
        .stderr_has("--with-key");
    let denied = format!("{CONFIG}\npolicies: {{output_restrictions: {{blocked_paths: ['/B$']}}}}\n");
    let output = with_program().config(denied).args(RENDER).run().code(10);
    assert_eq!(output.read("creds/A"), b"old");
}
