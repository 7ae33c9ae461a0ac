//! `dsops get`: one value, exact to the byte.

use clap::Args;
use dsops::config::{self, Config, Import, Variable};
use dsops::exit;
use dsops::plan::{Part, Plan};
use dsops_providers::contract::SecretValue;
use serde_json::json;
use zeroize::Zeroizing;

use super::session::Session;
use super::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// Print one value: of a variable of an environment, or of a reference
///
/// The bytes are exact. A newline is added on a terminal only.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  dsops get --env production DATABASE_URL\n  dsops get infisical/payments/STRIPE_KEY@v3"
)]
pub(crate) struct Get {
    /// A variable of the environment, or without --env a reference such as `store/folder/KEY`
    #[arg(value_name = "NAME", required_unless_present_any = ["var", "key"], conflicts_with_all = ["var", "key"])]
    name: Option<String>,
    /// The environment
    #[arg(long, short, env = "DSOPS_ENV", value_name = "NAME")]
    env: Option<String>,
    /// A variable of the environment
    #[arg(long, value_name = "NAME", requires = "env", conflicts_with = "key")]
    var: Option<String>,
    /// A reference, as in `from`
    #[arg(long, value_name = "REFERENCE")]
    key: Option<String>,
    /// Print the value, its source and its name as JSON
    #[arg(long)]
    json: bool,
}

impl Get {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let _ = dsops::exec::harden();
        let config = session.load()?;
        let (name, plan) = self.plan(session, &config)?;
        let cx = session.context(&config);
        let mut resolution = session.resolve(&config, &plan, &cx)?;
        let reports = session.reports(&config, &resolution);
        if !reports.is_empty() {
            return Err(Stop::Reports(reports));
        }
        let Some(resolved) = resolution.values.swap_remove(&name) else {
            let (message, help) = if resolution.absent.contains(&name) {
                (format!("`{name}` is optional, and absent"), "add it to its store, or give it a `default`")
            } else {
                (format!("no variable is named `{name}`"), "see `dsops plan` for the names and the imports")
            };
            let report = Diagnostic::new("dsops::fetch::not_found", exit::NOT_FOUND, message);
            return Err(report.help(help).into());
        };
        self.print(session, &name, &resolved.value, &resolved.source)?;
        Ok(exit::OK)
    }

    fn plan(&self, session: &Session, config: &Config) -> Result<(String, Plan), Stop> {
        let name = self.var.as_ref().or(self.name.as_ref());
        match (&self.key, &self.env, name) {
            (None, Some(environment), Some(name)) => {
                let environment = session.environment(config, environment)?;
                if !environment.variables.contains_key(name) && environment.imports.is_empty() {
                    let known = environment.variables.keys().map(String::as_str);
                    let message = format!("`{}` has no variable `{name}`", environment.name);
                    let help = match dsops::suggest::did_you_mean(name, known.clone()) {
                        Some(near) => near,
                        // With DSOPS_ENV set, a name is a variable also where a reference was meant.
                        None if name.contains('/') => format!("for a reference write `--key {name}`"),
                        None => format!("it has {}", dsops::suggest::and_ticked(known)),
                    };
                    return Err(Diagnostic::new(
                        "dsops::config::unknown_variable",
                        exit::CONFIGURATION,
                        message,
                    )
                    .help(help)
                    .into());
                }
                let wanted = Wanted { name, is_named: environment.variables.contains_key(name) };
                let plan = Plan::of_part(config, environment, &session.env, &wanted);
                Ok((name.clone(), session.planned(config, plan)?))
            }
            (key, _, name) => {
                let text = key.as_ref().or(name).map_or("", String::as_str);
                let variable = config::variable_of_reference(text).map_err(|error| {
                    let diagnostic = Diagnostic::config(&error, None);
                    let help = "name a reference such as `store/folder/KEY`, or a variable and its `--env`";
                    Stop::from(diagnostic.help(help))
                })?;
                let plan = Plan::for_variable(config, variable, &session.env);
                let plan = plan.map_err(|errors| {
                    // The reference stands on the command line, not in the file.
                    Stop::Reports(errors.iter().map(|error| Diagnostic::config(error, None)).collect())
                })?;
                Ok((text.to_owned(), plan))
            }
        }
    }

    fn print(&self, session: &Session, name: &str, value: &SecretValue, source: &str) -> Result<(), Stop> {
        if self.json {
            let Some(text) = value.expose_str() else {
                let message = format!("the value of `{name}` is not text, which JSON cannot carry");
                return Err(Diagnostic::new("dsops::output::not_text", exit::TRANSFORM, message)
                    .help("leave `--json` out, or add the transform `base64_encode`")
                    .into());
            };
            let document = json!({ "name": name, "value": text, "source": source, "environment": self.env });
            let text = Zeroizing::new(format!("{document}\n"));
            return Ok(session.output.stdout(text.as_bytes())?);
        }
        Ok(session.output.value(value)?)
    }
}

/// The one variable that is asked for, or where it may come from.
struct Wanted<'a> {
    name: &'a str,
    is_named: bool,
}

impl Part for Wanted<'_> {
    fn has_variable(&self, variable: &Variable) -> bool {
        variable.name == self.name
    }

    fn has_import(&self, import: &Import) -> bool {
        !self.is_named && self.name.starts_with(&import.prefix)
    }
}
