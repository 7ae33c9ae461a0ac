//! `yaml_extract`: the paths of `json_extract`, on YAML.

use dsops_providers::contract::{Node, NodeKind, Scalar, SecretValue};
use serde_json::value::RawValue;
use zeroize::Zeroize;

use super::buffer::Buffer;
use super::chain::ReadYaml;
use super::error::Failure;
use super::path::{Path, Segment};

/// Returns what a path leads to: the text of a scalar as it is written, lists and mappings as JSON.
pub(super) fn extract(value: &SecretValue, path: &Path, read: ReadYaml) -> Result<SecretValue, Failure> {
    let text = value.expose_str().ok_or_else(Failure::not_text)?;
    // The reader's message quotes keys, which are a part of the value.
    let root = read(text).map_err(|byte| Failure::decode(format!("not YAML at byte {byte}")))?;
    let root = Wiped(root);
    let mut node = &root.0;
    for (depth, segment) in path.segments().iter().enumerate() {
        node = step(node, segment, path, depth)?;
    }
    match &node.kind {
        NodeKind::Null => Err(Failure::pointer(format!("{} is null", path.up_to(path.segments().len())))),
        NodeKind::Scalar(scalar) => Ok(SecretValue::copy_of(scalar.text.as_bytes())),
        NodeKind::List(_) | NodeKind::Map(_) => {
            let mut json = Buffer::with_capacity(value.len() * 2);
            write_json(node, &mut json);
            Ok(json.to_value())
        }
    }
}

fn step<'a>(from: &'a Node, segment: &Segment, path: &Path, depth: usize) -> Result<&'a Node, Failure> {
    let found = match (&from.kind, segment) {
        (NodeKind::Map(_), Segment::Name(name)) => from.get(name),
        (NodeKind::List(items), segment) if segment.is_place() => {
            segment.place(items.len()).and_then(|place| items.get(place))
        }
        (_, segment) => {
            let needed = if matches!(segment, Segment::Name(_)) { "a mapping" } else { "a list" };
            let here = path.up_to(depth);
            return Err(Failure::pointer(format!("{here} is {}, where {needed} is needed", from.what())));
        }
    };
    found.ok_or_else(|| Failure::pointer(format!("nothing is at {}", path.up_to(depth + 1))))
}

fn write_json(node: &Node, json: &mut Buffer) {
    match &node.kind {
        NodeKind::Null => json.extend(b"null"),
        NodeKind::Scalar(scalar) if is_json(scalar) => json.extend(scalar.text.as_bytes()),
        NodeKind::Scalar(scalar) => write_string(&scalar.text, json),
        NodeKind::List(items) => {
            json.push(b'[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    json.push(b',');
                }
                write_json(item, json);
            }
            json.push(b']');
        }
        NodeKind::Map(entries) => {
            json.push(b'{');
            for (position, (key, value)) in entries.iter().enumerate() {
                if position > 0 {
                    json.push(b',');
                }
                write_string(&key.name, json);
                json.push(b':');
                write_json(value, json);
            }
            json.push(b'}');
        }
    }
}

/// Says whether the scalar is a number or truth value that JSON writes the same way.
fn is_json(scalar: &Scalar) -> bool {
    let starts = scalar.text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    scalar.plain
        && (matches!(scalar.text.as_str(), "true" | "false")
            || starts && serde_json::from_str::<&RawValue>(&scalar.text).is_ok())
}

fn write_string(text: &str, json: &mut Buffer) {
    // Writing to memory cannot fail, and a string is always a JSON value.
    let _ = serde_json::to_writer(json, text);
}

/// A tree whose texts are overwritten when it is dropped.
struct Wiped(Node);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(node: &mut Node) {
    match &mut node.kind {
        NodeKind::Null => {}
        NodeKind::Scalar(scalar) => scalar.text.zeroize(),
        NodeKind::List(items) => items.iter_mut().for_each(wipe),
        NodeKind::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
            key.name.zeroize();
            wipe(value);
        }),
    }
}

#[cfg(test)]
mod tests {
    use dsops_providers::contract::{Key, Span};

    use super::*;

    fn node(kind: NodeKind) -> Node {
        Node { span: Span::default(), kind }
    }

    fn scalar(text: &str, plain: bool) -> Node {
        node(NodeKind::Scalar(Scalar { text: text.to_owned(), plain }))
    }

    fn map(entries: Vec<(&str, Node)>) -> Node {
        let key = |name: &str| Key { name: name.to_owned(), span: Span::default() };
        node(NodeKind::Map(entries.into_iter().map(|(name, value)| (key(name), value)).collect()))
    }

    /// Stands for the reader: the tree of
    /// `{database: {port: 5432, pi: 3.10, "odd": "1", none: ~}, list: [a, 0x1F, true]}`, for any text but one.
    fn read(text: &str) -> Result<Node, usize> {
        if text == "]" {
            return Err(0);
        }
        let database = map(vec![
            ("port", scalar("5432", true)),
            ("pi", scalar("3.10", true)),
            ("odd", scalar("1", false)),
            ("none", node(NodeKind::Null)),
        ]);
        let list = node(NodeKind::List(vec![scalar("a", true), scalar("0x1F", true), scalar("true", true)]));
        Ok(map(vec![("database", database), ("list", list)]))
    }

    fn at(path: &str) -> Result<String, String> {
        match extract(&SecretValue::from("…"), &Path::parse(path).unwrap(), read) {
            Ok(found) => Ok(found.expose_str().unwrap().to_owned()),
            Err(failure) => Err(failure.message),
        }
    }

    #[test]
    fn scalars_are_the_text_that_stands_there() {
        for (path, value) in
            [(".database.port", "5432"), (".database.pi", "3.10"), (".list[1]", "0x1F"), (".list.-1", "true")]
        {
            assert_eq!(at(path).as_deref(), Ok(value), "{path}");
        }
    }

    #[test]
    fn containers_become_json() {
        assert_eq!(at(".database").as_deref(), Ok(r#"{"port":5432,"pi":3.10,"odd":"1","none":null}"#));
        assert_eq!(at(".list").as_deref(), Ok(r#"["a","0x1F",true]"#));
    }

    #[test]
    fn what_is_not_there_is_told_by_its_path() {
        assert_eq!(at(".database.host"), Err("nothing is at `.database.host`".to_owned()));
        assert_eq!(at(".database.none"), Err("`.database.none` is null".to_owned()));
        assert_eq!(at(".list[3]"), Err("nothing is at `.list[3]`".to_owned()));
        assert_eq!(at(".list.x"), Err("`.list` is a list, where a mapping is needed".to_owned()));
        assert_eq!(
            at(".database.port.x"),
            Err("`.database.port` is a number, where a mapping is needed".to_owned())
        );
    }

    #[test]
    fn what_is_not_yaml_is_told_by_its_byte() {
        let failure = extract(&SecretValue::from("]"), &Path::parse(".a").unwrap(), read).unwrap_err();
        assert_eq!(failure.message, "not YAML at byte 0");
    }
}
