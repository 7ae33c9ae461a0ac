//! What a `dotenv` store does.

use std::fs;

use async_trait::async_trait;
use proptest::prelude::*;

use super::grammar::Mistake;
use super::*;
use crate::contract::conformance::{self, CANARY, Inapplicable, Scene, Seed, Subject, map, plain};
use crate::contract::{Descriptor, EnvSnapshot, NoExpansion, Node, SecretValue, Status};

/// Writes a value so that any reader of these files gets it back.
fn quoted(value: &[u8]) -> Vec<u8> {
    let mut text = vec![b'"'];
    for &byte in value {
        match byte {
            b'\n' => text.extend(b"\\n"),
            b'\r' => text.extend(b"\\r"),
            b'"' | b'\\' | b'$' => text.extend([b'\\', byte]),
            _ => text.push(byte),
        }
    }
    text.push(b'"');
    text
}

fn scene(bytes: &[u8], options: &[(&str, Node)]) -> Scene {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".env"), bytes).unwrap();
    let env: EnvSnapshot = [("FROM_ENV", "outside"), ("EMPTY_ENV", "")].into_iter().collect();
    let context = Context::builder().base_dir(dir.path()).env(env).build();
    Scene::new(map(options.iter().cloned())).context(context).keep(dir)
}

struct Lines;

#[async_trait]
impl Subject for Lines {
    fn descriptor(&self) -> Descriptor {
        Descriptor::of::<Dotenv>()
    }

    async fn holding(&self, seeds: &[Seed]) -> Scene {
        let mut file = b"# seeded\n".to_vec();
        for seed in seeds {
            file.extend([seed.path.as_bytes(), b"=", &quoted(&seed.value), b"\n"].concat());
        }
        scene(&file, &[])
    }

    async fn expired(&self, _: &[Seed]) -> Result<Scene, Inapplicable> {
        Err(Inapplicable("there is nothing to log in to"))
    }

    async fn slow(&self, _: &[Seed]) -> Result<Scene, Inapplicable> {
        Err(Inapplicable("only regular files are read"))
    }

    async fn garbage(&self) -> Result<Vec<(&'static str, Scene)>, Inapplicable> {
        let named = |name, text: String| (name, scene(text.as_bytes(), &[]));
        Ok(vec![
            named("JSON", format!("{{\"FIRST\": \"{CANARY}\"}}")),
            named("YAML", format!("FIRST: {CANARY}\n")),
            named("a cut quote", format!("FIRST=\"{CANARY}\nSECOND=x\n")),
            named("a value that lost its quotes", format!("FIRST=one\n{CANARY} two\n")),
            ("UTF-16", scene(b"\xff\xfeF\0=\0x\0", &[])),
        ])
    }

    fn folder(&self) -> Option<&'static str> {
        None
    }
}

#[tokio::test]
async fn it_conforms() {
    conformance::run(&Lines).await;
}

fn read(file: &str, expansion: Expansion) -> Result<Vec<(String, String)>, Mistake> {
    let env: EnvSnapshot = [("FROM_ENV", "outside"), ("EMPTY_ENV", "")].into_iter().collect();
    let file = File::read(file.as_bytes(), expansion, &env)?;
    let shown = |value: Result<SecretValue, FetchError>| match value {
        Ok(value) => String::from_utf8(value.expose().to_vec()).unwrap(),
        Err(error) => format!("error: {error}"),
    };
    Ok(file.names().map(|name| (name.to_owned(), shown(file.get(name).unwrap()))).collect())
}

#[track_caller]
fn reads(file: &str, expected: &[(&str, &str)]) {
    let found = read(file, Expansion::Off).unwrap();
    let found: Vec<(&str, &str)> =
        found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(found, expected, "{file:?}");
}

#[track_caller]
fn expands(file: &str, last: &str) {
    let found = read(file, Expansion::On).unwrap();
    assert_eq!(found.last().unwrap().1, last, "{file:?}");
}

#[track_caller]
fn fails(file: &str, line: usize, column: usize, message: &str) {
    let mistake = read(file, Expansion::On).unwrap_err();
    assert_eq!((mistake.line, mistake.column), (line, column), "{file:?}: {}", mistake.message);
    assert!(mistake.message.contains(message), "{file:?}: {}", mistake.message);
}

#[test]
fn a_file_without_assignments_has_no_keys() {
    for file in ["", "\n", " \t", "# only a comment", "\r\n#\r\n", "\u{feff}"] {
        reads(file, &[]);
    }
}

#[test]
fn plain_values_are_trimmed_and_lose_their_comment() {
    reads("A=b", &[("A", "b")]);
    reads("A = b c \t\nB=d", &[("A", "b c"), ("B", "d")]);
    reads("A=b # c", &[("A", "b")]);
    reads("A=b\t# c # d", &[("A", "b")]);
    reads("A=b#c", &[("A", "b#c")]);
    reads("A=#c", &[("A", "#c")]);
    reads("A= # c", &[("A", "")]);
    reads("A=x=y==", &[("A", "x=y==")]);
    reads(r"A=it's a \n", &[("A", r"it's a \n")]);
    reads("A=$B ${C}", &[("A", "$B ${C}")]);
}

#[test]
fn an_empty_value_is_a_value() {
    for file in ["A=", "A=\n", "A= \r\n", "A=''", "A=\"\"", "A=``", "A='' # c"] {
        reads(file, &[("A", "")]);
    }
}

#[test]
fn keys_may_be_exported_indented_and_dotted() {
    reads("export A=b\n  export\tC.d-E=f\n", &[("A", "b"), ("C.d-E", "f")]);
    reads("export=a\nexport1=b", &[("export", "a"), ("export1", "b")]);
}

#[test]
fn single_quotes_and_backticks_take_what_they_hold_as_it_stands() {
    reads(r#"A='b \n $C ${D} "e" # f' # g"#, &[("A", r#"b \n $C ${D} "e" # f"#)]);
    reads("A=`it's \"b\"`", &[("A", "it's \"b\"")]);
    reads("A='\n b\n\nc '", &[("A", "\n b\n\nc ")]);
}

#[test]
fn double_quotes_know_the_common_escapes_and_keep_others() {
    reads(r#"A="b\n\r\t\"\\\$""#, &[("A", "b\n\r\t\"\\$")]);
    reads(r#"A="\d \' \x41 \u0041""#, &[("A", r"\d \' \x41 \u0041")]);
    reads("A=\"b\\\nc\\\r\nd\"", &[("A", "bcd")]);
    reads("A=\"\n  b # c\n\"#d", &[("A", "\n  b # c\n")]);
    reads(r#"A="$B ${C} \${D}""#, &[("A", "$B ${C} ${D}")]);
    reads(
        r#"A="ends in \\"
B=c"#,
        &[("A", r"ends in \"), ("B", "c")],
    );
}

#[test]
fn a_file_with_crlf_reads_as_one_with_lf() {
    let file = "\u{feff}# c\nA=b\n\nB=\"c\nd\" # e\nC='f\n'\nD=`\n`\n";
    let unix = read(file, Expansion::Off).unwrap();
    assert_eq!(unix[1].1, "c\nd");
    assert_eq!(read(&file.replace('\n', "\r\n"), Expansion::Off).unwrap(), unix);
}

#[test]
fn variables_are_earlier_keys_then_the_environment_then_a_default() {
    expands("A=b\nC=${A}-${A}", "b-b");
    expands("FROM_ENV=here\nC=\"<${FROM_ENV}>\"", "<here>");
    expands("C=${FROM_ENV}", "outside");
    expands("C=${NOT:-a b}${EMPTY_ENV:-c}${FROM_ENV:-d}", "a bcoutside");
    expands("A=\nC=<${A:-x}><${A}>", "<x><>");
    expands("A='${FROM_ENV}'\nC=${A}", "${FROM_ENV}");
    expands("C=`${FROM_ENV}`", "${FROM_ENV}");
    expands(r#"C="\${FROM_ENV} $FROM_ENV $$ $""#, "${FROM_ENV} $FROM_ENV $$ $");
    expands("C=${LATER}\nLATER=x\nD=ok", "ok");
    expands(
        "A=a\nB=b\nC=${LATER}",
        "error: `C` on line 3 needs `LATER`, which is neither an earlier key nor a variable",
    );
    expands(
        "C=${NOT}\nD=${C}",
        "error: `C` on line 1 needs `NOT`, which is neither an earlier key nor a variable",
    );
}

#[test]
fn a_key_that_is_given_twice_must_have_one_value() {
    reads("A=b\nC=d\nA='b'", &[("A", "b"), ("C", "d")]);
    reads(
        "A=b\n\nA=c\nC=d\nA=e",
        &[("A", "error: `A` has one value on line 1 and another on line 3"), ("C", "d")],
    );
    reads(
        "K=\"a\nb\"\nA=b\nA=c",
        &[("K", "a\nb"), ("A", "error: `A` has one value on line 3 and another on line 4")],
    );
}

#[test]
fn mistakes_have_a_line_and_a_column() {
    fails("A=b\nhunter2", 2, 8, "no `=`");
    fails("export A\n", 1, 9, "no `=`");
    fails("A: b", 1, 2, "no `=`");
    fails("  =b", 1, 3, "neither");
    fails("A=b\n{", 2, 1, "neither");
    fails("A=b\nÄ=b", 2, 1, "neither");
    fails("A='b\nC=d", 1, 3, "does not close");
    fails("A=b\n C = \"d\\\"", 2, 6, "does not close");
    fails("A=\"b\\", 1, 3, "does not close");
    fails("A=\"é\" b", 1, 7, "after the closing quote");
    fails("A='it\\'s'", 1, 8, "after the closing quote");
    fails("A=\"x\"\"y\"", 1, 6, "after the closing quote");
    fails("A=b\rC=d\n", 1, 4, "carriage return");
    fails("A=x${B", 1, 4, "`${`");
    fails("A=\"${B-c}\"", 1, 4, "`${`");
    fails("A=${}", 1, 3, "`${`");
    fails("\u{feff}A", 1, 2, "no `=`");
}

async fn fetch_one(scene: &Scene, path: &str) -> Result<SecretValue, FetchError> {
    let provider = scene.open(&Descriptor::of::<Dotenv>()).unwrap();
    provider.fetch(&scene.context, &[Locator::new(path)]).await.into_vec().pop().unwrap()
}

#[tokio::test]
async fn a_mistake_is_told_with_its_place_and_without_its_line() {
    let error = fetch_one(&scene(b"A=b\nhunter2 hunter3", &[]), "A").await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Damaged);
    assert!(error.message().ends_with(".env` line 2, column 9"), "{error}");
    assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
}

#[tokio::test]
async fn bytes_that_are_not_text_are_kept() {
    let scene = scene(b"A=\xff\xfe\nB='\xff\0'", &[]);
    assert_eq!(fetch_one(&scene, "A").await.unwrap().expose(), b"\xff\xfe");
    assert_eq!(fetch_one(&scene, "B").await.unwrap().expose(), b"\xff\0");
}

#[tokio::test]
async fn variables_are_left_alone_unless_asked_for() {
    let file = b"A=${FROM_ENV}";
    assert_eq!(fetch_one(&scene(file, &[]), "A").await.unwrap().expose(), b"${FROM_ENV}");
    let expanding = scene(file, &[("expand", plain("true"))]);
    assert_eq!(fetch_one(&expanding, "A").await.unwrap().expose(), b"outside");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_not_an_absent_secret() {
    for (path, told) in [("gone.env", "there is no file"), (".", "is no regular file")] {
        let scene = scene(b"", &[("path", plain(path))]);
        let error = fetch_one(&scene, "A").await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Unavailable);
        assert!(!error.is_temporary() && !error.is_absence());
        assert!(error.message().contains(told), "{error}");
        assert!(error.advice().is_some());
        let findings = scene.open(&Descriptor::of::<Dotenv>()).unwrap().check(&scene.context).await;
        assert_eq!(findings[0].status, Status::Failed);
    }
}

#[tokio::test]
async fn the_check_counts_the_keys_and_warns_of_one_that_has_no_value() {
    let check = async |file: &[u8]| {
        let scene = scene(file, &[]);
        scene.open(&Descriptor::of::<Dotenv>()).unwrap().check(&scene.context).await.remove(0)
    };
    let good = check(b"A=b\nC=d").await;
    assert_eq!(good.status, Status::Ok);
    assert!(good.message.ends_with("has 2 keys"), "{}", good.message);
    let twice = check(b"A=b\nA=c").await;
    assert_eq!(twice.status, Status::Warning);
    assert!(twice.message.contains("`A` has one value on line 1"), "{}", twice.message);
}

#[test]
fn what_cannot_be_a_key_is_refused_before_the_file_is_read() {
    let locators = ["A.b-C_1", "", "a/B", "A B", "Ä"].map(Locator::new);
    let accepted = (Descriptor::of::<Dotenv>().accept)(&map::<&str>([]), &NoExpansion, &locators).unwrap();
    assert_eq!(accepted.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, false, false]);
}

proptest! {
    #[test]
    fn any_bytes_read_back_as_they_were_quoted(values: Vec<Vec<u8>>, expand: bool) {
        let expansion = if expand { Expansion::On } else { Expansion::Off };
        let mut file = Vec::new();
        for (number, value) in values.iter().enumerate() {
            file.extend([format!("K{number}=").as_bytes(), &quoted(value), b"\n"].concat());
        }
        let read = File::read(&file, expansion, &EnvSnapshot::default()).ok().unwrap();
        prop_assert_eq!(read.names().count(), values.len());
        for (number, value) in values.iter().enumerate() {
            let found = read.get(&format!("K{number}")).unwrap().unwrap();
            prop_assert_eq!(found.expose(), value.as_slice());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, expand: bool) {
        let expansion = if expand { Expansion::On } else { Expansion::Off };
        let _ = File::read(&bytes, expansion, &EnvSnapshot::default());
    }

    #[test]
    fn no_line_of_the_characters_that_mean_something_makes_it_panic(text in "[A='\"`$#{}:\\- \t\r\n]{0,40}") {
        if let Err(mistake) = read(&text, Expansion::On) {
            let line = text.split('\n').nth(mistake.line - 1).unwrap();
            prop_assert!(mistake.column <= line.chars().count() + 1);
        }
    }
}
