//! The manifest of a Kubernetes Secret, with the values in base64, so that any bytes go.
//!
//! "Secrets" and "Object Names and IDs" in the documentation of Kubernetes. The order is that of the variables, and there is
//! nothing of the time or the place in it, so that the same values are the same file.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use super::error::{RenderError, RenderErrorKind};
use super::{Variable, each, yaml};
use crate::transform::buffer::Buffer;

/// The most bytes that all values of a Secret may have together: `MaxSecretSize` of the API.
const LARGEST: usize = 1024 * 1024;

/// Renders the manifest.
pub(super) fn render(
    variables: &[Variable<'_>],
    name: Option<&str>,
    namespace: Option<&str>,
) -> Result<Buffer, Vec<RenderError>> {
    let mut errors = Vec::new();
    match name {
        None => errors.push(
            RenderError::new(RenderErrorKind::Format, "the format `k8s` needs the name of the Secret")
                .help("name it with `--name NAME`"),
        ),
        Some(name) if !is_subdomain(name) => errors.push(no_name("Secret", name)),
        Some(_) => {}
    }
    if let Some(namespace) = namespace.filter(|namespace| !is_label(namespace)) {
        errors.push(no_name("namespace", namespace));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let data = each(variables, |text, (key, value)| {
        if !is_key(key) {
            return Err(RenderError::name_because(key, "which is no key of a Secret")
                .help("use letters, digits, `-`, `_` and `.`, and at most 253 of them"));
        }
        text.extend(b"  ");
        yaml::key(key, text);
        // In quotes, since digits alone would be a number.
        text.extend(b": \"");
        text.extend(Zeroizing::new(BASE64_STANDARD.encode(value.expose())).as_bytes());
        text.extend(b"\"\n");
        Ok(())
    })?;
    if variables.iter().map(|(_, value)| value.len()).sum::<usize>() > LARGEST {
        let largest = variables.iter().max_by_key(|(_, value)| value.len()).map_or("", |(name, _)| *name);
        let why = format!("the values come to more than the 1 MiB of a Secret; the largest is `{largest}`");
        return Err(vec![RenderError::value(largest, why).help("split the environment into two Secrets")]);
    }
    let mut manifest = Buffer::with_capacity(data.len() + 512);
    manifest.extend(b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: ");
    yaml::quote(name.unwrap_or_default(), &mut manifest);
    manifest.push(b'\n');
    if let Some(namespace) = namespace {
        manifest.extend(b"  namespace: ");
        yaml::quote(namespace, &mut manifest);
        manifest.push(b'\n');
    }
    manifest.extend(b"type: Opaque\n");
    if data.is_empty() {
        manifest.extend(b"data: {}\n");
    } else {
        manifest.extend(b"data:\n");
        manifest.extend(&data);
    }
    Ok(manifest)
}

fn no_name(what: &str, name: &str) -> RenderError {
    RenderError::new(
        RenderErrorKind::Format,
        format!("`{name}` is no name of a {what} that Kubernetes takes"),
    )
    .help("use lower-case letters, digits and `-`, not at the start or the end")
}

/// The key of a Secret: "must consist of alphanumeric characters, `-`, `_` or `.`".
fn is_key(key: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !key.is_empty() && key.len() <= 253 && key.bytes().all(is_allowed) && key != "." && !key.starts_with("..")
}

/// RFC 1123's label: "Object Names and IDs".
fn is_label(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(is_allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Labels with dots between them, each of any length.
fn is_subdomain(name: &str) -> bool {
    let is_part = |part: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && part.bytes().all(is_allowed) && !part.starts_with('-') && !part.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_part)
}
