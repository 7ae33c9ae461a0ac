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
        [
            "DSOPS_DEPTH=1",
            "HOME=/nowhere",
            "LANG=C",
            "LC_ALL=C",
            "PATH=/usr/local/bin:/usr/bin:/bin",
            "TOKEN=t0ken"
        ]
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
    use FetchErrorKind::{
        Forbidden, Hidden, Malformed, NotFound, RateLimited, TimedOut, ToolMissing, Unauthenticated,
        Unavailable, Unsupported,
    };
    let codes = [
        ("NOT_FOUND", NotFound, false),
        ("not_found", NotFound, false),
        ("UNAUTHENTICATED", Unauthenticated, false),
        ("FORBIDDEN", Forbidden, false),
        ("POLICY", Forbidden, false),
        ("HIDDEN", Hidden, false),
        ("RATE_LIMITED", RateLimited, true),
        ("UNAVAILABLE", Unavailable, true),
        ("TIMED_OUT", TimedOut, false),
        ("MALFORMED", Malformed, false),
        ("AMBIGUOUS_DUPLICATE_KEY", Malformed, false),
        ("TRANSFORM", Malformed, false),
        ("EMPTY", Malformed, false),
        ("PLACEHOLDER", Malformed, false),
        ("UNSUPPORTED", Unsupported, false),
        ("CONFIGURATION", Unsupported, false),
        ("INVALID_ID", Unsupported, false),
        ("NOT_TEXT", Unsupported, false),
        ("TOO_LARGE", Unsupported, false),
        ("TOOL_MISSING", ToolMissing, false),
        ("E_STRANGE", Unavailable, false),
        ("", Unavailable, false),
    ];
    let message = r#""message":"no\n such\u001b[31m  thing""#;
    let refusals: Vec<String> =
        codes.iter().map(|(code, ..)| format!(r#""{code}!":{{"code":"{code}",{message}}}"#)).collect();
    let scene = script(&format!(
        r#"cat <<'END'
        {{"protocolVersion":1,"values":null,"errors":{{"null":{{"code":null,{message}}},"bare":{{{message}}},{}}}}}
END"#,
        refusals.join(",")
    ));
    let ids: Vec<String> = codes.iter().map(|(code, ..)| format!("{code}!")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).chain(["null", "bare"]).collect();
    let expected = codes.iter().map(|(_, kind, temporary)| (*kind, *temporary));
    let expected = expected.chain([(Unavailable, false), (Unavailable, false)]);
    for ((answer, id), (kind, temporary)) in fetch(&scene, &ids).await.into_iter().zip(&ids).zip(expected) {
        let error = answer.unwrap_err();
        assert_eq!((error.kind(), error.is_temporary()), (kind, temporary), "{id}");
        assert_eq!(error.is_absence(), id.eq_ignore_ascii_case("not_found!"), "{id}");
        assert_eq!(error.message(), format!("the program refused `{id}`: no such[31m thing"));
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
    let many: Vec<String> = (0..25_000).map(|number| format!("{number}")).collect();
    let ids: Vec<&str> = many.iter().map(String::as_str).chain(["ID"]).collect();
    let answer = r#"exec <&-; printf '{"protocolVersion":1,"values":{"ID":"v"}}'"#;
    let scene = script_with(answer, [("max_ids", plain("30000"))]);
    assert_eq!(fetch(&scene, &ids).await.pop().unwrap().unwrap(), b"v");
}

#[tokio::test]
async fn a_program_that_writes_before_it_reads_does_not_block() {
    let many: Vec<String> = (0..25_000).map(|number| format!("{number}")).collect();
    let ids: Vec<&str> = many.iter().map(String::as_str).chain(["ID"]).collect();
    let scene = script_with(
        r#"head -c 1000000 /dev/zero | tr '\0' ' '; head -c 1000000 /dev/zero >&2
           cat > /dev/null; printf '{"protocolVersion":1,"values":{"ID":"v"}}'"#,
        [("max_ids", plain("30000"))],
    );
    assert_eq!(fetch(&scene, &ids).await.pop().unwrap().unwrap(), b"v");
    assert_eq!(scene.context.meter().processes(), 1);
}

#[tokio::test]
async fn endless_output_is_cut_off() {
    let scene = script_with("while :; do echo hunter2; done", [("max_output", plain("1000"))]);
    let error = refused(&scene).await;
    assert_eq!(error.kind(), FetchErrorKind::Malformed);
    assert!(error.message().ends_with("wrote more than 1000 bytes and was ended"), "{error}");
}

/// Answers every id with itself, and keeps each request in a file of its own. It says so where it runs beside itself.
const ECHO: &str = r#"
mkdir running || { echo beside >> beside; }
n=0; while [ -e "request$n" ]; do n=$((n+1)); done
cat > "request$n"
ids=$(sed -e 's/.*"ids":\[//' -e 's/\]}$//' -e 's/"\([^"]*\)"/"\1":"\1"/g' "request$n")
printf '{"protocolVersion":1,"values":{%s}}' "$ids"
rmdir running
"#;

fn promised(scene: &Scene, ids: &[&str]) -> usize {
    let locators: Vec<Locator> = ids.iter().map(|id| Locator::new(*id)).collect();
    let cost = (Descriptor::of::<Exec>().cost)(&scene.options, &NoExpansion, &locators, &[]);
    cost.unwrap_or_else(|_| panic!("the options decode")).processes
}

fn requests(scene: &Scene) -> Vec<String> {
    let read = |number| fs::read_to_string(scene.context.resolve_path(&format!("request{number}")));
    (0..).map_while(|number| read(number).ok()).collect()
}

#[tokio::test]
async fn more_ids_than_a_run_may_be_asked_for_are_asked_in_several_runs_one_after_the_other() {
    for (limit, count, runs) in [(None, 512, 1), (None, 513, 2), (Some("3"), 7, 3), (Some("1"), 2, 2)] {
        let scene = match limit {
            Some(limit) => script_with(ECHO, [("max_ids", plain(limit))]),
            None => script(ECHO),
        };
        let many: Vec<String> = (0..count).map(|number| format!("id/{number}")).collect();
        // Each is wanted twice, and asked for once.
        let ids: Vec<&str> = many.iter().chain(&many).map(String::as_str).collect();
        let answers = fetch(&scene, &ids).await;
        for (id, answer) in ids.iter().zip(answers) {
            assert_eq!(answer.unwrap(), id.as_bytes());
        }
        assert_eq!(scene.context.meter().processes(), runs);
        assert_eq!(promised(&scene, &ids), runs);
        let most = limit.map_or(512, |limit| limit.parse().unwrap());
        let asked: Vec<usize> =
            requests(&scene).iter().map(|request| request.matches("\"id/").count()).collect();
        assert!(asked.iter().all(|asked| *asked <= most), "{asked:?}");
        assert_eq!(asked.iter().sum::<usize>(), count);
        assert!(!scene.context.resolve_path("beside").exists(), "two ran at once");
    }
}

#[tokio::test]
async fn a_request_has_256_kib_at_most() {
    let scene = script_with(ECHO, [("max_ids", plain("100000"))]);
    let many: Vec<String> = (0..300).map(|number| format!("{number:04}{}", "x".repeat(1996))).collect();
    let ids: Vec<&str> = many.iter().map(String::as_str).collect();
    for (id, answer) in ids.iter().zip(fetch(&scene, &ids).await) {
        assert_eq!(answer.unwrap(), id.as_bytes());
    }
    let sizes: Vec<usize> = requests(&scene).iter().map(String::len).collect();
    assert!(sizes.iter().all(|size| *size <= 256 << 10), "{sizes:?}");
    assert_eq!(sizes.len(), 3);
    assert_eq!((promised(&scene, &ids), scene.context.meter().processes()), (3, 3));

    // Bytes that JSON escapes count as they are sent.
    let scene = script_with("cat > request0; exit 1", [("max_ids", plain("100000"))]);
    let many: Vec<String> = (0..60_000).map(|number| format!("{number}\u{1}")).collect();
    let ids: Vec<&str> = many.iter().map(String::as_str).collect();
    let _ = fetch(&scene, &ids).await;
    let size = requests(&scene)[0].len();
    assert!((200 << 10..=256 << 10).contains(&size), "{size}");
}

#[tokio::test]
async fn an_id_that_no_request_can_hold_is_refused_and_spoils_no_other() {
    let scene = script(ECHO);
    let long = "x".repeat(256 << 10);
    let answers = fetch(&scene, &["a", &long, "b"]).await;
    assert_eq!(answers[0].as_ref().unwrap(), b"a");
    assert_eq!(answers[1].as_ref().unwrap_err().kind(), FetchErrorKind::Unsupported);
    assert_eq!(answers[2].as_ref().unwrap(), b"b");
    assert_eq!(promised(&scene, &["a", &long, "b"]), 1);
    let descriptor = Descriptor::of::<Exec>();
    let accept = |id: &str| (descriptor.accept)(&scene.options, &NoExpansion, &[Locator::new(id)]);
    assert!(format!("{:?}", accept(&long)).contains("longer than a request"));
    assert!(!format!("{:?}", accept("a")).contains("longer than a request"));
}

#[tokio::test]
async fn what_one_run_gave_stays_when_a_later_one_fails_and_no_other_is_started() {
    let scene = script_with(
        r#"echo run >> runs; read -r request
           case $request in *'"a"'*) printf '{"protocolVersion":1,"values":{"a":"1"}}' ;; *) exit 3 ;; esac"#,
        [("max_ids", plain("1"))],
    );
    let answers = fetch(&scene, &["a", "b", "c"]).await;
    assert_eq!(answers[0].as_ref().unwrap(), b"1");
    for answer in &answers[1..] {
        assert!(answer.as_ref().unwrap_err().message().ends_with("exited with code 3"));
    }
    assert_eq!(fs::read_to_string(scene.context.resolve_path("runs")).unwrap(), "run\nrun\n");
}

#[tokio::test]
async fn a_program_that_is_silent_for_too_long_is_ended() {
    let scene = script_with("sleep 600 & echo $! > pid; wait", [("silence", text("300ms"))]);
    let error = refused(&scene).await;
    assert_eq!(error.kind(), FetchErrorKind::TimedOut);
    assert!(error.message().ends_with("/bin/sh` wrote nothing for 0.3 s and was ended"), "{error}");
    assert!(error.advice().is_some_and(|help| help.contains("`silence`")));
    #[cfg(target_os = "linux")]
    if let Ok(pid) = fs::read_to_string(scene.context.resolve_path("pid")) {
        assert!(gone(pid.trim()).await, "it runs on");
    }
}

#[tokio::test]
async fn any_byte_on_either_stream_breaks_the_silence() {
    // The silence is far longer than a step, and far shorter than the whole.
    for write in ["echo", "echo working >&2"] {
        let answer = r#"printf '{"protocolVersion":1,"values":{"ID":"v"}}'"#;
        let scene = script_with(
            &format!("for step in 1 2 3 4 5 6 7 8 9 10 11 12; do {write}; sleep 0.4; done; {answer}"),
            [("silence", plain("4"))],
        );
        assert_eq!(fetch(&scene, &["ID"]).await.pop().unwrap().unwrap(), b"v", "{write}");
    }
}

#[tokio::test]
async fn white_space_around_the_answer_is_none_of_it() {
    let scene = script(r#"printf '\n \r\n\t\n{"protocolVersion":1,\n"values":{"ID":"v"}}\n\n \n'"#);
    assert_eq!(fetch(&scene, &["ID"]).await.pop().unwrap().unwrap(), b"v");
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
        map([sh(), ("max_ids", plain("0"))]),
        map([sh(), ("silence", plain("0"))]),
        map([sh(), ("silence", text("soon"))]),
        map([sh(), ("silence", text("99999999999999999999s"))]),
        map([sh(), ("env", map([("A=B", text("x"))]))]),
        map([sh(), ("pass_env", list([text("")]))]),
        map([("args", list([]))]),
    ] {
        let error = (Descriptor::of::<Exec>().validate)(&options, &NoExpansion).unwrap_err();
        assert!(!error.message.is_empty());
    }
    (Descriptor::of::<Exec>().validate)(&map([sh()]), &NoExpansion).unwrap();
    for time in ["500ms", "2s", "2", "1m"] {
        (Descriptor::of::<Exec>().validate)(&map([sh(), ("silence", text(time))]), &NoExpansion).unwrap();
    }
}
