//! What every command starts from: the file, the environment it was started with, and a context.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use dsops::cache::Tokens;
use dsops::config::{self, Config, ConfigError, Environment, Report, Variable};
use dsops::exit;
use dsops::plan::{Each, Plan};
use dsops::resolve::{self, OpenStores, Resolution};
use dsops_providers::contract::{Context, ContextBuilder, EnvSnapshot, Prompt, SecretValue};
use indexmap::IndexMap;

use super::Stop;
use super::output::Output;
use crate::diagnostics::Diagnostic;

/// What a command works with.
pub(crate) struct Session {
    /// `--config` or `DSOPS_CONFIG`.
    pub(crate) config: Option<PathBuf>,
    /// The environment as it was.
    pub(crate) env: EnvSnapshot,
    /// How the program talks.
    pub(crate) output: Output,
    /// Where the file is, where neither names it.
    pub(crate) place: Place,
}

/// Where the file is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the current directory or the nearest parent.
    Nearest,
    /// In the user's own directory of settings. Where a program runs that starts dsops as its helper, somebody else may
    /// have put a file: a clone of a repository brings what its author wants to run.
    User,
}

/// The directory of dsops in a directory of settings.
const SETTINGS: &str = "dsops";

impl Session {
    /// Returns the file that would be read.
    pub(crate) fn config_path(&self) -> Result<PathBuf, Stop> {
        if let Some(path) = &self.config {
            if self.place == Place::User && path.is_relative() {
                let message = format!(
                    "`{}` is a relative path, which starts where the calling program happens to be",
                    path.display()
                );
                let report = Diagnostic::new("dsops::config::not_found", exit::CONFIGURATION, message);
                return Err(report.help("name the file by its whole path").into());
            }
            return Ok(path.clone());
        }
        if self.place == Place::User {
            return self.user_config();
        }
        let here = std::env::current_dir()?;
        let home = self.env.get_os("HOME").map(Path::new);
        config::discover(&here, home).map_err(|error| Diagnostic::config(&error, None).into())
    }

    /// Returns the user's own file, by the rules of the XDG base directories.
    fn user_config(&self) -> Result<PathBuf, Stop> {
        let absolute =
            |name: &str| self.env.get_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let settings = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
        let path = settings.map(|settings| settings.join(SETTINGS).join(config::FILE_NAME));
        // A link to nowhere, or a directory that cannot be searched, is a file that cannot be read, and not none.
        let is_absent = |path: &PathBuf| {
            use std::io::ErrorKind::{NotADirectory, NotFound};
            path.symlink_metadata().is_err_and(|error| matches!(error.kind(), NotFound | NotADirectory))
        };
        if let Some(path) = path.as_ref().filter(|path| !is_absent(path)) {
            return Ok(path.clone());
        }
        let looked = path.map_or_else(String::new, |path| format!(", and there is no `{}`", path.display()));
        let message = format!("no file is named{looked}");
        let report = Diagnostic::new("dsops::config::not_found", exit::CONFIGURATION, message);
        Err(report.help("name it with `--config`, or with DSOPS_CONFIG, by its whole path").into())
    }

    /// Returns a session for a program that starts dsops as its helper: nothing depends on the current directory, the
    /// home directory is known without `HOME`, and errors are a line each.
    pub(crate) fn unattended(&self) -> Self {
        let home = self.env.get_os("HOME").filter(|home| Path::new(home).is_absolute());
        let env = match home.map_or_else(home_of_user, |_| None) {
            Some(home) => {
                let others = self.env.iter().filter(|(name, _)| *name != "HOME");
                others
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .chain([("HOME".into(), home.into())])
                    .collect()
            }
            None => self.env.clone(),
        };
        Self { config: self.config.clone(), env, output: self.output.unattended(), place: Place::User }
    }

    /// Fetches values of no environment, all in one go, where no person waits for a question. Optional ones that are
    /// absent are left out.
    pub(crate) fn values_of(
        &self,
        config: &Config,
        variables: &[Arc<Variable>],
    ) -> Result<IndexMap<String, Arc<SecretValue>>, Stop> {
        let Each { plan, refused } = Plan::of_each(config, None, variables.iter().cloned(), [], &self.env);
        let refused: Vec<ConfigError> = refused.into_iter().map(|(_, error)| error).collect();
        if !refused.is_empty() {
            return Err(self.mistakes(config, &refused));
        }
        let resolution = self.resolve(config, &plan, &self.context_that_asks_nobody(config))?;
        self.stop(config, &resolution, false)?;
        Ok(resolution.values.into_iter().map(|(name, resolved)| (name, resolved.value)).collect())
    }

    /// Reads and checks the file.
    pub(crate) fn load(&self) -> Result<Config, Stop> {
        let path = self.config_path()?;
        config::load(&path).map_err(|report: Report| Stop::Reports(Diagnostic::report(&report)))
    }

    /// Returns the environment of a name.
    pub(crate) fn environment<'a>(&self, config: &'a Config, name: &str) -> Result<&'a Environment, Stop> {
        config.environment(name).map_err(|error| Diagnostic::config(&error, Some(&config.source)).into())
    }

    /// Makes the plan of an environment.
    pub(crate) fn plan(&self, config: &Config, environment: &Environment) -> Result<Plan, Stop> {
        self.planned(config, Plan::new(config, environment, &self.env))
    }

    /// Turns the mistakes of planning into reports.
    pub(crate) fn planned(
        &self,
        config: &Config,
        plan: Result<Plan, Vec<ConfigError>>,
    ) -> Result<Plan, Stop> {
        plan.map_err(|errors| self.mistakes(config, &errors))
    }

    /// Turns mistakes in the file into reports.
    pub(crate) fn mistakes(&self, config: &Config, errors: &[ConfigError]) -> Stop {
        Stop::Reports(errors.iter().map(|error| Diagnostic::config(error, Some(&config.source))).collect())
    }

    /// Returns what backends work with.
    pub(crate) fn context(&self, config: &Config) -> Context {
        self.context_at(base_dir(config))
    }

    /// Returns what backends work with, where relative paths start at a directory.
    pub(crate) fn context_at(&self, base: &Path) -> Context {
        let output = self.output;
        // Not silenced by `--quiet`: what is told so is a danger.
        self.completed(
            Context::builder().base_dir(base).prompt(Terminal).on_notice(move |text| output.warn(text)),
        )
    }

    /// As [`Session::context_that_asks_nobody`], where the time of every store ends at the latest then.
    pub(crate) fn context_until(&self, config: &Config, deadline: Instant) -> Context {
        let output = self.output;
        let context = Context::builder().base_dir(base_dir(config)).deadline(deadline);
        self.completed(context.on_notice(move |text| output.warn(text)))
    }

    /// As [`Session::context`], for where no person waits for a question.
    pub(crate) fn context_that_asks_nobody(&self, config: &Config) -> Context {
        let output = self.output;
        let context = Context::builder().base_dir(base_dir(config));
        self.completed(context.on_notice(move |text| output.warn(text)))
    }

    /// Returns what backends work with while a command is running: nobody is asked, and nothing is told a second time.
    pub(crate) fn context_beside(&self, config: &Config) -> Context {
        self.completed(Context::builder().base_dir(base_dir(config)))
    }

    fn completed(&self, context: ContextBuilder) -> Context {
        let context = context.env(self.env.clone());
        match Tokens::of(&self.env) {
            Some(tokens) => context.tokens(tokens).build(),
            None => context.build(),
        }
    }

    /// Fetches everything that a plan names.
    pub(crate) fn resolve(&self, config: &Config, plan: &Plan, cx: &Context) -> Result<Resolution, Stop> {
        self.resolve_with(config, plan, cx, &OpenStores::default())
    }

    /// As [`Session::resolve`], leaving the stores open.
    pub(crate) fn resolve_with(
        &self,
        config: &Config,
        plan: &Plan,
        cx: &Context,
        known: &OpenStores,
    ) -> Result<Resolution, Stop> {
        self.all_set(config, plan)?;
        self.fetch(config, plan, cx, known)
    }

    /// As [`Session::resolve_with`], where an option that is not set stops its store alone.
    pub(crate) fn fetch(
        &self,
        config: &Config,
        plan: &Plan,
        cx: &Context,
        known: &OpenStores,
    ) -> Result<Resolution, Stop> {
        let resolving = resolve::resolve_with(config, plan, cx, known);
        // Where no store is asked nothing is waited for, and a runtime would be half of the start-up.
        if plan.stores.is_empty() {
            return Ok(futures::executor::block_on(resolving));
        }
        let runtime = runtime()?;
        // Signals are left alone where no store runs a program that would have to be ended.
        let resolution = match plan.cost().processes {
            0 => runtime.block_on(resolving),
            _ => runtime.block_on(dsops::exec::interruptible(resolving)),
        };
        if self.place == Place::User {
            // A name that is being looked up cannot be given up, and would be waited for.
            runtime.shutdown_background();
        }
        Ok(resolution)
    }

    /// Stops where `${…}` of a store's options are not set: before any store is asked, and all at once, since opening
    /// a store stops at the first.
    pub(crate) fn all_set(&self, config: &Config, plan: &Plan) -> Result<(), Stop> {
        let stores = plan.stores.iter().filter_map(|planned| config.stores.get(&planned.name));
        let mut unset: Vec<ConfigError> = stores.flat_map(|store| store.unset(&self.env)).collect();
        unset.sort_by_key(|error| error.labels.first().map(|label| label.span));
        if unset.is_empty() { Ok(()) } else { Err(self.mistakes(config, &unset)) }
    }

    /// Turns failures into reports.
    pub(crate) fn reports(&self, config: &Config, resolution: &Resolution) -> Vec<Diagnostic> {
        resolution.failures.iter().map(|failure| Diagnostic::failure(failure, &config.source)).collect()
    }
}

impl Session {
    /// Stops where values are missing. Absences can be allowed, refusals and outages cannot.
    pub(crate) fn stop(
        &self,
        config: &Config,
        resolution: &Resolution,
        allow_missing: bool,
    ) -> Result<(), Stop> {
        let reports = self.reports(config, resolution);
        let allowed = allow_missing && reports.iter().all(Diagnostic::is_absence);
        if reports.is_empty() || allowed { Ok(()) } else { Err(Stop::Reports(reports)) }
    }

    /// As [`Session::stop`], and says what is left out where that is allowed.
    pub(crate) fn stop_or_warn(
        &self,
        config: &Config,
        resolution: &Resolution,
        allow_missing: bool,
    ) -> Result<(), Stop> {
        self.stop(config, resolution, allow_missing)?;
        for failure in &resolution.failures {
            let names = failure.variables.join(", ");
            self.output.warn(&format!("not set, since absent and --allow-missing: {names}"));
        }
        Ok(())
    }
}

/// Returns where relative paths in the file start.
fn base_dir(config: &Config) -> &Path {
    config.source.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns the home directory that the user database has.
fn home_of_user() -> Option<PathBuf> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten()?;
    Some(user.dir).filter(|home| home.is_absolute())
}

/// Returns the runtime: one thread, since the work is waiting.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Stop> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Asks on the terminal, which need not be stdin.
pub(crate) struct Terminal;

impl Prompt for Terminal {
    fn secret(&self, label: &str) -> Option<SecretValue> {
        rpassword::prompt_password(format!("{label}: ")).ok().map(SecretValue::from)
    }
}
