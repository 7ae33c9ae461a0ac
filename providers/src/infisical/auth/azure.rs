//! Who runs this in Azure: an access token of a managed identity, from App Service or from the machine's metadata.

use reqwest::Url;
use reqwest::header::HeaderName;
use serde::Deserialize;

use super::login::later;
use super::login::text;
use crate::contract::{Context, FetchError, FetchErrorKind, SecretValue};
use crate::http::{Request, Site, send};

/// Where every virtual machine of Azure finds its metadata.
const METADATA: &str = "http://169.254.169.254";
const SECRET: HeaderName = HeaderName::from_static("x-identity-header");

#[derive(Deserialize)]
struct Issued {
    access_token: SecretValue,
}

/// Asks for an access token of a managed identity, of the one with the client id where one is given.
///
/// # Errors
///
/// `Unauthenticated` where there is no such identity; `Unavailable` where there is no such service.
pub(super) async fn managed_identity(
    cx: &Context,
    resource: &str,
    client_id: Option<&SecretValue>,
) -> Result<SecretValue, FetchError> {
    let variable = |name| cx.env().get(name).map(str::trim).filter(|value| !value.is_empty());
    let (site, request) = match (variable("IDENTITY_ENDPOINT"), variable("IDENTITY_HEADER")) {
        (Some(endpoint), Some(secret)) => {
            let (site, path) = split(endpoint)?;
            let request = Request::get(path).query("api-version", "2019-08-01");
            (site, request.secret_header(SECRET, "", &SecretValue::from(secret))?)
        }
        // The override is that of Azure's own libraries.
        _ => {
            let (site, _) = split(variable("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or(METADATA))?;
            let request = Request::get("/metadata/identity/oauth2/token").query("api-version", "2018-02-01");
            (site, request.header("metadata", "true"))
        }
    };
    let mut request = request.query("resource", resource);
    if let Some(client_id) = client_id {
        request = request.query("client_id", text("client_id", client_id)?);
    }
    let answer = send(cx, &site, request).await.map_err(|error| {
        FetchError::new(error.kind(), format!("no managed identity of Azure: {}", error.message()))
            .temporary(error.is_temporary())
            .help("run this in Azure, or choose another `auth.method`")
    })?;
    match answer.status() {
        200..300 => {
            let Issued { access_token } = answer.json()?;
            Ok(access_token)
        }
        status @ (404 | 408 | 410 | 429 | 500..) => Err(later(
            &answer,
            FetchError::new(
                FetchErrorKind::Unavailable,
                format!(
                    "`{}` cannot issue a token of a managed identity now: status {status}",
                    answer.host()
                ),
            )
            .help("try again later, or look at the identities of the machine"),
        )),
        status => Err(FetchError::new(
            FetchErrorKind::Unauthenticated,
            format!(
                "unauthorized: `{}` issues no token of a managed identity: status {status}",
                answer.host()
            ),
        )
        .help("assign a managed identity to the machine, and check `auth.resource` and `auth.client_id`")),
    }
}

fn split(endpoint: &str) -> Result<(Site, String), FetchError> {
    let url = Url::parse(endpoint).map_err(|_| {
        FetchError::new(
            FetchErrorKind::Unauthenticated,
            "unauthorized: the address of the managed identities is no address",
        )
        .help("take `IDENTITY_ENDPOINT` as Azure sets it")
    })?;
    Ok((Site::of_metadata(url.origin().ascii_serialization().as_str())?, url.path().to_owned()))
}
