//! What the fake server holds: projects with folders, secrets with versions, identities, tokens, and a clock.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use super::identity::{Identity, ServiceToken};

/// Which real server to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Generation {
    /// Has `v3/secrets/raw` only; unknown folders list as empty.
    June2025,
    /// Has `v4` as well, names unknown folders, and locks out after failed logins.
    July2026,
}

/// Everything that the server knows. Tests change it through the builder, or while it runs.
pub(crate) struct World {
    pub(super) generation: Generation,
    pub(super) projects: Vec<Project>,
    pub(super) identities: Vec<Identity>,
    pub(super) service_tokens: Vec<ServiceToken>,
    pub(super) tokens: HashMap<String, AccessToken>,
    /// List answers that a caller got today, by which `If-None-Match` is answered without work (2026).
    pub(super) remembered: HashSet<(String, String, String)>,
    pub(super) organizations: Vec<String>,
    /// Whether the older routes are gone, as the server's own deprecation notes announce. Not seen.
    pub(super) newer_routes_only: bool,
    started: Instant,
    advanced: Duration,
    ids: u64,
}

/// A project with what is in it.
pub(crate) struct Project {
    pub(super) id: String,
    pub(super) slug: String,
    pub(super) environments: Vec<String>,
    /// Folders by environment and path; the root of each environment is one of them.
    pub(super) folders: BTreeSet<(String, String)>,
    pub(super) secrets: Vec<Secret>,
    pub(super) imports: Vec<Import>,
}

/// A secret with all its versions, deleted or not.
pub(crate) struct Secret {
    pub(super) id: String,
    pub(super) environment: String,
    pub(super) path: String,
    pub(super) versions: Vec<Version>,
    pub(super) deleted: bool,
    pub(super) hidden: bool,
    pub(super) comment: String,
    pub(super) tags: Vec<String>,
    pub(super) metadata: Vec<(String, String)>,
}

/// One version: a name can change from one to the next.
pub(crate) struct Version {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) value: String,
}

/// A folder that shows the secrets of another one.
pub(crate) struct Import {
    pub(super) environment: String,
    pub(super) path: String,
    pub(super) from_environment: String,
    pub(super) from_path: String,
}

/// An access token that was given out.
pub(crate) struct AccessToken {
    pub(super) identity: usize,
    pub(super) created: Duration,
    pub(super) expires: Option<Duration>,
    pub(super) uses_left: Option<u32>,
    pub(super) revoked: bool,
    /// The token has no expiry claim and is older than a 2026 server allows.
    pub(super) over_age: bool,
}

impl World {
    pub(super) fn new(generation: Generation) -> Self {
        Self {
            generation,
            projects: Vec::new(),
            identities: Vec::new(),
            service_tokens: Vec::new(),
            tokens: HashMap::new(),
            remembered: HashSet::new(),
            organizations: Vec::new(),
            newer_routes_only: false,
            started: Instant::now(),
            advanced: Duration::ZERO,
            ids: 0,
        }
    }

    pub(super) fn is_2026(&self) -> bool {
        self.generation == Generation::July2026
    }

    /// Time since the start, as far as the server can tell.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed() + self.advanced
    }

    /// Takes the older routes for secrets, folders and projects away.
    pub(crate) fn drop_older_routes(&mut self) -> &mut Self {
        self.newer_routes_only = true;
        self
    }

    /// Moves the server's clock on.
    pub(crate) fn advance(&mut self, by: Duration) -> &mut Self {
        self.advanced += by;
        self
    }

    /// Makes every access token given out so far an expired one.
    pub(crate) fn expire_tokens(&mut self) -> &mut Self {
        self.tokens.values_mut().for_each(|token| token.expires = Some(Duration::ZERO));
        self
    }

    /// Revokes every access token given out so far.
    pub(crate) fn revoke_tokens(&mut self) -> &mut Self {
        self.tokens.values_mut().for_each(|token| token.revoked = true);
        self
    }

    /// Makes an access token without a login, as a new one of Token Auth is.
    pub(crate) fn access_token(&mut self, client_id: &str) -> String {
        let identity = self.identities.iter().position(|identity| identity.client_id == client_id);
        let now = self.now();
        self.issue(identity.expect("the identity to make a token for"), now, Some(2_592_000))
    }

    /// Adds a sub-organization.
    pub(crate) fn organization(&mut self, slug: &str) {
        self.organizations.push(slug.into());
    }

    /// Makes a token as the dashboard does for an identity with Token Auth: it never says when it ends, and it is
    /// older than a 2026 server allows.
    pub(crate) fn dashboard_token(&mut self, client_id: &str) -> String {
        let identity = self.identities.iter().position(|identity| identity.client_id == client_id);
        let now = self.now();
        let token = self.issue(identity.expect("the identity to make a token for"), now, None);
        self.tokens.get_mut(&token).expect("a token just made").over_age = true;
        token
    }

    /// Adds a project; what follows goes into it.
    pub(crate) fn project(&mut self, id: &str, slug: &str, environments: &[&str]) -> &mut Self {
        let environments: Vec<String> = environments.iter().map(ToString::to_string).collect();
        let folders = environments.iter().map(|environment| (environment.clone(), "/".into())).collect();
        let (id, slug) = (id.into(), slug.into());
        let (secrets, imports) = (Vec::new(), Vec::new());
        self.projects.push(Project { id, slug, environments, folders, secrets, imports });
        self
    }

    /// Adds a folder and its parents.
    pub(crate) fn folder(&mut self, environment: &str, path: &str) -> &mut Self {
        let project = self.current();
        for (end, _) in path.match_indices('/').skip(1) {
            project.folders.insert((environment.into(), path[..end].into()));
        }
        project.folders.insert((environment.into(), path.into()));
        self
    }

    /// Writes a secret: a new one, or the next version of the one that is there. Folders are made.
    pub(crate) fn secret(&mut self, environment: &str, path: &str, name: &str, value: &str) -> &mut Self {
        self.folder(environment, path);
        let id = self.next_id();
        self.remembered.clear();
        let project = self.current();
        if let Some(secret) = project.secrets.iter_mut().find(|secret| secret.is_at(environment, path, name))
        {
            secret.add_version(name, value);
            return self;
        }
        let mut secret = Secret::empty(id, environment, path);
        secret.add_version(name, value);
        project.secrets.push(secret);
        self
    }

    /// Changes the secret that is there, for what `secret` does not say.
    pub(crate) fn adjust(
        &mut self,
        environment: &str,
        path: &str,
        name: &str,
        change: impl FnOnce(&mut Secret),
    ) -> &mut Self {
        self.remembered.clear();
        let secret = self.current().secrets.iter_mut().find(|secret| secret.is_at(environment, path, name));
        change(secret.expect("the secret to change"));
        self
    }

    /// Renames a secret, which makes a version under the new name.
    pub(crate) fn rename(&mut self, environment: &str, path: &str, name: &str, to: &str) -> &mut Self {
        self.adjust(environment, path, name, |secret| {
            let value = secret.latest().value.clone();
            secret.add_version(to, &value);
        })
    }

    /// Deletes a secret. Its versions still answer, as they do on the real server.
    pub(crate) fn delete(&mut self, environment: &str, path: &str, name: &str) -> &mut Self {
        self.adjust(environment, path, name, |secret| secret.deleted = true)
    }

    /// Makes the server answer the mask in place of this value.
    pub(crate) fn hide(&mut self, environment: &str, path: &str, name: &str) -> &mut Self {
        self.adjust(environment, path, name, |secret| secret.hidden = true)
    }

    /// Lets the folder `to` import the folder `from`, each an environment and a path; later imports win.
    pub(crate) fn import(&mut self, to: (&str, &str), from: (&str, &str)) -> &mut Self {
        self.folder(to.0, to.1).folder(from.0, from.1);
        let (environment, path) = (to.0.into(), to.1.into());
        let (from_environment, from_path) = (from.0.into(), from.1.into());
        self.current().imports.push(Import { environment, path, from_environment, from_path });
        self
    }

    /// Adds an identity that may do everything in every project.
    pub(crate) fn identity(&mut self, client_id: &str, client_secret: &str) -> &mut Self {
        self.add_identity(Identity::new(client_id, client_secret))
    }

    /// Adds an identity.
    pub(crate) fn add_identity(&mut self, identity: Identity) -> &mut Self {
        self.identities.push(identity);
        self
    }

    /// Adds a service token for the project added last.
    pub(crate) fn service_token(&mut self, mut token: ServiceToken) -> &mut Self {
        token.project = Some(self.current().id.clone());
        self.service_tokens.push(token);
        self
    }

    fn current(&mut self) -> &mut Project {
        self.projects.last_mut().expect("add a project first")
    }

    pub(super) fn next_id(&mut self) -> String {
        self.ids += 1;
        id_of(&("id", self.ids))
    }

    pub(super) fn project_by_id(&self, id: &str) -> Option<&Project> {
        self.projects.iter().find(|project| project.id == id)
    }
}

impl Project {
    pub(super) fn has_folder(&self, environment: &str, path: &str) -> bool {
        self.folders.contains(&(environment.to_owned(), path.to_owned()))
    }

    pub(super) fn folder_id(&self, environment: &str, path: &str) -> String {
        id_of(&("folder", &self.id, environment, path))
    }

    pub(super) fn environment_id(&self, environment: &str) -> String {
        id_of(&("environment", &self.id, environment))
    }

    pub(super) fn find(&self, environment: &str, path: &str, name: &str) -> Option<&Secret> {
        self.secrets.iter().find(|secret| secret.is_at(environment, path, name))
    }

    /// Returns the secrets of one folder that are not deleted.
    pub(super) fn in_folder<'a>(
        &'a self,
        environment: &'a str,
        path: &'a str,
    ) -> impl Iterator<Item = &'a Secret> {
        let here = move |secret: &&Secret| secret.environment == environment && secret.path == path;
        self.secrets.iter().filter(|secret| !secret.deleted).filter(here)
    }

    /// Returns what the folder imports, in the order of precedence, lowest first.
    pub(super) fn imports_of<'a>(
        &'a self,
        environment: &'a str,
        path: &'a str,
    ) -> impl Iterator<Item = &'a Import> {
        self.imports.iter().filter(move |import| import.environment == environment && import.path == path)
    }
}

impl Secret {
    fn empty(id: String, environment: &str, path: &str) -> Self {
        let (environment, path) = (environment.into(), path.into());
        let (comment, tags, metadata, versions) = (String::new(), Vec::new(), Vec::new(), Vec::new());
        Self { id, environment, path, versions, deleted: false, hidden: false, comment, tags, metadata }
    }

    fn add_version(&mut self, name: &str, value: &str) {
        let number = u32::try_from(self.versions.len()).expect("few versions") + 1;
        self.versions.push(Version { number, name: name.into(), value: value.into() });
    }

    fn is_at(&self, environment: &str, path: &str, name: &str) -> bool {
        !self.deleted && self.environment == environment && self.path == path && self.name() == name
    }

    pub(super) fn latest(&self) -> &Version {
        self.versions.last().expect("a secret has a version")
    }

    pub(super) fn name(&self) -> &str {
        &self.latest().name
    }

    /// Gives the secret the id that a recorded request asks for.
    pub(crate) fn set_id(&mut self, id: &str) {
        self.id = id.into();
    }

    /// Sets what a list can be filtered by.
    pub(crate) fn label(&mut self, comment: &str, tags: &[&str], metadata: &[(&str, &str)]) {
        self.comment = comment.into();
        self.tags = tags.iter().map(ToString::to_string).collect();
        self.metadata = metadata.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    }
}

/// Returns a UUID that depends on nothing but `of`.
pub(super) fn id_of(of: &impl Hash) -> String {
    let (a, b) = (hash(&(1_u8, of)), hash(&(2_u8, of)));
    let (high, middle, low) = (a >> 32, (a >> 16) & 0xffff, a & 0xfff);
    format!("{high:08x}-{middle:04x}-4{low:03x}-{:04x}-{:012x}", 0x8000 | (b >> 50), b & 0xffff_ffff_ffff)
}

/// Hashes with keys that never change, so that runs are alike.
pub(super) fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
