//! One environment over one or two servers: the file, and what the child has to get.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::random::Random;
use crate::vault::{CANARY, Key, Truth, Vault};

/// One place that a variable is looked for in.
struct Place {
    store: usize,
    key: Key,
    version: Option<usize>,
}

/// One variable of the file.
struct Variable {
    name: String,
    places: Vec<Place>,
    optional: bool,
    default: Option<String>,
}

/// One folder that is imported as a whole.
struct Import {
    prefix: String,
    store: usize,
    folder: String,
}

/// What has to become of a variable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It is set to this.
    Set(String),
    /// The run fails, and says that the value is hidden.
    Hidden,
    /// The run fails, and says that there is no such secret.
    Missing,
}

/// The variables of an environment; stores are told by their number.
pub(crate) struct Scene {
    variables: Vec<Variable>,
    imports: Vec<Import>,
}

/// The names of the stores in the file.
pub(crate) const STORES: [&str; 2] = ["main", "backup"];

impl Scene {
    /// Draws an environment over as many stores as there are vaults.
    pub(crate) fn random(vaults: &[Vault], random: &mut Random) -> Self {
        // Most environments are ones that can be resolved, since those are what faults are for.
        let may_fail = random.percent(20);
        let place = |random: &mut Random| {
            let store = random.below(vaults.len());
            let key = vaults[store].somewhere(random);
            // There is no route to a version of a name that is too long for an address.
            let version = (key.1.len() <= 100 && random.percent(15)).then(|| 1 + random.below(3));
            Place { store, key, version }
        };
        let mut scene = Self { variables: Vec::new(), imports: Vec::new() };
        for index in 0..=random.below(12) {
            let mut places = vec![place(random)];
            while random.percent(25) {
                places.push(place(random));
            }
            let default = random.percent(20).then(|| format!("default-{CANARY}-{index}"));
            let optional = random.percent(25);
            scene.variables.push(Variable { name: format!("V_{index}"), places, optional, default });
        }
        if random.percent(25) {
            let store = random.below(vaults.len());
            let folder = vaults[store].some_folder(random);
            scene.imports.push(Import { prefix: "I_".into(), store, folder });
        }
        if !may_fail {
            let can = |due: &Option<Due>| !matches!(due, Some(Due::Hidden | Due::Missing));
            scene.variables.retain(|variable| can(&variable.due(vaults)));
            scene.imports.retain(|import| import.due(vaults).values().all(|due| matches!(due, Due::Set(_))));
        }
        scene
    }

    /// Three variables over a plain vault: one that must be there, one that may be, and one that may be and is not.
    pub(crate) fn plain() -> Self {
        let variable = |(index, name): (usize, &str)| {
            let place = Place { store: 0, key: ("/".into(), name.into()), version: None };
            Variable { name: format!("V_{index}"), places: vec![place], optional: index > 0, default: None }
        };
        let variables = ["ONE", "TWO", "THREE"].into_iter().enumerate().map(variable).collect();
        Self { variables, imports: Vec::new() }
    }

    /// Says whether everything can be asked for by its name, too: not a whole folder, nor a name that is too long
    /// for an address. Only then can a list that is silently empty be told from the truth.
    pub(crate) fn can_be_asked_singly(&self) -> bool {
        let mut places = self.variables.iter().flat_map(|variable| &variable.places);
        self.imports.is_empty() && places.all(|place| place.key.1.len() <= 100)
    }

    /// Returns the file. `options` are those of each store.
    pub(crate) fn file(&self, options: &[String]) -> String {
        let mut text = "version: 1\nsecretStores:\n".to_owned();
        for (name, options) in STORES.iter().zip(options) {
            let _ = writeln!(text, "  {name}: {{{options}}}");
        }
        text.push_str("envs:\n  dev:\n    L: {literal: literal}\n");
        for import in &self.imports {
            let _ = writeln!(
                text,
                "    import: [{{store: '{}{}', prefix: {}}}]",
                STORES[import.store],
                import.folder.trim_end_matches('/'),
                import.prefix
            );
        }
        for variable in &self.variables {
            let mut places = variable.places.iter().map(Place::reference);
            let first = places.next().expect("a variable has a place");
            let _ = write!(text, "    {}: {{from: '{first}'", variable.name);
            let rest: Vec<String> = places.map(|place| format!("'{place}'")).collect();
            if !rest.is_empty() {
                let _ = write!(text, ", fallback: [{}]", rest.join(", "));
            }
            if variable.optional {
                text.push_str(", optional: true");
            }
            if let Some(default) = &variable.default {
                let _ = write!(text, ", default: '{default}'");
            }
            text.push_str("}\n");
        }
        text
    }

    /// Returns what has to become of every variable; one that has to be unset is not in it.
    pub(crate) fn due(&self, vaults: &[Vault]) -> BTreeMap<String, Due> {
        let mut due = BTreeMap::from([("L".to_owned(), Due::Set("literal".into()))]);
        due.extend(self.imports.iter().flat_map(|import| import.due(vaults)));
        let variables = self.variables.iter();
        due.extend(variables.filter_map(|variable| Some((variable.name.clone(), variable.due(vaults)?))));
        due
    }
}

impl Place {
    fn reference(&self) -> String {
        let (folder, name) = &self.key;
        let escaped = name.replace('%', "%25").replace('#', "%23").replace('?', "%3F");
        let version = self.version.map(|version| format!("?version={version}")).unwrap_or_default();
        let store = STORES[self.store];
        format!("store://{store}{}/{escaped}{version}", folder.trim_end_matches('/')).replace('\'', "''")
    }
}

impl Variable {
    fn due(&self, vaults: &[Vault]) -> Option<Due> {
        for place in &self.places {
            match vaults[place.store].truth(&place.key, place.version) {
                Truth::Value(value) => return Some(Due::Set(value)),
                Truth::Hidden => return Some(Due::Hidden),
                Truth::Absent => {}
            }
        }
        match &self.default {
            Some(default) => Some(Due::Set(default.clone())),
            None => (!self.optional).then_some(Due::Missing),
        }
    }
}

impl Import {
    fn due(&self, vaults: &[Vault]) -> BTreeMap<String, Due> {
        let shown = vaults[self.store].shown(&self.folder).into_iter();
        let due = |truth| match truth {
            Truth::Value(value) => Due::Set(value),
            Truth::Hidden => Due::Hidden,
            Truth::Absent => Due::Missing,
        };
        shown.map(|(name, truth)| (format!("{}{name}", self.prefix), due(truth))).collect()
    }
}
