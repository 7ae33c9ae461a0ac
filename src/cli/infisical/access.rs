//! The store that is looked around in: one of the file, or one made from an address and credentials.

use std::path::Path;

use dsops::config::{self, Config};
use dsops::exit;
use dsops::plan::Plan;
use dsops::resolve::{self, Cause, Failure};
use dsops::suggest::and_ticked;
use dsops_providers::contract::{Context, EnvSnapshot, Explorer, FetchError};

use super::super::Stop;
use super::super::session::{Session, runtime};
use crate::diagnostics::Diagnostic;

/// The type of store that has what is looked for.
pub(crate) const KIND: &str = "infisical";
/// The names under which a machine keeps an identity's credentials, Infisical's own first.
const CREDENTIALS: [Variables; 2] = [
    Variables { id: "INFISICAL_UNIVERSAL_AUTH_CLIENT_ID", secret: "INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET" },
    Variables { id: "INFISICAL_CLIENT_ID", secret: "INFISICAL_CLIENT_SECRET" },
];
/// The names under which a machine keeps the server's address.
const ADDRESS: [&str; 2] = ["INFISICAL_DOMAIN", "INFISICAL_API_URL"];
/// The names by which Infisical's own clients are told another way to log in. The store reads them itself.
const OTHERS: [&str; 4] = [
    "INFISICAL_TOKEN",
    "INFISICAL_ACCESS_TOKEN",
    "INFISICAL_UNIVERSAL_AUTH_ACCESS_TOKEN",
    "INFISICAL_AUTH_METHOD",
];

/// The variables that hold an identity's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variables {
    pub(crate) id: &'static str,
    pub(crate) secret: &'static str,
}

impl Variables {
    /// Those that the file names where nothing is set.
    pub(crate) const OWN: Self = CREDENTIALS[1];

    /// Returns the pair that is set.
    pub(crate) fn set(env: &EnvSnapshot) -> Option<Self> {
        let is_set = |name| env.get(name).is_some_and(|value| !value.trim().is_empty());
        CREDENTIALS.into_iter().find(|pair| is_set(pair.id) && is_set(pair.secret))
    }
}

/// Returns the server's address as the environment names it.
pub(crate) fn address(env: &EnvSnapshot) -> Option<&str> {
    ADDRESS.into_iter().find_map(|name| env.get(name)).filter(|address| !address.trim().is_empty())
}

/// A store to look around in.
pub(crate) struct Access {
    session: Session,
    config: Config,
    store: String,
}

impl Access {
    /// Takes the store that the command line names, or the file's only one, or what the environment holds.
    pub(crate) fn of(session: &Session, store: Option<&str>, host: Option<&str>) -> Result<Self, Stop> {
        let own = || Session {
            config: session.config.clone(),
            env: session.env.clone(),
            output: session.output,
            place: session.place,
        };
        let by_environment = || match Variables::set(&session.env) {
            Some(variables) => Self::of_login(own(), host.or(address(&session.env)), variables).map(Some),
            None if OTHERS
                .iter()
                .any(|name| session.env.get(name).is_some_and(|value| !value.is_empty())) =>
            {
                Self::of_section(own(), host.or(address(&session.env)), "").map(Some)
            }
            None => Ok(None),
        };
        if host.is_some() {
            return by_environment()?.ok_or_else(no_credentials);
        }
        let path = match session.config_path() {
            Ok(path) => path,
            Err(stop) if store.is_some() || session.config.is_some() => return Err(stop),
            Err(_) => return by_environment()?.ok_or_else(no_credentials),
        };
        let config = config::load(&path).map_err(|report| Stop::Reports(Diagnostic::report(&report)))?;
        match chosen(&config, store)? {
            Some(store) => Ok(Self { session: own(), config, store }),
            None => by_environment()?.ok_or_else(|| {
                usage("the file has no store of type `infisical`")
                    .help("add one, or give `--host` and credentials in the environment")
                    .into()
            }),
        }
    }

    /// Makes a store from an address and what the session's environment holds.
    pub(crate) fn of_login(session: Session, host: Option<&str>, variables: Variables) -> Result<Self, Stop> {
        let auth = format!(
            "    auth:\n      method: machine_identity\n      client_id: ${{{}}}\n      client_secret: ${{{}}}\n",
            variables.id, variables.secret
        );
        Self::of_section(session, host, &auth)
    }

    /// Makes a store from an address and the lines of its `auth`.
    fn of_section(session: Session, host: Option<&str>, auth: &str) -> Result<Self, Stop> {
        let host = host
            .map(|host| format!("    host: {}\n", quoted(&host.replace("${", "$${"))))
            .unwrap_or_default();
        let text = format!("secretStores:\n  {KIND}:\n    type: {KIND}\n{host}{auth}envs: {{}}\n");
        let config = config::load_text(Path::new(config::FILE_NAME), text).map_err(|report| {
            let mistakes = report.errors.iter().map(|error| {
                let diagnostic = usage(&error.message);
                error.help.iter().fold(diagnostic, |diagnostic, help| diagnostic.help(help.clone()))
            });
            Stop::Reports(mistakes.collect())
        })?;
        Ok(Self { session, config, store: KIND.to_owned() })
    }

    /// Opens the store and looks around in it. What may pass is tried again.
    pub(crate) fn look<T>(
        &self,
        action: impl AsyncFn(&dyn Explorer, &Context) -> Result<T, FetchError>,
    ) -> Result<Result<T, Cause>, Stop> {
        let (session, config) = (&self.session, &self.config);
        let stores = config.stores.get(&self.store);
        let plan = session.planned(config, Plan::for_stores(config, stores, &session.env))?;
        let planned = plan.stores.iter().filter_map(|planned| config.stores.get(&planned.name));
        let unset: Vec<_> = planned.flat_map(|store| store.unset(&session.env)).collect();
        if !unset.is_empty() {
            return Err(session.mistakes(config, &unset));
        }
        let cx = session.context(config);
        let looking = async {
            let (provider, cx) = resolve::open_one(config, &plan, &self.store, &cx).await?;
            let refused = |error| Cause::Fetch { store: self.store.clone(), reference: None, error };
            let Some(explorer) = provider.explorer() else { return Err(refused(unexplored())) };
            resolve::attempt(&cx, || action(explorer, &cx)).await.map_err(refused)
        };
        if plan.cost().processes == 0 {
            return Ok(runtime()?.block_on(looking));
        }
        Ok(runtime()?.block_on(dsops::exec::interruptible(looking)))
    }

    /// Turns what kept from looking into a report.
    pub(crate) fn report(&self, cause: Cause) -> Stop {
        let failure = Failure { variables: Vec::new(), spans: Vec::new(), cause };
        Diagnostic::failure(&failure, &self.config.source).into()
    }
}

fn chosen(config: &Config, wanted: Option<&str>) -> Result<Option<String>, Stop> {
    let of_kind = || config.stores.values().filter(|store| store.descriptor.kind == KIND);
    let names = || and_ticked(of_kind().map(|store| store.name.as_str()));
    if let Some(wanted) = wanted {
        return match config.stores.get(wanted) {
            Some(store) if store.descriptor.kind == KIND => Ok(Some(store.name.clone())),
            Some(store) => {
                let message = format!(
                    "the store `{wanted}` is of type `{}`, and not of `{KIND}`",
                    store.descriptor.kind
                );
                Err(usage(&message).help(format!("stores of that type in the file: {}", names())).into())
            }
            None => {
                let near = dsops::suggest::did_you_mean(wanted, of_kind().map(|store| store.name.as_str()));
                let help = near.unwrap_or_else(|| format!("stores of that type in the file: {}", names()));
                Err(usage(&format!("no store is named `{wanted}`")).help(help).into())
            }
        };
    }
    let mut stores = of_kind();
    match (stores.next(), stores.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => Ok(Some(only.name.clone())),
        (Some(_), Some(_)) => {
            let message = format!("the file has several stores of type `{KIND}`");
            Err(usage(&message).help(format!("name one with `--store`: {}", names())).into())
        }
    }
}

/// Returns the report of a command line that does not say what is needed.
pub(crate) fn usage(message: &str) -> Diagnostic {
    Diagnostic::new("dsops::usage", exit::USAGE, message)
}

fn no_credentials() -> Stop {
    let [first, second] = CREDENTIALS;
    usage("there is no `dsops.yaml`, and no credentials of Infisical in the environment")
        .help(format!(
            "set `{}` and `{}`, or `{}` and `{}`",
            first.id, first.secret, second.id, second.secret
        ))
        .into()
}

fn unexplored() -> FetchError {
    FetchError::new(
        dsops_providers::contract::FetchErrorKind::Unsupported,
        "the store cannot be looked around in",
    )
}

/// A text as YAML takes it, whatever it holds.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
