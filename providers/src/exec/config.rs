//! The options of an `exec` store.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use crate::contract::Credential;
use crate::process::PASSED_ENV;

/// An outside program that speaks JSON on stdin and stdout.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecConfig {
    /// The program, or a list of the program and its arguments. There is no shell.
    pub command: CommandLine,
    /// More arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Variables for the program, which may hold secrets.
    #[serde(default)]
    pub env: IndexMap<String, Credential>,
    /// The variables of dsops's own environment that the program gets; `NAME*` stands for all that start so.
    #[serde(default = "passed_env")]
    pub pass_env: Vec<String>,
    /// How many bytes the program may write.
    #[serde(default = "max_output")]
    pub max_output: usize,
    /// How many ids one run of the program is asked for. For more of them it is run again, one run after the other.
    #[serde(default = "max_ids")]
    pub max_ids: usize,
    /// The program is ended when it writes nothing for that long: `500ms`, `2s`. Off where absent.
    #[serde(default)]
    pub silence: Option<Silence>,
}

fn passed_env() -> Vec<String> {
    PASSED_ENV.iter().map(|&name| name.to_owned()).collect()
}

/// Room for over a hundred of the largest values that a program can be started with (128 KiB on Linux).
fn max_output() -> usize {
    16 << 20
}

/// What OpenClaw, the protocol's first caller, asks for at most.
fn max_ids() -> usize {
    512
}

/// A time, as the store's `timeout` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence(pub Duration);

impl<'de> Deserialize<'de> for Silence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number = number.parse().ok();
        let time = match unit.trim() {
            "ms" => number.map(Duration::from_millis),
            "" | "s" => number.map(Duration::from_secs),
            "m" => number.and_then(|number: u64| number.checked_mul(60)).map(Duration::from_secs),
            _ => None,
        };
        time.map(Self).ok_or_else(|| de::Error::custom("not a time such as `500ms`, `2s` or `1m`"))
    }
}

impl JsonSchema for Silence {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Silence".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"] })
    }
}

/// A program and the arguments that stand beside it.
pub struct CommandLine(pub Vec<String>);

impl<'de> Deserialize<'de> for CommandLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = CommandLine;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a program, or a list of a program and its arguments")
    }

    fn visit_str<E: de::Error>(self, program: &str) -> Result<CommandLine, E> {
        Ok(CommandLine(vec![program.to_owned()]))
    }

    /// `command: true` means the program of that name.
    fn visit_bool<E: de::Error>(self, program: bool) -> Result<CommandLine, E> {
        self.visit_str(if program { "true" } else { "false" })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<CommandLine, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = items.next_element()? {
            words.push(word);
        }
        Ok(CommandLine(words))
    }
}

impl JsonSchema for CommandLine {
    fn schema_name() -> Cow<'static, str> {
        "CommandLine".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A program, or a list of a program and its arguments. There is no shell.",
            "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 }
            ]
        })
    }
}
