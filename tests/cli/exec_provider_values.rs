//! What `dsops exec-provider` answers: exact values, what is no value, and who may ask for what.

use crate::exec_provider_asker::{Answer, ask, provider};
use crate::lab::{CLIENT_ID, CLIENT_SECRET, options, server, value};
use crate::support::infisical::Generation;

/// Values that readers of JSON, of lines or of terminals might change.
pub(crate) fn odd_values() -> Vec<String> {
    let mut values: Vec<String> = [
        " ",
        "\n",
        "\n\n",
        "two\nlines\n",
        "\r\n",
        "\t tab \t",
        "'\"`\\ \\n \\u0041 \\\\",
        "{\"a\": [1, \"b\"]}",
        "null",
        "1e3",
        "$HOME $(id) %s",
        "é€😀 \u{301}",
        "\u{2028}\u{2029}\u{85}",
        "\u{feff}bom",
        "\u{202e}\u{200b}",
        "\u{1}\u{1b}[31m\u{7f}",
        "\u{fffd}\u{fffe}\u{10ffff}",
        "-----BEGIN KEY-----\nMIIE/+=\n-----END KEY-----\n",
        "__OPENCLAW_REDACTED__ and more",
    ]
    .iter()
    .map(|text| (*text).to_owned())
    .collect();
    values.push("x".repeat(100_000));
    values
}

#[test]
fn values_are_exact_to_the_byte() {
    let mut values = odd_values();
    values.push("a\0b\0".to_owned());
    let lines: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(number, value)| {
            format!(
                "    V{number}: {{literal: \"{}\", transform: base64_decode}}\n",
                base64(value.as_bytes())
            )
        })
        .collect();
    let yaml = format!("envs:\n  dev:\n{}agents:\n  openclaw: {{env: dev}}\n", lines.concat());
    let ids: Vec<String> = (0..values.len()).map(|number| format!("V{number}")).collect();
    let answer = ask(provider(&yaml), &ids);
    for (id, value) in ids.iter().zip(&values) {
        assert_eq!(answer.value(id), value, "{id}");
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

#[test]
fn what_no_caller_could_use_is_an_error_and_spoils_no_other() {
    let yaml = "\
secretStores:
  lit: {type: literal, values: {EMPTY: '', REDACTED: __OPENCLAW_REDACTED__, KEY: good}}
envs:
  dev:
    GOOD: {from: lit/KEY}
    EMPTY: {from: lit/EMPTY}
    MARKER: {from: lit/REDACTED}
    BINARY: {literal: '/w==', transform: base64_decode}
    HALF: {literal: '7aCA', transform: base64_decode}
    BROKEN: {literal: x, transform: 'json_extract:.a'}
    GONE: {from: lit/GONE}
    OPTIONAL: {from: lit/GONE, optional: true}
    DEFAULT: {from: lit/GONE, default: the default}
    FALLBACK: {from: lit/GONE, fallback: [lit/KEY]}
    NON_EMPTY: {from: lit/EMPTY, non_empty: true}
agents:
  openclaw: {env: dev}
";
    let ids = [
        "GOOD",
        "EMPTY",
        "MARKER",
        "BINARY",
        "HALF",
        "BROKEN",
        "GONE",
        "OPTIONAL",
        "DEFAULT",
        "FALLBACK",
        "NON_EMPTY",
        "UNKNOWN",
        "not an id",
    ];
    let answer = ask(provider(yaml), &ids);
    for (id, value) in [("GOOD", "good"), ("DEFAULT", "the default"), ("FALLBACK", "good")] {
        assert_eq!(answer.value(id), value);
    }
    for (id, code) in [
        ("EMPTY", "EMPTY"),
        ("MARKER", "PLACEHOLDER"),
        ("BINARY", "NOT_TEXT"),
        ("HALF", "NOT_TEXT"),
        ("BROKEN", "TRANSFORM"),
        ("GONE", "NOT_FOUND"),
        ("OPTIONAL", "NOT_FOUND"),
        ("NON_EMPTY", "EMPTY"),
        ("UNKNOWN", "NOT_FOUND"),
        ("not an id", "INVALID_ID"),
    ] {
        assert_eq!(answer.code(id), code, "{id}");
    }
}

/// Returns the error object of an id, as it stands.
fn error_of(answer: &Answer, id: &str) -> String {
    let start = answer.raw.find(&format!("\"{id}\":")).expect("the id");
    let rest = &answer.raw[start..];
    rest[..=rest.find('}').expect("the end of an error")].to_owned()
}

#[test]
fn what_is_not_allowed_looks_as_if_it_were_not_there() {
    let file = |variables: &str, more: &str| {
        format!(
            "secretStores:\n  lit: {{type: literal, values: {{KEY: one, dir/KEY: two}}}}\nenvs:\n  dev: {{OPEN: {{from: lit/KEY}}, \
             OPENAI_KEY: {{from: lit/KEY}}{variables}}}\nagents:\n  openclaw: {{env: dev, {more}}}\n"
        )
    };
    let with = ", CLOSED: {from: lit/KEY}";
    let forbidden = file(with, "allow: [OPEN, OPENAI_*]");
    let absent = file("", "allow: [OPEN, OPENAI_*]");
    let ids = ["OPEN", "OPENAI_KEY", "CLOSED", "OPENED"];
    let (forbidden, absent) = (ask(provider(&forbidden), &ids), ask(provider(&absent), &ids));
    assert_eq!(forbidden.raw, absent.raw);
    assert_eq!(forbidden.code("CLOSED"), "NOT_FOUND");
    assert_eq!(forbidden.code("OPENED"), "NOT_FOUND");
    assert_eq!((forbidden.value("OPEN"), forbidden.value("OPENAI_KEY")), ("one", "one"));

    // The same for paths, whether the store has them or not, and for a variable that the store does not have.
    let raw = file(", MISSING: {from: lit/NONE}", "raw: on, allow: [lit/KEY, lit/NO, MISSING]");
    let answer = ask(provider(&raw), &["lit/KEY", "lit/dir/KEY", "lit/NO", "lit/dir/NO", "MISSING"]);
    assert_eq!(answer.value("lit/KEY"), "one");
    for id in ["lit/dir/KEY", "lit/NO", "lit/dir/NO", "MISSING"] {
        let expected = error_of(&answer, "lit/dir/KEY").replace("lit/dir/KEY", id);
        assert_eq!(error_of(&answer, id), expected);
        assert_eq!(answer.code(id), "NOT_FOUND");
    }
    // Without `raw` a path is just another name that is not there.
    let answer = ask(provider(&file("", "raw: off")), &["lit/KEY", "OPEN"]);
    assert_eq!((answer.code("lit/KEY"), answer.value("OPEN")), ("NOT_FOUND", "one"));
    // An alias is given by its own right.
    let alias = file(with, "allow: [OPEN], ids: {some/alias: {from: lit/dir/KEY}}");
    let answer = ask(provider(&alias), &["some/alias", "CLOSED", "OPEN"]);
    assert_eq!((answer.value("some/alias"), answer.code("CLOSED")), ("two", "NOT_FOUND"));
}

#[test]
fn a_path_may_name_a_version() {
    let server = server(Generation::July2026)
        .secret("dev", "/keys", "KEY", &value("one"))
        .secret("dev", "/keys", "KEY", &value("two"))
        .secret("dev", "/keys", "KEY", &value("three"))
        .start();
    let file = format!(
        "secretStores:\n  infisical: {{{}}}\nagents:\n  openclaw:\n    raw: on\n    allow: [infisical/keys/*]\n",
        options(&server.url())
    );
    let run = || {
        let run = provider(&file).env("INFISICAL_CLIENT_ID", CLIENT_ID);
        run.env("INFISICAL_CLIENT_SECRET", CLIENT_SECRET).env("DSOPS_TOKEN_CACHE", "off")
    };
    let ids = [
        "infisical/keys/KEY",
        "infisical/keys/KEY#v1",
        "infisical/keys/KEY:v2",
        "infisical/keys/KEY#v9",
        "infisical/KEY#v1",
    ];
    let answer = ask(run(), &ids);
    assert_eq!(answer.value(ids[0]), value("three"));
    assert_eq!(answer.value(ids[1]), value("one"));
    assert_eq!(answer.value(ids[2]), value("two"));
    assert_eq!(answer.code(ids[3]), "NOT_FOUND");
    assert_eq!(answer.code(ids[4]), "NOT_FOUND");
}

#[test]
fn a_profile_has_its_own_ids_and_environment() {
    let yaml = "\
envs:
  dev: {A: {literal: of dev}}
  prod: {A: {literal: of prod}, B: {literal: b}}
agents:
  openclaw: {env: dev}
  other: {env: prod, allow: [A], ids: {x/y: {literal: an alias}}}
";
    assert_eq!(ask(provider(yaml), &["A"]).value("A"), "of dev");
    let other = ask(provider(yaml).args(["--profile", "other"]), &["A", "B", "x/y"]);
    assert_eq!((other.value("A"), other.code("B"), other.value("x/y")), ("of prod", "NOT_FOUND", "an alias"));
    let answer = ask(provider(yaml).args(["--env", "prod"]), &["A", "x/y"]);
    assert_eq!((answer.value("A"), answer.code("x/y")), ("of prod", "NOT_FOUND"));
}

#[test]
fn the_name_of_the_caller_changes_nothing() {
    let yaml = "envs: {dev: {A: {literal: a}}}\nagents: {openclaw: {env: dev}}\n";
    let answers: Vec<String> = [r#""provider":"x""#, r#""provider":"""#, r#""provider":"dsops""#]
        .iter()
        .map(|provider_name| {
            let text = format!(r#"{{"protocolVersion":1,{provider_name},"ids":["A"]}}"#);
            Answer::of(provider(yaml).stdin(text).run(), &["A"]).raw
        })
        .collect();
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
}
