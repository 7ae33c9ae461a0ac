//! What `dsops exec-provider` accepts and refuses: ids, requests, and the size of what it says.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::exec_provider_asker::{Answer, MOST_OUTPUT, MOST_REQUEST, ask, provider, refused, request};
use crate::support::Dsops;

const CONFIG: &str = "\
secretStores:
  lit: {type: literal, values: {KEY: one, a/KEY: two}}
envs:
  dev:
    A: {from: lit/KEY}
    B: {from: lit/GONE}
agents:
  openclaw: {env: dev, ids: {some/alias: {from: lit/a/KEY}}}
";

fn run() -> Dsops {
    provider(CONFIG)
}

#[test]
fn a_request_has_512_ids_at_most() {
    let ids = |count: usize| (0..count).map(|number| format!("ID_{number}")).collect::<Vec<_>>();
    let answer = ask(run(), &ids(512));
    assert_eq!(answer.errors.len(), 512);
    let _ = refused(run().stdin(request(&ids(513))).run(), 2);
    // As sent: that they are the same makes them no fewer.
    let _ = refused(run().stdin(request(&["A"; 513])).run(), 2);
    assert_eq!(ask(run(), &["A"; 512]).value("A"), "one");
}

#[test]
fn a_request_has_256_kib_at_most() {
    let of_size = |size: usize| {
        let frame = r#"{"protocolVersion":1,"provider":"dsops","ids":["A"],"pad":""}"#;
        let pad = "x".repeat(size - frame.len());
        let request = frame.replace(r#""pad":"""#, &format!(r#""pad":"{pad}""#)).into_bytes();
        assert_eq!(request.len(), size);
        request
    };
    let answer = Answer::of(run().stdin(of_size(MOST_REQUEST)).run(), &["A"]);
    assert_eq!(answer.value("A"), "one");
    let _ = refused(run().stdin(of_size(MOST_REQUEST + 1)).run(), 2);
    let _ = refused(run().stdin(of_size(8 << 20)).run(), 2);
    // White space counts as well.
    let mut padded = of_size(MOST_REQUEST);
    padded.push(b'\n');
    let _ = refused(run().stdin(padded).run(), 2);
}

#[test]
fn an_id_that_is_asked_for_twice_is_answered_once() {
    let answer = ask(run(), &["A", "GONE", "A", "some/alias", "GONE", "A"]);
    for id in ["A", "GONE", "some/alias"] {
        assert_eq!(answer.raw.matches(&format!("\"{id}\":")).count(), 1, "{}", answer.raw);
    }
    assert_eq!((answer.value("A"), answer.value("some/alias")), ("one", "two"));
}

#[test]
fn a_request_for_nothing_is_answered() {
    let answer = ask::<&str>(run(), &[]);
    assert!(answer.raw.contains("\"values\""), "{}", answer.raw);
}

#[test]
fn white_space_around_a_request_and_keys_of_later_versions_are_accepted() {
    for text in [
        "\n\t {\"protocolVersion\":1,\"provider\":\"p\",\"ids\":[\"A\"]} \r\n\n",
        r#"{"ids":["A"],"provider":"p","protocolVersion":1}"#,
        r#"{"protocolVersion":1,"provider":"p","ids":["A"],"more":{"ids":["B"],"deep":[{"protocolVersion":2}]},"x":null}"#,
        r#"{"protocolVersion":1,"provider":"p","ids":["\u0041"]}"#,
    ] {
        let answer = Answer::of(run().stdin(text).run(), &["A"]);
        assert_eq!(answer.value("A"), "one", "{text}");
    }
}

#[test]
fn a_request_that_is_none_is_refused_with_one_line() {
    let good = r#"{"protocolVersion":1,"provider":"p","ids":["A"]}"#;
    let mut wrong: Vec<Vec<u8>> = [
        "",
        " \n\n ",
        "null",
        "[]",
        "\"A\"",
        "1",
        "{}",
        "<html></html>",
        r#"{"provider":"p","ids":["A"]}"#,
        r#"{"protocolVersion":0,"provider":"p","ids":["A"]}"#,
        r#"{"protocolVersion":2,"provider":"p","ids":["A"]}"#,
        r#"{"protocolVersion":-1,"provider":"p","ids":["A"]}"#,
        r#"{"protocolVersion":"1","provider":"p","ids":["A"]}"#,
        r#"{"protocolVersion":true,"provider":"p","ids":["A"]}"#,
        r#"{"protocolVersion":null,"provider":"p","ids":["A"]}"#,
        r#"{"protocolVersion":[1],"provider":"p","ids":["A"]}"#,
        r#"{"protocolVersion":1.0,"provider":"p","ids":["A"]}"#,
        r#"{"protocolVersion":1.5,"provider":"p","ids":["A"]}"#,
        r#"{"protocolVersion":1e400,"provider":"p","ids":["A"]}"#,
        r#"{"protocolVersion":1,"provider":"p"}"#,
        r#"{"protocolVersion":1,"provider":"p","ids":"A"}"#,
        r#"{"protocolVersion":1,"provider":"p","ids":null}"#,
        r#"{"protocolVersion":1,"provider":"p","ids":{"A":1}}"#,
        r#"{"protocolVersion":1,"provider":"p","ids":["A",1]}"#,
        r#"{"protocolVersion":1,"provider":"p","ids":["A",null]}"#,
        r#"{"protocolVersion":1,"provider":"p","ids":[["A"]]}"#,
        r#"{"protocolVersion":1,"protocolVersion":1,"provider":"p","ids":["A"]}"#,
        r#"{"protocolVersion":1,"provider":"p","ids":["B"],"ids":["A"]}"#,
        r#"{"protocolVersion":1,"provider":"p","ids":["A"],"\u0069ds":["A"]}"#,
        r#"{"protocolVersion":1,"provider":"p","provider":"p","ids":["A"]}"#,
        r#"{"protocolVersion":1,"provider":"p","ids":["A"],"x":1,"x":2}"#,
        r#"{"protocolVersion":1,"provider":"p","ids":["A"],}"#,
        r#"{"protocolVersion":1,"provider":"p","ids":["\ud800"]}"#,
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    for end in [good, "{}", "x", ",", "]", "\0", "1"] {
        wrong.push([good, end].concat().into_bytes());
        wrong.push([good, "\n", end].concat().into_bytes());
    }
    // Cut anywhere.
    wrong.extend((1..good.len()).step_by(5).map(|end| good.as_bytes()[..end].to_vec()));
    let place = good.find('A').expect("the id");
    for bytes in [&[0xff][..], &[0xc3], &[0xed, 0xa0, 0x80], &[0xc0, 0x80]] {
        wrong.push([&good.as_bytes()[..place], bytes, &good.as_bytes()[place..]].concat());
    }
    wrong.push([&[0xef, 0xbb, 0xbf], good.as_bytes(), &[0xff]].concat());
    wrong.push(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes());
    for request in wrong {
        let shown = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
        let output = run().stdin(request).run();
        assert_eq!(output.exit_code(), Some(2), "{shown}\n{output}");
        let _ = refused(output, 2);
    }
    // What is passed over may be deeper than a reader's stack.
    let (open, close) = ("[".repeat(60_000), "]".repeat(60_000));
    let deep = format!(r#"{{"protocolVersion":1,"provider":"p","ids":[],"x":{open}{close}}}"#);
    let output = run().stdin(deep).run();
    assert!(matches!(output.exit_code(), Some(0 | 2)), "{output}");
}

#[test]
fn a_request_that_never_ends_ends_the_program_in_its_time() {
    for beginning in
        ["", r#"{"protocolVersion":1,"provider":"p","ids":["A""#, r#"{"protocolVersion":1,"ids":["A"]}"#]
    {
        let run = run().args(["--timeout", "1500ms"]);
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        std::io::Write::write_all(&mut writer, beginning.as_bytes()).expect("room in a pipe");
        let mut command = run.command();
        command.stdin(reader).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let child = command.spawn().expect("the program starts");
        let output = within(child, Duration::from_secs(15));
        drop(writer);
        assert_eq!(output.status.code(), Some(2), "{beginning:?} {output:?}");
        assert!(output.stdout.trim_ascii().is_empty(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{output:?}");
    }
}

/// Waits for a program that ends by itself.
#[track_caller]
fn within(mut child: std::process::Child, limit: Duration) -> std::process::Output {
    let over = std::time::Instant::now() + limit;
    while child.try_wait().expect("a child").is_none() {
        if std::time::Instant::now() > over {
            let _ = child.kill();
            let output = child.wait_with_output();
            panic!("it did not end within {limit:?}: {output:?}");
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    child.wait_with_output().expect("its output")
}

#[test]
fn a_reader_that_went_away_is_no_panic() {
    for ids in [&["A"][..], &["GONE", "A"]] {
        let run = run();
        let mut command = run.command();
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        command.stdin(Stdio::piped()).stdout(writer).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().expect("the program starts");
        drop(command);
        let _ = std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), &request(ids));
        let output = within(child, Duration::from_secs(15));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() != Some(101) && output.status.code() != Some(70), "{output:?}");
        assert!(stderr.lines().count() <= 1 && !stderr.contains("panicked"), "{output:?}");
    }
}

/// An id by the grammar, with what makes its edges: separators in a row, no letters behind the first, the longest.
fn ids() -> impl Strategy<Value = String> {
    let short = proptest::string::string_regex("[A-Za-z0-9][A-Za-z0-9._:/#-]{0,12}").expect("a grammar");
    let edges = proptest::string::string_regex("[A-Za-z0-9][.:/#_-]{1,8}[A-Za-z0-9]?").expect("a grammar");
    let long = proptest::string::string_regex("[A-Za-z0-9][A-Za-z0-9._:/#-]{240,255}").expect("a grammar");
    let versions = proptest::string::string_regex("lit/[a-zA-Z/]{1,9}[:#]v[0-9]{0,22}").expect("a grammar");
    prop_oneof![4 => short, 3 => edges, 1 => long, 2 => versions]
        .prop_filter("`.` and `..` are no segments", |id| {
            !id.split('/').any(|part| part == "." || part == "..")
        })
}

/// Text that is no id.
fn no_ids() -> impl Strategy<Value = String> {
    let first = proptest::string::string_regex("[._:/#-][A-Za-z0-9._:/#-]{0,12}").expect("a grammar");
    let within = ("[A-Za-z0-9]{1,5}", any::<char>(), "[A-Za-z0-9]{0,5}")
        .prop_filter("no character of an id", |(_, char, _)| {
            !char.is_ascii_alphanumeric() && !"._:/#-".contains(*char)
        })
        .prop_map(|(before, char, behind)| format!("{before}{char}{behind}"));
    let long = proptest::string::string_regex("[A-Za-z0-9][A-Za-z0-9._:#-]{256,300}").expect("a grammar");
    let goes = ("[a-z]{1,3}/", prop_oneof![Just(".."), Just(".")], prop_oneof![Just(""), Just("/a")])
        .prop_map(|(before, dots, behind)| format!("{before}{dots}{behind}"));
    prop_oneof![2 => first, 4 => within, 1 => long, 2 => goes, 1 => Just(String::new())]
}

fn cases(count: u32) -> TestRunner {
    TestRunner::new_with_rng(
        Config { cases: count, failure_persistence: None, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    )
}

#[test]
fn every_id_of_the_grammar_is_answered_and_never_called_invalid() {
    for raw in ["on", "off"] {
        let batches = proptest::collection::btree_set(ids(), 1..120);
        cases(12)
            .run(&batches, |ids| {
                // Half of them are there.
                let ids: Vec<String> = ids.into_iter().collect();
                let mut yaml =
                    format!("{CONFIG}  other:\n    raw: {raw}\n    ids:\n      unused: {{literal: x}}\n");
                for id in ids.iter().step_by(2) {
                    let _ = writeln!(yaml, "      \"{id}\": {{literal: \"value of {id}\"}}");
                }
                let answer = ask(provider(&yaml).args(["--profile", "other"]), &ids);
                for (index, id) in ids.iter().enumerate() {
                    if index % 2 == 0 {
                        assert_eq!(answer.value(id), format!("value of {id}"));
                    } else if raw == "off" {
                        assert_eq!(answer.code(id), "NOT_FOUND", "{id}");
                    } else {
                        // What stands for a store may be wrong in other ways, but is an id.
                        assert!(answer.errors.get(id).is_none_or(|(code, _)| code != "INVALID_ID"), "{id}");
                    }
                }
                Ok(())
            })
            .unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn text_that_is_no_id_is_invalid_and_spoils_no_other() {
    cases(20)
        .run(&proptest::collection::btree_set(no_ids(), 1..60), |wrong| {
            let ids: Vec<String> =
                wrong.iter().cloned().chain(["A".to_owned(), "some/alias".to_owned()]).collect();
            let answer = ask(run(), &ids);
            for id in &wrong {
                assert_eq!(answer.code(id), "INVALID_ID", "{id:?}");
            }
            assert_eq!((answer.value("A"), answer.value("some/alias")), ("one", "two"));
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn an_answer_has_one_mib_at_most_and_the_largest_values_go_first() {
    let store = |values: &[(&str, usize, &str)]| {
        let mut yaml = "envs:\n  dev:\n".to_owned();
        for (name, size, piece) in values {
            let _ = writeln!(yaml, "    {name}: {{literal: \"{}\"}}", piece.repeat(*size));
        }
        yaml + "agents:\n  openclaw: {env: dev}\n"
    };
    // (name, how many pieces, what a piece is in YAML and JSON)
    let all =
        [("SMALL", 10, "s"), ("A", 300_000, "a"), ("B", 500_000, "b"), ("C", 400_000, "c"), ("GOOD", 9, "g")];
    let ids: Vec<&str> = all.iter().map(|(id, ..)| *id).collect();
    let answer = ask(provider(&store(&all)), &ids);
    assert_eq!(answer.code("B"), "TOO_LARGE");
    for (id, size, piece) in all.iter().filter(|(id, ..)| *id != "B") {
        assert_eq!(answer.value(id), piece.repeat(*size), "{id}");
    }
    // What JSON escapes counts as it is written.
    let escaped = [("A", 200_000, "\\u0001"), ("B", 9, "b")];
    let answer = ask(provider(&store(&escaped)), &["A", "B"]);
    assert_eq!((answer.code("A"), answer.value("B")), ("TOO_LARGE", "bbbbbbbbb"));
    // One that nearly fills it, and one that is just too large.
    let answer = ask(provider(&store(&[("A", MOST_OUTPUT - 9000, "a")])), &["A"]);
    assert_eq!(answer.value("A").len(), MOST_OUTPUT - 9000);
    let answer = ask(provider(&store(&[("A", MOST_OUTPUT, "a")])), &["A"]);
    assert_eq!(answer.code("A"), "TOO_LARGE");
}

#[test]
fn hundreds_of_failures_are_no_flood() {
    let mut yaml = "secretStores:\n  lit: {type: literal, values: {KEY: v}}\nenvs:\n  dev:\n".to_owned();
    let ids: Vec<String> = (0..500).map(|number| format!("VARIABLE_WITH_A_LONG_NAME_{number}")).collect();
    for (number, id) in ids.iter().enumerate() {
        let _ = match number % 3 {
            0 => writeln!(yaml, "    {id}: {{from: lit/GONE_{number}}}"),
            1 => writeln!(yaml, "    {id}: {{literal: x, transform: base64_decode}}"),
            _ => writeln!(yaml, "    {id}: {{literal: '{{', transform: 'json_extract:.a'}}"),
        };
    }
    let answer = ask(provider(&(yaml + "agents:\n  openclaw: {env: dev}\n")), &ids);
    assert_eq!(answer.errors.len(), 500);
    let codes: BTreeSet<&str> = answer.errors.values().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, BTreeSet::from(["NOT_FOUND", "TRANSFORM"]));
}

#[test]
fn a_configuration_that_does_not_load_is_told_in_one_line() {
    let asking = |run: Dsops| run.stdin(request(&["A"])).run();
    for yaml in [
        "envs:\n  dev: {A: {literal: x}\n",
        "nonsense: true\n",
        "envs: {dev: {A: {form: x}, B: {form: y}, C: [x]}}\n",
        "version: 7\n",
    ] {
        let _ = refused(asking(provider(yaml)), 3);
    }
    let gone = Dsops::new().args(["exec-provider", "--config", "/no/such/dsops.yaml"]);
    let _ = refused(asking(gone), 3);
    let unknown = asking(run().args(["--profile", "nobody"]));
    let _ = refused(unknown, 3);
    let unknown = asking(run().args(["--env", "nowhere"]));
    let _ = refused(unknown, 3);
}
