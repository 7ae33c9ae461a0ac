//! A web server on a free loopback port that lives as long as its handle, and can break a connection on purpose.
//!
//! The server runs on a thread of its own with a `current_thread` runtime, so that a test stays plain code and can
//! block on the program it runs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls::Certificate;

/// A running server; dropping it stops it and closes every connection.
pub(crate) struct Loopback {
    address: SocketAddr,
    scheme: &'static str,
    connections: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Serves plain HTTP/1.1.
    pub(crate) fn plain(router: Router) -> Self {
        Self::start(router, None)
    }

    /// Serves HTTP/1.1 over TLS with `certificate`, and HTTP/2 where the certificate says so.
    pub(crate) fn tls(router: Router, certificate: &Certificate) -> Self {
        Self::start(router, Some(certificate.acceptor()))
    }

    fn start(router: Router, acceptor: Option<TlsAcceptor>) -> Self {
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        socket.set_nonblocking(true).expect("a non-blocking listener");
        let address = socket.local_addr().expect("the address of a bound listener");
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let connections = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = oneshot::channel();
        let count = Arc::clone(&connections);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(socket).expect("a listener for the runtime");
                let service = router.into_make_service_with_connect_info::<Connection>();
                let served = axum::serve(Acceptor::new(listener, acceptor, count), service);
                tokio::select! {
                    _ = served => {}
                    _ = stopped => {}
                }
            });
            // Answers that never come are still pending here; dropping the runtime ends them.
        });
        Self { address, scheme, connections, stop: Some(stop), thread: Some(thread) }
    }

    /// Returns `http://127.0.0.1:<port>`, or the same with `https`.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Returns where the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns how many connections were opened so far, failed TLS handshakes included.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A refused message means that the thread is gone already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the server's thread was printed when it happened.
            let _ = thread.join();
        }
    }
}

/// The handler's hold on the connection that a request came in on.
#[derive(Clone)]
pub(crate) struct Connection {
    broken: Arc<AtomicBool>,
}

impl Connection {
    /// Makes the next write on this connection end it with a TCP reset.
    pub(crate) fn reset(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }
}

impl Connected<IncomingStream<'_, Acceptor>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Acceptor>) -> Self {
        Self { broken: Arc::clone(&stream.io().broken) }
    }
}

/// Accepts connections and shakes hands on tasks of their own, so that a silent client holds up nobody.
pub(crate) struct Acceptor {
    ready: mpsc::Receiver<(Breakable, SocketAddr)>,
    address: SocketAddr,
}

impl Acceptor {
    fn new(listener: TcpListener, tls: Option<TlsAcceptor>, connections: Arc<AtomicUsize>) -> Self {
        let address = listener.local_addr().expect("the address of a bound listener");
        let (sender, ready) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(shake_hands(stream, peer, tls.clone(), sender.clone()));
            }
        });
        Self { ready, address }
    }
}

async fn shake_hands(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    ready: mpsc::Sender<(Breakable, SocketAddr)>,
) {
    // Answers are small and the client waits for each, so that the kernel must not gather them.
    let _ = stream.set_nodelay(true);
    let inner = match tls {
        None => Stream::Plain(stream),
        // A client that does not trust the certificate hangs up here; that is what it should do.
        Some(tls) => match tls.accept(stream).into_fallible().await {
            Ok(stream) => Stream::Tls(Box::new(stream)),
            Err((_, stream)) => return hang_up(stream).await,
        },
    };
    let _ = ready.send((Breakable { inner, broken: Arc::default() }, peer)).await;
}

/// Ends a connection so that the client reads why: closing with bytes unread would reset it.
async fn hang_up(mut stream: TcpStream) {
    // The client may be gone already.
    let _ = stream.shutdown().await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

impl Listener for Acceptor {
    type Io = Breakable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Breakable, SocketAddr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// A stream that fails on demand.
pub(crate) struct Breakable {
    inner: Stream,
    broken: Arc<AtomicBool>,
}

impl AsyncRead for Breakable {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Breakable {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.broken.load(Ordering::SeqCst) {
            // Closing with a zero linger time makes the kernel send RST in place of FIN.
            let _ = this.inner.tcp().set_zero_linger();
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        match &mut this.inner {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
