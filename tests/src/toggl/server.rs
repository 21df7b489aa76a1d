//! The HTTP side: takes a request through script, method, credentials and quota to the account,
//! and keeps the log of what was asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use url::{Url, form_urlencoded};

use super::account::Account;
use super::answer::{Answer, Content, Scripts};
use super::behaviour::Behaviour;
use super::credentials::{Credentials, credentials};
use super::endpoint::Endpoint;
use super::quota::{Bucket, Quota, QuotaLimits, Standing};
use super::reply::Reply;
use super::request_log::{RequestLog, SeenRequest};
use super::resources::Resources;

/// A Toggl of its own on a port of this machine. Dropping it closes the port.
#[derive(Debug)]
pub struct Simulator {
    toggl: Arc<Toggl>,
    address: SocketAddr,
    /// Dropped with the simulator, which ends the server.
    _running: oneshot::Sender<()>,
}

/// The state that requests and tests share. A request locks one part at a time, so a test may use
/// the simulator while it visits the account.
#[derive(Debug)]
struct Toggl {
    account: Mutex<Account>,
    behaviour: Mutex<Behaviour>,
    quota: Mutex<Quota>,
    scripts: Mutex<Scripts>,
    log: RequestLog,
}

impl Simulator {
    /// Serves the account on a free port. The quota is out of reach until it is limited.
    ///
    /// # Panics
    ///
    /// If no port can be opened.
    pub async fn start(account: Account) -> Self {
        let toggl = Arc::new(Toggl {
            account: Mutex::new(account),
            behaviour: Mutex::default(),
            quota: Mutex::new(Quota::new(QuotaLimits::default())),
            scripts: Mutex::default(),
            log: RequestLog::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let (running, ended) = oneshot::channel::<()>();
        let router = Router::new().fallback(respond).with_state(Arc::clone(&toggl));
        tokio::spawn(async move {
            let server = axum::serve(listener, router);
            server.with_graceful_shutdown(async { drop(ended.await) }).await
        });
        Self { toggl, address, _running: running }
    }

    /// Root of the server, `http://127.0.0.1:<port>/`, in place of `https://api.track.toggl.com/`.
    ///
    /// # Panics
    ///
    /// Never: an address is a URL.
    pub fn url(&self) -> Url {
        format!("http://{}/", self.address).parse().expect("an address is a URL")
    }

    /// Reads or changes the account between two requests.
    pub fn with_account<T>(&self, visit: impl FnOnce(&mut Account) -> T) -> T {
        visit(&mut lock(&self.toggl.account))
    }

    /// Changes how requests are answered from now on.
    pub fn configure(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut lock(&self.toggl.behaviour));
    }

    /// Limits the quota. Both buckets are full again, their windows not yet open.
    pub fn limit_quota(&self, limits: QuotaLimits) {
        *lock(&self.toggl.quota) = Quota::new(limits);
    }

    /// Lets time pass for the quota's windows, and for nothing else.
    pub fn advance_quota_clock(&self, by: Duration) {
        lock(&self.toggl.quota).advance(by);
    }

    /// Puts an answer at the end of the queue of a path, which may hold `{…}` for any one
    /// segment, as `/api/v9/workspaces/{w}/tags`. Paths the simulator does not know are fine.
    pub fn script(&self, pattern: &str, answer: Answer) {
        lock(&self.toggl.scripts).add(pattern, answer);
    }

    /// Forgets all answers not yet given out, those given out forever too.
    pub fn clear_scripts(&self) {
        lock(&self.toggl.scripts).clear();
    }

    /// Every request so far, in order of arrival.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.toggl.log.all()
    }

    /// How many requests have arrived whose path begins so.
    pub fn count(&self, path_prefix: &str) -> usize {
        self.toggl.log.count(path_prefix)
    }

    /// Returns once that many requests have arrived whose path begins so, answered or not.
    pub async fn wait_for(&self, path_prefix: &str, count: usize) {
        self.toggl.log.wait_for(path_prefix, count).await;
    }
}

impl Toggl {
    /// The answer of the account, with everything Toggl checks before.
    fn reply(&self, request: &Request) -> Reply {
        let endpoint = Endpoint::of(request.uri().path());
        let bucket = endpoint.map_or(Bucket::Organization, Endpoint::bucket);
        let reply = match self.refusal(request.headers()) {
            Some(refusal) => refusal,
            None if request.method() != Method::GET => {
                Reply::refusal(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            }
            None => endpoint.map_or_else(
                || Reply::refusal(StatusCode::NOT_FOUND, "Not Found"),
                |endpoint| self.resource(endpoint, request.uri().query()),
            ),
        };
        let standing = lock(&self.quota).standing(bucket);
        reply.with_standing(standing)
    }

    /// The answer to a request with credentials that are missing or wrong.
    fn refusal(&self, headers: &HeaderMap) -> Option<Reply> {
        let credentials = credentials(headers, lock(&self.account).token());
        match credentials {
            Credentials::Accepted => None,
            Credentials::Missing => Some(Reply::credentials_missing()),
            Credentials::Wrong => {
                let status = StatusCode::from_u16(lock(&self.behaviour).wrong_token_status);
                let status = status.expect("an HTTP status");
                Some(Reply::refusal(status, "Incorrect username and/or password"))
            }
        }
    }

    fn resource(&self, endpoint: Endpoint, query: Option<&str>) -> Reply {
        let (me_quota, organization_quota) = match self.spend(endpoint) {
            Ok(standings) => standings,
            Err(used_up) => return Reply::quota_used_up(used_up),
        };
        let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let query = query.into_owned().collect::<HashMap<_, _>>();
        let behaviour = lock(&self.behaviour).clone();
        let account = &lock(&self.account);
        Resources { account, behaviour: &behaviour, query, me_quota, organization_quota }
            .reply(endpoint)
    }

    /// Pays for the request. The standings of the `/me` and the organisation's bucket, or of the
    /// one that is used up.
    fn spend(&self, endpoint: Endpoint) -> Result<(Standing, Standing), Standing> {
        let mut quota = lock(&self.quota);
        let bucket = endpoint.bucket();
        if endpoint.is_counted() && quota.spend(bucket).is_err() {
            return Err(quota.standing(bucket));
        }
        Ok((quota.standing(Bucket::Me), quota.standing(Bucket::Organization)))
    }
}

/// Answers one request. A scripted answer comes before everything else, as a proxy's would.
async fn respond(State(toggl): State<Arc<Toggl>>, request: Request) -> Response {
    let number = toggl.log.open(SeenRequest {
        at: Instant::now(),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        status: None,
    });
    let script = lock(&toggl.scripts).next(request.uri().path());
    let script = script.unwrap_or_else(Answer::pass_through);
    if !script.delay.is_zero() {
        tokio::time::sleep(script.delay).await;
    }
    let reply = match script.content {
        Content::Canned(canned) => Reply::from(canned),
        Content::PassThrough => toggl.reply(&request),
    };
    toggl.log.close(number, reply.status().as_u16());
    reply.into_response(script.hang_up_after)
}

/// A test that panicked while it held a lock has failed already; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
