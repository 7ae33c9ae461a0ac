//! Policies: read strictly, enforced in the plan for every command, on the resolved type of the store.

use dsops_providers::contract::{Descriptor, Node, Span};
use indexmap::IndexMap;
use regex::Regex;

use super::error::{Code, ConfigError};
use super::shape::PoliciesShape;

/// What may be used and where values may be written. The default allows everything.
#[derive(Debug, Default)]
pub struct Policies {
    /// The rules for every environment.
    pub everywhere: Rules,
    /// Further rules by environment.
    pub environments: IndexMap<String, Rules>,
    allowed_paths: Option<Vec<Regex>>,
    blocked_paths: Vec<Regex>,
    span: Span,
}

/// The rules of one environment, or of all.
#[derive(Debug, Default)]
pub struct Rules {
    allowed: Option<Vec<String>>,
    blocked: Vec<String>,
    /// How many variables there may be.
    pub max_secrets: Option<usize>,
}

/// Keys that the Go program's files have and that nothing enforces, with what to do instead.
const UNENFORCED: &[&str] =
    &["secret_complexity", "forbidden_patterns", "required_patterns", "audit_logging", "require_encryption"];
const UNENFORCED_RULES: &[&str] = &["require_approval"];
const UNENFORCED_OUTPUT: &[&str] = &["require_gitignore", "max_ttl"];

impl Policies {
    pub(super) fn read(node: &Node, shape: PoliciesShape) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut rules = |allowed, blocked, max_secrets: Option<u32>, node: Option<&Node>| {
            check_types(node, &mut errors);
            Rules {
                allowed,
                blocked: Option::unwrap_or_default(blocked),
                max_secrets: max_secrets.map(|max| max as usize),
            }
        };
        let everywhere = rules(shape.allowed_providers, shape.blocked_providers, None, Some(node));
        let environments = shape
            .environment_rules
            .unwrap_or_default()
            .into_iter()
            .map(|(name, rule)| {
                let place = node.get("environment_rules").and_then(|rules| rules.get(&name));
                (name, rules(rule.allowed_providers, rule.blocked_providers, rule.max_secrets, place))
            })
            .collect();
        let output = shape.output_restrictions.unwrap_or_default();
        let place = node.get("output_restrictions");
        let allowed_paths =
            output.allowed_paths.map(|paths| patterns(&paths, place, "allowed_paths", &mut errors));
        let blocked_paths =
            patterns(&output.blocked_paths.unwrap_or_default(), place, "blocked_paths", &mut errors);
        if errors.is_empty() {
            Ok(Self { everywhere, environments, allowed_paths, blocked_paths, span: node.span })
        } else {
            Err(errors)
        }
    }

    /// Checks that an environment may use a type of store; without a name, that everybody may. The span is the place
    /// that uses it.
    ///
    /// # Errors
    ///
    /// `dsops::policy::denied`.
    pub fn check_store(
        &self,
        environment: &str,
        descriptor: &Descriptor,
        span: Span,
    ) -> Result<(), ConfigError> {
        let rules = [Some(&self.everywhere), self.environments.get(environment)];
        if rules.into_iter().flatten().all(|rules| rules.allow(descriptor)) {
            return Ok(());
        }
        let message = match environment {
            "" => format!("the policies do not allow a store of type `{}`", descriptor.kind),
            name => format!("the policies do not let `{name}` use a store of type `{}`", descriptor.kind),
        };
        Err(ConfigError::at(Code::PolicyDenied, span, message)
            .label(self.span, "the policies")
            .help("take the value from a store that is allowed, or change the policies"))
    }

    /// Checks the number of variables.
    ///
    /// # Errors
    ///
    /// `dsops::policy::denied`.
    pub fn check_count(&self, environment: &str, count: usize) -> Result<(), ConfigError> {
        match self.environments.get(environment).and_then(|rules| rules.max_secrets) {
            Some(max) if count > max => {
                let message = format!("`{environment}` has {count} variables, and `max_secrets` is {max}");
                Err(ConfigError::at(Code::PolicyDenied, self.span, message)
                    .help("raise `max_secrets`, or split the environment"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that values may be written to a path, which must be absolute and without `..`.
    ///
    /// # Errors
    ///
    /// `dsops::policy::denied`.
    pub fn check_path(&self, path: &str) -> Result<(), ConfigError> {
        let allowed = self.allowed_paths.as_ref().is_none_or(|paths| paths.iter().any(|p| p.is_match(path)));
        if allowed && !self.blocked_paths.iter().any(|pattern| pattern.is_match(path)) {
            return Ok(());
        }
        let message = format!("the policies do not let values be written to `{path}`");
        Err(ConfigError::at(Code::PolicyDenied, self.span, message)
            .help("write to a path that `output_restrictions` allow"))
    }
}

impl Rules {
    fn allow(&self, descriptor: &Descriptor) -> bool {
        let names = |list: &[String]| list.iter().any(|name| descriptor.answers_to(&name.to_lowercase()));
        self.allowed.as_deref().is_none_or(names) && !names(&self.blocked)
    }
}

/// Finds keys that would give false comfort.
pub(super) fn unenforced(node: &Node) -> Vec<ConfigError> {
    let rules = node.get("environment_rules").into_iter().flat_map(Node::entries);
    let nested = rules.map(|(_, rule)| (rule, UNENFORCED_RULES));
    let output = node.get("output_restrictions").map(|output| (output, UNENFORCED_OUTPUT));
    [(node, UNENFORCED)]
        .into_iter()
        .chain(nested)
        .chain(output)
        .flat_map(|(node, names)| {
            node.entries().iter().filter(move |(key, _)| names.contains(&key.name.as_str()))
        })
        .map(|(key, _)| {
            let message = format!("`{}` is not enforced by dsops", key.name);
            ConfigError::at(Code::PolicyUnenforced, key.span, message)
                .help("take it out, so that nobody relies on it")
        })
        .collect()
}

/// A name that no backend answers to allows and blocks nothing, which nobody would notice.
fn check_types(node: Option<&Node>, errors: &mut Vec<ConfigError>) {
    let lists = ["allowed_providers", "blocked_providers"].into_iter().filter_map(|key| node?.get(key));
    for item in lists.flat_map(list) {
        let name = item.text().unwrap_or_default().to_lowercase();
        if dsops_providers::find(&name).is_none() {
            let message = format!("no type of store is named `{name}`, so this has no effect");
            let known = dsops_providers::ALL.iter().map(|descriptor| descriptor.kind);
            errors.push(
                ConfigError::at(Code::UnknownType, item.span, message)
                    .maybe_help(crate::suggest::did_you_mean(&name, known)),
            );
        }
    }
}

fn list(node: &Node) -> &[Node] {
    match &node.kind {
        dsops_providers::contract::NodeKind::List(items) => items,
        _ => &[],
    }
}

fn patterns(paths: &[String], node: Option<&Node>, key: &str, errors: &mut Vec<ConfigError>) -> Vec<Regex> {
    let items = node.and_then(|node| node.get(key)).map(list).unwrap_or_default();
    let mut compiled = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        match Regex::new(path) {
            Ok(pattern) => compiled.push(pattern),
            Err(_) => {
                let span = items.get(index).map_or_else(Span::default, |item| item.span);
                errors.push(
                    ConfigError::at(Code::Invalid, span, "not a regular expression")
                        .help("escape what is meant literally: `\\.`, `\\(`"),
                );
            }
        }
    }
    compiled
}
