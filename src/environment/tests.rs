//! The map by rule, and its limits against the kernel's own answer.

use std::process::{Command, Stdio};

use super::limits::MARGIN;
use super::*;

const E2BIG: i32 = 7;

fn snapshot(variables: &[(&str, &str)]) -> EnvSnapshot {
    variables.iter().copied().collect()
}

fn values(pairs: &[(&str, &[u8])]) -> Vec<(String, SecretValue)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), SecretValue::copy_of(value))).collect()
}

fn build(
    inherited: &[(&str, &str)],
    resolved: &[(&str, &[u8])],
    options: &Options<'_>,
) -> Result<ChildEnvironment, EnvironmentError> {
    let resolved = values(resolved);
    ChildEnvironment::build(
        &snapshot(inherited),
        resolved.iter().map(|(name, value)| (name.as_str(), value)),
        options,
    )
}

fn texts(environment: &ChildEnvironment) -> Vec<&str> {
    environment.entries().iter().map(|entry| entry.to_str().unwrap()).collect()
}

fn strip(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Starts `true` with exactly this environment and returns the kernel's error, if it refuses.
fn kernel_refuses(environment: &ChildEnvironment) -> Option<i32> {
    let mut command = Command::new("/usr/bin/true");
    command.env_clear().stdin(Stdio::null());
    for entry in environment.entries() {
        let bytes = entry.to_bytes();
        let middle = bytes.iter().position(|byte| *byte == b'=').unwrap();
        command.env(OsStr::from_bytes(&bytes[..middle]), OsStr::from_bytes(&bytes[middle + 1..]));
    }
    match command.status() {
        Ok(status) => {
            assert!(status.success());
            None
        }
        Err(error) => error.raw_os_error(),
    }
}

#[test]
fn resolved_values_win_over_inherited_ones() {
    let environment = build(&[("B", "old"), ("A", "1")], &[("B", b"new")], &Options::default()).unwrap();
    assert_eq!(texts(&environment), ["A=1", "B=new"]);
    let b = environment.variables().find(|variable| variable.name == "B").unwrap();
    assert_eq!((b.source, b.overrides), (Source::Resolved, true));
}

#[test]
fn allow_override_lets_inherited_values_win() {
    let options = Options { precedence: Precedence::Inherited, ..Options::default() };
    let environment = build(&[("B", "old")], &[("B", b"new"), ("C", b"3")], &options).unwrap();
    assert_eq!(texts(&environment), ["B=old", "C=3"]);
    let b = environment.variables().next().unwrap();
    assert_eq!((b.source, b.overrides), (Source::Inherited, true));
}

#[test]
fn clean_keeps_only_the_short_list_and_the_locale() {
    let inherited = [("PATH", "/bin"), ("LC_ALL", "C"), ("LCX", "no"), ("EDITOR", "vi"), ("TZ", "UTC")];
    let options = Options { inherit: Inherit::Clean, ..Options::default() };
    let environment = build(&inherited, &[("A", b"1")], &options).unwrap();
    assert_eq!(texts(&environment), ["LC_ALL=C", "PATH=/bin", "TZ=UTC", "A=1"]);
}

#[test]
fn credentials_of_stores_are_not_inherited() {
    let options = Options { strip: strip(&["VAULT_TOKEN", "ABSENT"]), ..Options::default() };
    let environment = build(&[("VAULT_TOKEN", "t"), ("A", "1")], &[], &options).unwrap();
    assert_eq!(texts(&environment), ["A=1"]);
    assert_eq!(environment.stripped(), ["VAULT_TOKEN"]);
}

#[test]
fn a_credential_that_is_kept_is_inherited() {
    for inherit in [Inherit::All, Inherit::Clean] {
        let keep = Keep { names: strip(&["VAULT_TOKEN"]), ..Keep::default() };
        let options = Options { strip: strip(&["VAULT_TOKEN"]), keep, inherit, ..Options::default() };
        let environment = build(&[("VAULT_TOKEN", "t")], &[], &options).unwrap();
        assert_eq!(texts(&environment), ["VAULT_TOKEN=t"]);
        assert!(environment.stripped().is_empty());
    }
}

#[test]
fn a_pattern_keeps_what_starts_so_and_no_credential() {
    let keep = Keep { names: strip(&["ONE"]), starts: vec!["VAULT_".to_owned()] };
    let options =
        Options { strip: strip(&["VAULT_TOKEN"]), keep, inherit: Inherit::Clean, ..Options::default() };
    let inherited =
        [("VAULT_TOKEN", "t"), ("VAULT_ADDR", "a"), ("ONE", "1"), ("ONES", "2"), ("vault_x", "3")];
    let environment = build(&inherited, &[], &options).unwrap();
    assert_eq!(texts(&environment), ["ONE=1", "VAULT_ADDR=a"]);
    assert_eq!(environment.stripped(), ["VAULT_TOKEN"]);
}

#[test]
fn a_replaced_variable_is_told_from_one_that_had_the_value_already() {
    let environment = build(
        &[("A", "same"), ("B", "old"), ("b", "x")],
        &[("A", b"same"), ("B", b"new")],
        &Options::default(),
    );
    let environment = environment.unwrap();
    let differing: Vec<_> =
        environment.variables().filter(|variable| variable.differs).map(|variable| variable.name).collect();
    assert_eq!(differing, ["B"]);
    assert_eq!(texts(&environment), ["b=x", "A=same", "B=new"]);
}

#[test]
fn a_credential_that_the_environment_names_is_an_ordinary_variable() {
    let mut options = Options { strip: strip(&["VAULT_TOKEN"]), ..Options::default() };
    let environment = build(&[("VAULT_TOKEN", "old")], &[("VAULT_TOKEN", b"new")], &options).unwrap();
    assert_eq!(texts(&environment), ["VAULT_TOKEN=new"]);
    assert!(environment.stripped().is_empty());

    options.precedence = Precedence::Inherited;
    let environment = build(&[("VAULT_TOKEN", "old")], &[("VAULT_TOKEN", b"new")], &options).unwrap();
    assert_eq!(texts(&environment), ["VAULT_TOKEN=old"]);
}

#[test]
fn every_problem_is_reported_at_once_and_none_shows_a_value() {
    let long = vec![b'x'; 200 * 1024];
    let resolved: [(&str, &[u8]); 6] = [
        ("", b"canary"),
        ("A=B", b"canary"),
        ("N", b"canary\0"),
        ("D", b"1"),
        ("D", b"canary"),
        ("L", &long),
    ];
    let error = build(&[], &resolved, &Options::default()).unwrap_err();
    let codes: BTreeSet<_> = error.problems().iter().map(EnvironmentProblem::code).collect();
    assert_eq!(error.problems().len(), 5);
    assert_eq!(
        codes.into_iter().collect::<Vec<_>>(),
        [
            "dsops::environment::duplicate",
            "dsops::environment::invalid_name",
            "dsops::environment::nul",
            "dsops::environment::too_long",
        ]
    );
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[test]
fn bytes_that_are_not_text_reach_the_child() {
    let environment = build(&[], &[("A", &[0xff, b'\n', b'=', 0x80])], &Options::default()).unwrap();
    assert_eq!(environment.entries()[0].to_bytes(), b"A=\xff\n=\x80");
}

#[test]
fn an_empty_value_is_a_value() {
    let environment = build(&[], &[("A", b"")], &Options::default()).unwrap();
    assert_eq!(texts(&environment), ["A="]);
}

#[test]
fn debug_shows_names_only() {
    let environment = build(&[("PATH", "/canary")], &[("A", b"canary")], &Options::default()).unwrap();
    assert_eq!(format!("{environment:?}"), r#"{"PATH", "A"}"#);
}

#[test]
fn the_largest_single_value_starts_and_one_byte_more_does_not() {
    // `V=`, the value, and NUL.
    let fits = vec![b'x'; 128 * 1024 - 3];
    let environment = build(&[], &[("V", &fits)], &Options::default()).unwrap();
    assert_eq!(kernel_refuses(&environment), None);

    let over = vec![b'x'; fits.len() + 1];
    let error = build(&[], &[("V", &over)], &Options::default()).unwrap_err();
    assert_eq!(error.problems(), [EnvironmentProblem::TooLong { name: "V".into(), limit: 128 * 1024 }]);
    let unchecked = ChildEnvironment { variables: vec![held("V", &over)], stripped: Vec::new() };
    assert_eq!(kernel_refuses(&unchecked), Some(E2BIG));
}

#[test]
fn the_largest_total_starts_and_one_byte_more_does_not() {
    let limits = Limits::of_kernel();
    let command = [OsString::from("/usr/bin/true")];
    let options = Options { command: &command, ..Options::default() };
    let used = limits.cost(command[0].len() + 1);

    let fits = filling(limits.total() - used);
    let environment = build_held(&fits, &options).unwrap();
    assert_eq!(kernel_refuses(&environment), None);

    let over = filling(limits.total() - used + 1);
    let error = build_held(&over, &options).unwrap_err();
    assert!(matches!(&error.problems(), [EnvironmentProblem::TooMuch { .. }]), "{error}");
}

#[test]
fn the_kernel_counts_as_this_file_does() {
    // Without the margin, and with the path of the program, which the kernel counts as well, the
    // sum is exact: the kernel takes it and not a byte more.
    let limits = Limits::of_kernel();
    let path = "/usr/bin/true".len() + 1;
    let room = limits.total() + MARGIN - path - limits.cost(path);
    let exact = ChildEnvironment { variables: filling(room), stripped: Vec::new() };
    assert_eq!(kernel_refuses(&exact), None);
    let over = ChildEnvironment { variables: filling(room + 1), stripped: Vec::new() };
    assert_eq!(kernel_refuses(&over), Some(E2BIG));
}

fn held(name: &str, value: &[u8]) -> Held {
    let text = join(name.as_bytes(), value).unwrap();
    Held { name: name.into(), source: Source::Resolved, overrides: false, differs: false, text, file: None }
}

/// Returns variables that cost exactly as much as asked for.
fn filling(mut room: usize) -> Vec<Held> {
    let limits = Limits::of_kernel();
    let mut variables = Vec::new();
    while room > 0 {
        let name = format!("V{:03}", variables.len());
        let around = limits.cost(name.len() + 2);
        let most = limits.cost(limits.string());
        // The last two share what is left, so that neither is too small to exist.
        let spend = if room <= most { room } else { most.min(room / 2) };
        variables.push(held(&name, &vec![b'x'; spend - around]));
        room -= spend;
    }
    variables
}

fn build_held(variables: &[Held], options: &Options<'_>) -> Result<ChildEnvironment, EnvironmentError> {
    let values: Vec<_> = variables
        .iter()
        .map(|held| {
            let value = &held.text.0.to_bytes()[held.name.len() + 1..];
            (held.name.to_str().unwrap().to_owned(), SecretValue::copy_of(value))
        })
        .collect();
    ChildEnvironment::build(
        &EnvSnapshot::default(),
        values.iter().map(|(name, value)| (name.as_str(), value)),
        options,
    )
}
