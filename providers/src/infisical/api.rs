//! The requests that Infisical gets, and the shapes of its answers.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;
use tokio::sync::{OnceCell, Semaphore};

use super::auth::Session;
use super::error::{Failure, Refusal};
use crate::contract::{Context, FetchError, FetchErrorKind, SecretValue};
use crate::http::{Answer, Request, Site, segment, send};

/// How many requests are under way at once.
const AT_ONCE: usize = 32;

/// Whether a folder's imports count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Imports {
    On,
    Off,
}

/// What becomes of `${NAME}` in a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum References {
    Expanded,
    AsStored,
}

/// One project and environment of one server.
pub(super) struct Api {
    pub(super) site: Site,
    pub(super) session: Session,
    pub(super) project: String,
    pub(super) environment: String,
    references: References,
    permits: Semaphore,
    /// Whether the server has dropped the older routes. Learnt from the first answer that says so.
    v4: AtomicBool,
    place: OnceCell<Result<Project, FetchError>>,
}

impl Api {
    /// Returns the client; it has made no request yet.
    pub(super) fn new(
        site: Site,
        session: Session,
        project: String,
        environment: String,
        references: References,
    ) -> Self {
        Self {
            site,
            session,
            project,
            environment,
            references,
            permits: Semaphore::new(AT_ONCE),
            v4: AtomicBool::new(false),
            place: OnceCell::new(),
        }
    }

    /// Says whether the server has only the newer routes, whose lists resolve the references of an
    /// imported secret in the wrong folder.
    pub(super) fn is_v4(&self) -> bool {
        self.v4.load(Ordering::Relaxed)
    }

    /// Says whether a list gives an imported secret's value as a single read does. The newer list resolves
    /// its references in the wrong folder, and the older one expands them whatever it is told.
    pub(super) fn lists_imports_rightly(&self) -> bool {
        !self.is_v4() && self.references == References::Expanded
    }

    /// Lists a folder, imports included.
    pub(super) async fn list(&self, cx: &Context, folder: &str) -> Result<Listing, Failure> {
        let answer = self.secrets(cx, |routes| routes.list(self, folder)).await?;
        Ok(success(&answer)?.json()?)
    }

    /// Reads one secret, its latest version where none is given.
    pub(super) async fn get(
        &self,
        cx: &Context,
        folder: &str,
        name: &str,
        version: Option<u64>,
        imports: Imports,
    ) -> Result<Secret, Failure> {
        let answer = self.secrets(cx, |routes| routes.get(self, folder, name, version, imports)).await?;
        let One { secret } = success(&answer)?.json()?;
        if secret.key != name {
            return Err(FetchError::new(
                FetchErrorKind::Malformed,
                format!("asked for `{name}` and got `{}`", secret.key.escape_debug()),
            )
            .help("check `host`, and what stands before the server")
            .into());
        }
        Ok(secret)
    }

    /// Reads the project with its environments, once.
    pub(super) async fn project(&self, cx: &Context) -> Result<&Project, FetchError> {
        let place = self.place.get_or_init(|| async {
            let (path, what) = if self.is_v4() {
                (format!("/api/v1/projects/{}", segment(&self.project)), "the project")
            } else {
                (format!("/api/v1/workspace/{}", segment(&self.project)), "the project")
            };
            let answer = self.call(cx, &Request::get(path)).await?;
            match success(&answer) {
                Ok(answer) => answer.json::<Wrapped>()?.project(),
                Err(Failure::Refused(refusal)) => Err(refusal.explain(what)),
                Err(Failure::Broken(error)) => Err(error),
            }
        });
        place.await.as_ref().map_err(Clone::clone)
    }

    /// Asks the server how it is, without credentials: bad ones break even this.
    pub(super) async fn status(&self, cx: &Context) -> Result<(), FetchError> {
        let answer = send(cx, &self.site, Request::get("/api/status")).await?;
        match success(&answer) {
            Ok(answer) => answer.json::<serde::de::IgnoredAny>().map(drop),
            Err(Failure::Refused(refusal)) => Err(refusal.explain("its status")),
            Err(Failure::Broken(error)) => Err(error),
        }
    }

    /// Makes a call about secrets by the older routes, and by the newer ones where those are gone.
    async fn secrets(&self, cx: &Context, request: impl Fn(Routes) -> Request) -> Result<Answer, FetchError> {
        if self.is_v4() {
            return self.call(cx, &request(Routes::V4)).await;
        }
        let answer = self.call(cx, &request(Routes::V3)).await?;
        if answer.status() != 404 || !Refusal::read(&answer)?.is_route_missing() {
            return Ok(answer);
        }
        let newer = self.call(cx, &request(Routes::V4)).await?;
        if newer.status() == 404 && Refusal::read(&newer)?.is_route_missing() {
            return Ok(answer);
        }
        self.v4.store(true, Ordering::Relaxed);
        Ok(newer)
    }

    /// Sends a call with the session's grant; with a new one, once, where the server refuses the token.
    async fn call(&self, cx: &Context, request: &Request) -> Result<Answer, FetchError> {
        let grant = self.session.grant(cx, &self.site).await?;
        let answer = self.send(cx, grant.sign(request.clone())?).await?;
        if answer.is_success() {
            grant.prove();
            return Ok(answer);
        }
        if !matches!(answer.status(), 401 | 403) || !Refusal::read(&answer)?.is_of_token() {
            return Ok(answer);
        }
        let Some(grant) = self.session.replace(cx, &self.site, &grant).await? else { return Ok(answer) };
        let answer = self.send(cx, grant.sign(request.clone())?).await?;
        if answer.is_success() {
            grant.prove();
        }
        Ok(answer)
    }

    async fn send(&self, cx: &Context, request: Request) -> Result<Answer, FetchError> {
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await.ok();
        send(cx, &self.site, request).await
    }
}

fn success(answer: &Answer) -> Result<&Answer, Failure> {
    if answer.is_success() {
        return Ok(answer);
    }
    match Refusal::read(answer) {
        Ok(refusal) => Err(Failure::Refused(refusal)),
        Err(error) => Err(Failure::Broken(error)),
    }
}

/// The two generations of routes for secrets.
#[derive(Clone, Copy)]
enum Routes {
    /// Every server up to 2026.
    V3,
    /// Servers since the autumn of 2025, in two forms that differ in names and defaults.
    V4,
}

impl Routes {
    fn list(self, api: &Api, folder: &str) -> Request {
        let request = Request::get(self.root()).query("recursive", "false");
        // Only a newer list knows the flag; an older one gives a user both rows, whatever it is told.
        let request = match self {
            Self::V3 => request,
            Self::V4 => request.query("includePersonalOverrides", "false"),
        };
        self.common(request, api, folder, Imports::On)
    }

    fn get(self, api: &Api, folder: &str, name: &str, version: Option<u64>, imports: Imports) -> Request {
        let request = Request::get(format!("{}/{}", self.root(), segment(name))).query("type", "shared");
        let request = self.common(request, api, folder, imports);
        match version {
            Some(version) => request.query("version", version.to_string()),
            None => request,
        }
    }

    fn root(self) -> &'static str {
        match self {
            Self::V3 => "/api/v3/secrets/raw",
            Self::V4 => "/api/v4/secrets",
        }
    }

    /// Adds what every call says. No flag is left to a default: they differ between servers, and a
    /// misspelt one is dropped without a word.
    fn common(self, request: Request, api: &Api, folder: &str, imports: Imports) -> Request {
        let imports = if imports == Imports::On { "true" } else { "false" };
        let expand = if api.references == References::Expanded { "true" } else { "false" };
        let request = request
            .query("environment", &api.environment)
            .query("secretPath", folder)
            .query("viewSecretValue", "true")
            .query("expandSecretReferences", expand)
            .query("include_imports", imports);
        match self {
            Self::V3 => request.query("workspaceId", &api.project),
            Self::V4 => request.query("projectId", &api.project).query("includeImports", imports),
        }
    }
}

/// A listed folder.
#[derive(Deserialize)]
pub(super) struct Listing {
    pub(super) secrets: Vec<Secret>,
    imports: Option<Vec<Layer>>,
}

impl Listing {
    /// Returns the folder's imports, the weakest first, and leaves none behind.
    pub(super) fn take_imports(&mut self) -> Vec<Layer> {
        self.imports.take().unwrap_or_default()
    }
}

/// What one import brings.
#[derive(Deserialize)]
pub(super) struct Layer {
    pub(super) secrets: Vec<Secret>,
}

#[derive(Deserialize)]
struct One {
    secret: Secret,
}

/// One secret of an answer. It has no `Debug`.
#[derive(Deserialize)]
pub(super) struct Secret {
    pub(super) id: String,
    #[serde(rename = "secretKey")]
    pub(super) key: String,
    #[serde(rename = "secretValue")]
    pub(super) value: Option<SecretValue>,
    #[serde(rename = "secretValueHidden", default)]
    pub(super) hidden: bool,
    pub(super) version: Option<u64>,
    pub(super) environment: Option<String>,
    #[serde(rename = "secretPath")]
    pub(super) path: Option<String>,
    #[serde(rename = "workspace")]
    pub(super) project: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Secret {
    /// Says whether it is a user's own override, which a user's API key gets beside the shared one.
    pub(super) fn is_personal(&self) -> bool {
        self.kind.as_deref() == Some("personal")
    }
}

/// A project, as far as messages need it.
#[derive(Deserialize)]
pub(super) struct Project {
    pub(super) name: String,
    #[serde(default)]
    pub(super) environments: Vec<Environment>,
}

/// An environment of a project.
#[derive(Deserialize)]
pub(super) struct Environment {
    pub(super) slug: String,
}

/// The older route wraps in `workspace`, the newer one in `project`.
#[derive(Deserialize)]
struct Wrapped {
    workspace: Option<Project>,
    project: Option<Project>,
}

impl Wrapped {
    fn project(self) -> Result<Project, FetchError> {
        self.workspace.or(self.project).ok_or_else(|| {
            FetchError::new(FetchErrorKind::Malformed, "the answer holds no project")
                .help("check `host`, and what stands before the server")
        })
    }
}
