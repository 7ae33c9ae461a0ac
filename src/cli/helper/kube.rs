//! `dsops helper kube`: a token or a certificate for a client of Kubernetes, as its exec credential plugin.

use std::os::unix::ffi::OsStrExt as _;

use clap::Args;
use dsops::exit;
use dsops::helper::kube::{Credential, REQUEST, Refusal, Request, answer, find};
use dsops::helper::shown_key;

use super::credential::{absent_report, expiration, misfit_report, unknown_report};
use crate::cli::Outcome;
use crate::cli::session::Session;
use crate::diagnostics::Diagnostic;

/// Give a client of Kubernetes its token or certificate, from `helpers.kube`
///
/// For `users.user.exec` of a kubeconfig. Without NAME the entry is the one whose `server` is that of the cluster, which
/// the client tells where the kubeconfig has `provideClusterInfo: true`. An entry with a `server` is given to no other.
#[derive(Args, Debug)]
#[command(after_help = "Example, in a kubeconfig:\n  \
    users:\n  - name: me\n    user:\n      exec:\n        apiVersion: client.authentication.k8s.io/v1\n        \
    command: dsops\n        args: [helper, kube]\n        interactiveMode: Never\n        provideClusterInfo: true")]
pub(super) struct Kube {
    /// The entry of `helpers.kube`
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

impl Kube {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let request = session.env.get_os(REQUEST).filter(|request| !request.is_empty());
        let request = request.map(|request| Request::read(request.as_bytes())).transpose();
        let request = request.map_err(|refusal| refused(&refusal))?;
        let config = session.load()?;
        let entries = &config.helpers.kube;
        let servers = entries.iter().map(|(name, entry)| (name.as_str(), entry.server.as_deref()));
        let name = find(servers, self.name.as_deref(), request.as_ref()).map_err(|refusal| {
            let known = entries.keys().map(String::as_str);
            match &refusal {
                Refusal::UnknownName(name) => {
                    unknown_report("helpers.kube", &refusal.to_string(), Some(name), known)
                }
                _ => refused(&refusal),
            }
        })?;
        let place = format!("helpers.kube.{}", shown_key(name));
        let Some(entry) = entries.get(name) else { return Err(absent_report(&place, "token").into()) };
        let pair = entry.certificate.iter().flat_map(|(certificate, key)| [certificate, key]);
        let wanted: Vec<_> = entry.token.iter().chain(pair).cloned().collect();
        let values = session.values_of(&config, &wanted)?;
        let value = |name: &str| values.get(name).map(AsRef::as_ref);
        let token = entry.token.as_ref().and_then(|token| value(&token.name));
        let pair = entry.certificate.as_ref().map(|(cert, key)| (value(&cert.name), value(&key.name)));
        let certificate = match pair {
            Some((Some(certificate), Some(key))) => Some((certificate, key)),
            // A client takes neither without the other.
            Some((Some(_), None)) => return Err(absent_report(&place, "client_key").into()),
            Some((None, Some(_))) => return Err(absent_report(&place, "client_certificate").into()),
            Some((None, None)) | None => None,
        };
        if token.is_none() && certificate.is_none() {
            let part = if entry.token.is_some() { "token" } else { "client_certificate" };
            return Err(absent_report(&place, part).into());
        }
        let until = expiration(&place, entry.refresh)?;
        let version = request.map(|request| request.version).unwrap_or_default();
        let line = answer(version, Credential { token, certificate }, until.as_deref())
            .map_err(|misfit| misfit_report(&place, misfit))?;
        session.output.stdout(&line)?;
        Ok(exit::OK)
    }
}

/// Returns the report of a request that is not answered.
fn refused(refusal: &Refusal) -> Diagnostic {
    let (code, exit) = match refusal {
        Refusal::Malformed(_) | Refusal::Version(_) => ("dsops::helper::request", exit::USAGE),
        Refusal::OtherServer { .. } | Refusal::ServerNotSaid(_) | Refusal::Insecure(_) => {
            ("dsops::helper::server", exit::POLICY)
        }
        _ => ("dsops::helper::unknown", exit::CONFIGURATION),
    };
    Diagnostic::new(code, exit, refusal.to_string()).help(refusal.advice())
}
