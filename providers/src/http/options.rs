//! Options that every store over HTTP can take: a client certificate, plain http by name, a limit.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::tls::ClientFiles;
use crate::contract::Context;

/// A certificate that says who we are, for servers that ask for one.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TlsOptions {
    /// A PEM file with the client certificate, and behind it those between it and its authority. A relative
    /// path starts at the directory of `dsops.yaml`.
    pub client_cert: String,
    /// A PEM file with the certificate's private key, not encrypted: PKCS#8, PKCS#1 or SEC1.
    pub client_key: String,
}

impl TlsOptions {
    /// Returns the files, as seen from here.
    #[must_use]
    pub fn files(&self, cx: &Context) -> ClientFiles {
        ClientFiles {
            certificate: cx.resolve_path(&self.client_cert),
            key: cx.resolve_path(&self.client_key),
        }
    }
}

/// The names of servers: one, or a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(pub Vec<String>);

impl Hosts {
    /// Says whether a host is among them. Ports do not count, and neither does case.
    #[must_use]
    pub fn contains(&self, host: &str) -> bool {
        let bare = |name: &str| name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        self.0.iter().any(|known| bare(known.trim()) == bare(host))
    }
}

impl<'de> Deserialize<'de> for Hosts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Hosts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a host, or a list of hosts")
    }

    fn visit_str<E: de::Error>(self, host: &str) -> Result<Hosts, E> {
        Ok(Hosts(vec![host.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Hosts, A::Error> {
        let mut hosts = Vec::new();
        while let Some(host) = items.next_element()? {
            hosts.push(host);
        }
        Ok(Hosts(hosts))
    }
}

impl JsonSchema for Hosts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Hosts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}
