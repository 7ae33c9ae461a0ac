//! Chains as people write them, and what must hold for every chain and value.

use dsops_providers::contract::{Key, Node, NodeKind, Scalar, SecretValue, Span};
use proptest::prelude::*;

use super::{Chain, ParseError, TransformErrorKind};

fn no_yaml(_: &str) -> Result<Node, usize> {
    Err(0)
}

fn applied(chain: &str, value: &str) -> String {
    let chain = Chain::parse(chain).unwrap_or_else(|error| panic!("{chain}: {error}"));
    let value = chain.apply(SecretValue::from(value), no_yaml).unwrap();
    value.expose_str().unwrap().to_owned()
}

fn refused(chain: &str) -> ParseError {
    match Chain::parse(chain) {
        Ok(read) => panic!("`{chain}` was read as {read}"),
        Err(error) => error,
    }
}

/// Builds the tree that a reader gives for a flow sequence, mapping or scalar of a document.
mod tree {
    use super::*;

    pub(super) fn plain(text: &str, start: usize) -> Node {
        let span = Span { start, len: text.len() };
        Node { span, kind: NodeKind::Scalar(Scalar { text: text.to_owned(), plain: true }) }
    }

    pub(super) fn quoted(text: &str, start: usize) -> Node {
        let span = Span { start, len: text.len() + 2 };
        Node { span, kind: NodeKind::Scalar(Scalar { text: text.to_owned(), plain: false }) }
    }

    pub(super) fn list(items: Vec<Node>) -> Node {
        Node { span: Span { start: 0, len: 999 }, kind: NodeKind::List(items) }
    }

    pub(super) fn map(start: usize, entries: Vec<(&str, Node)>) -> Node {
        let entries = entries.into_iter().map(|(name, value)| {
            let span = Span { start: value.span.start.saturating_sub(name.len() + 2), len: name.len() };
            (Key { name: name.to_owned(), span }, value)
        });
        Node { span: Span { start, len: 50 }, kind: NodeKind::Map(entries.collect()) }
    }
}

#[test]
fn chains_of_the_go_programs_examples_do_what_they_say() {
    let lines = "apple\nbanana\ncherry\ndate\n";
    for (chain, value, result) in [
        ("trim", " x ", "x"),
        ("json_extract:.redis.port", r#"{"redis":{"port":6379}}"#, "6379"),
        ("join:,", r#"["item1", "item2", "item3"]"#, "item1,item2,item3"),
        ("join:,", lines, "apple,banana,cherry,date"),
        ("join:-", lines, "apple-banana-cherry-date"),
        ("join:;", "red,green,blue,yellow", "red;green;blue;yellow"),
        ("join:|", "apple,banana,cherry", "apple|banana|cherry"),
        ("join:comma", "apple,banana,cherry", "applecommabananacommacherry"),
        ("base64_decode,trim", "IHgg", "x"),
        ("multiline_to_single,base64_encode", "a\nb", "YVxuYg=="),
        ("base64_decode | json_extract:.a | upper", "eyJhIjoieCJ9", "X"),
        ("replace:http:https://x", "http", "https://x"),
    ] {
        assert_eq!(applied(chain, value), result, "{chain}");
    }
}

#[test]
fn separators_in_arguments_need_no_quotes_where_nothing_else_can_be_meant() {
    for (chain, value, result) in [
        ("join:,,trim", "a;b ", "a,b"),
        ("join:|,upper", "a;b", "A|B"),
        ("join:, |trim", "a;b", "a,b"),
        ("join:\", \"", "a;b", "a, b"),
        ("join:\"\"", "a;b", "ab"),
        (r"join:\n", "a;b", "a\nb"),
        ("join::", "a;b", "a:b"),
        ("replace:,:;", "a,b", "a;b"),
        (r"replace:\::x", "a:b", "axb"),
        ("replace:\"a,b:c\":\"|trim\"", "a,b:c", "|trim"),
        (r#"replace:\":'"#, "say \"x\"", "say 'x'"),
        ("replace:x:", "axb", "ab"),
        ("replace: :_", "a b", "a_b"),
        (r"regex_replace:a{1,2}(b|c)\d:x,upper", "aab1", "X"),
        (r#"regex_replace:"(?:a|b):\"":"$0!",trim"#, "b:\"", "b:\"!"),
        (r"regex_replace:(\w)\:(\w):${2}\:$1", "a:b", "b:a"),
        ("template:{{ value|trim|upper }}, x", " a ", "A, x"),
        ("template:\"<{{ value }}>\", upper", "a", "<A>"),
        ("json_extract:.\"a,trim\"", r#"{"a,trim": "x"}"#, "x"),
        ("json_extract:.[\"a|upper\"],upper", r#"{"a|upper": "x"}"#, "X"),
        ("json_extract: .a b ,trim", r#"{"a b": "x"}"#, "x"),
    ] {
        assert_eq!(applied(chain, value), result, "{chain}");
    }
}

#[test]
fn what_could_mean_two_things_is_refused() {
    for (chain, message) in [
        ("replace:a,b:c", "`replace` needs `from` and `to`"),
        ("join:,uper", "an argument is empty"),
        ("join:-,uper", "no transform is named `uper`"),
        ("regex_replace:a|b:x", "`regex_replace` needs `pattern` and `replacement`"),
        ("join:", "an argument is empty"),
        ("join", "`join` needs `separator`"),
        ("replace:a", "`replace` needs `from` and `to`"),
        ("trim:x", "`trim` takes no arguments"),
        ("join:\"open", "a quote is not closed"),
        ("join:\"a\"b", "a quote is not closed"),
        (r"join:\d", "`\\d` is no escape"),
        (r"join:a\", "a backslash stands at the end"),
        ("json_extract:", "the path is empty"),
        ("json_extract:.a..b", "`.a..b` is not a path"),
        ("regex_replace:(?:x):y", "the pattern is no regular expression"),
        ("template:{{ valeu }}", "the template uses `valeu`, which is not there"),
        ("", "the name of a transform is missing"),
        ("trim,", "the name of a transform is missing"),
        (",trim", "the name of a transform is missing"),
        ("trim upper", "transforms must be separated by a comma"),
    ] {
        let found = refused(chain).message;
        assert!(found.starts_with(message), "{chain}: {found}");
    }
}

#[test]
fn a_near_miss_is_suggested_at_its_place() {
    let error = refused("trim, bas64_decode");
    assert_eq!(error.help.as_deref(), Some("did you mean `base64_decode`?"));
    assert_eq!(error.span, Span { start: 6, len: 12 });
    let error = refused("trim, jsonextract:.a, upper");
    assert_eq!(error.help.as_deref(), Some("did you mean `json_extract`?"));
    assert_eq!(refused("trim | json_extract:a..b | upper").span, Span { start: 7, len: 17 });
}

#[test]
fn lists_hold_strings_mappings_and_names_of_chains() {
    let named = |name: &str| (name == "db-password").then(|| Chain::parse("json_extract:.password").unwrap());
    let node = tree::list(vec![
        tree::plain("base64_decode", 0),
        tree::plain("db-password, trim", 20),
        tree::map(
            50,
            vec![
                ("type", tree::plain("replace", 60)),
                ("from", tree::plain("1", 70)),
                ("to", tree::quoted("", 80)),
            ],
        ),
        tree::map(90, vec![("type", tree::plain("join", 100)), ("separator", tree::quoted(", ", 120))]),
        tree::map(
            90,
            vec![("template", tree::quoted("<{{ value }}>", 120)), ("type", tree::plain("template", 150))],
        ),
    ]);
    let chain = Chain::from_node(&node, &named).unwrap();
    assert_eq!(
        chain.to_string(),
        "base64_decode, json_extract:.password, trim, replace:\"1\":\"\", join:\", \", template:\"<{{ value }}>\""
    );
    assert_eq!(chain.names().count(), 6);
    let value = SecretValue::from("eyJwYXNzd29yZCI6ICIgMWE7YiAifQ");
    assert_eq!(chain.apply(value, no_yaml).unwrap().expose_str(), Some("<a, b>"));
}

#[test]
fn every_mistake_of_a_list_is_placed() {
    let node = tree::list(vec![
        tree::plain("trim, uper", 100),
        tree::quoted("json_extract:.a..b", 200),
        tree::map(300, vec![("type", tree::plain("join", 310)), ("seperator", tree::plain(",", 330))]),
        tree::map(400, vec![("path", tree::plain(".a", 410))]),
        tree::map(500, vec![("type", tree::plain("json_extract", 510)), ("path", tree::plain("a..b", 530))]),
        tree::map(600, vec![("type", tree::plain("template", 610)), ("values", tree::map(650, Vec::new()))]),
        Node { span: Span { start: 700, len: 4 }, kind: NodeKind::Null },
    ]);
    let errors = Chain::from_node(&node, &|_| None).unwrap_err();
    let found: Vec<_> =
        errors.iter().map(|error| (error.span.start, error.span.len, error.message.as_str())).collect();
    assert_eq!(
        found,
        [
            (106, 4, "no transform is named `uper`"),
            (201, 18, "`.a..b` is not a path"),
            (319, 9, "`join` has no option `seperator`"),
            (300, 50, "`join` needs `separator`"),
            (400, 50, "`type` is missing"),
            (530, 4, "`a..b` is not a path"),
            (642, 6, "`template` has no option `values`"),
            (600, 50, "`template` needs `template`"),
            (700, 4, "null where a transform is needed"),
        ]
    );
}

#[test]
fn a_transforms_own_name_wins_over_a_chain_of_that_name() {
    let named = |_: &str| Some(Chain::parse("upper").unwrap());
    assert_eq!(Chain::parse_with("trim", &named).unwrap().to_string(), "trim");
}

#[test]
fn an_error_names_step_transform_and_code() {
    let chain = Chain::parse("trim, json_extract:.a").unwrap();
    let error = chain.apply(SecretValue::from("hunter2"), no_yaml).unwrap_err();
    assert_eq!((error.step, error.name, error.kind), (2, "json_extract", TransformErrorKind::Decode));
    assert_eq!(error.to_string(), "`json_extract` (step 2 of the transform): not JSON at byte 0");
    assert_eq!(error.kind.code(), "dsops::transform::decode");
}

/// One chain of every transform, with arguments that hold everything that has to be quoted.
fn chains() -> impl Strategy<Value = String> {
    let text = prop_oneof!["[ -~]{1,6}", any::<String>().prop_filter("not empty", |text| !text.is_empty())];
    let quoted = text.prop_map(|text| super::parse::escape(&text)).boxed();
    let key = any::<String>().prop_map(|key| super::quote::json(&key));
    let path = prop::collection::vec(
        prop_oneof![key, "[a-z0-9_-]{1,4}", Just("[0]".to_owned()), Just("[-2]".to_owned())],
        0..4,
    )
    .prop_map(|parts| format!(".{}", parts.join(".")));
    let step = prop_oneof![
        prop::sample::select(vec![
            "trim",
            "upper",
            "lower",
            "multiline_to_single",
            "base64_encode",
            "base64_decode",
            "base64url_encode"
        ])
        .prop_map(str::to_owned),
        path.clone().prop_map(|path| format!("json_extract:{path}")),
        path.prop_map(|path| format!("yaml_extract:{path}")),
        quoted.clone().prop_map(|text| format!("join:{text}")),
        (quoted.clone(), quoted.clone()).prop_map(|(from, to)| format!("replace:{from}:{to}")),
        prop::sample::select(vec![
            r#"regex_replace:"\"(a|b),\\":"${1}\"""#,
            r#"regex_replace:\"+[";]:x"#,
            r"regex_replace:\w\:,:$0",
            "template:\"{{ value | upper }}, trim\"",
            "template:\"{{ value | b64decode }}\"",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(step, 1..4).prop_map(|steps| steps.join(","))
}

proptest! {
    #[test]
    fn reading_never_panics(text in any::<String>()) {
        let _ = Chain::parse(&text);
    }

    #[test]
    fn reading_what_looks_like_a_chain_never_panics(
        text in r#"((trim|join|replace|regex_replace|json_extract|template|x)?[:,| "\\.\[\]\na0{}()-]{0,4}){0,5}"#
    ) {
        if let Err(error) = Chain::parse(&text) {
            prop_assert!(text.get(error.span.start..error.span.start + error.span.len).is_some(), "{:?}", error);
        }
    }

    #[test]
    fn a_printed_chain_is_read_back(text in chains()) {
        let chain = Chain::parse(&text);
        prop_assert!(chain.is_ok(), "{}: {:?}", text, chain);
        let printed = chain.unwrap().to_string();
        let again = Chain::parse(&printed);
        prop_assert!(again.is_ok(), "{}: {:?}", printed, again);
        prop_assert_eq!(again.unwrap().to_string(), printed);
    }

    #[test]
    fn no_bytes_make_a_chain_panic(text in chains(), value in any::<Vec<u8>>()) {
        if let Ok(chain) = Chain::parse(&text) {
            let _ = chain.apply(SecretValue::new(value), no_yaml);
        }
    }

    #[test]
    fn decoding_undoes_encoding(value in any::<Vec<u8>>()) {
        for encode in ["base64_encode", "base64url_encode"] {
            let chain = Chain::parse(&format!("{encode},base64_decode")).unwrap();
            let result = chain.apply(SecretValue::copy_of(&value), no_yaml).unwrap();
            prop_assert_eq!(result.expose(), value.as_slice());
        }
    }

    #[test]
    fn trimming_twice_is_trimming_once(value in prop_oneof![any::<Vec<u8>>(), r"\s{0,3}\PC{0,4}\s{0,3}".prop_map(String::into_bytes)]) {
        let once = Chain::parse("trim").unwrap().apply(SecretValue::copy_of(&value), no_yaml).unwrap();
        let twice = Chain::parse("trim,trim").unwrap().apply(SecretValue::copy_of(&value), no_yaml).unwrap();
        prop_assert_eq!(once.expose(), twice.expose());
    }

    #[test]
    fn no_error_shows_a_part_of_the_value(
        before in r#"[\[\]{}":,0-9a ]{0,8}"#, after in r#"[\[\]{}":,0-9a* ]{0,8}"#, text in chains()
    ) {
        let mark = "Qk3zW9";
        let value = format!("{before}{mark}{after}");
        for chain in ["json_extract:.a.b", "base64_decode", "json_extract:.[0]", "join:-", "template:\"{{ value | b64decode }}\"",
            "template:\"{{ value + 1 }}{{ value | int }}\"", "yaml_extract:.a", text.as_str()]
        {
            if chain.contains(mark) {
                continue;
            }
            let Ok(chain) = Chain::parse(chain) else { continue };
            if let Err(error) = chain.apply(SecretValue::from(value.as_str()), no_yaml) {
                let everything = format!("{error} {error:?}");
                prop_assert!(!everything.contains(mark), "{}", everything);
            }
        }
    }
}
