//! Reads the settings file of OpenClaw, and writes what belongs into it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::arguments::command_of;
use super::{COMMAND, MAX_OUTPUT, Provider, TIMEOUT};

/// The provider of references that name none, where `secrets.defaults.exec` does not say another.
const DEFAULT: &str = "default";
/// How deep lists and mappings may lie in each other. Reading takes stack for each level.
const MOST_LEVELS: usize = 64;
/// By which the error of too many levels is known among those of the parser.
const TOO_DEEP: &str = "more levels than dsops reads";

/// What of OpenClaw's settings concerns this program.
pub struct Settings {
    /// The providers that run `dsops exec-provider`.
    pub providers: Vec<ConfiguredProvider>,
    /// Whether the file takes parts from other files, which are not read.
    pub includes: bool,
}

/// A provider, and what the settings ask it for.
pub struct ConfiguredProvider {
    /// The provider.
    pub provider: Provider,
    /// The ids of the references to it that the file holds, once each, in alphabetical order.
    pub ids: Vec<String>,
}

/// Why settings cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The system.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// The text.
    #[error("it is not JSON5{0}")]
    Syntax(String),
    /// Lists and mappings in each other.
    #[error("its lists and mappings are nested deeper than {MOST_LEVELS} levels")]
    Depth,
    /// A part of a provider is not what OpenClaw takes there.
    #[error("`secrets.providers.{provider}.{key}` is not {wanted}")]
    Shape {
        /// The provider.
        provider: String,
        /// The part.
        key: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// See [`SettingsError`]. Nothing of the file's content is in them.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        Self::parse(&Zeroizing::new(fs::read_to_string(path)?))
    }

    fn parse(text: &str) -> Result<Self, SettingsError> {
        let root = Tree::parse(text)?;
        let secrets = root.get("secrets");
        let all = secrets.and_then(|secrets| secrets.get("providers")).map(Tree::entries).unwrap_or_default();
        let default =
            secrets.and_then(|secrets| secrets.get("defaults")?.get("exec")?.text()).unwrap_or(DEFAULT);
        let mut providers = Vec::new();
        for (name, tree) in all {
            let args = tree.get("args").map(Tree::items).unwrap_or_default();
            let command = command_of(args.iter().map(|arg| arg.text().unwrap_or_default()));
            if tree.get("source").and_then(Tree::text) == Some("exec") && command == Some(COMMAND) {
                let mut ids = BTreeSet::new();
                root.references(name, default, &mut ids);
                let provider = provider(name, tree)?;
                providers.push(ConfiguredProvider { provider, ids: ids.into_iter().collect() });
            }
        }
        let includes = root.get("$include").is_some()
            || secrets.is_some_and(|secrets| secrets.get("$include").is_some());
        Ok(Self { providers, includes })
    }
}

fn provider(name: &str, tree: &Tree) -> Result<Provider, SettingsError> {
    let wrong = |key, wanted| SettingsError::Shape { provider: name.to_owned(), key, wanted };
    let texts = |key| match tree.get(key) {
        None => Ok(Vec::new()),
        Some(list) => {
            let texts =
                list.items().iter().map(|item| item.text().map(str::to_owned)).collect::<Option<Vec<_>>>();
            texts.filter(|_| matches!(list, Tree::List(_))).ok_or_else(|| wrong(key, "a list of texts"))
        }
    };
    let number = |key| match tree.get(key) {
        None => Ok(None),
        Some(Tree::Number(number)) if *number > 0 => Ok(Some(*number)),
        Some(_) => Err(wrong(key, "a whole number above 0")),
    };
    let time = |key| number(key).map(|millis| millis.map(Duration::from_millis));
    let timeout = time("timeoutMs")?.unwrap_or(TIMEOUT);
    let max_output = number("maxOutputBytes")?.map_or(Ok(MAX_OUTPUT), usize::try_from);
    let env = tree.get("env").map(Tree::entries).unwrap_or_default();
    let env: Option<Vec<_>> =
        env.iter().map(|(name, value)| Some((OsString::from(name), OsString::from(value.text()?)))).collect();
    Ok(Provider {
        name: name.to_owned(),
        command: tree
            .get("command")
            .and_then(Tree::text)
            .map(PathBuf::from)
            .ok_or_else(|| wrong("command", "a text"))?,
        args: texts("args")?,
        env: env.ok_or_else(|| wrong("env", "a mapping of texts"))?,
        pass_env: texts("passEnv")?,
        timeout,
        silence: time("noOutputTimeoutMs")?.unwrap_or(timeout),
        max_output: max_output.map_err(|_| wrong("maxOutputBytes", "a number of bytes"))?,
        trusted_dirs: texts("trustedDirs")?.into_iter().map(PathBuf::from).collect(),
    })
}

/// Returns what belongs into OpenClaw's settings for a provider.
#[must_use]
pub fn document(provider: &Provider) -> Value {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let entry = json!({
        "source": "exec",
        "command": path(&provider.command),
        "args": provider.args,
        "passEnv": provider.pass_env,
        "timeoutMs": millis(provider.timeout),
        "noOutputTimeoutMs": millis(provider.silence),
        "maxOutputBytes": provider.max_output,
        "jsonOnly": true,
        "trustedDirs": provider.trusted_dirs.iter().map(|dir| path(dir)).collect::<Vec<_>>(),
    });
    json!({ "secrets": { "providers": { provider.name.as_str(): entry } } })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Says whether OpenClaw passes a variable of this name on: `^[A-Z][A-Z0-9_]{0,127}$`.
#[must_use]
pub fn is_passable(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= 128
        && name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.bytes().all(is_plain)
}

/// A document, whose texts may be values: they are overwritten when they are dropped, and it has no `Debug`.
enum Tree {
    Map(Vec<(String, Tree)>),
    List(Vec<Tree>),
    Text(Zeroizing<String>),
    Number(u64),
    Other,
}

impl Tree {
    fn parse(text: &str) -> Result<Self, SettingsError> {
        json5::from_str(text).map_err(|error| {
            if error.to_string().contains(TOO_DEEP) {
                return SettingsError::Depth;
            }
            // The text of an error may quote the file.
            let place = error
                .position()
                .map(|place| format!(": line {}, column {}", place.line + 1, place.column + 1));
            SettingsError::Syntax(place.unwrap_or_default())
        })
    }

    fn get(&self, name: &str) -> Option<&Tree> {
        // As in JavaScript, the last of two keys counts.
        self.entries().iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    fn entries(&self) -> &[(String, Tree)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    fn items(&self) -> &[Tree] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Collects the ids of `{source: "exec", provider, id}` for one provider, wherever they stand.
    fn references(&self, provider: &str, default: &str, found: &mut BTreeSet<String>) {
        let text = |name| self.get(name).and_then(Tree::text);
        if text("source") == Some("exec")
            && let Some(id) = text("id")
            && text("provider").unwrap_or(default) == provider
        {
            found.insert(id.to_owned());
        }
        let below = self.entries().iter().map(|(_, tree)| tree).chain(self.items());
        below.for_each(|tree| tree.references(provider, default, found));
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Level { left: MOST_LEVELS }.deserialize(deserializer)
    }
}

/// A place in a document that is read, with the levels that may lie below it.
#[derive(Clone, Copy)]
struct Level {
    left: usize,
}

impl Level {
    fn below<E: de::Error>(self) -> Result<Self, E> {
        let left = self.left.checked_sub(1).ok_or_else(|| E::custom(TOO_DEEP))?;
        Ok(Self { left })
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(u64::try_from(number).map_or(Tree::Other, Tree::Number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        // JavaScript has one kind of number: `5e3` is 5000. The text of a whole one is that of an integer.
        Ok(format!("{number}").parse().map_or(Tree::Other, Tree::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(Zeroizing::new(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let below = self.below()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let below = self.below()?;
        let mut map = Vec::new();
        while let Some(key) = entries.next_key()? {
            map.push((key, entries.next_value_seed(below)?));
        }
        Ok(Tree::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
// A comment, as people write them.
{
  gateway: { port: 18789, auth: { token: 'x', mode: "token" }, },
  secrets: {
    providers: {
      main: {
        source: "exec", command: "/d/dsops", /* ours */
        args: ["exec-provider", '--config', "/c/dsops.yaml"],
        env: { A: "b" }, passEnv: ["TOKEN"], timeoutMs: 1e4, trustedDirs: ["/d"],
      },
      plain: { source: "exec", command: "/d/dsops", args: ["exec-provider"] },
      vault: { source: "exec", command: "/usr/bin/vault", args: ["read"], timeoutMs: "no number" },
      file: { source: "file", path: "/x", args: ["exec-provider"] },
    },
    defaults: { exec: "main" },
  },
  models: [{ apiKey: { source: "exec", provider: "main", id: "b/KEY" } }, { apiKey: { source: "exec", id: "a" } },
    { apiKey: { source: "exec", provider: "vault", id: "no" } }, { apiKey: { source: "exec", provider: "main", id: "a" } },
    { x: null, y: -1, z: 0xff, w: Infinity, v: +1.5 }],
}
"#;

    #[test]
    fn our_providers_and_what_they_are_asked_for_are_found() {
        let settings = Settings::parse(FILE).ok().unwrap();
        assert!(!settings.includes);
        let [main, plain] = settings.providers.as_slice() else { panic!("two providers") };
        assert_eq!(main.ids, ["a", "b/KEY"]);
        let provider = &main.provider;
        assert_eq!((provider.name.as_str(), provider.command.as_path()), ("main", Path::new("/d/dsops")));
        assert_eq!(provider.args, ["exec-provider", "--config", "/c/dsops.yaml"]);
        assert_eq!(provider.pass_env, ["TOKEN"]);
        assert_eq!(provider.env, [("A".into(), "b".into())]);
        assert_eq!((provider.timeout, provider.silence), (Duration::from_secs(10), Duration::from_secs(10)));
        assert_eq!(provider.max_output, MAX_OUTPUT);
        assert!(plain.ids.is_empty() && plain.provider.timeout == TIMEOUT);
    }

    #[test]
    fn a_mistake_is_told_without_the_text() {
        let error = |text: &str| Settings::parse(text).err().unwrap().to_string();
        assert_eq!(error("{ a: 'one\n  b: }"), "it is not JSON5: line 1, column 10");
        let shape = |part: &str| {
            error(&format!(
                "{{secrets: {{providers: {{p: {{source: 'exec', command: '/x', args: ['exec-provider'], {part}}}}}}}}}"
            ))
        };
        assert_eq!(shape("timeoutMs: '5s'"), "`secrets.providers.p.timeoutMs` is not a whole number above 0");
        assert_eq!(shape("passEnv: [1]"), "`secrets.providers.p.passEnv` is not a list of texts");
        assert_eq!(shape("env: {A: 1}"), "`secrets.providers.p.env` is not a mapping of texts");
    }

    #[test]
    fn levels_have_an_end() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Settings::parse(&nested(MOST_LEVELS)).is_ok());
        let error = |text: &str| Settings::parse(text).err().unwrap().to_string();
        let told = "its lists and mappings are nested deeper than 64 levels";
        assert_eq!(error(&nested(MOST_LEVELS + 1)), told);
        assert_eq!(error(&"{a:[".repeat(100_000)), told);
        // What is in texts and comments is no level.
        assert!(Settings::parse(&format!("{{a: '{0}', /* {0} */ b: 1}} // {0}", "[".repeat(1000))).is_ok());
        assert!(error("{} {}").starts_with("it is not JSON5"));
    }

    #[test]
    fn what_is_written_reads_as_it_was() {
        let settings = Settings::parse(FILE).ok().unwrap();
        let text = document(&settings.providers[0].provider).to_string();
        let again = Settings::parse(&text).ok().unwrap();
        assert_eq!(document(&again.providers[0].provider).to_string(), text);
    }

    #[test]
    fn a_variable_that_is_passed_on_has_a_name_in_capitals() {
        assert!(["A", "AB_1", &"A".repeat(128)].into_iter().all(is_passable));
        assert!(!["", "a", "https_proxy", "_A", "1A", "A-B", &"A".repeat(129)].into_iter().any(is_passable));
    }
}
