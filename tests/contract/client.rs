//! A web client that sends exactly the bytes it is told to: no library may tidy a path or add a header here.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What came back.
pub(crate) struct Received {
    pub(crate) status: u16,
    /// Header names are in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// A request that waits to be sent.
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Self { method: "GET", path, headers: Vec::new(), body: None }
    }

    pub(crate) fn bearer(mut self, token: &str) -> Self {
        self.headers.push(("Authorization".into(), format!("Bearer {token}")));
        self
    }

    pub(crate) fn json(path: &'a str, body: &serde_json::Value) -> Self {
        let headers = vec![("Content-Type".into(), "application/json".into())];
        Self { method: "POST", path, headers, body: Some(body.to_string().into_bytes()) }
    }

    /// Sends the request to `http://address` and reads until the server closes.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or ends before the length that was announced.
    pub(crate) fn send(&self, url: &str) -> std::io::Result<Received> {
        let address = url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut head =
            format!("{} {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(self.body.as_deref().unwrap_or_default())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        parse(&bytes).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }
}

fn parse(bytes: &[u8]) -> Option<Received> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let body = bytes[end + 4..].to_vec();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| line.split_once(':').map(|(k, v)| (k.to_lowercase(), v.trim().to_owned()));
    let headers: HashMap<String, String> = lines.filter_map(header).collect();
    let announced: usize =
        headers.get("content-length").map_or(Some(body.len()), |length| length.parse().ok())?;
    (body.len() == announced).then_some(Received { status, headers, body })
}
