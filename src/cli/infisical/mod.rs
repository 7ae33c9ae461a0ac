//! `dsops infisical`: which projects, environments, folders and secrets there are. Names only.

pub(super) mod access;

use clap::{Args, Subcommand};
use dsops::exit;
use dsops_providers::contract::{
    Configured, Context, Depth, EnvironmentEntry, Explorer, FetchError, Place, ProjectEntry, SecretName,
};
use serde::Serialize;

use super::session::Session;
use super::{Outcome, Stop};
use crate::diagnostics::Diagnostic;
use access::{Access, usage};

/// Look around in Infisical, for the ids and names that the file needs
///
/// Asks with the credentials of a store in `dsops.yaml`. Without a file, or with --host, with
/// INFISICAL_UNIVERSAL_AUTH_CLIENT_ID and …_CLIENT_SECRET, or INFISICAL_CLIENT_ID and …_SECRET. Never reads a value.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  dsops infisical projects\n  dsops infisical environments --project payroll\n  \
    dsops infisical secrets --env prod --path /db --recursive"
)]
pub(crate) struct Infisical {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    command: Command,
}

/// Which server, and with which credentials.
#[derive(Args, Debug)]
struct Server {
    /// The store in `dsops.yaml`; the only one of type `infisical` where this is absent
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "host")]
    store: Option<String>,
    /// The server's address, without any `dsops.yaml`
    #[arg(long, global = true, value_name = "URL")]
    host: Option<String>,
    /// Print as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the projects that the identity is in
    Projects,
    /// List the environments of a project
    Environments(InProject),
    /// List the folders of an environment
    Folders(InEnvironment),
    /// List the names of the secrets of an environment
    Secrets(InEnvironment),
}

#[derive(Args, Debug)]
struct InProject {
    /// The project, by its id, slug or name; that of the store where this is absent
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
}

#[derive(Args, Debug)]
struct InEnvironment {
    #[command(flatten)]
    project: InProject,
    /// The environment, by its slug in Infisical; that of the store where this is absent
    #[arg(long = "env", short = 'e', value_name = "SLUG")]
    slug: Option<String>,
    /// The folder, from the project's root
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    path: String,
    /// Look into the folders below, too
    #[arg(long, short)]
    recursive: bool,
}

/// What the command line leaves open, and what there is to choose from.
struct Unclear {
    what: &'static str,
    option: &'static str,
    known: Vec<String>,
}

impl From<Unclear> for Stop {
    fn from(unclear: Unclear) -> Self {
        let Unclear { what, option, known } = unclear;
        let diagnostic = usage(&format!("no {what} is named"));
        match known.is_empty() {
            true => diagnostic.help(format!("name one with `{option}`; the identity sees none")).into(),
            false => {
                let known = dsops::suggest::and_ticked(known.iter().map(String::as_str));
                diagnostic.help(format!("name one with `{option}`: {known}")).into()
            }
        }
    }
}

type Looked<T> = Result<Result<T, Unclear>, FetchError>;

impl Infisical {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let server = &self.server;
        let access = Access::of(session, server.store.as_deref(), server.host.as_deref())?;
        match &self.command {
            Command::Projects => {
                let found = look(&access, async |explorer, cx| Ok(Ok(explorer.projects(cx).await?)))?;
                if found.is_empty() {
                    session
                        .output
                        .remark("the identity is in no project: add it to one, under Access Control");
                }
                self.print(session, &found, &["name", "slug", "id", "environments"], project_row)?;
            }
            Command::Environments(command) => {
                let found = look(&access, async |explorer, cx| {
                    let project = command.find(explorer, cx).await?;
                    Ok(project.map(|project| project.environments))
                })?;
                self.print(session, &found, &["slug", "name", "id"], environment_row)?;
            }
            Command::Folders(command) => {
                let found = look(&access, async |explorer, cx| match command.place(explorer, cx).await? {
                    Ok(place) => Ok(Ok(explorer.folders(cx, &place, command.depth()).await?)),
                    Err(unclear) => Ok(Err(unclear)),
                })?;
                self.print(session, &found, &["folder"], |folder| vec![shown(folder)])?;
            }
            Command::Secrets(command) => {
                let found = look(&access, async |explorer, cx| match command.place(explorer, cx).await? {
                    Ok(place) => Ok(Ok(explorer.secrets(cx, &place, command.depth()).await?)),
                    Err(unclear) => Ok(Err(unclear)),
                })?;
                if found.is_empty() {
                    session.output.remark("there is none here that the identity may know of");
                }
                self.print(session, &found, &["folder", "name"], secret_row)?;
            }
        }
        Ok(exit::OK)
    }

    fn print<T: Serialize>(
        &self,
        session: &Session,
        found: &[T],
        header: &[&str],
        row: impl Fn(&T) -> Vec<String>,
    ) -> Result<(), Stop> {
        if self.server.json {
            let json = serde_json::to_string_pretty(found)
                .map_err(|error| Stop::from(Diagnostic::new("dsops::bug", exit::BUG, error.to_string())))?;
            return Ok(session.output.line(&json)?);
        }
        if found.is_empty() {
            return Ok(());
        }
        Ok(session.output.line(&session.output.table(header, found.iter().map(row).collect()))?)
    }
}

fn look<T>(access: &Access, action: impl AsyncFn(&dyn Explorer, &Context) -> Looked<T>) -> Result<T, Stop> {
    let looked = access.look(action)?.map_err(|cause| access.report(cause))?;
    Ok(looked?)
}

impl InProject {
    /// Finds the project that is named, or that of the store, or the only one that there is.
    async fn find(&self, explorer: &dyn Explorer, cx: &Context) -> Looked<ProjectEntry> {
        let Configured { project_id, project_slug, .. } = explorer.configured();
        let configured = [project_id, project_slug].into_iter().find(|project| !project.is_empty());
        if let Some(which) = self.project.as_deref().or(configured) {
            return Ok(Ok(explorer.project(cx, which).await?));
        }
        let mut projects = explorer.projects(cx).await?;
        match (projects.pop(), projects.len()) {
            (Some(only), 0) => Ok(Ok(only)),
            (last, _) => {
                let known = projects.into_iter().chain(last);
                let known = known.map(|project| project.slug.unwrap_or(project.id)).collect();
                Ok(Err(Unclear { what: "project", option: "--project", known }))
            }
        }
    }
}

impl InEnvironment {
    fn depth(&self) -> Depth {
        if self.recursive { Depth::Below } else { Depth::Here }
    }

    /// Finds the place that is meant. Nothing is asked where the command line or the store says it all.
    async fn place(&self, explorer: &dyn Explorer, cx: &Context) -> Looked<Place> {
        let folder: Vec<&str> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        let folder = format!("/{}", folder.join("/"));
        let configured = explorer.configured();
        // Another project's environments are others.
        let own =
            Some(configured.environment).filter(|slug| !slug.is_empty() && self.project.project.is_none());
        let slug = self.slug.as_deref().or(own).map(str::to_owned);
        if let Some(environment) = &slug
            && self.project.project.is_none()
            && !configured.project_id.is_empty()
        {
            let (project, environment) = (configured.project_id.to_owned(), environment.clone());
            return Ok(Ok(Place { project, environment, folder }));
        }
        let project = match self.project.find(explorer, cx).await? {
            Ok(project) => project,
            Err(unclear) => return Ok(Err(unclear)),
        };
        let mut slugs: Vec<String> = project.environments.into_iter().map(|known| known.slug).collect();
        let environment = match slug {
            Some(slug) => slug,
            None if slugs.len() == 1 => slugs.remove(0),
            None => return Ok(Err(Unclear { what: "environment", option: "--env", known: slugs })),
        };
        Ok(Ok(Place { project: project.id, environment, folder }))
    }
}

fn project_row(project: &ProjectEntry) -> Vec<String> {
    let slugs: Vec<&str> = project.environments.iter().map(|known| known.slug.as_str()).collect();
    let slug = project.slug.as_deref().unwrap_or_default();
    vec![shown(&project.name), shown(slug), shown(&project.id), shown(&slugs.join(", "))]
}

fn environment_row(environment: &EnvironmentEntry) -> Vec<String> {
    let id = environment.id.as_deref().unwrap_or_default();
    vec![shown(&environment.slug), shown(&environment.name), shown(id)]
}

fn secret_row(secret: &SecretName) -> Vec<String> {
    vec![shown(&secret.folder), shown(&secret.name)]
}

/// A name as a terminal may get it: what others gave as a name may hold commands for terminals.
fn shown(name: &str) -> String {
    name.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}
