//! What an `exec` store does, with real programs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::contract::conformance::{
    self, CANARY, Inapplicable, Scene, Seed, Subject, list, map, plain, text,
};
use crate::contract::{Descriptor, EnvSnapshot, NoExpansion, Status};

/// Answers from a directory in which each file holds one value as JSON.
const KEEPER: &str = r#"
read -r request
ids=${request#*'"ids":['}; ids=${ids%']}'*}
IFS=',"'
for id in $ids; do
  [ -n "$id" ] || continue
  if [ -f "values/$id" ]; then
    IFS= read -r value < "values/$id"
    values="$values,\"$id\":$value"
  else
    errors="$errors,\"$id\":{\"code\":\"NOT_FOUND\",\"message\":\"no entry of that name\"}"
  fi
done
printf '{"protocolVersion":1,"values":{%s},"errors":{%s}}\n' "${values#,}" "${errors#,}"
"#;

/// Returns a store whose program is a shell script. The shell is the program and the script an
/// argument: a file that was just written cannot always be executed while other threads fork.
fn script(script: &str) -> Scene {
    script_with(script, [])
}

fn script_with<const N: usize>(script: &str, options: [(&str, Node); N]) -> Scene {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("program.sh"), script).unwrap();
    let command = ("command", list([text("/bin/sh"), text("program.sh")]));
    let context = context(dir.path(), &[]);
    Scene::new(map(std::iter::once(command).chain(options))).context(context).keep(dir)
}

fn context(dir: &Path, variables: &[(&str, &str)]) -> Context {
    let path = [("PATH", "/usr/local/bin:/usr/bin:/bin")];
    let env: EnvSnapshot = path.iter().chain(variables).copied().collect();
    Context::builder().env(env).base_dir(dir).build().for_store("custom", None)
}

struct Keeper;

#[async_trait]
impl Subject for Keeper {
    fn descriptor(&self) -> Descriptor {
        Descriptor::of::<Exec>()
    }

    async fn holding(&self, seeds: &[Seed]) -> Scene {
        let scene = script(KEEPER);
        let values = scene.context.resolve_path("values");
        fs::create_dir(&values).unwrap();
        for seed in seeds {
            let json = serde_json::to_string(std::str::from_utf8(&seed.value).unwrap()).unwrap();
            fs::write(values.join(&seed.path), json + "\n").unwrap();
        }
        scene
    }

    async fn expired(&self, _: &[Seed]) -> Result<Scene, Inapplicable> {
        Ok(script(
            r#"
            read -r request
            ids=${request#*'"ids":['}; ids=${ids%']}'*}
            [ -n "$ids" ] || exit 1
            IFS=',"'
            for id in $ids; do
              [ -n "$id" ] && errors="$errors,\"$id\":{\"code\":\"UNAUTHENTICATED\",\"message\":\"expired\"}"
            done
            printf '{"protocolVersion":1,"errors":{%s}}' "${errors#,}"
            "#,
        ))
    }

    async fn slow(&self, _: &[Seed]) -> Result<Scene, Inapplicable> {
        Ok(script("sleep 60"))
    }

    async fn garbage(&self) -> Result<Vec<(&'static str, Scene)>, Inapplicable> {
        let saying = |answer: &str| script(&format!("cat <<'END'\n{answer}\nEND\n"));
        Ok(vec![
            ("nothing", script("exit 0")),
            ("white space", script("echo; echo")),
            ("HTML", saying(&format!("<html>{CANARY}</html>"))),
            ("cut JSON", saying(&format!(r#"{{"protocolVersion":1,"values":{{"FIRST":"{CANARY}"#))),
            ("a list", saying(&format!(r#"["{CANARY}"]"#))),
            ("no version", saying(&format!(r#"{{"values":{{"FIRST":"{CANARY}","SECOND":""}}}}"#))),
            (
                "another version",
                saying(&format!(r#"{{"protocolVersion":2,"values":{{"FIRST":"{CANARY}"}}}}"#)),
            ),
            ("a version that is text", saying(&format!(r#"{{"protocolVersion":"{CANARY}","values":{{}}}}"#))),
            ("no values", saying(r#"{"protocolVersion":1}"#)),
            ("a number and null", saying(r#"{"protocolVersion":1,"values":{"FIRST":12.50,"SECOND":null}}"#)),
            (
                "values with parts",
                saying(&format!(
                    r#"{{"protocolVersion":1,"values":{{"FIRST":["{CANARY}"],"SECOND":{{"a":"{CANARY}"}}}}}}"#
                )),
            ),
            (
                "values of the wrong shape",
                saying(&format!(r#"{{"protocolVersion":1,"values":["{CANARY}"]}}"#)),
            ),
            (
                "two documents",
                saying(&format!(
                    r#"{{"protocolVersion":1,"values":{{"FIRST":"{CANARY}","SECOND":"x"}}}} {{}}"#
                )),
            ),
            (
                "bytes that are not UTF-8",
                script(r#"printf '{"protocolVersion":1,"values":{"FIRST":"\377","SECOND":"\377"}}'"#),
            ),
        ])
    }
}

#[tokio::test]
async fn it_conforms() {
    conformance::run(&Keeper).await;
}

async fn fetch_in(
    scene: &Scene,
    timeout: Option<Duration>,
    ids: &[&str],
) -> Vec<Result<Vec<u8>, FetchError>> {
    let provider = scene.open(&Descriptor::of::<Exec>()).unwrap();
    let cx = scene.context.for_store("custom", timeout);
    let locators: Vec<Locator> = ids.iter().map(|id| Locator::new(*id)).collect();
    let answers = provider.fetch(&cx, &locators).await.into_vec();
    answers.into_iter().map(|answer| answer.map(|value| value.expose().to_vec())).collect()
}

async fn fetch(scene: &Scene, ids: &[&str]) -> Vec<Result<Vec<u8>, FetchError>> {
    fetch_in(scene, Some(Duration::from_secs(60)), ids).await
}

async fn refused(scene: &Scene) -> FetchError {
    fetch(scene, &["ID"]).await.pop().unwrap().unwrap_err()
}

#[tokio::test]
async fn the_program_gets_one_line_with_each_id_once_and_the_name_of_the_store() {
    let scene = script(
        r#"cat > request; echo run >> runs; printf '{"protocolVersion":1,"values":{"a/b":"1","c\"d@v2":"2"}}'"#,
    );
    let answers = fetch(&scene, &["a/b", "c\"d@v2", "a/b"]).await;
    let values: Vec<Vec<u8>> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(values, [b"1", b"2", b"1"]);
    let request = fs::read_to_string(scene.context.resolve_path("request")).unwrap();
    assert_eq!(request, "{\"protocolVersion\":1,\"provider\":\"custom\",\"ids\":[\"a/b\",\"c\\\"d@v2\"]}\n");
    assert_eq!(fs::read_to_string(scene.context.resolve_path("runs")).unwrap(), "run\n");
    assert_eq!(scene.context.meter().processes(), 1);
}

#[tokio::test]
async fn the_environment_is_what_is_passed_and_set_and_nothing_else() {
    let program = r#"env > environment; printf '{"protocolVersion":1,"values":{"ID":""}}'"#;
    let scene = script_with(program, [("env", map([("TOKEN", text("t0ken")), ("LANG", text("C"))]))]);
    let variables =
        [("LC_ALL", "C"), ("LANG", "en"), ("HOME", "/nowhere"), ("OTHER_TOKEN", "x"), ("XLC_", "x")];
    let dir = scene.context.resolve_path("");
    let scene = scene.context(context(&dir, &variables));
    fetch(&scene, &["ID"]).await.pop().unwrap().unwrap();
    let seen = fs::read_to_string(dir.join("environment")).unwrap();
    let mut seen: Vec<&str> = seen
        .lines()
        // The shell's own.
        .filter(|line| !["PWD=", "OLDPWD=", "SHLVL=", "_="].iter().any(|own| line.starts_with(own)))
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        ["HOME=/nowhere", "LANG=C", "LC_ALL=C", "PATH=/usr/local/bin:/usr/bin:/bin", "TOKEN=t0ken"]
    );
}

#[tokio::test]
async fn a_list_of_passed_variables_replaces_the_default() {
    let program = r#"printf '{"protocolVersion":1,"values":{"ID":"%s"}}' "$HOME$SSH_AUTH_SOCK""#;
    let scene = script_with(program, [("pass_env", list([text("SSH_*")]))]);
    let dir = scene.context.resolve_path("");
    let scene = scene.context(context(&dir, &[("HOME", "/home"), ("SSH_AUTH_SOCK", "/sock")]));
    assert_eq!(fetch(&scene, &["ID"]).await.pop().unwrap().unwrap(), b"/sock");
}

#[tokio::test]
async fn arguments_are_passed_as_they_stand() {
    let program = r#"printf '{"protocolVersion":1,"values":{"ID":"%s"}}' "$#:$1:$2""#;
    let scene = script_with(program, [("args", list([text("$(id) *"), text("; true")]))]);
    assert_eq!(fetch(&scene, &["ID"]).await.pop().unwrap().unwrap(), b"2:$(id) *:; true");
}

#[tokio::test]
async fn a_refusal_is_of_the_kind_that_its_code_names() {
    for (code, kind, temporary) in [
        (r#""code":"NOT_FOUND","#, FetchErrorKind::NotFound, false),
        (r#""code":"not_found","#, FetchErrorKind::NotFound, false),
        (r#""code":"FORBIDDEN","#, FetchErrorKind::Forbidden, false),
        (r#""code":"UNAVAILABLE","#, FetchErrorKind::Unavailable, true),
        (r#""code":"E_STRANGE","#, FetchErrorKind::Unavailable, false),
        (r#""code":null,"#, FetchErrorKind::Unavailable, false),
        ("", FetchErrorKind::Unavailable, false),
    ] {
        let scene = script(&format!(
            r#"cat <<'END'
            {{"protocolVersion":1,"values":null,"errors":{{"ID":{{{code}"message":"no\n such\u001b[31m  thing"}}}}}}
END"#
        ));
        let error = refused(&scene).await;
        assert_eq!((error.kind(), error.is_temporary()), (kind, temporary), "{code}");
        assert_eq!(error.message(), "the program refused `ID`: no such[31m thing");
    }
}

#[tokio::test]
async fn one_bad_answer_spoils_no_other() {
    let scene = script(
        r#"printf '{"protocolVersion":1,
            "values":{"good":"v","number":1,"both":"v","twice":"a","twice":"b","unasked":"v"},
            "errors":{"both":{"message":"m"},"bare":{}}}'"#,
    );
    let answers = fetch(&scene, &["good", "number", "both", "twice", "silent", "bare"]).await;
    let told: Vec<String> = answers
        .into_iter()
        .map(|answer| answer.map_or_else(|error| error.message().to_owned(), |_| "ok".to_owned()))
        .collect();
    assert_eq!(
        told,
        [
            "ok",
            "the program gave a number for `number` where a string is needed",
            "the program said more than one thing about `both`",
            "the program said more than one thing about `twice`",
            "the program said nothing about `silent`",
            "the program refused `bare` without a reason",
        ]
    );
}

#[tokio::test]
async fn escapes_are_read_and_half_a_character_is_no_value() {
    let scene = script(
        r#"cat <<'END'
{"protocolVersion":1,"values":{"escaped":"\u0041\n\"\u00e9\ud83d\ude00","half":"\ud800"}}
END"#,
    );
    let answers = fetch(&scene, &["escaped", "half"]).await;
    assert_eq!(answers[0].as_ref().unwrap(), "A\n\"é😀".as_bytes());
    assert_eq!(answers[1].as_ref().unwrap_err().kind(), FetchErrorKind::Malformed);
}

#[tokio::test]
async fn a_bad_end_is_told_and_its_stderr_is_not() {
    let good = r#"printf '{"protocolVersion":1,"values":{"ID":"v"}}'; echo hunter2 >&2;"#;
    for (end, told) in
        [("exit 3", "/bin/sh` exited with code 3"), ("kill -9 $$", "/bin/sh` was ended by signal 9 SIGKILL")]
    {
        let error = refused(&script(&format!("{good} {end}"))).await;
        assert_eq!(error.kind(), FetchErrorKind::Unavailable);
        assert!(!error.is_temporary());
        assert!(error.message().ends_with(told), "{error}");
        assert!(error.advice().is_some_and(|help| help.contains("stderr")));
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn a_program_that_reads_nothing_may_still_answer() {
    // Far more ids than a pipe holds, so that writing them meets a closed pipe.
    let many: Vec<String> = (0..40_000).map(|number| format!("{number}")).collect();
    let ids: Vec<&str> = many.iter().map(String::as_str).chain(["ID"]).collect();
    let scene = script(r#"exec <&-; printf '{"protocolVersion":1,"values":{"ID":"v"}}'"#);
    assert_eq!(fetch(&scene, &ids).await.pop().unwrap().unwrap(), b"v");
}

#[tokio::test]
async fn a_program_that_writes_before_it_reads_does_not_block() {
    let many: Vec<String> = (0..40_000).map(|number| format!("{number}")).collect();
    let ids: Vec<&str> = many.iter().map(String::as_str).chain(["ID"]).collect();
    let scene = script(
        r#"head -c 1000000 /dev/zero | tr '\0' ' '; head -c 1000000 /dev/zero >&2
           cat > /dev/null; printf '{"protocolVersion":1,"values":{"ID":"v"}}'"#,
    );
    assert_eq!(fetch(&scene, &ids).await.pop().unwrap().unwrap(), b"v");
}

#[tokio::test]
async fn endless_output_is_cut_off() {
    let scene = script_with("while :; do echo hunter2; done", [("max_output", plain("1000"))]);
    let error = refused(&scene).await;
    assert_eq!(error.kind(), FetchErrorKind::Malformed);
    assert!(error.message().ends_with("wrote more than 1000 bytes and was ended"), "{error}");
}

/// Waits until a process is gone, a zombie counting as gone: nobody may be there to bury it.
async fn gone(pid: &str) -> bool {
    for _ in 0..500 {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) if !stat.contains(") Z ") => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => return true,
        }
    }
    false
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn at_the_deadline_the_program_and_what_it_started_are_ended() {
    let scene = script("sleep 600 & echo $! > pid; wait");
    // Long enough for the file to be written, unless the machine stands still.
    let timeout = Some(Duration::from_secs(2));
    let error = fetch_in(&scene, timeout, &["ID"]).await.pop().unwrap().unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::TimedOut);
    let pid = fs::read_to_string(scene.context.resolve_path("pid")).unwrap();
    assert!(gone(pid.trim()).await, "it runs on");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_a_program_leaves_running_neither_delays_its_answer_nor_outlives_it() {
    let scene = script(r#"sleep 600 & echo $! > pid; printf '{"protocolVersion":1,"values":{"ID":"v"}}'"#);
    assert_eq!(fetch(&scene, &["ID"]).await.pop().unwrap().unwrap(), b"v");
    let pid = fs::read_to_string(scene.context.resolve_path("pid")).unwrap();
    assert!(gone(pid.trim()).await, "it runs on");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_batch_that_is_given_up_ends_its_program() {
    let scene = script("echo $$ > started; mv started pid; sleep 600");
    let file = scene.context.resolve_path("pid");
    let started = async {
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = fetch(&scene, &["ID"]) => panic!("it answered"),
        () = started => {}
    }
    assert!(gone(fs::read_to_string(&file).unwrap().trim()).await, "it runs on");
}

fn command(dir: &tempfile::TempDir, command: Node, variables: &[(&str, &str)]) -> Scene {
    let env: EnvSnapshot = variables.iter().copied().collect();
    let context = Context::builder().env(env).base_dir(dir.path()).build();
    Scene::new(map([("command", command)])).context(context)
}

#[tokio::test]
async fn a_program_that_is_not_there_or_not_executable_is_named_with_the_places_searched() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("plain.sh"), "#!/bin/sh\n").unwrap();
    let path = dir.path().to_str().unwrap();
    for (name, path, told) in [
        ("no-such-program", path, format!("no program `no-such-program` in `PATH`, which is `{path}`")),
        ("plain.sh", path, format!("no program `plain.sh` in `PATH`, which is `{path}`")),
        ("sh", "", "`sh` cannot be looked for, since `PATH` is not set".to_owned()),
        ("./gone.sh", path, format!("the program `{path}/./gone.sh` is not there")),
        ("./plain.sh", path, format!("the program `{path}/./plain.sh` may not be executed")),
    ] {
        let error = refused(&command(&dir, text(name), &[("PATH", path)])).await;
        assert_eq!(error.kind(), FetchErrorKind::ToolMissing);
        assert_eq!(error.message().replace("/./", "/"), told.replace("/./", "/"));
        assert!(error.advice().is_some());
    }
    let error = refused(&command(&dir, text("op read x"), &[("PATH", path)])).await;
    assert!(error.advice().is_some_and(|help| help.contains("as a list")), "{error:?}");
}

#[tokio::test]
async fn a_relative_path_starts_at_the_file_and_a_name_at_path() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("bin")).unwrap();
    std::os::unix::fs::symlink("/bin/sh", dir.path().join("bin/tool")).unwrap();
    fs::write(dir.path().join("s"), r#"printf '{"protocolVersion":1,"values":{"ID":"v"}}'"#).unwrap();
    let bin = dir.path().join("bin");
    // A relative directory of `PATH` is passed over, even where it would hold the program.
    let path = format!("bin:{}", bin.display());
    for name in ["bin/tool", "tool"] {
        let scene = command(&dir, list([text(name), text("s")]), &[("PATH", &path)]);
        assert_eq!(fetch(&scene, &["ID"]).await.pop().unwrap().unwrap(), b"v");
    }
    let scene = command(&dir, list([text("tool"), text("s")]), &[("PATH", "bin")]);
    assert_eq!(refused(&scene).await.kind(), FetchErrorKind::ToolMissing);
}

#[tokio::test]
async fn a_missing_interpreter_is_told_from_a_missing_program() {
    let dir = tempfile::tempdir().unwrap();
    // Written by another process: a file that this one still had open could not be executed.
    let write = "echo '#!/no/such/interpreter' > script; chmod +x script";
    let written = std::process::Command::new("/bin/sh").args(["-c", write]).current_dir(&dir).status();
    assert!(written.unwrap().success());
    let error = refused(&command(&dir, text("./script"), &[])).await;
    assert_eq!(error.kind(), FetchErrorKind::ToolMissing);
    assert!(error.message().starts_with("the interpreter that"), "{error}");
}

#[tokio::test]
async fn the_check_finds_the_program_and_asks_it_for_nothing() {
    let check = async |scene: &Scene| {
        let provider = scene.open(&Descriptor::of::<Exec>()).unwrap();
        let findings = provider.check(&scene.context).await;
        findings.iter().map(|finding| (finding.step, finding.status)).collect::<Vec<_>>()
    };
    let dir = tempfile::tempdir().unwrap();
    let absent = command(&dir, text("./gone"), &[]);
    assert_eq!(check(&absent).await, [("program", Status::Failed)]);
    let mute = script("exit 0");
    assert_eq!(check(&mute).await, [("program", Status::Ok), ("protocol", Status::Failed)]);
    let good = script(r#"cat > request; printf '{"protocolVersion":1}'"#);
    assert_eq!(check(&good).await, [("program", Status::Ok), ("protocol", Status::Ok)]);
    let request = fs::read_to_string(good.context.resolve_path("request")).unwrap();
    assert!(request.contains(r#""ids":[]"#), "{request}");
}

#[test]
fn options_that_cannot_work_are_refused_before_anything_runs() {
    let sh = || ("command", text("sh"));
    for options in [
        map([("command", list([]))]),
        map([("command", text(""))]),
        map([("command", map([("a", text("b"))]))]),
        map([sh(), ("max_output", plain("0"))]),
        map([sh(), ("env", map([("A=B", text("x"))]))]),
        map([sh(), ("pass_env", list([text("")]))]),
        map([("args", list([]))]),
    ] {
        let error = (Descriptor::of::<Exec>().validate)(&options, &NoExpansion).unwrap_err();
        assert!(!error.message.is_empty());
    }
    (Descriptor::of::<Exec>().validate)(&map([sh()]), &NoExpansion).unwrap();
}
