//! The calls that Infisical gets, by whichever generation of routes the server has.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::answers::{Folders, Listing, One, Project, Secret, Slugged, Wrapped};
use super::auth::Session;
use super::error::{Failure, Refusal};
use super::routes::Routes;
use crate::contract::{Context, FetchError, FetchErrorKind};
use crate::http::{Answer, Request, Site, segment, send};

/// What is noted of an origin that has dropped the older routes.
const NEWER_ROUTES: &str = "infisical: routes of v4 only";

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

/// A folder of an environment of the project.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) environment: String,
    /// The whole path, from the root.
    pub(super) path: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "folder `{}`, environment `{}`", self.path, self.environment)
    }
}

/// What a list is asked to show.
#[derive(Clone, Copy)]
pub(super) struct ListFlags<'a> {
    pub(super) imports: Imports,
    pub(super) references: References,
    /// Whether values are shown; without, the list is of names.
    pub(super) values: bool,
    /// Slugs, one of which a secret has to have; none asks for all.
    pub(super) tags: &'a [String],
    /// Keys and values, all of which a secret has to have.
    pub(super) metadata: &'a [(String, String)],
}

impl ListFlags<'_> {
    /// Asks for all secrets, as they are stored.
    pub(super) const ALL: Self = Self {
        imports: Imports::On,
        references: References::AsStored,
        values: true,
        tags: &[],
        metadata: &[],
    };
}

/// One project and environment of one server.
pub(super) struct Api {
    pub(super) site: Site,
    pub(super) session: Arc<Session>,
    pub(super) project: String,
    pub(super) environment: String,
    /// Whether `${NAME}` in values is replaced at all.
    pub(super) references: References,
    /// Whether a user's own values beat the shared ones.
    pub(super) personal: bool,
    /// The folder that the store's references start at.
    pub(super) root: String,
    place: OnceCell<Project>,
}

impl Api {
    /// Returns the client; it has made no request yet.
    pub(super) fn new(
        site: Site,
        session: Arc<Session>,
        project: String,
        environment: String,
        references: References,
        personal: bool,
        root: String,
    ) -> Self {
        Self { site, session, project, environment, references, personal, root, place: OnceCell::new() }
    }

    /// Says whether the server is known to have only the newer routes, whose lists resolve the references
    /// of an imported secret in the wrong folder. All stores of one server share what one of them learnt.
    pub(super) fn is_v4(&self, cx: &Context) -> bool {
        cx.http().is_noted(&self.site, NEWER_ROUTES)
    }

    /// Returns a folder of the store's own environment.
    pub(super) fn place(&self, path: &str) -> Place {
        Place { environment: self.environment.clone(), path: path.to_owned() }
    }

    /// Lists a folder.
    pub(super) async fn list(
        &self,
        cx: &Context,
        place: &Place,
        flags: &ListFlags<'_>,
    ) -> Result<Listing, Failure> {
        let answer = self.by_generation(cx, |routes| routes.list(self, place, flags)).await?;
        Ok(success(&answer)?.json()?)
    }

    /// Reads one secret, its latest version where none is given.
    pub(super) async fn get(
        &self,
        cx: &Context,
        place: &Place,
        name: &str,
        version: Option<u64>,
        imports: Imports,
        references: References,
    ) -> Result<Secret, Failure> {
        let request = |routes: Routes| routes.get(self, place, name, version, imports, references);
        let answer = self.by_generation(cx, request).await?;
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

    /// Returns the paths of all folders of the environment but the root.
    pub(super) async fn folders(&self, cx: &Context) -> Result<Vec<String>, Failure> {
        let answer = self.by_generation(cx, |routes| routes.folders(self)).await?;
        let Folders { folders } = success(&answer)?.json()?;
        Ok(folders.into_iter().map(|folder| format!("/{}", folder.path.trim_matches('/'))).collect())
    }

    /// Reads the project with its environments, once.
    pub(super) async fn project(&self, cx: &Context) -> Result<&Project, FetchError> {
        let place = self.place.get_or_try_init(|| async {
            let (path, what) = if self.is_v4(cx) {
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
        place.await
    }

    /// Returns the id of the project that has a slug.
    pub(super) async fn project_id(&self, cx: &Context, slug: &str) -> Result<String, FetchError> {
        let what = format!("project `{slug}`");
        let newer = Request::get(format!("/api/v1/projects/slug/{}", segment(slug)));
        let older = Request::get(format!("/api/v2/workspace/{}", segment(slug)));
        let mut answer = self.call(cx, &older).await?;
        if answer.status() == 404 && Refusal::read(&answer)?.is_route_missing() {
            answer = self.call(cx, &newer).await?;
        }
        match success(&answer) {
            Ok(answer) => Ok(answer.json::<Slugged>()?.id),
            Err(Failure::Refused(refusal)) if refusal.is_of_project() => Err(FetchError::new(
                FetchErrorKind::PlaceNotFound,
                format!("project not found: no project has the slug `{slug}`{}", refusal.said()),
            )
            .help("copy the slug from the project's settings, or give `project_id`")),
            Err(Failure::Refused(refusal)) => Err(refusal.explain(&what)),
            Err(Failure::Broken(error)) => Err(error),
        }
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

    /// Makes a call by the older routes, and by the newer ones where those are gone. A secret that is missing
    /// answers 404 too; only the web framework's own 404 says that a route is.
    pub(super) async fn by_generation(
        &self,
        cx: &Context,
        request: impl Fn(Routes) -> Request,
    ) -> Result<Answer, FetchError> {
        if self.is_v4(cx) {
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
        cx.http().note(&self.site, NEWER_ROUTES);
        Ok(newer)
    }

    /// Sends a call with the session's grant; with a new one, once, where the server refuses the token.
    pub(super) async fn call(&self, cx: &Context, request: &Request) -> Result<Answer, FetchError> {
        let mut grant = self.session.grant(cx, &self.site).await?;
        // That an earlier run's token is refused says nothing about those of this run: it is replaced beside.
        let mut replacements = if grant.is_kept() { 2 } else { 1 };
        loop {
            let answer = send(cx, &self.site, grant.sign(request.clone())?).await?;
            if answer.is_success() {
                grant.prove();
                return Ok(answer);
            }
            if replacements == 0
                || !matches!(answer.status(), 401 | 403)
                || !Refusal::read(&answer)?.is_of_token()
            {
                return Ok(answer);
            }
            replacements -= 1;
            match self.session.replace(cx, &self.site, &grant).await? {
                Some(other) => grant = other,
                None => return Ok(answer),
            }
        }
    }
}

pub(super) fn success(answer: &Answer) -> Result<&Answer, Failure> {
    if answer.is_success() {
        return Ok(answer);
    }
    match Refusal::read(answer) {
        Ok(refusal) => Err(Failure::Refused(refusal)),
        Err(error) => Err(Failure::Broken(error)),
    }
}
