//! Names of every kind that Infisical allows, and values exact to the byte, by lists, single reads, versions,
//! imports and references, from every kind of server.

use crate::lab::{Exec, against, discreet, server, value};
use crate::support::infisical::{Generation, Infisical};

/// Every kind of server: both generations, and one that has the newer routes only.
fn servers() -> [Infisical; 3] {
    let newest = server(Generation::July2026).with(|world| {
        world.drop_older_routes();
    });
    [server(Generation::June2025), server(Generation::July2026), newest]
}

/// Names that are easy to send, or to write into a file, wrongly.
fn names() -> Vec<String> {
    let odd = [
        "with space",
        " lead",
        "trail ",
        "100%",
        "%41",
        "%2F",
        "what?",
        "a#b",
        "a+b",
        "a=b",
        "a&b",
        "a;b",
        "a,b",
        "a|b",
        ".",
        "..",
        "...",
        ".a",
        "é",
        "e\u{301}",
        "名前",
        "🔑",
        "'",
        "\"",
        "`",
        "\\",
        "$A",
        "${A}",
        "{}",
        "[0]",
        "<x>",
        "~",
        "*",
        "id",
        "batch",
        "raw",
        "null",
        "true",
        "0",
    ];
    let mut names: Vec<String> = odd.map(str::to_owned).to_vec();
    names.extend(["n".repeat(100), "n".repeat(101), "n".repeat(250), "é".repeat(100), "🔑".repeat(51)]);
    names
}

/// Writes a reference to a name of any characters, for a file.
fn reference(folder: &str, name: &str) -> String {
    let mut escaped = String::new();
    for byte in name.bytes() {
        escaped.push_str(&format!("%{byte:02X}"));
    }
    format!("'store://infisical/{folder}/{escaped}'")
}

/// Returns the value of a name, which refers to nothing.
fn own(name: &str) -> String {
    value(&name.replace("${", "$("))
}

#[test]
fn every_name_is_read_alone_among_others_and_through_an_import() {
    for prepared in servers() {
        let mut prepared = prepared.import(("dev", "/importer"), ("dev", "/odd"));
        for name in names() {
            prepared = prepared.secret("dev", "/odd", &name, &own(&name));
        }
        let server = prepared.start();
        let mut variables = String::new();
        for (number, name) in names().iter().enumerate() {
            variables.push_str(&format!("N{number}: {{from: {}}}\n", reference("odd", name)));
        }
        let count = names().len();
        let script = format!("i=0; while [ $i -lt {count} ]; do printenv N$i; i=$((i+1)); done");
        let expected: String = names().iter().map(|name| format!("{}\n", own(name))).collect();
        let run = against(&server, &variables).exec(&script).run();
        let _ = discreet(run, &server).code(0).stdout(&expected);
        for name in names() {
            let variable = format!("A: {{from: {}}}", reference("odd", &name));
            let run = against(&server, &variable).get("A").run();
            let _ = discreet(run, &server).code(0).stdout(own(&name));
        }
        // What only a list shows cannot be read singly, which a server of the newer routes alone would need.
        let short =
            |name: &&String| !matches!(name.as_str(), "." | "..") && name.encode_utf16().count() <= 100;
        for name in names().iter().filter(short) {
            let variable = format!("A: {{from: {}}}", reference("importer", name));
            let run = against(&server, &variable).get("A").run();
            let _ = discreet(run, &server).code(0).stdout(own(name));
        }
    }
}

/// Values that are easy to change on the way.
fn values() -> Vec<String> {
    vec![
        String::new(),
        "\n".to_owned(),
        "line\n".to_owned(),
        "a\r\nb\r\n".to_owned(),
        " \t outer \t ".to_owned(),
        "nul \0 inside".to_owned(),
        "\\u0000 \\n \\\\ \"".to_owned(),
        "🔑 é e\u{301} \u{feff}\u{202e}\u{2028}".to_owned(),
        "\u{1}\u{7f}\u{80}\u{fffd}".to_owned(),
        "$ $$ $(id) `id` ${} ${A B} %s %41 &amp; <b>".to_owned(),
        "{\"a\": [1, 2.0, 1e400]}".to_owned(),
        "null".to_owned(),
        "x".repeat(700_000),
    ]
}

#[test]
fn every_value_is_exact_to_the_byte_by_every_way_of_reading_it() {
    for prepared in servers() {
        let mut prepared = prepared.import(("dev", "/importer"), ("dev", "/app"));
        for (number, value) in values().iter().enumerate() {
            prepared = prepared
                .secret("dev", "/app", &format!("V{number}"), value)
                .secret("dev", "/app", &format!("V{number}"), "another")
                .secret("dev", "/app", &format!("V{number}"), value)
                .secret("dev", "/app", &format!("R{number}"), &format!("<${{V{number}}}>"));
        }
        let server = prepared.start();
        for (number, value) in values().iter().enumerate() {
            for (reference, expected) in [
                (format!("app/V{number}"), value.clone()),
                (format!("app/V{number}@v1"), value.clone()),
                (format!("importer/V{number}"), value.clone()),
                (format!("app/R{number}"), format!("<{value}>")),
            ] {
                let alone = format!("A: {{from: infisical/{reference}}}");
                let run = against(&server, &alone).get("A").run();
                let _ = discreet(run, &server).code(0).stdout(&expected);
            }
        }
        let listed = "import: {store: infisical/app}";
        for (number, value) in values().iter().enumerate() {
            let run = against(&server, listed).get(&format!("V{number}")).run();
            let _ = discreet(run, &server).code(0).stdout(value);
        }
    }
}
