//! Universal Auth: a client id and a client secret of a machine identity.

use serde::Serialize;

use super::login::{Issued, log_in, text};
use crate::contract::{Context, FetchError, SecretValue};
use crate::http::Site;

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "clientId")]
    client_id: &'a str,
    #[serde(rename = "clientSecret")]
    client_secret: &'a str,
}

/// Logs a machine identity in.
pub(super) async fn universal_auth(
    cx: &Context,
    site: &Site,
    client_id: &SecretValue,
    client_secret: &SecretValue,
) -> Result<Issued, FetchError> {
    let body = Body {
        client_id: text("client_id", client_id)?,
        client_secret: text("client_secret", client_secret)?,
    };
    log_in(cx, site, "universal-auth", "machine_identity", &body).await
}
