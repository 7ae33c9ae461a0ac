//! What a server holds, kept a second time in the simplest form, so that what a run got can be judged.

use std::collections::{BTreeMap, BTreeSet};

use crate::random::Random;
use crate::support::infisical::Infisical;

/// Stands in every value that is not empty, and must stand in nothing that a run writes to standard error.
pub(crate) const CANARY: &str = "canary-7be1";

/// The environment that everything is in.
pub(crate) const ENVIRONMENT: &str = "dev";

/// Where a secret is: its folder and its name.
pub(crate) type Key = (String, String);

/// What is right for a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    Value(String),
    Absent,
    Hidden,
}

/// A value as it is stored: text, or text around what another secret holds.
#[derive(Clone)]
enum Stored {
    Plain(String),
    Refers { text: String, target: Key },
}

impl Stored {
    fn target(&self) -> Option<&Key> {
        match self {
            Self::Plain(_) => None,
            Self::Refers { target, .. } => Some(target),
        }
    }
}

/// The secrets of one project.
#[derive(Clone, Default)]
pub(crate) struct Vault {
    label: &'static str,
    secrets: BTreeMap<Key, Vec<Stored>>,
    hidden: BTreeSet<Key>,
    /// Folder and what it imports; later ones win. What is imported imports nothing itself.
    imports: Vec<(String, String)>,
    values: usize,
}

const FOLDERS: [&str; 5] = ["/", "/db", "/payments/eu", "/a-b_c", "/odd"];
const NAMES: [&str; 7] = ["ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN"];
/// Names that addresses do not carry as they are.
const ODD: [&str; 7] = ["with space", "100%", "what?", "a.b", "a=b&c", "é", "\\"];

impl Vault {
    /// Makes a project; values say whose they are.
    pub(crate) fn random(label: &'static str, random: &mut Random) -> Self {
        let mut vault = Self { label, ..Self::default() };
        for folder in FOLDERS {
            if random.percent(20) {
                continue;
            }
            for name in NAMES {
                if random.percent(40) {
                    continue;
                }
                for _ in 0..=random.below(3) {
                    let value = vault.value(random);
                    vault.write(folder, name, Stored::Plain(value));
                }
            }
            if random.percent(40) {
                vault.add_reference(folder, random);
            }
            if random.percent(30) {
                let name = random.pick(&NAMES);
                let key = (folder.to_owned(), name.to_owned());
                if vault.secrets.contains_key(&key) {
                    vault.hidden.insert(key);
                }
            }
        }
        for name in ODD.into_iter().map(str::to_owned).chain([110, 300].map(|length| "x".repeat(length))) {
            let value = vault.value(random);
            vault.write("/odd", &name, Stored::Plain(value));
        }
        for (to, from) in [("/", "/db"), ("/", "/a-b_c"), ("/payments/eu", "/db")] {
            if random.percent(35) {
                vault.imports.push((to.into(), from.into()));
            }
        }
        // The real server puts nothing together of what the caller may not read, and refuses such a secret.
        let stored = vault.secrets.values().flatten();
        let targets: BTreeSet<Key> = stored.filter_map(Stored::target).cloned().collect();
        vault.hidden.retain(|key| !targets.contains(key));
        vault
    }

    /// Makes a project of two secrets in the root folder.
    pub(crate) fn plain() -> Self {
        let mut vault = Self { label: "plain", ..Self::default() };
        vault.write("/", "ONE", Stored::Plain(format!("{CANARY}-one")));
        vault.write("/", "TWO", Stored::Plain(format!("{CANARY}-two")));
        vault
    }

    /// Adds a secret with another one's value in its own.
    fn add_reference(&mut self, folder: &str, random: &mut Random) {
        let targets: Vec<Key> = self.secrets.keys().filter(|(folder, _)| folder != "/odd").cloned().collect();
        if targets.is_empty() {
            return;
        }
        let target = random.pick(&targets);
        let reference = match folder == target.0 && random.percent(50) {
            true => target.1.clone(),
            false => {
                format!("{ENVIRONMENT}{}.{}", target.0.trim_end_matches('/').replace('/', "."), target.1)
            }
        };
        let text = format!("{}<${{{reference}}}>", self.value(random));
        self.write(folder, "REFERS", Stored::Refers { text, target });
    }

    /// Returns a value that no other secret has; some are long, some odd, some empty.
    fn value(&mut self, random: &mut Random) -> String {
        self.values += 1;
        let unique = format!("{CANARY}-{}-{}", self.label, self.values);
        match random.below(12) {
            0 => format!(" \t{unique} \n\r\n"),
            1 => format!("-----BEGIN-----\n{unique}\n-----END-----\n"),
            2 => format!("{{\"password\":\"{unique}\",\"n\":1}}"),
            3 => format!("'\"`\\$HOME {unique} %41 <>&"),
            4 => format!("\u{1F511}é\u{200D}\u{feff}{unique}\u{2028}"),
            5 => unique.repeat(1 + random.below(900)),
            6 => String::new(),
            7 => format!("\u{1}\u{7f}{unique}\u{1b}[31m"),
            _ => unique,
        }
    }

    fn write(&mut self, folder: &str, name: &str, value: Stored) {
        self.secrets.entry((folder.into(), name.into())).or_default().push(value);
    }

    /// Writes the next version of some secret, and returns what was written.
    pub(crate) fn rewrite(&mut self, random: &mut Random) -> Option<(Key, String)> {
        let keys: Vec<Key> = self.secrets.keys().cloned().collect();
        if keys.is_empty() {
            return None;
        }
        let key = random.pick(&keys);
        let value = self.value(random);
        self.write(&key.0, &key.1, Stored::Plain(value.clone()));
        Some((key, value))
    }

    /// Fills a server with what is held here.
    pub(crate) fn fill(&self, mut server: Infisical) -> Infisical {
        for folder in FOLDERS {
            server = server.folder(ENVIRONMENT, folder);
        }
        for ((folder, name), versions) in &self.secrets {
            for version in versions {
                let (Stored::Plain(text) | Stored::Refers { text, .. }) = version;
                server = server.secret(ENVIRONMENT, folder, name, text);
            }
        }
        for (folder, name) in &self.hidden {
            server = server.hidden(ENVIRONMENT, folder, name);
        }
        for (to, from) in &self.imports {
            server = server.import((ENVIRONMENT, to), (ENVIRONMENT, from));
        }
        server
    }

    /// Returns some place to refer to: most are there, some are not.
    pub(crate) fn somewhere(&self, random: &mut Random) -> Key {
        let folder = if random.percent(4) { "/no-such-folder" } else { random.pick(&FOLDERS) };
        let name = match folder {
            _ if random.percent(8) => "NO_SUCH_NAME".to_owned(),
            "/odd" if random.percent(70) => match random.below(ODD.len() + 2) {
                0 => "x".repeat(110),
                1 => "x".repeat(300),
                index => ODD[index - 2].to_owned(),
            },
            _ if random.percent(15) => "REFERS".to_owned(),
            _ => random.pick(&NAMES).to_owned(),
        };
        (folder.into(), name)
    }

    /// Returns a folder whose names can all be names of variables.
    pub(crate) fn some_folder(&self, random: &mut Random) -> String {
        random.pick(&FOLDERS[..4]).to_owned()
    }

    /// Returns what a reference to the latest version, or to one version, has to give.
    pub(crate) fn truth(&self, key: &Key, version: Option<usize>) -> Truth {
        if let Some(versions) = self.secrets.get(key) {
            let wanted = version.unwrap_or(versions.len());
            return match versions.get(wanted.wrapping_sub(1)) {
                None => Truth::Absent,
                Some(_) if self.hidden.contains(key) => Truth::Hidden,
                Some(stored) => Truth::Value(self.expanded(stored)),
            };
        }
        // What comes through an import has its latest version only.
        let mut imports = self.imports.iter().rev().filter(|(to, _)| *to == key.0);
        let found = imports.find_map(|(_, from)| {
            let key = (from.clone(), key.1.clone());
            self.secrets.contains_key(&key).then(|| self.truth(&key, None))
        });
        found.filter(|_| version.is_none()).unwrap_or(Truth::Absent)
    }

    fn expanded(&self, stored: &Stored) -> String {
        match stored {
            Stored::Plain(text) => text.clone(),
            Stored::Refers { text, target } => {
                let last = self.secrets.get(target).and_then(|versions| versions.last());
                let inner = last.map(|stored| self.expanded(stored)).unwrap_or_default();
                let start = text.rfind("<${").expect("a reference in the text");
                format!("{}<{inner}>", &text[..start])
            }
        }
    }

    /// Returns everything that a folder shows.
    pub(crate) fn shown(&self, folder: &str) -> BTreeMap<String, Truth> {
        let through = self.imports.iter().filter(|(to, _)| to == folder).map(|(_, from)| from.as_str());
        let visible: Vec<&str> = through.chain([folder]).collect();
        let names = self.secrets.keys().filter(|(folder, _)| visible.contains(&folder.as_str()));
        names.map(|(_, name)| (name.clone(), self.truth(&(folder.into(), name.clone()), None))).collect()
    }
}
