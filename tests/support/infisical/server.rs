//! The fake while it is prepared, and while it runs.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;

use super::super::loopback::{Connection, Loopback};
use super::super::tls::Certificate;
use super::answer::no_route;
use super::check::complaints;
use super::fault::{Fault, Faults, Kind};
use super::identity::{Identity, ServiceToken};
use super::request::{Asked, Seen};
use super::routes::Route;
use super::spoil::{in_place_of_an_answer, redirect, spoil, web_page};
use super::world::{Generation, World};

/// The largest body that the server reads.
const LARGEST_BODY: usize = 1 << 20;

/// A server that is being prepared.
#[must_use = "nothing listens before `start`"]
pub(crate) struct Infisical {
    world: World,
    faults: Faults,
    strict: bool,
}

impl Infisical {
    /// Prepares an empty server.
    pub(crate) fn new(generation: Generation) -> Self {
        Self { world: World::new(generation), faults: Faults::default(), strict: true }
    }

    /// Changes what the server holds, for what has no method here.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut World)) -> Self {
        change(&mut self.world);
        self
    }

    /// Adds a project; secrets, folders and service tokens that follow go into it.
    pub(crate) fn project(self, id: &str, slug: &str, environments: &[&str]) -> Self {
        self.with(|world| {
            world.project(id, slug, environments);
        })
    }

    /// Adds a folder and its parents.
    pub(crate) fn folder(self, environment: &str, path: &str) -> Self {
        self.with(|world| {
            world.folder(environment, path);
        })
    }

    /// Writes a secret: a new one, or the next version of the one that is there.
    pub(crate) fn secret(self, environment: &str, path: &str, name: &str, value: &str) -> Self {
        self.with(|world| {
            world.secret(environment, path, name, value);
        })
    }

    /// Lets the folder `to` import the folder `from`, each an environment and a path; later imports win.
    pub(crate) fn import(self, to: (&str, &str), from: (&str, &str)) -> Self {
        self.with(|world| {
            world.import(to, from);
        })
    }

    /// Makes the server answer the mask in place of this value.
    pub(crate) fn hidden(self, environment: &str, path: &str, name: &str) -> Self {
        self.with(|world| {
            world.hide(environment, path, name);
        })
    }

    /// Adds an identity that may do everything.
    pub(crate) fn identity(self, client_id: &str, client_secret: &str) -> Self {
        self.identity_with(Identity::new(client_id, client_secret))
    }

    /// Adds an identity with limits.
    pub(crate) fn identity_with(self, identity: Identity) -> Self {
        self.with(|world| {
            world.add_identity(identity);
        })
    }

    /// Adds a service token for the project added last.
    pub(crate) fn service_token(self, token: ServiceToken) -> Self {
        self.with(|world| {
            world.service_token(token);
        })
    }

    /// Makes something go wrong on a route, such as `GET /api/v3/secrets/raw`, or on all of them (`*`).
    pub(crate) fn fault(mut self, route: &str, fault: Fault) -> Self {
        self.faults.add(route, fault);
        self
    }

    /// Lets `choose` decide by route and address what goes wrong with each request, where no other fault hits.
    pub(crate) fn faults_by(
        mut self,
        choose: impl FnMut(&str, &str) -> Option<Fault> + Send + 'static,
    ) -> Self {
        self.faults.choose_by(Box::new(choose));
        self
    }

    /// Accepts what the real server drops without a word, for tests of the server itself.
    pub(crate) fn lenient(mut self) -> Self {
        self.strict = false;
        self
    }

    /// Starts the server on a free loopback port.
    pub(crate) fn start(self) -> Server {
        self.start_on(Loopback::plain)
    }

    /// Starts the server with TLS.
    pub(crate) fn start_tls(self, certificate: &Certificate) -> Server {
        self.start_on(|router| Loopback::tls(router, certificate))
    }

    fn start_on(self, start: impl FnOnce(Router) -> Loopback) -> Server {
        let shared = Arc::new(Shared {
            world: Mutex::new(self.world),
            faults: Mutex::new(self.faults),
            seen: Mutex::default(),
            complaints: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        Server { loopback: start(router), shared, strict: self.strict }
    }
}

/// A running server. Dropping it stops it, and fails the test if a request was careless.
pub(crate) struct Server {
    loopback: Loopback,
    shared: Arc<Shared>,
    strict: bool,
}

impl Server {
    /// Returns the address, such as `http://127.0.0.1:40123`.
    pub(crate) fn url(&self) -> String {
        self.loopback.url()
    }

    /// Returns where the server listens.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.loopback.address()
    }

    /// Returns what was asked so far.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// Counts the requests to a route (`GET /api/v3/secrets/raw/{name}`) or a path (`GET /api/v3/secrets/raw/KEY`).
    pub(crate) fn count(&self, route: &str) -> usize {
        let same = |seen: &&Seen| seen.route == route || format!("{} {}", seen.method, seen.path) == route;
        lock(&self.shared.seen).iter().filter(same).count()
    }

    /// Counts the logins, refused ones included.
    pub(crate) fn logins(&self) -> usize {
        let is_login =
            |seen: &&Seen| seen.route.starts_with("POST /api/v1/auth/") && seen.route.ends_with("/login");
        lock(&self.shared.seen).iter().filter(is_login).count()
    }

    /// Counts all requests.
    pub(crate) fn total(&self) -> usize {
        lock(&self.shared.seen).len()
    }

    /// Counts the connections.
    pub(crate) fn connections(&self) -> usize {
        self.loopback.connections()
    }

    /// Returns how many requests were being answered at the same time, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.most_in_flight.load(Ordering::SeqCst)
    }

    /// Returns the access tokens given out so far, so that a test can look for them where they must not be.
    pub(crate) fn tokens(&self) -> Vec<String> {
        lock(&self.shared.world).tokens.keys().cloned().collect()
    }

    /// Changes what the server holds while it runs: `server.change(|world| { world.expire_tokens(); })`.
    pub(crate) fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut lock(&self.shared.world));
    }

    /// Makes something go wrong from now on.
    pub(crate) fn fault(&self, route: &str, fault: Fault) {
        lock(&self.shared.faults).add(route, fault);
    }

    /// Takes all faults back.
    pub(crate) fn heal(&self) {
        *lock(&self.shared.faults) = Faults::default();
    }

    /// Returns what was careless about the requests so far, each complaint once.
    pub(crate) fn complaints(&self) -> BTreeSet<String> {
        lock(&self.shared.complaints).clone()
    }

    /// Fails the test if a request was careless.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        let complaints: Vec<String> = self.complaints().into_iter().collect();
        assert!(complaints.is_empty(), "the fake Infisical complains:\n  {}", complaints.join("\n  "));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.strict && !std::thread::panicking() {
            self.assert_clean();
        }
    }
}

struct Shared {
    world: Mutex<World>,
    faults: Mutex<Faults>,
    seen: Mutex<Vec<Seen>>,
    complaints: Mutex<BTreeSet<String>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

/// A handler that panicked has said so already; what the others see stays as it was.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a request as being answered, also when its client goes away.
struct InFlight<'a>(&'a Shared);

impl<'a> InFlight<'a> {
    fn enter(shared: &'a Shared) -> Self {
        let now = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_in_flight.fetch_max(now, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let _in_flight = InFlight::enter(&shared);
    let (parts, body) = request.into_parts();
    let address = parts.uri.path_and_query().map_or("/", |address| address.as_str()).to_owned();
    let body = axum::body::to_bytes(body, LARGEST_BODY).await.ok();
    let asked = Asked::new(parts.method.as_str(), &address, parts.headers, body);
    let route = Route::of(lock(&shared.world).generation, &asked);
    let name = route.as_ref().map_or("none", Route::name);
    let position = {
        let mut seen = lock(&shared.seen);
        seen.push(asked.record(name));
        seen.len() - 1
    };
    if let Some(route) = &route {
        lock(&shared.complaints).extend(complaints(route, &asked));
    }
    let exact = format!("{} {}", asked.method, asked.path());
    let (delay, kind) = lock(&shared.faults).hit(name, &exact, &asked.address);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let reply = match &kind {
        Some(Kind::Silence) => return std::future::pending().await,
        Some(Kind::Reset) => {
            connection.reset();
            return Response::new(Body::empty());
        }
        Some(Kind::Redirect) => redirect(),
        Some(Kind::Html) => web_page(200, "the dashboard"),
        Some(Kind::Status(status)) if *status != 500 => {
            web_page(*status, "the proxy cannot reach the server")
        }
        kind => {
            let mut world = lock(&shared.world);
            match kind {
                Some(Kind::Expiry) => {
                    world.expire_tokens();
                }
                Some(Kind::Revocation) => {
                    world.revoke_tokens();
                }
                _ => {}
            }
            let (caller, answer) = match kind.as_ref().and_then(in_place_of_an_answer) {
                Some(answer) => (None, Box::new(answer)),
                None if kind == &Some(Kind::Gone) => (None, no_route(&asked.method, &asked.address)),
                None => world.answer(route.as_ref(), &asked),
            };
            world.reply(caller, &asked, *answer)
        }
    };
    if let Some(seen) = lock(&shared.seen).get_mut(position) {
        seen.status = Some(reply.status);
    }
    spoil(reply, kind)
}
