//! Who runs this in AWS: a signed request that the server sends on, so that AWS itself says who signed it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use crate::contract::{Context, FetchError, FetchErrorKind};

const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";
/// The region that is taken where none is known: its service answers for accounts of all of them.
const ANY_REGION: &str = "us-east-1";

/// A signed call of `GetCallerIdentity`, as a login sends it.
#[derive(Serialize)]
pub(super) struct SignedRequest {
    #[serde(rename = "iamHttpRequestMethod")]
    method: &'static str,
    #[serde(rename = "iamRequestBody")]
    body: String,
    #[serde(rename = "iamRequestHeaders")]
    headers: String,
}

/// Signs with what AWS's own chain of credentials finds: variables, profiles, web identity, ECS, EC2.
///
/// # Errors
///
/// `Unauthenticated` where it finds none; `TimedOut` where the search takes longer than the store may.
pub(super) async fn caller_identity(cx: &Context) -> Result<SignedRequest, FetchError> {
    let found = async {
        let client = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(client).load().await;
        let region = config.region().map_or(ANY_REGION, |region| region.as_ref()).to_owned();
        let provider = config.credentials_provider()?;
        Some((region, provider.provide_credentials().await))
    };
    let found = match cx.time_left()? {
        Some(left) => tokio::time::timeout(left, found).await.map_err(|_| {
            FetchError::new(FetchErrorKind::TimedOut, "AWS gave no credentials in time")
                .help("raise `timeout` on the store, or set the variables of the credentials")
        })?,
        None => found.await,
    };
    match found {
        Some((region, Ok(credentials))) => signed(&region, credentials, SystemTime::now()),
        // The cause is not shown: it may hold what a program or a file said.
        _ => Err(FetchError::new(
            FetchErrorKind::Unauthenticated,
            "unauthorized: AWS's chain of credentials finds none here",
        )
        .help("run this with a role of AWS, or set `AWS_PROFILE`, or `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`")),
    }
}

fn signed(
    region: &str,
    credentials: aws_credential_types::Credentials,
    now: SystemTime,
) -> Result<SignedRequest, FetchError> {
    let unsigned = || {
        FetchError::new(FetchErrorKind::Unauthenticated, "unauthorized: the request for AWS cannot be signed")
            .help("check the region and the credentials of AWS")
    };
    let host = format!("sts.{region}.amazonaws.com");
    let length = BODY.len().to_string();
    // The names as servers of every age look for them.
    let mut headers = BTreeMap::from([
        ("Content-Length".to_owned(), length),
        ("Content-Type".to_owned(), CONTENT_TYPE.to_owned()),
        ("Host".to_owned(), host.clone()),
    ]);
    let identity = credentials.into();
    let settings = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| unsigned())?
        .into();
    let sent = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let request =
        SignableRequest::new("POST", format!("https://{host}/"), sent, SignableBody::Bytes(BODY.as_bytes()))
            .map_err(|_| unsigned())?;
    let (instructions, _) = sign(request, &settings).map_err(|_| unsigned())?.into_parts();
    let (added, _) = instructions.into_parts();
    for header in added {
        let name = match header.name() {
            "authorization" => "Authorization",
            "x-amz-date" => "X-Amz-Date",
            "x-amz-security-token" => "X-Amz-Security-Token",
            other => other,
        };
        headers.insert(name.to_owned(), header.value().to_owned());
    }
    let headers = serde_json::to_vec(&headers).map_err(|_| unsigned())?;
    Ok(SignedRequest {
        method: "POST",
        body: BASE64_STANDARD.encode(BODY),
        headers: BASE64_STANDARD.encode(headers),
    })
}
