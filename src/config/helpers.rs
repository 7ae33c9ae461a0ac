//! Reads `helpers`: which credentials the programs get that ask dsops as a credential helper.

use std::sync::Arc;
use std::time::Duration;

use dsops_providers::contract::{Key, NoExpansion, Node, Span, decode};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::agents::time_schema;
use super::environments::Reader;
use super::error::{Code, ConfigError};
use super::model::Variable;
use super::shape::{Any, ValueShape};
use super::stores::{is_in_range, parse_duration};
use crate::helper::git::Pattern;
use crate::helper::{askpass, docker, kube, shown_key};

/// The shortest time after which programs ask again: they count in seconds.
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);

/// What the credential helpers give, each by what it is asked with.
#[derive(Debug, Default)]
pub struct Helpers {
    /// By URL pattern, as the sections `credential.<url>` of git's configuration.
    pub git: IndexMap<String, Login>,
    /// By registry.
    pub docker: IndexMap<String, Login>,
    /// By the name that stands on the command line.
    pub aws: IndexMap<String, AwsKeys>,
    /// By the name that stands on the command line.
    pub kube: IndexMap<String, KubeUser>,
    /// By prompt: the whole of it, or its beginning and `*`.
    pub askpass: IndexMap<String, Arc<Variable>>,
}

/// A name and a password.
#[derive(Debug)]
pub struct Login {
    /// Where its key stands.
    pub span: Span,
    /// The name.
    pub username: Option<Arc<Variable>>,
    /// The password or token.
    pub password: Arc<Variable>,
}

/// Keys of AWS.
#[derive(Debug)]
pub struct AwsKeys {
    /// Where its key stands.
    pub span: Span,
    /// The id of the access key.
    pub access_key_id: Arc<Variable>,
    /// The access key.
    pub secret_access_key: Arc<Variable>,
    /// The token of a session.
    pub session_token: Option<Arc<Variable>>,
    /// After how long whoever asked is to ask again.
    pub refresh: Option<Duration>,
}

/// A user of a Kubernetes cluster: a token, or a certificate and its key, or both.
#[derive(Debug)]
pub struct KubeUser {
    /// Where its key stands.
    pub span: Span,
    /// The bearer token.
    pub token: Option<Arc<Variable>>,
    /// The certificate and its key, in PEM.
    pub certificate: Option<(Arc<Variable>, Arc<Variable>)>,
    /// The only server that this is for.
    pub server: Option<String>,
    /// After how long whoever asked is to ask again.
    pub refresh: Option<Duration>,
}

impl Helpers {
    /// Returns every value of the section.
    pub fn variables(&self) -> impl Iterator<Item = &Arc<Variable>> {
        let logins = self.git.values().chain(self.docker.values());
        let logins = logins.flat_map(|login| login.username.iter().chain([&login.password]));
        let aws = self.aws.values().flat_map(|keys| {
            [&keys.access_key_id, &keys.secret_access_key].into_iter().chain(&keys.session_token)
        });
        let kube = self.kube.values().flat_map(|user| {
            let pair = user.certificate.iter().flat_map(|(certificate, key)| [certificate, key]);
            user.token.iter().chain(pair)
        });
        logins.chain(aws).chain(kube).chain(self.askpass.values())
    }
}

/// What programs get that ask dsops for a login. Every value is a reference, or a mapping with `from` or `literal` as
/// for a variable.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Helpers")]
#[expect(dead_code, reason = "decoded to check the shape; the values are read from their nodes")]
pub(super) struct HelpersShape {
    /// For `dsops helper git`: by URL, such as `https://github.com/acme`, as in the sections `credential.<url>` of
    /// git's configuration.
    git: Option<IndexMap<String, LoginShape>>,
    /// For `dsops helper docker`: by registry, such as `ghcr.io`.
    docker: Option<IndexMap<String, LoginShape>>,
    /// For `dsops helper aws NAME`, by name.
    aws: Option<IndexMap<String, AwsShape>>,
    /// For `dsops helper kube NAME`, by name.
    kube: Option<IndexMap<String, KubeShape>>,
    /// For `dsops helper askpass`: by the prompt without the `: ` at its end, or its beginning and `*`.
    #[schemars(with = "Option<IndexMap<String, ValueShape>>")]
    askpass: Option<IndexMap<String, Any>>,
}

/// A name and a password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HelperLogin")]
#[expect(dead_code, reason = "decoded to check the shape; the values are read from their nodes")]
struct LoginShape {
    /// The name. Where absent, the one that the program asks for.
    #[schemars(with = "Option<ValueShape>")]
    username: Option<Any>,
    /// The password or token.
    #[schemars(with = "ValueShape")]
    password: Any,
}

/// Keys of AWS.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HelperAws")]
#[expect(dead_code, reason = "decoded to check the shape; the values are read from their nodes")]
struct AwsShape {
    /// The id of the access key.
    #[schemars(with = "ValueShape")]
    access_key_id: Any,
    /// The access key.
    #[schemars(with = "ValueShape")]
    secret_access_key: Any,
    /// The token of a session.
    #[schemars(with = "Option<ValueShape>")]
    session_token: Option<Any>,
    /// After how long the program asks again: `30m`. Where absent, it may keep the keys for as long as it runs.
    #[serde(default)]
    #[schemars(schema_with = "time_schema")]
    refresh: Option<String>,
}

/// A user of a Kubernetes cluster: a token, or a certificate and its key.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HelperKube")]
#[expect(dead_code, reason = "decoded to check the shape; the values are read from their nodes")]
struct KubeShape {
    /// The bearer token.
    #[schemars(with = "Option<ValueShape>")]
    token: Option<Any>,
    /// The certificate, in PEM.
    #[schemars(with = "Option<ValueShape>")]
    client_certificate: Option<Any>,
    /// The key of the certificate, in PEM.
    #[schemars(with = "Option<ValueShape>")]
    client_key: Option<Any>,
    /// The only server that this is for, as the kubeconfig has it: `https://10.0.0.1:6443`.
    server: Option<String>,
    /// After how long the program asks again: `10m`. Where absent, it may keep this for as long as it runs.
    #[serde(default)]
    #[schemars(schema_with = "time_schema")]
    refresh: Option<String>,
}

/// Reads the section.
pub(super) fn read(root: &Node, reader: Reader<'_>) -> Helpers {
    let Some(node) = root.get("helpers") else { return Helpers::default() };
    if let Err(error) = decode::<HelpersShape>(node, &NoExpansion) {
        reader.errors.push(error.into());
        return Helpers::default();
    }
    let mut section = Section { node, reader };
    section.check_git();
    Helpers {
        git: section.entries("git", |entry| entry.login()),
        docker: section.registries(),
        aws: section.entries("aws", |entry| {
            let access_key_id = entry.value("access_key_id");
            let secret_access_key = entry.value("secret_access_key");
            let session_token = entry.value("session_token");
            let refresh = entry.refresh();
            Some(AwsKeys {
                span: entry.key.span,
                access_key_id: access_key_id?,
                secret_access_key: secret_access_key?,
                session_token,
                refresh,
            })
        }),
        kube: section.entries("kube", |entry| entry.kube()),
        askpass: section.prompts(),
    }
}

struct Section<'a, 'r> {
    node: &'a Node,
    reader: Reader<'r>,
}

impl Section<'_, '_> {
    fn entries<T>(
        &mut self,
        helper: &str,
        read: impl Fn(&mut Entry<'_, '_>) -> Option<T>,
    ) -> IndexMap<String, T> {
        let mut read_all = IndexMap::new();
        for (key, node) in self.node.get(helper).into_iter().flat_map(Node::entries) {
            let mut entry = Entry { helper, key, node, reader: self.reader.again() };
            if let Some(read) = read(&mut entry) {
                read_all.insert(key.name.clone(), read);
            }
        }
        read_all
    }

    fn registries(&mut self) -> IndexMap<String, Login> {
        let registries = self.entries("docker", |entry| entry.login());
        for (key, login) in &registries {
            let before = registries.keys().take_while(|other| *other != key).map(String::as_str);
            if let Err(error) = docker::check(key, before) {
                let error = ConfigError::at(Code::Invalid, login.span, error.to_string());
                let help = "name each registry once, such as `ghcr.io` or `localhost:5000`";
                self.reader.errors.push(error.help(help));
            }
            // docker sends no name that could be used in its place.
            if login.username.is_none() {
                let message = format!("`helpers.docker.{}` has no `username`", shown_key(key));
                let error = ConfigError::at(Code::MissingField, login.span, message);
                let help = "add it; for an identity token it is `username: {literal: <token>}`";
                self.reader.errors.push(error.help(help));
            }
        }
        registries
    }

    /// Checks what only git's rules tell about a key: whether it is a URL, and another one for the same requests.
    fn check_git(&mut self) {
        let mut known: Vec<(Pattern, &Key)> = Vec::new();
        for (key, _) in self.node.get("git").into_iter().flat_map(Node::entries) {
            let error = match Pattern::parse(&key.name) {
                Ok(pattern) => match known.iter().find(|(other, _)| *other == pattern) {
                    Some((_, first)) => {
                        let error =
                            ConfigError::at(Code::Invalid, key.span, "two keys are for the same request");
                        error.label(first.span, "the first").help("take one of them out")
                    }
                    None => {
                        known.push((pattern, key));
                        continue;
                    }
                },
                Err(error) => ConfigError::at(Code::Invalid, key.span, error.to_string())
                    .help("write a URL such as `https://github.com/acme` or `https://*.example.com`"),
            };
            self.reader.errors.push(error);
        }
    }

    fn prompts(&mut self) -> IndexMap<String, Arc<Variable>> {
        let mut prompts = IndexMap::new();
        let mut known: Vec<&Key> = Vec::new();
        for (key, node) in self.node.get("askpass").into_iter().flat_map(Node::entries) {
            if let Err(error) = askpass::check(&key.name) {
                let error = ConfigError::at(Code::Invalid, key.span, error.to_string());
                let help = "write the whole prompt, or its beginning and `*`";
                self.reader.errors.push(error.help(help));
            }
            if let Some(first) = known.iter().find(|first| askpass::is_same(&first.name, &key.name)) {
                let error = ConfigError::at(Code::Invalid, key.span, "two keys are for the same prompt");
                let error = error.label(first.span, "the first");
                self.reader
                    .errors
                    .push(error.help("take one of them out: a `: ` at the end makes no difference"));
            }
            known.push(key);
            let name = format!("helpers.askpass.{}", shown_key(&key.name));
            if let Some(variable) = self.reader.read_value(name, key.span, node) {
                prompts.insert(key.name.clone(), variable);
            }
        }
        prompts
    }
}

/// One entry of the section.
struct Entry<'a, 'r> {
    helper: &'a str,
    key: &'a Key,
    node: &'a Node,
    reader: Reader<'r>,
}

impl Entry<'_, '_> {
    fn value(&mut self, part: &str) -> Option<Arc<Variable>> {
        let (key, node) = self.node.entries().iter().find(|(key, _)| key.name == part)?;
        let name = format!("helpers.{}.{}.{part}", self.helper, shown_key(&self.key.name));
        self.reader.read_value(name, key.span, node)
    }

    fn login(&mut self) -> Option<Login> {
        let username = self.value("username");
        let password = self.value("password");
        Some(Login { span: self.key.span, username, password: password? })
    }

    fn kube(&mut self) -> Option<KubeUser> {
        let token = self.value("token");
        let certificate = match (self.value("client_certificate"), self.value("client_key")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => None,
        };
        let has = |part: &str| self.node.get(part).is_some();
        let mistake = if has("client_certificate") != has("client_key") {
            Some("`client_certificate` and `client_key` belong together")
        } else if !has("token") && !has("client_key") {
            Some("neither `token` nor `client_certificate` and `client_key`")
        } else {
            None
        };
        if let Some(message) = mistake {
            let error = ConfigError::at(Code::MissingField, self.key.span, message);
            self.reader.errors.push(error.help("add what is missing: a token, or a certificate and its key"));
        }
        let server = self.server();
        let refresh = self.refresh();
        Some(KubeUser { span: self.key.span, token, certificate, server, refresh })
    }

    /// Reads the server. One that is no URL would be that of no request, and its entry given to nobody.
    fn server(&mut self) -> Option<String> {
        let node = self.node.get("server")?;
        let server = node.text().filter(|server| kube::is_server(server));
        if server.is_none() {
            let message = "not the URL of a server: a scheme, a host, perhaps a port and a path";
            let error = ConfigError::at(Code::Invalid, node.span, message);
            self.reader
                .errors
                .push(error.help("write it as in the kubeconfig: `server: https://10.0.0.1:6443`"));
        }
        server.map(str::to_owned)
    }

    fn refresh(&mut self) -> Option<Duration> {
        let node = self.node.get("refresh")?;
        let time = node.text().and_then(parse_duration).filter(|time| is_in_range(*time));
        let time = time.filter(|time| *time >= SHORTEST_REFRESH);
        if time.is_none() {
            let error = ConfigError::at(Code::Invalid, node.span, "not a length of time between 1 s and 1 h");
            self.reader.errors.push(error.help("write `refresh: 30m`"));
        }
        time
    }
}
