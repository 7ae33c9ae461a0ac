//! Reads the environments: variables, imports, and what they extend.

use std::collections::HashMap;
use std::sync::Arc;

use dsops_providers::contract::{Key, Literal, NoExpansion, Node, NodeKind, SecretValue, Span, decode};
use indexmap::IndexMap;

use super::error::{Code, ConfigError, Warning};
use super::files;
use super::imports::read_import;
use super::model::{Environment, Import, Origin, ReferenceAt, Variable};
use super::shape::{FILE_KEYS, FromShape, ImportShape, OneOrMany, VariableShape};
use super::stores::wrong;
use crate::suggest::{and_ticked, did_you_mean};
use crate::transform::Chain;

/// The keys of an environment that are not variables.
const RESERVED: &[&str] = &["extends", "import"];
/// The keys of a variable that are kept and have no effect yet.
const KEPT: &[&str] = &["service", "rotation", "metadata"];

/// An environment before what it extends is put into it.
struct Own {
    key: Key,
    extends: Vec<(String, dsops_providers::contract::Span)>,
    imports: Vec<Import>,
    variables: IndexMap<String, Arc<Variable>>,
}

pub(super) struct Reader<'a> {
    /// The chains of the file, by name.
    pub(super) chains: &'a HashMap<String, Chain>,
    pub(super) errors: &'a mut Vec<ConfigError>,
    pub(super) warnings: &'a mut Vec<Warning>,
}

impl Reader<'_> {
    /// Returns the same reader for another section.
    pub(super) fn again(&mut self) -> Reader<'_> {
        Reader { chains: self.chains, errors: self.errors, warnings: self.warnings }
    }

    pub(super) fn read(mut self, node: &Node) -> IndexMap<String, Environment> {
        let mut own: IndexMap<&str, Own> = IndexMap::new();
        for (key, node) in node.entries() {
            if let Some(environment) = self.read_own(key, node) {
                own.insert(key.name.as_str(), environment);
            }
        }
        self.check_extends(&own);
        let names: Vec<&str> = own.keys().copied().collect();
        let flat: IndexMap<String, Environment> =
            names.into_iter().filter_map(|name| Some((name.to_owned(), flatten(name, &own)?))).collect();
        self.errors.extend(flat.values().flat_map(files::check_names));
        flat
    }

    fn read_own(&mut self, key: &Key, node: &Node) -> Option<Own> {
        let NodeKind::Map(entries) = &node.kind else {
            let error = wrong(node, "an environment's variables");
            // `dev:` with nothing below it is an easy thing to write; `{}` says that it is meant.
            self.errors.push(error.help("write its variables below it, or `{}` for none"));
            return None;
        };
        let mut own = Own {
            key: key.clone(),
            extends: node.get("extends").map(|node| self.read_extends(node)).unwrap_or_default(),
            imports: node.get("import").map(|node| self.read_imports(node)).unwrap_or_default(),
            variables: IndexMap::with_capacity(entries.len()),
        };
        for (key, node) in entries.iter().filter(|(key, _)| !RESERVED.contains(&key.name.as_str())) {
            match self.read_variable(key, node) {
                Ok(variable) => {
                    own.variables.insert(key.name.clone(), Arc::new(variable));
                }
                Err(errors) => self.errors.extend(errors),
            }
        }
        Some(own)
    }

    fn read_extends(&mut self, node: &Node) -> Vec<(String, dsops_providers::contract::Span)> {
        let items = match &node.kind {
            NodeKind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut names = Vec::new();
        for item in items {
            match item.text() {
                Some(text) => names.push((text.to_owned(), item.span)),
                None => self.errors.push(wrong(item, "the name of an environment")),
            }
        }
        names
    }

    fn read_imports(&mut self, node: &Node) -> Vec<Import> {
        let items = match &node.kind {
            NodeKind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut imports = Vec::new();
        for item in items {
            match decode::<ImportShape>(item, &NoExpansion)
                .map_err(ConfigError::from)
                .and_then(|shape| read_import(item, shape))
            {
                Ok(import) => imports.push(import),
                Err(error) => self.errors.push(error),
            }
        }
        imports
    }

    fn read_variable(&mut self, key: &Key, node: &Node) -> Result<Variable, Vec<ConfigError>> {
        check_name(key).map_err(|error| vec![error])?;
        self.read_named(key, node)
    }

    /// Reads a value of no environment: a reference, or what a variable says of its own.
    pub(super) fn read_value(&mut self, name: String, span: Span, node: &Node) -> Option<Arc<Variable>> {
        let key = Key { name, span };
        let as_variable = node.get("from").or_else(|| node.get("literal")).is_some();
        let read = if as_variable {
            let idle = node.entries().iter().filter(|(key, _)| FILE_KEYS.contains(&key.name.as_str()));
            self.errors.extend(idle.map(|(idle, _)| {
                ConfigError::at(Code::UnknownField, idle.span, format!("`{}` has no meaning here", idle.name))
                    .help("take it out: no command is started with this value")
            }));
            self.read_named(&key, node)
        } else {
            let shape = decode::<FromShape>(node, &NoExpansion).map_err(ConfigError::from);
            let reference = shape.and_then(|shape| ReferenceAt::read(node, shape));
            reference
                .map(|reference| Variable::of_reference(key.name, span, reference))
                .map_err(|error| vec![error])
        };
        read.map(Arc::new).map_err(|errors| self.errors.extend(errors)).ok()
    }

    fn read_named(&mut self, key: &Key, node: &Node) -> Result<Variable, Vec<ConfigError>> {
        if !matches!(node.kind, NodeKind::Map(_)) {
            let error = wrong(node, "`{from: …}` or `{literal: …}`");
            return Err(vec![
                error.help(format!("write `{}: {{from: …}}` or `{}: {{literal: …}}`", key.name, key.name)),
            ]);
        }
        let shape: VariableShape =
            decode(node, &NoExpansion).map_err(|error| vec![ConfigError::from(error)])?;
        for (kept, _) in node.entries().iter().filter(|(key, _)| KEPT.contains(&key.name.as_str())) {
            self.warnings
                .push(Warning { message: format!("`{}` has no effect yet", kept.name), span: kept.span });
        }
        let mut errors = Vec::new();
        let file = files::read(key, node, &shape, &mut errors);
        let mut keep =
            |result: Result<ReferenceAt, ConfigError>| result.map_err(|error| errors.push(error)).ok();
        let from =
            shape.from.and_then(|from| keep(ReferenceAt::read(node.get("from").unwrap_or(node), from)));
        let fallback_nodes = node.get("fallback").map(one_or_many).unwrap_or_default();
        let fallback: Vec<_> = shape
            .fallback
            .map(|OneOrMany(shapes)| shapes)
            .unwrap_or_default()
            .into_iter()
            .zip(fallback_nodes)
            .filter_map(|(shape, node)| keep(ReferenceAt::read(node, shape)))
            .collect();
        let transform = self.read_transform(node, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let origin = read_origin(key, node, shape.literal, from).map_err(|error| vec![error])?;
        Ok(Variable {
            name: key.name.clone(),
            span: key.span,
            origin,
            fallback,
            default: shape.default.map(|value| share(&value)),
            optional: shape.optional,
            non_empty: shape.non_empty,
            mask: shape.mask,
            transform,
            file,
        })
    }

    fn read_transform(&self, node: &Node, errors: &mut Vec<ConfigError>) -> Chain {
        let Some(node) = node.get("transform") else { return Chain::default() };
        read_chain(node, &|name| self.chains.get(name).cloned(), errors).unwrap_or_default()
    }

    fn check_extends(&mut self, own: &IndexMap<&str, Own>) {
        for (name, environment) in own {
            for (target, span) in &environment.extends {
                if !own.contains_key(target.as_str()) {
                    let help = did_you_mean(target, own.keys().copied())
                        .unwrap_or_else(|| format!("the file has {}", and_ticked(own.keys().copied())));
                    let message = format!("no environment is named `{target}`");
                    self.errors.push(ConfigError::at(Code::UnknownEnvironment, *span, message).help(help));
                } else if reaches(target, name, own, &mut Vec::new()) {
                    let message = match name == target {
                        true => format!("`{name}` extends itself"),
                        false => format!("`{name}` extends itself by way of `{target}`"),
                    };
                    self.errors.push(
                        ConfigError::at(Code::ExtendsCycle, *span, message)
                            .help("move what they share into an environment that extends nothing"),
                    );
                }
            }
        }
    }
}

/// Compiles a chain and turns its mistakes into ours.
pub(super) fn read_chain(
    node: &Node,
    named: &dyn Fn(&str) -> Option<Chain>,
    errors: &mut Vec<ConfigError>,
) -> Option<Chain> {
    match Chain::from_node(node, named) {
        Ok(chain) => Some(chain),
        Err(mistakes) => {
            errors.extend(mistakes.into_iter().map(|mistake| {
                ConfigError::at(Code::Transform, mistake.span, mistake.message).maybe_help(mistake.help)
            }));
            None
        }
    }
}

fn one_or_many(node: &Node) -> Vec<&Node> {
    match &node.kind {
        NodeKind::List(items) => items.iter().collect(),
        _ => vec![node],
    }
}

fn share(literal: &Literal) -> Arc<SecretValue> {
    Arc::new(SecretValue::copy_of(literal.value().expose()))
}

fn read_origin(
    key: &Key,
    node: &Node,
    literal: Option<Literal>,
    from: Option<ReferenceAt>,
) -> Result<Origin, ConfigError> {
    match (literal, from) {
        (Some(literal), None) => {
            let useless =
                ["default", "fallback", "optional"].into_iter().find(|name| node.get(name).is_some());
            match useless.and_then(|name| node.entries().iter().find(|(key, _)| key.name == name)) {
                Some((useless, _)) => {
                    let message = format!("`{}` beside a literal, which is never absent", useless.name);
                    Err(ConfigError::at(Code::Origin, useless.span, message).help("keep one of the two"))
                }
                None => Ok(Origin::Literal(share(&literal))),
            }
        }
        (None, Some(from)) => Ok(Origin::Reference(from)),
        (Some(_), Some(_)) => {
            let message = format!("`{}` has both `from` and `literal`", key.name);
            Err(ConfigError::at(Code::Origin, key.span, message)
                .help("keep one; `default` is for a value that may be absent"))
        }
        (None, None) => {
            let message = format!("`{}` says neither `from` nor `literal`", key.name);
            Err(ConfigError::at(Code::Origin, key.span, message)
                .help("add `from: {store: name, key: KEY}`, or `literal: text`"))
        }
    }
}

fn check_name(key: &Key) -> Result<(), ConfigError> {
    // What execve(2) and every shell can carry: neither empty, nor with `=` or NUL in it.
    if key.name.is_empty() || key.name.contains(['=', '\0']) {
        return Err(ConfigError::at(
            Code::Invalid,
            key.span,
            "a variable's name is not empty and has no `=`",
        ));
    }
    Ok(())
}

fn reaches<'a>(from: &'a str, wanted: &str, own: &'a IndexMap<&str, Own>, seen: &mut Vec<&'a str>) -> bool {
    if from == wanted {
        return true;
    }
    if seen.contains(&from) {
        return false;
    }
    seen.push(from);
    let targets = own.get(from).into_iter().flat_map(|environment| &environment.extends);
    targets.map(|(target, _)| target.as_str()).any(|target| reaches(target, wanted, own, seen))
}

/// Puts an environment on top of what it extends. Nothing where it extends itself.
fn flatten(name: &str, own: &IndexMap<&str, Own>) -> Option<Environment> {
    let environment = own.get(name)?;
    let mut flat = Environment {
        name: name.to_owned(),
        span: environment.key.span,
        imports: Vec::new(),
        variables: IndexMap::new(),
    };
    lay(name, own, &mut Vec::new(), &mut flat)?;
    Some(flat)
}

fn lay<'a>(
    name: &'a str,
    own: &'a IndexMap<&str, Own>,
    path: &mut Vec<&'a str>,
    flat: &mut Environment,
) -> Option<()> {
    if path.contains(&name) {
        return None;
    }
    path.push(name);
    let environment = own.get(name)?;
    for (target, _) in &environment.extends {
        lay(target, own, path, flat)?;
    }
    flat.imports.extend(environment.imports.iter().cloned());
    for (name, variable) in &environment.variables {
        flat.variables.insert(name.clone(), Arc::clone(variable));
    }
    path.pop();
    Some(())
}
