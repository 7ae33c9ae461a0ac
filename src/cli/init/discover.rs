//! What a login at Infisical shows of the project that the file is for: its environments, and names.

use dsops::exit;
use dsops::resolve::Cause;
use dsops::suggest::and_ticked;
use dsops_providers::contract::{
    Context, Depth, EnvSnapshot, EnvironmentEntry, Explorer, FetchError, FetchErrorKind, Place, ProjectEntry,
    Prompt as _, SecretName,
};

use super::questions::ask_until;
use super::{Init, Stop};
use crate::cli::infisical::access::{Access, Variables, address, usage};
use crate::cli::session::{Session, Terminal};
use crate::diagnostics::Diagnostic;

/// What was found.
pub(super) struct Found {
    /// The variables that will hold the credentials.
    pub(super) credentials: Variables,
    /// The server's address, where it is not the default.
    pub(super) host: Option<String>,
    /// The project.
    pub(super) project: ProjectEntry,
    /// The environments, at least one.
    pub(super) environments: Vec<FoundEnvironment>,
}

/// An environment of the project, and of the file.
pub(super) struct FoundEnvironment {
    /// The name in the file.
    pub(super) name: String,
    /// The name in Infisical.
    pub(super) slug: String,
    /// The names in the root folder and those directly below it.
    pub(super) secrets: Vec<SecretName>,
}

/// What looking came to.
enum Gathered {
    Found(ProjectEntry, Vec<FoundEnvironment>),
    Choose(Vec<ProjectEntry>),
    NoSuchEnvironment(String, ProjectEntry),
}

/// Logs in where there are credentials, and looks. `None` where there are none, or no server answers: the
/// file is then written to be filled in.
pub(super) fn find(init: &Init, session: &Session, ask: bool) -> Result<Option<Found>, Stop> {
    let wanted = init.project_id.clone().or_else(|| init.project.clone());
    let Some((credentials, env)) = credentials(session, ask)? else {
        return match &init.project {
            Some(_) => {
                Err(usage("`--project` needs a login, and there are no credentials in the environment")
                    .help(format!(
                        "set `{}` and `{}`, or give the id with `--project-id`",
                        Variables::OWN.id,
                        Variables::OWN.secret
                    ))
                    .into())
            }
            None => Ok(None),
        };
    };
    let host = init.host.clone().or_else(|| address(&session.env).map(str::to_owned));
    let host = match host {
        None if ask => {
            let label = "address of the server; empty for the default";
            Some(ask_until(label, "", |host| Ok(host.to_owned()))?).filter(|host| !host.is_empty())
        }
        host => host,
    };
    let session = Session { config: None, env, output: session.output, place: session.place };
    let output = session.output;
    let access = Access::of_login(session, host.as_deref(), credentials)?;
    let mut which = wanted;
    loop {
        let looked =
            access.look(async |explorer, cx| gather(explorer, cx, which.as_deref(), &init.env).await)?;
        match looked {
            Ok(Gathered::Found(project, environments)) => {
                return Ok(Some(Found { credentials, host, project, environments }));
            }
            Ok(Gathered::Choose(projects)) => which = Some(choose(&projects, ask)?),
            Ok(Gathered::NoSuchEnvironment(name, project)) => return Err(no_environment(&name, &project)),
            Err(Cause::Fetch { error, .. }) if is_silent(&error) && init.project.is_none() => {
                output.warn(&format!("nothing is taken from Infisical: {error}"));
                return Ok(None);
            }
            Err(cause) => return Err(access.report(cause)),
        }
    }
}

fn is_silent(error: &FetchError) -> bool {
    matches!(error.kind(), FetchErrorKind::Unavailable | FetchErrorKind::TimedOut)
}

/// Returns the credentials of the environment, or those that a person types. They are written nowhere.
fn credentials(session: &Session, ask: bool) -> Result<Option<(Variables, EnvSnapshot)>, Stop> {
    if let Some(variables) = Variables::set(&session.env) {
        return Ok(Some((variables, session.env.clone())));
    }
    if !ask {
        return Ok(None);
    }
    let label = "client id of a machine identity, to look around with; empty to fill the file in yourself";
    let id = ask_until(label, "", |id| Ok(id.to_owned()))?;
    if id.is_empty() {
        return Ok(None);
    }
    let secret = Terminal.secret("its client secret, which is not shown").filter(|secret| !secret.is_empty());
    let Some(secret) = secret.as_ref().and_then(|secret| secret.expose_str()) else {
        return Err(usage("nothing is written without answers")
            .help("answer, or leave the client id empty")
            .into());
    };
    let own = Variables::OWN;
    let known = session.env.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let typed = [(own.id.into(), id.into()), (own.secret.into(), secret.into())];
    Ok(Some((own, known.chain(typed).collect())))
}

async fn gather(
    explorer: &dyn Explorer,
    cx: &Context,
    which: Option<&str>,
    names: &[String],
) -> Result<Gathered, FetchError> {
    let project = match which {
        Some(which) => explorer.project(cx, which).await?,
        None => {
            let mut projects = explorer.projects(cx).await?;
            match (projects.pop(), projects.is_empty()) {
                (Some(only), true) => only,
                (Some(last), false) => {
                    projects.push(last);
                    return Ok(Gathered::Choose(projects));
                }
                (None, _) => {
                    return Err(FetchError::new(FetchErrorKind::Forbidden, "the identity is in no project")
                        .help(
                            "add it to the project, under Access Control, with a role that reads secrets",
                        ));
                }
            }
        }
    };
    let mut environments = Vec::new();
    let all: Vec<String> = project.environments.iter().map(|known| known.slug.clone()).collect();
    for name in if names.is_empty() { &all } else { names } {
        let Some(known) = environment(&project, name) else {
            return Ok(Gathered::NoSuchEnvironment(name.clone(), project));
        };
        let place =
            Place { project: project.id.clone(), environment: known.slug.clone(), folder: "/".to_owned() };
        let secrets = match explorer.secrets(cx, &place, Depth::Below).await {
            Ok(secrets) => secrets.into_iter().filter(|secret| is_near_root(&secret.folder)).collect(),
            // An environment that is out of reach holds nothing for this identity.
            Err(error) if error.kind() == FetchErrorKind::Forbidden => Vec::new(),
            Err(error) => return Err(error),
        };
        environments.push(FoundEnvironment { name: name.clone(), slug: known.slug.clone(), secrets });
    }
    if environments.is_empty() {
        return Err(FetchError::new(
            FetchErrorKind::NotFound,
            format!("the project `{}` has no environment", project.name),
        )
        .help("create one in the project's settings"));
    }
    Ok(Gathered::Found(project, environments))
}

/// Finds the environment that a name means: `prod`, or `Production` and `production`, as people see it.
fn environment<'a>(project: &'a ProjectEntry, name: &str) -> Option<&'a EnvironmentEntry> {
    let by_slug = project.environments.iter().find(|known| known.slug == name);
    by_slug.or_else(|| {
        project.environments.iter().find(|known| known.name.to_lowercase() == name.to_lowercase())
    })
}

fn is_near_root(folder: &str) -> bool {
    folder == "/" || folder.matches('/').count() == 1
}

fn choose(projects: &[ProjectEntry], ask: bool) -> Result<String, Stop> {
    let word = |project: &ProjectEntry| project.slug.clone().unwrap_or_else(|| project.id.clone());
    if !ask {
        let words: Vec<String> = projects.iter().map(word).collect();
        let known = and_ticked(words.iter().map(String::as_str));
        return Err(usage("the identity is in several projects")
            .help(format!("name one with `--project`: {known}"))
            .into());
    }
    for (index, project) in projects.iter().enumerate() {
        let name: String = project.name.chars().filter(|char| !char.is_control()).collect();
        eprint_line(&format!("  {}  {:<24} {name}", index + 1, word(project)))?;
    }
    ask_until("project, or its number", "", |answer| {
        let by_number = answer.parse::<usize>().ok().and_then(|number| projects.get(number.checked_sub(1)?));
        let named = |project: &&ProjectEntry| {
            project.slug.as_deref() == Some(answer) || project.name == answer || project.id == answer
        };
        by_number
            .or_else(|| projects.iter().find(named))
            .map(|project| project.id.clone())
            .ok_or_else(|| "give one of these, or its number".to_owned())
    })
}

fn eprint_line(line: &str) -> Result<(), Stop> {
    use std::io::Write as _;
    Ok(writeln!(std::io::stderr().lock(), "{line}")?)
}

fn no_environment(name: &str, project: &ProjectEntry) -> Stop {
    let known = and_ticked(project.environments.iter().map(|known| known.slug.as_str()));
    let message = format!("the project `{}` has no environment `{name}`", project.name);
    Diagnostic::new("dsops::usage", exit::USAGE, message).help(format!("it has {known}")).into()
}
