//! Files read back by programs that others wrote: the shell, and readers of JSON and YAML.

mod formats;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use dsops_providers::contract::SecretValue;
use proptest::prelude::*;

use super::{Format, Options, RenderErrorKind, render};

/// Values that some reader of some format is known to trip over.
const NASTY: [&str; 45] = [
    "",
    " ",
    "plain",
    "a b",
    " lead",
    "tail ",
    "\t",
    "$HOME",
    "${HOME}",
    "$(id)",
    "`id`",
    "a$",
    "$$",
    "it's",
    "'",
    "''",
    "\"",
    "say \"x\"",
    "it's \"x\"",
    "it's $HOME `id` \\",
    "\\",
    "\\\\",
    "\\n",
    "C:\\new",
    "\\\\srv\\x",
    "end\\",
    "'\\",
    "#a",
    "a #b",
    "!x",
    "a!b",
    "=a",
    "a=b",
    "~",
    "*",
    "a;b",
    "a&b|c>d<e",
    "two\nlines\n\n",
    "cr\r\nlf\r",
    "é€😀",
    "\u{85}\u{2028}\u{feff}\u{7f}\u{1}",
    "{\"a\": [1]}",
    "- a: b",
    "no",
    "1e3",
];

fn rendered(format: Format, variables: &[(&str, &str)]) -> String {
    let values: Vec<SecretValue> = variables.iter().map(|(_, value)| SecretValue::from(*value)).collect();
    let named: Vec<_> = variables.iter().zip(&values).map(|((name, _), value)| (*name, value)).collect();
    let rendered = render(format, &named, &Options::default()).unwrap_or_else(|errors| panic!("{errors:?}"));
    String::from_utf8(rendered.text.to_vec()).unwrap()
}

fn from_template(template: &str, variables: &[(&str, &[u8])]) -> Result<String, String> {
    let values: Vec<SecretValue> = variables.iter().map(|(_, value)| SecretValue::copy_of(value)).collect();
    let named: Vec<_> = variables.iter().zip(&values).map(|((name, _), value)| (*name, value)).collect();
    match render(Format::Template, &named, &Options { template: Some(template), ..Options::default() }) {
        Ok(rendered) => Ok(String::from_utf8(rendered.text.to_vec()).unwrap()),
        Err(errors) => Err(errors[0].message.clone()),
    }
}

/// Sources a file of `V0`, `V1`, … in a shell, with and without those exported, and returns what it holds then.
fn sourced(shell: &str, format: Format, values: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let names: Vec<String> = (0..values.len()).map(|number| format!("V{number}")).collect();
    let secrets: Vec<SecretValue> = values.iter().map(|value| SecretValue::copy_of(value)).collect();
    let named: Vec<_> = names.iter().map(String::as_str).zip(&secrets).collect();
    let text = render(format, &named, &Options::default()).unwrap().text;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text.as_slice()).unwrap();
    let words: Vec<String> = names.iter().map(|name| format!("\"${name}\"")).collect();
    let script = format!("set -eu; . \"$0\"; printf '%s\\0' {}", words.join(" "));
    // A home that is not the reader's, so that an expansion shows.
    let output =
        Command::new(shell).arg("-c").arg(script).arg(file.path()).env("HOME", "/expanded").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut read: Vec<Vec<u8>> = output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    read.pop();
    read
}

fn nasty() -> Vec<(String, String)> {
    NASTY.iter().enumerate().map(|(number, value)| (format!("V{number}"), (*value).to_owned())).collect()
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    let text = prop_oneof![
        any::<String>(),
        r#"[ '"\\$`#!={}()a\n\r\t:-]{0,8}"#,
        prop::sample::select(NASTY.to_vec()).prop_map(str::to_owned),
    ];
    prop::collection::vec(text.prop_map(|text| text.replace('\0', "")), 1..12)
}

#[test]
fn a_shell_reads_the_nasty_values_back() {
    let values: Vec<Vec<u8>> = NASTY.iter().map(|value| value.as_bytes().to_vec()).collect();
    // Without noncharacters, systemd's lines are a shell's.
    for format in [Format::Dotenv, Format::Shell, Format::CircleCi, Format::Systemd] {
        assert_eq!(sourced("/bin/sh", format, &values), values);
    }
}

#[test]
fn dotenv_quotes_only_what_needs_it() {
    for (value, written) in [
        ("", ""),
        ("postgres://u:p@h:5432/db", "postgres://u:p@h:5432/db"),
        ("a b", "'a b'"),
        ("C:\\new", "'C:\\new'"),
        ("$HOME", "'$HOME'"),
        ("=x", "'=x'"),
        ("it's", "\"it's\""),
        ("it's $5", "\"it's \\$5\""),
        ("end\\", "\"end\\\\\""),
        ("a\nb", "'a\nb'"),
    ] {
        assert_eq!(rendered(Format::Dotenv, &[("A", value)]), format!("A={written}\n"));
    }
}

#[test]
fn dotenv_notes_who_misreads_a_value() {
    let noted = |value: &str| {
        let value = SecretValue::from(value);
        let notes = render(Format::Dotenv, &[("A", &value)], &Options::default()).unwrap().notes;
        notes.into_iter().map(|note| note.message).collect::<Vec<_>>()
    };
    for value in ["plain", "a b", "$HOME", "`id`", "it's", "C:\\new", "a\nb", "say \"x\"", "é"] {
        assert_eq!(noted(value), Vec::<String>::new(), "{value}");
    }
    let exact = "`json` is exact for all";
    for (value, readers) in [
        ("a${b}", "python-dotenv"),
        ("\\\\srv", "python-dotenv"),
        ("cr\r\n", "python-dotenv and Node's dotenv"),
        ("it's \"x\"", "Node's dotenv, which may misread the lines after it too"),
        ("it's $5", "python-dotenv and Node's dotenv"),
        ("it's `x`", "docker compose, python-dotenv and Node's dotenv"),
        ("end\\", "Node's dotenv, which may misread the lines after it too"),
    ] {
        assert_eq!(
            noted(value),
            [format!("`A` is exact for shells, but not for {readers}; {exact}")],
            "{value}"
        );
    }
}

#[test]
fn a_value_or_name_that_a_format_cannot_hold_is_named() {
    let (nul, bytes, fine) =
        (SecretValue::from("a\0b"), SecretValue::copy_of(b"\xff"), SecretValue::from("hunter2"));
    let variables = [
        ("NUL", &nul),
        ("BYTES", &bytes),
        ("FINE", &fine),
        ("not-a-name", &fine),
        ("1A", &fine),
        ("", &fine),
    ];
    let failed = |format: Format| match render(format, &variables, &Options::default()) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.into_iter().map(|error| (error.variable.unwrap(), error.kind)).collect(),
    };
    let names =
        [("not-a-name", RenderErrorKind::Name), ("1A", RenderErrorKind::Name), ("", RenderErrorKind::Name)];
    let values = [("NUL", RenderErrorKind::Value), ("BYTES", RenderErrorKind::Value)];
    let expected = |parts: &[&[(&str, RenderErrorKind)]]| {
        parts.concat().into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect::<Vec<_>>()
    };
    assert_eq!(failed(Format::Dotenv), expected(&[&values, &names]));
    assert_eq!(failed(Format::Shell), expected(&[&values[..1], &names]));
    for format in
        [Format::Docker, Format::Systemd, Format::GitHub, Format::GitLab, Format::Buildkite, Format::Azure]
    {
        assert_eq!(failed(format), expected(&[&values, &names]), "{format:?}");
    }
    assert_eq!(failed(Format::CircleCi), expected(&[&values[..1], &names]));
    assert_eq!(failed(Format::Toml), expected(&[&values[1..]]));
    assert_eq!(failed(Format::Json), expected(&[&values[1..]]));
    assert_eq!(failed(Format::Yaml), expected(&[&values[1..]]));
}

#[test]
fn json_is_flat_and_keeps_the_order() {
    let json = rendered(Format::Json, &[("B", "1"), ("A", "<&> \"\n")]);
    assert_eq!(json, "{\n  \"B\": \"1\",\n  \"A\": \"<&> \\\"\\n\"\n}\n");
}

#[test]
fn yaml_quotes_values_always_and_names_where_they_would_be_something_else() {
    let yaml = rendered(Format::Yaml, &[("B", "1"), ("NO", "no"), ("y", "\u{85}"), ("a.b", "\\")]);
    assert_eq!(yaml, "B: \"1\"\n\"NO\": \"no\"\n\"y\": \"\\u0085\"\n\"a.b\": \"\\\\\"\n");
}

#[test]
fn nothing_renders_as_nothing() {
    for (format, text) in [
        (Format::Dotenv, ""),
        (Format::Shell, ""),
        (Format::Json, "{}\n"),
        (Format::Yaml, "{}\n"),
        (Format::Toml, ""),
    ] {
        assert_eq!(rendered(format, &[]), text);
    }
}

#[test]
fn the_nasty_values_survive_json_and_yaml() {
    let nasty = nasty();
    let variables: Vec<(&str, &str)> =
        nasty.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected: BTreeMap<String, String> = nasty.iter().cloned().collect();
    let json: BTreeMap<String, String> = serde_json::from_str(&rendered(Format::Json, &variables)).unwrap();
    assert_eq!(json, expected);
    let yaml: BTreeMap<String, String> = serde_yaml::from_str(&rendered(Format::Yaml, &variables)).unwrap();
    assert_eq!(yaml, expected);
}

#[test]
fn templates_see_variables_by_name_and_all_in_order() {
    let variables: [(&str, &[u8]); 2] = [("USER", b"me"), ("PASSWORD", b"a/b \"c\"\nd")];
    for (template, text) in [
        ("{{ USER }}:{{ PASSWORD | urlencode }}\n", "me:a%2Fb%20%22c%22%0Ad\n"),
        ("p: {{ PASSWORD | quote }}", "p: \"a/b \\\"c\\\"\\nd\""),
        ("p: {{ PASSWORD | json }}", "p: \"a/b \\\"c\\\"\\nd\""),
        ("p: |{{ PASSWORD | nindent(2) }}", "p: |\n  a/b \"c\"\n  d"),
        ("{{ USER | b64enc }} {{ 'bWU' | b64dec }}", "bWU= me"),
        (
            "{% for name, value in variables %}{{ name }}={{ value | length }};{% endfor %}",
            "USER=2;PASSWORD=9;",
        ),
        ("{{ NOPE | default('x') }}{% if NOPE is defined %}y{% endif %}", "x"),
        ("{% if has('USER') and not has('NOPE') %}{{ env('USER') }}{{ env('NOPE', '-') }}{% endif %}", "me-"),
    ] {
        assert_eq!(from_template(template, &variables).as_deref(), Ok(text), "{template}");
    }
}

#[test]
fn what_a_template_lacks_is_named() {
    for (template, message) in [
        ("\n{{ NOPE }}", "line 2 of the template: undefined value: the environment has no `NOPE`"),
        (
            "{% if NOPE %}{% endif %}",
            "line 1 of the template: undefined value: the environment has no `NOPE`",
        ),
        ("{{ env('HOME') }}", "line 1 of the template: there is no variable `HOME`"),
        ("{{ A | shout }}", "line 1 of the template: unknown filter: filter shout is unknown"),
        ("{{ now() }}", "line 1 of the template: unknown function: now is unknown"),
    ] {
        let found = from_template(template, &[("A", b"x")]).unwrap_err();
        assert_eq!(found, message, "{template}");
    }
    let none: [(&str, &SecretValue); 0] = [];
    let error = &render(Format::Template, &none, &Options::default()).map(|_| ()).unwrap_err()[0];
    assert_eq!(error.kind, RenderErrorKind::Format);
}

#[test]
fn bytes_that_are_not_text_can_be_encoded_and_nothing_else() {
    let key: [(&str, &[u8]); 1] = [("KEY", b"\xff\x00")];
    assert_eq!(from_template("{{ KEY | b64encode }}", &key).as_deref(), Ok("/wA="));
    for template in
        ["{{ KEY }}", "{{ KEY | upper }}", "{{ KEY ~ 'x' }}", "{{ KEY | json }}", "{{ variables }}"]
    {
        let message = from_template(template, &key).unwrap_err();
        assert_eq!(message, "`KEY` is not UTF-8 text, which this format needs", "{template}");
    }
}

#[test]
fn a_failing_template_shows_no_value() {
    for template in
        ["{{ A | b64decode }}", "{{ A + 1 }}", "{{ A | int }}", "{{ A.x.y }}", "{{ A | urlencode(1) }}"]
    {
        let message = from_template(template, &[("A", b"hunter2!")]).unwrap_err();
        assert!(!message.contains("hunter2"), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_shell_reads_any_text_of_a_dotenv_file_back(texts in texts()) {
        let values: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
        prop_assert_eq!(sourced("/bin/sh", Format::Dotenv, &values), values);
    }

    #[test]
    fn a_shell_reads_any_bytes_of_a_shell_file_back(values in prop::collection::vec(prop::collection::vec(1..=255_u8, 0..20), 1..12)) {
        prop_assert_eq!(sourced("/bin/sh", Format::Shell, &values), values);
    }

    #[test]
    fn readers_of_json_and_yaml_get_any_text_back(texts in prop::collection::vec(any::<String>(), 1..6)) {
        let names: Vec<String> = (0..texts.len()).map(|number| format!("V{number}")).collect();
        let variables: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
        let expected: BTreeMap<String, String> = names.iter().cloned().zip(texts.iter().cloned()).collect();
        let json: BTreeMap<String, String> = serde_json::from_str(&rendered(Format::Json, &variables)).unwrap();
        prop_assert_eq!(&json, &expected);
        let yaml: BTreeMap<String, String> = serde_yaml::from_str(&rendered(Format::Yaml, &variables)).unwrap();
        prop_assert_eq!(&yaml, &expected);
    }
}
