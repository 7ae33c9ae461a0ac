//! Who may see what: rules of identities and scopes of service tokens, over environments and path globs.

use serde_json::{Value, json};

use super::caller::Caller;
use super::world::{Project, World};

/// An environment and a path glob.
pub(crate) struct Rule {
    pub(super) environment: String,
    pub(super) path: String,
}

/// What is asked for: to see that a secret is there, or its value too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Describe,
    Read,
}

impl Right {
    /// Returns the server's word for it.
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::Describe => "describeSecret",
            Self::Read => "readValue",
        }
    }
}

impl Rule {
    pub(crate) fn new(environment: &str, path: &str) -> Self {
        Self { environment: environment.into(), path: path.into() }
    }

    pub(super) fn is_plain(&self) -> bool {
        !self.path.contains(['*', '?', '[', '{', '!'])
    }

    pub(super) fn covers(&self, environment: &str, path: &str) -> bool {
        let segments =
            |path: &str| path.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        self.environment == environment && matches(&segments(&self.path), &segments(path))
    }

    fn condition(&self) -> Value {
        let environment = json!({"$eq": self.environment});
        match (self.path.as_str(), self.is_plain()) {
            ("/**", _) => json!({"environment": environment}),
            (path, true) => json!({"secretPath": {"$eq": path}, "environment": environment}),
            (path, false) => json!({"secretPath": {"$glob": path}, "environment": environment}),
        }
    }
}

/// Matches a path with a glob, segment by segment; `**` takes any number of segments, also none.
fn matches(glob: &[String], path: &[String]) -> bool {
    match (glob.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            (0..=path.len()).any(|skip| matches(rest, &path[skip..]))
        }
        (Some((first, rest)), Some((segment, below))) => {
            (first == "*" || first == segment) && matches(rest, below)
        }
        _ => false,
    }
}

impl World {
    /// Tells whether the caller has the right at this place of a project that it is in.
    pub(super) fn allows(&self, caller: &Caller, right: Right, environment: &str, path: &str) -> bool {
        match self.rules(caller, right) {
            None => true,
            Some(rules) => rules.iter().any(|rule| rule.covers(environment, path)),
        }
    }

    fn rules(&self, caller: &Caller, right: Right) -> Option<&Vec<Rule>> {
        match caller {
            Caller::Identity(index) => match right {
                Right::Describe => self.identities[*index].describe.as_ref(),
                Right::Read => self.identities[*index].read.as_ref(),
            },
            Caller::Service(index) => Some(&self.service_tokens[*index].scopes),
        }
    }

    /// Returns the caller's own rules the way a refusal lists them; none for service tokens.
    pub(super) fn rule_details(&self, caller: &Caller, right: Right) -> Value {
        let Caller::Identity(_) = caller else {
            return json!([]);
        };
        let rules = self.rules(caller, right).into_iter().flatten();
        let detail = |rule: &Rule| json!({"action": [right.action()], "inverted": false, "subject": ["secrets"], "conditions": rule.condition()});
        rules.map(detail).collect()
    }

    pub(super) fn is_member(&self, caller: &Caller, project: &Project) -> bool {
        match caller {
            Caller::Identity(index) => match &self.identities[*index].member_of {
                None => true,
                Some(projects) => projects.contains(&project.id),
            },
            Caller::Service(index) => self.service_tokens[*index].project.as_ref() == Some(&project.id),
        }
    }
}
