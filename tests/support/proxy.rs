//! An HTTP proxy that opens tunnels (`CONNECT`), all of them to one address, or refuses them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A running proxy. It ends with the test's process.
pub(crate) struct Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Proxy {
    /// Starts a proxy whose every tunnel leads to `target`, whatever name was asked for.
    pub(crate) fn to(target: SocketAddr) -> Self {
        Self::start(Some(target))
    }

    /// Starts a proxy that asks for other credentials, whatever it gets.
    pub(crate) fn refusing() -> Self {
        Self::start(None)
    }

    fn start(target: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("the address of a bound listener");
        let seen: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
        let record = Arc::clone(&seen);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let record = Arc::clone(&record);
                std::thread::spawn(move || tunnel(client, target, &record));
            }
        });
        Self { address, seen }
    }

    /// Returns `127.0.0.1:<port>`.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the lines of each request so far.
    pub(crate) fn seen(&self) -> Vec<Vec<String>> {
        self.seen.lock().expect("no panics").clone()
    }
}

/// Reads a request; a client that breaks off is no failure of the test.
fn tunnel(mut client: TcpStream, target: Option<SocketAddr>, seen: &Mutex<Vec<Vec<String>>>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        lines.push(line.to_owned());
    }
    seen.lock().ok()?.push(lines);
    let Some(target) = target else {
        let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
        return client.write_all(answer.as_bytes()).ok();
    };
    let mut server = TcpStream::connect(target).ok()?;
    client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").ok()?;
    let (mut upstream, mut downstream) = (server.try_clone().ok()?, client.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut upstream, &mut downstream);
        let _ = downstream.shutdown(Shutdown::Write);
    });
    std::io::copy(&mut client, &mut server).ok()?;
    server.shutdown(Shutdown::Write).ok()
}
