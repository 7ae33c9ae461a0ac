//! Formats whose readers are programs of other vendors: what they hold is read back by the documented rules, and what
//! they do not hold is refused. `tests/peers/render.py` has the real readers.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dsops_providers::contract::SecretValue;
use proptest::prelude::*;

use super::super::{Format, Options, RenderError, RenderErrorKind, render, systemd_creds};
use super::{NASTY, sourced};

/// Renders one variable, or says why it is refused.
fn one(format: Format, value: &[u8]) -> Result<String, RenderError> {
    let value = SecretValue::copy_of(value);
    let options = Options { name: Some("app"), ..Options::default() };
    match render(format, &[("V", &value)], &options) {
        Ok(rendered) => Ok(String::from_utf8(rendered.text.to_vec()).unwrap()),
        Err(mut errors) => Err(errors.remove(0)),
    }
}

/// What the documented reader of a format makes of a file with one variable, `V`.
fn read(format: Format, text: &str) -> String {
    match format {
        Format::Docker => {
            // pkg/kvfile of docker/cli: bufio.ScanLines, then everything behind the first `=`.
            let line = text.strip_suffix('\n').unwrap();
            assert!(!line.contains('\n'));
            line.strip_suffix('\r').unwrap_or(line).strip_prefix("V=").unwrap().to_owned()
        }
        Format::GitLab => {
            // ParseDotenvArtifactService: each line, `/^(.*?)=(.*)$/`, `strip!`; then the runner expands.
            let line = text.strip_suffix('\n').unwrap();
            assert!(!line.contains(['\n', '$']));
            let blank = |char: char| matches!(char, '\0' | '\t'..='\r' | ' ');
            line.strip_prefix("V=").unwrap().trim_matches(blank).to_owned()
        }
        Format::GitHub => {
            // SetEnvFileCommand: lines up to the one that is the delimiter.
            let (head, rest) = text.split_once('\n').unwrap();
            let delimiter = head.strip_prefix("V<<").unwrap();
            let lines: Vec<&str> = rest.split('\n').collect();
            let end = lines.iter().position(|line| *line == delimiter).unwrap();
            assert_eq!(lines[end + 1..], [""]);
            lines[..end].join("\n")
        }
        Format::Azure => {
            // Command.cs of azure-pipelines-agent: `%0D` and `%0A`, then `%AZP25`.
            let line = text.strip_suffix('\n').unwrap();
            assert!(!line.contains(['\n', '\r']));
            let data = line.strip_prefix("##vso[task.setvariable variable=V;issecret=true]").unwrap();
            data.replace("%0D", "\r").replace("%0A", "\n").replace("%AZP25", "%")
        }
        Format::Buildkite => {
            assert_eq!(text.lines().count(), 1);
            serde_json::from_str::<BTreeMap<String, String>>(text).unwrap().remove("V").unwrap()
        }
        Format::Toml => {
            let document: toml_edit::Document<String> = text.to_owned().parse().unwrap();
            document["V"].as_str().unwrap().to_owned()
        }
        other => panic!("no reader for {other:?}"),
    }
}

const TEXTS: [Format; 6] =
    [Format::Docker, Format::GitLab, Format::GitHub, Format::Azure, Format::Buildkite, Format::Toml];

/// Checks that a value is read back exactly, or refused for a reason, by name and with a way out.
fn check(format: Format, value: &str) {
    match one(format, value.as_bytes()) {
        Ok(text) => assert_eq!(read(format, &text), value, "{format:?}"),
        Err(error) => {
            assert_eq!(error.kind, RenderErrorKind::Value);
            assert_eq!(error.variable.as_deref(), Some("V"));
            assert!(error.message.contains("`V`") && error.help.is_some(), "{error:?}");
            let why = match format {
                Format::Docker => value.contains(['\n', '\0']) || value.ends_with('\r'),
                Format::GitLab => {
                    let blank = |char: char| matches!(char, '\0' | '\t'..='\r' | ' ');
                    value.contains(['\n', '\r', '\0', '$']) || value.trim_matches(blank) != value
                }
                Format::Azure => value.contains(['\n', '\r', '\0']),
                Format::GitHub | Format::Buildkite => value.contains('\0'),
                _ => false,
            };
            assert!(why, "{format:?} refuses {value:?}: {error}");
        }
    }
}

#[test]
fn the_nasty_values_are_read_back_or_refused() {
    for format in TEXTS {
        for value in NASTY {
            check(format, value);
        }
    }
}

#[test]
fn each_value_that_a_format_cannot_hold_is_refused() {
    for (format, values) in [
        (Format::Docker, &["a\nb", "a\n", "a\r", "a\0"][..]),
        (Format::GitLab, &["a\nb", "a\rb", " a", "a ", "a\t", "$a", "a$", "\u{b}a", "a\0b"]),
        (Format::Azure, &["a\nb", "a\rb", "a\0"]),
        (Format::GitHub, &["a\0"]),
        (Format::Buildkite, &["a\0"]),
        (Format::Systemd, &["a\0", "\u{fdd0}", "\u{1fffe}", "\u{ffff}"]),
    ] {
        for value in values {
            let error = one(format, value.as_bytes()).unwrap_err();
            assert_eq!(error.kind, RenderErrorKind::Value, "{format:?} {value:?}");
            assert!(error.help.is_some(), "{error}");
        }
    }
}

#[test]
fn lines_that_go_cannot_read_are_refused() {
    for format in [Format::Docker, Format::Buildkite] {
        let fits = if format == Format::Docker { 65_535 - 3 } else { 65_535 - 9 };
        assert_eq!(read(format, &one(format, &vec![b'x'; fits]).unwrap()).len(), fits);
        let error = one(format, &vec![b'x'; fits + 1]).unwrap_err();
        assert!(error.message.contains("64 KiB"), "{error}");
    }
}

#[test]
fn what_is_too_large_for_gitlab_is_refused_and_the_largest_is_named() {
    let values = [SecretValue::from("x".repeat(2_000)), SecretValue::from("x".repeat(3_111))];
    let rendered = |values: &[SecretValue; 2]| {
        render(Format::GitLab, &[("A", &values[0]), ("B", &values[1])], &Options::default())
    };
    assert_eq!(rendered(&values).unwrap().text.len(), 5_117);
    let values = [SecretValue::from("x".repeat(2_000)), SecretValue::from("x".repeat(3_114))];
    let errors = rendered(&values).map(|_| ()).unwrap_err();
    assert!(errors[0].message.contains("`B`") && errors[0].message.contains("5 KB"), "{errors:?}");
    let value = SecretValue::from("x");
    let names: Vec<String> = (0..51).map(|number| format!("V{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), &value)).collect();
    let notes =
        |many: &[(&str, &SecretValue)]| render(Format::GitLab, many, &Options::default()).unwrap().notes;
    assert!(notes(&many[..50]).is_empty());
    assert!(notes(&many)[0].message.contains("these are 51"));
}

#[test]
fn a_delimiter_of_another_value_ends_nothing() {
    let text = one(Format::GitHub, b"x").unwrap();
    let delimiter = text.lines().next_back().unwrap();
    let value = format!("a\n{delimiter}\nEVIL=1\n");
    assert_eq!(read(Format::GitHub, &one(Format::GitHub, value.as_bytes()).unwrap()), value);
}

fn k8s(variables: &[(&str, &[u8])], name: &str, namespace: Option<&str>) -> Result<String, String> {
    let values: Vec<SecretValue> = variables.iter().map(|(_, value)| SecretValue::copy_of(value)).collect();
    let named: Vec<_> = variables.iter().zip(&values).map(|((name, _), value)| (*name, value)).collect();
    let options = Options { name: Some(name), namespace, ..Options::default() };
    match render(Format::K8s, &named, &options) {
        Ok(rendered) => Ok(String::from_utf8(rendered.text.to_vec()).unwrap()),
        Err(errors) => Err(errors[0].message.clone()),
    }
}

#[test]
fn a_manifest_is_the_same_for_the_same_values() {
    let variables: [(&str, &[u8]); 4] =
        [("B", b"\xff\x00"), ("no", b"12345"), ("tls.crt", b"x\n"), ("EMPTY", b"")];
    let text = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"app\"\n  namespace: \"prod\"\ntype: Opaque\ndata:\n  \
        B: \"/wA=\"\n  \"no\": \"MTIzNDU=\"\n  \"tls.crt\": \"eAo=\"\n  EMPTY: \"\"\n";
    assert_eq!(k8s(&variables, "app", Some("prod")).as_deref(), Ok(text));
    assert!(k8s(&[], "app", None).unwrap().ends_with("type: Opaque\ndata: {}\n"));
}

#[test]
fn names_that_kubernetes_does_not_take_are_refused() {
    for name in ["app", "a", "1", "my-app.v2", "no"] {
        assert!(k8s(&[], name, Some("ns")).is_ok(), "{name}");
    }
    for name in ["", "App", "a_b", "-a", "a-", "a..b", ".a", "a b", "a\n", &"a".repeat(254)] {
        assert!(k8s(&[], name, None).unwrap_err().contains("Secret"), "{name}");
    }
    for namespace in ["", "a.b", "A", "-", &"a".repeat(64)] {
        assert!(k8s(&[], "app", Some(namespace)).unwrap_err().contains("namespace"), "{namespace}");
    }
    for key in ["a b", "a/b", "", ".", "..a", "é", &"a".repeat(254)] {
        assert!(k8s(&[(key, b"x")], "app", None).unwrap_err().contains("key of a Secret"), "{key}");
    }
    let large = vec![b'x'; 600_000];
    let error = k8s(&[("A", &large), ("B", &large)], "app", None).unwrap_err();
    assert!(error.contains("1 MiB"), "{error}");
}

#[test]
fn a_credential_is_checked_before_any_is_made() {
    let (fine, large) = (SecretValue::from("x"), SecretValue::from("x".repeat(1024 * 1024 + 1)));
    let errors = systemd_creds::check(&[("A", &fine), ("../x", &fine), ("L", &large)]).unwrap_err();
    let kinds: Vec<_> = errors.iter().map(|error| error.kind).collect();
    assert_eq!(kinds, [RenderErrorKind::Name, RenderErrorKind::Value]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_read_back_or_refused(value in prop_oneof![any::<String>(), r#"[ '"\\$`#!=%;\]a\n\r\t<-]{0,8}"#]) {
        for format in TEXTS {
            check(format, &value);
        }
    }

    #[test]
    fn a_secret_holds_any_bytes(value in prop::collection::vec(any::<u8>(), 0..40)) {
        let text = one(Format::K8s, &value).unwrap();
        let manifest: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        let data = manifest["data"]["V"].as_str().unwrap();
        prop_assert_eq!(BASE64_STANDARD.decode(data).unwrap(), value);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_shell_reads_the_lines_for_systemd_back(texts in prop::collection::vec(any::<String>(), 1..12)) {
        let is_character = |char: &char| !matches!(u32::from(*char), 0 | 0xfdd0..=0xfdef) && u32::from(*char) & 0xfffe != 0xfffe;
        let values: Vec<Vec<u8>> =
            texts.iter().map(|text| text.chars().filter(is_character).collect::<String>().into_bytes()).collect();
        prop_assert_eq!(sourced("/bin/sh", Format::Systemd, &values), values);
    }
}
