//! The routes that the server has, per generation, and what answers them.

use super::answer::{Answer, Answered, no_route, refuse};
use super::caller::Caller;
use super::place::Form;
use super::projects::SlugForm;
use super::proof::Method;
use super::request::Asked;
use super::world::{Generation, World};

/// A name longer than this never reaches the handler: the framework has no route for it.
const LONGEST_NAME: usize = 100;

/// A route, with what its path names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Route {
    Status,
    UniversalLogin,
    Login(Method),
    Renew,
    Revoke,
    List(Version),
    One(Version, String),
    ById(Version, String),
    /// The end-to-end encrypted interface of long ago: on current projects it lists nothing.
    Encrypted,
    /// For users' sessions only, which this server has none of.
    SecretVersions,
    Folders(Version),
    Workspaces,
    Workspace(String),
    WorkspaceBySlug(String),
    Projects,
    Project(String),
    ProjectBySlug(String),
    EnvironmentBySlug(String, String),
    ServiceToken,
}

/// The older or the newer path of a route that has two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    Old,
    New,
}

impl Version {
    fn form(self) -> Form {
        match self {
            Self::Old => Form::V3,
            Self::New => Form::V4,
        }
    }
}

impl Route {
    /// Finds the route of a request; none is a route-shaped 404.
    pub(super) fn of(generation: Generation, asked: &Asked) -> Option<Self> {
        use Version::{New, Old};
        let segments: Vec<&str> = asked.segments.iter().map(String::as_str).collect();
        if segments.iter().any(|segment| segment.chars().count() > LONGEST_NAME) {
            return None;
        }
        let newer = generation == Generation::July2026;
        let text = |segment: &str| segment.to_owned();
        let route = match (asked.method.as_str(), segments.as_slice()) {
            ("GET", ["api", "status"]) => Self::Status,
            ("POST", ["api", "v1", "auth", "universal-auth", "login"]) => Self::UniversalLogin,
            ("POST", ["api", "v1", "auth", method, "login"])
                if Method::ALL.iter().any(|known| known.segment() == *method) =>
            {
                Self::Login(Method::ALL.into_iter().find(|known| known.segment() == *method)?)
            }
            ("POST", ["api", "v1", "auth", "token", "renew"]) => Self::Renew,
            ("POST", ["api", "v1", "auth", "token", "revoke"]) => Self::Revoke,
            ("GET", ["api", "v3", "secrets", "raw"]) => Self::List(Old),
            ("GET", ["api", "v3", "secrets", "raw", "id", id]) => Self::ById(Old, text(id)),
            ("GET", ["api", "v3", "secrets", "raw", name]) => Self::One(Old, text(name)),
            ("GET", ["api", "v3", "secrets"]) => Self::Encrypted,
            ("GET", ["api", "v4", "secrets"]) if newer => Self::List(New),
            ("GET", ["api", "v4", "secrets", "id", id]) if newer => Self::ById(New, text(id)),
            ("GET", ["api", "v4", "secrets", name]) if newer => Self::One(New, text(name)),
            ("GET", ["api", "v1", "secret", _, "secret-versions"]) => Self::SecretVersions,
            ("GET", ["api", "v1", "folders"]) => Self::Folders(Old),
            ("GET", ["api", "v2", "folders"]) if newer => Self::Folders(New),
            ("GET", ["api", "v1", "workspace"]) => Self::Workspaces,
            ("GET", ["api", "v1", "workspace", id]) => Self::Workspace(text(id)),
            ("GET", ["api", "v2", "workspace", slug]) => Self::WorkspaceBySlug(text(slug)),
            ("GET", ["api", "v1", "projects"]) if newer => Self::Projects,
            ("GET", ["api", "v1", "projects", "slug", slug]) if newer => Self::ProjectBySlug(text(slug)),
            ("GET", ["api", "v1", "projects", id]) if newer => Self::Project(text(id)),
            ("GET", ["api", "v1", "projects", id, "environments", "slug", slug]) if newer => {
                Self::EnvironmentBySlug(text(id), text(slug))
            }
            ("GET", ["api", "v2", "service-token"]) => Self::ServiceToken,
            _ => return None,
        };
        Some(route)
    }

    /// Tells whether a newer route has taken its place.
    fn is_older(&self) -> bool {
        matches!(
            self,
            Self::List(Version::Old)
                | Self::One(Version::Old, _)
                | Self::ById(Version::Old, _)
                | Self::Folders(Version::Old)
                | Self::Workspaces
                | Self::Workspace(_)
                | Self::WorkspaceBySlug(_)
                | Self::Encrypted
        )
    }

    /// Returns the name by which tests count and break the route.
    pub(super) fn name(&self) -> &'static str {
        use Version::{New, Old};
        match self {
            Self::Status => "GET /api/status",
            Self::UniversalLogin => "POST /api/v1/auth/universal-auth/login",
            Self::Login(method) => method.route(),
            Self::Renew => "POST /api/v1/auth/token/renew",
            Self::Revoke => "POST /api/v1/auth/token/revoke",
            Self::List(Old) => "GET /api/v3/secrets/raw",
            Self::List(New) => "GET /api/v4/secrets",
            Self::One(Old, _) => "GET /api/v3/secrets/raw/{name}",
            Self::One(New, _) => "GET /api/v4/secrets/{name}",
            Self::ById(Old, _) => "GET /api/v3/secrets/raw/id/{id}",
            Self::ById(New, _) => "GET /api/v4/secrets/id/{id}",
            Self::Encrypted => "GET /api/v3/secrets",
            Self::SecretVersions => "GET /api/v1/secret/{id}/secret-versions",
            Self::Folders(Old) => "GET /api/v1/folders",
            Self::Folders(New) => "GET /api/v2/folders",
            Self::Workspaces => "GET /api/v1/workspace",
            Self::Workspace(_) => "GET /api/v1/workspace/{id}",
            Self::WorkspaceBySlug(_) => "GET /api/v2/workspace/{slug}",
            Self::Projects => "GET /api/v1/projects",
            Self::Project(_) => "GET /api/v1/projects/{id}",
            Self::ProjectBySlug(_) => "GET /api/v1/projects/slug/{slug}",
            Self::EnvironmentBySlug(..) => "GET /api/v1/projects/{id}/environments/slug/{slug}",
            Self::ServiceToken => "GET /api/v2/service-token",
        }
    }

    /// Tells whether the route works without credentials, and breaks with bad ones.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Status | Self::UniversalLogin | Self::Login(_) | Self::Renew | Self::Revoke)
    }
}

impl World {
    /// Answers a request, and says who asked.
    pub(super) fn answer(&mut self, route: Option<&Route>, asked: &Asked) -> (Option<Caller>, Box<Answer>) {
        let Some(route) = route.filter(|route| !(self.newer_routes_only && route.is_older())) else {
            return (None, no_route(&asked.method, &asked.address));
        };
        let caller = match self.caller(asked) {
            Ok(caller) => caller,
            Err(refusal) => return (None, refusal),
        };
        let answered = match caller {
            _ if route.is_open() => self.answer_anybody(route, asked),
            Some(caller) => self.answer_caller(route, &caller, asked),
            None => Err(refuse(401, "UnauthorizedError", "Token missing")),
        };
        (caller, answered.map_or_else(|refusal| refusal, Box::new))
    }

    fn answer_anybody(&mut self, route: &Route, asked: &Asked) -> Answered {
        match route {
            Route::UniversalLogin => self.universal_login(asked),
            Route::Login(method) => self.login_by(*method, asked),
            Route::Renew => self.renew(asked),
            Route::Revoke => self.revoke(asked),
            _ => self.status(),
        }
    }

    fn answer_caller(&self, route: &Route, caller: &Caller, asked: &Asked) -> Answered {
        match route {
            Route::List(version) => self.list(caller, asked, version.form()),
            Route::One(version, name) => self.get_one(caller, asked, version.form(), name),
            Route::ById(_, id) => self.get_by_id(caller, asked, id),
            Route::Encrypted => Ok(Answer::ok(serde_json::json!({"secrets": []}))),
            Route::SecretVersions => Err(super::get_one::wrong_kind(asked)),
            Route::Folders(Version::Old) => self.folders(caller, asked, "workspaceId"),
            Route::Folders(Version::New) => self.folders(caller, asked, "projectId"),
            Route::Workspaces => self.project_list(caller, asked, "workspaces"),
            Route::Projects => self.project_list(caller, asked, "projects"),
            Route::Workspace(id) => self.project_by(caller, id, "workspace"),
            Route::Project(id) => self.project_by(caller, id, "project"),
            Route::WorkspaceBySlug(slug) => self.project_by_slug(caller, slug, SlugForm::Workspace),
            Route::ProjectBySlug(slug) => self.project_by_slug(caller, slug, SlugForm::Project),
            Route::EnvironmentBySlug(id, slug) => self.environment_by_slug(caller, id, slug),
            Route::ServiceToken => self.service_token_details(caller, asked),
            Route::Status | Route::UniversalLogin | Route::Login(_) | Route::Renew | Route::Revoke => {
                self.status()
            }
        }
    }
}
