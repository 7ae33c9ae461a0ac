//! Options that the file leaves out, from the variables that Infisical's own command and libraries read.

use super::{InfisicalAuth, InfisicalConfig, InfisicalMethod};
use crate::contract::{Credential, EnvSnapshot, SecretValue};

/// The machine identity's id, for every method that needs one.
const IDENTITY: &str = "INFISICAL_MACHINE_IDENTITY_ID";

/// Access tokens, in the order in which they count. `INFISICAL_TOKEN` comes before them.
const ACCESS_TOKENS: &[&str] = &["INFISICAL_UNIVERSAL_AUTH_ACCESS_TOKEN", "INFISICAL_ACCESS_TOKEN"];

/// The variables that hold a JSON web token for Infisical, in the order in which they count.
pub(in crate::infisical) const JWTS: &[&str] =
    &["INFISICAL_JWT", "INFISICAL_OIDC_AUTH_JWT", "INFISICAL_AUTH_JWT", "INFISICAL_ID_TOKEN"];

/// What a job of GitHub Actions has that may ask for identity tokens: where, and with what.
pub(in crate::infisical) const ASK_AT: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
pub(in crate::infisical) const ASK_WITH: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// Returns the value of the first of the variables that is set and not empty.
fn first<'a>(env: &'a EnvSnapshot, names: &[&str]) -> Option<&'a str> {
    names.iter().filter_map(|name| env.get(name)).map(str::trim).find(|value| !value.is_empty())
}

fn credential(env: &EnvSnapshot, names: &[&str]) -> Option<Credential> {
    first(env, names).map(SecretValue::from).map(Credential::from)
}

/// Says whether the name of a method means the machine's own service account of Google Cloud.
fn of_machine(method: &str) -> bool {
    method.to_ascii_lowercase().replace('_', "-") == "gcp-id-token"
}

impl InfisicalMethod {
    /// Returns the variables that give an option of this method, in the order in which they count.
    pub(in crate::infisical) fn variables(self, option: &str) -> &'static [&'static str] {
        match (self, option) {
            (Self::MachineIdentity, "client_id") => &["INFISICAL_UNIVERSAL_AUTH_CLIENT_ID"],
            (Self::MachineIdentity, "client_secret") => &["INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET"],
            (Self::Azure, "client_id") => &["INFISICAL_AZURE_AUTH_CLIENT_ID"],
            (Self::Oidc, "identity_id") => &[IDENTITY, "INFISICAL_OIDC_AUTH_IDENTITY_ID"],
            (Self::Kubernetes, "identity_id") => &[IDENTITY, "INFISICAL_KUBERNETES_IDENTITY_ID"],
            (Self::AwsIam, "identity_id") => &[IDENTITY, "INFISICAL_AWS_IAM_AUTH_IDENTITY_ID"],
            (Self::Gcp, "identity_id") => {
                &[IDENTITY, "INFISICAL_GCP_AUTH_IDENTITY_ID", "INFISICAL_GCP_IAM_AUTH_IDENTITY_ID"]
            }
            (Self::Azure, "identity_id") => &[IDENTITY, "INFISICAL_AZURE_AUTH_IDENTITY_ID"],
            (Self::Ldap, "identity_id") => &[IDENTITY, "INFISICAL_LDAP_AUTH_IDENTITY_ID"],
            (Self::Jwt, "identity_id") => &[IDENTITY],
            (Self::Jwt | Self::Oidc, "jwt") => JWTS,
            (_, "service_account_token_path") => &["INFISICAL_KUBERNETES_SERVICE_ACCOUNT_TOKEN_PATH"],
            (_, "service_account_key_file") => &["INFISICAL_GCP_IAM_SERVICE_ACCOUNT_KEY_FILE_PATH"],
            (_, "username") => &["INFISICAL_LDAP_USERNAME", "INFISICAL_LDAP_AUTH_USERNAME"],
            (_, "password") => &["INFISICAL_LDAP_PASSWORD", "INFISICAL_LDAP_AUTH_PASSWORD"],
            (Self::ServiceToken, "token") => &["INFISICAL_TOKEN"],
            (Self::TokenAuth, "token") => {
                &["INFISICAL_TOKEN", "INFISICAL_UNIVERSAL_AUTH_ACCESS_TOKEN", "INFISICAL_ACCESS_TOKEN"]
            }
            (_, "organization_slug") => &["INFISICAL_AUTH_ORGANIZATION_SLUG"],
            _ => &[],
        }
    }

    /// Returns the method that `INFISICAL_AUTH_METHOD` means, in the command's spelling or the libraries'.
    fn of_variable(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().replace('_', "-").as_str() {
            "universal-auth" | "machine-identity" => Self::MachineIdentity,
            "token-auth" | "access-token" => Self::TokenAuth,
            "oidc-auth" | "oidc" => Self::Oidc,
            "kubernetes" | "kubernetes-auth" => Self::Kubernetes,
            "aws-iam" | "aws-auth" => Self::AwsIam,
            "gcp-id-token" | "gcp-iam" | "gcp-auth" => Self::Gcp,
            "azure" | "azure-auth" => Self::Azure,
            "jwt-auth" | "jwt" => Self::Jwt,
            "ldap-auth" | "ldap" => Self::Ldap,
            "service-token" => Self::ServiceToken,
            _ => return None,
        })
    }

    /// Returns the method that a token in the environment means. It comes before all others, as it does for
    /// Infisical's own command.
    fn of_token(env: &EnvSnapshot) -> Option<Self> {
        if let Some(token) = first(env, &["INFISICAL_TOKEN"]) {
            return Some(if token.starts_with("st.") { Self::ServiceToken } else { Self::TokenAuth });
        }
        first(env, ACCESS_TOKENS).map(|_| Self::TokenAuth)
    }

    /// Returns the method that the environment is set up for, but for tokens.
    fn of_environment(env: &EnvSnapshot) -> Option<Self> {
        if let Some(name) = first(env, &["INFISICAL_AUTH_METHOD"]) {
            return Self::of_variable(name);
        }
        let whole = [
            (Self::MachineIdentity, "INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET"),
            (Self::Gcp, "INFISICAL_GCP_AUTH_IDENTITY_ID"),
            (Self::Gcp, "INFISICAL_GCP_IAM_AUTH_IDENTITY_ID"),
            (Self::AwsIam, "INFISICAL_AWS_IAM_AUTH_IDENTITY_ID"),
            (Self::Azure, "INFISICAL_AZURE_AUTH_IDENTITY_ID"),
            (Self::Kubernetes, "INFISICAL_KUBERNETES_IDENTITY_ID"),
            (Self::Oidc, "INFISICAL_OIDC_AUTH_IDENTITY_ID"),
            (Self::Ldap, "INFISICAL_LDAP_AUTH_IDENTITY_ID"),
        ];
        whole.into_iter().find(|(_, name)| first(env, &[name]).is_some()).map(|(method, _)| method)
    }
}

impl InfisicalConfig {
    /// Fills what the file leaves out. What the file says, it says alone.
    pub(in crate::infisical) fn fill_from(&mut self, env: &EnvSnapshot) {
        let fill = |option: &mut Option<String>, names: &[&str]| {
            if option.is_none() {
                *option = first(env, names).map(str::to_owned);
            }
        };
        fill(&mut self.host, &["INFISICAL_DOMAIN", "INFISICAL_API_URL"]);
        if self.project_slug.is_none() {
            fill(&mut self.project_id, &["INFISICAL_PROJECT_ID"]);
        }
        fill(&mut self.environment, &["INFISICAL_ENVIRONMENT"]);
        fill(&mut self.path, &["INFISICAL_SECRET_PATH"]);
        let auth = self.auth.get_or_insert_default();
        // With options in the file, a token that happens to be in the environment is not what is meant.
        let says_nothing = auth.given().iter().all(|option| *option == "organization_slug");
        auth.method = auth
            .stated_method()
            .or_else(|| InfisicalMethod::of_token(env).filter(|_| says_nothing))
            .or_else(|| InfisicalMethod::of_environment(env));
        auth.fill_from(env);
        self.proof_requests = auth.proof_requests(env);
    }
}

impl InfisicalAuth {
    /// Returns how many requests go before a login. Those of AWS's own library are not counted.
    fn proof_requests(&self, env: &EnvSnapshot) -> usize {
        let asks = match self.method {
            Some(InfisicalMethod::Oidc) => {
                let found = self.jwt.is_some() || self.token_env.is_some();
                !found && [ASK_AT, ASK_WITH].iter().all(|name| first(env, &[name]).is_some())
            }
            Some(InfisicalMethod::Gcp) => self.service_account_key_file.is_none(),
            Some(InfisicalMethod::Azure) => true,
            _ => false,
        };
        usize::from(asks)
    }

    fn fill_from(&mut self, env: &EnvSnapshot) {
        let Some(method) = self.method else { return };
        let fill_text = |option: &mut Option<String>, name: &str| {
            if option.is_none() {
                *option = first(env, method.variables(name)).map(str::to_owned);
            }
        };
        let fill = |option: &mut Option<Credential>, name: &str| {
            if option.is_none() {
                *option = credential(env, method.variables(name));
            }
        };
        if method.takes("identity_id") {
            fill_text(&mut self.identity_id, "identity_id");
        }
        match method {
            InfisicalMethod::Kubernetes => {
                fill_text(&mut self.service_account_token_path, "service_account_token_path");
            }
            // Infisical's own command has two methods for this one, which a key file tells apart here.
            InfisicalMethod::Gcp if !first(env, &["INFISICAL_AUTH_METHOD"]).is_some_and(of_machine) => {
                fill_text(&mut self.service_account_key_file, "service_account_key_file");
            }
            InfisicalMethod::Jwt => fill(&mut self.jwt, "jwt"),
            // A token that is named is not looked for.
            InfisicalMethod::Oidc if self.token_env.is_none() => fill(&mut self.jwt, "jwt"),
            InfisicalMethod::Ldap => {
                fill(&mut self.username, "username");
                fill(&mut self.password, "password");
            }
            InfisicalMethod::MachineIdentity => {
                fill(&mut self.client_id, "client_id");
                fill(&mut self.client_secret, "client_secret");
            }
            InfisicalMethod::Azure => fill(&mut self.client_id, "client_id"),
            InfisicalMethod::ServiceToken if self.service_token.is_none() => fill(&mut self.token, "token"),
            InfisicalMethod::TokenAuth => fill(&mut self.token, "token"),
            _ => {}
        }
        if method.logs_in() {
            fill_text(&mut self.organization_slug, "organization_slug");
        }
    }
}
