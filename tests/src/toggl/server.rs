//! The simulator as tests hold it: where it listens, whom it serves, and what they change.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use url::Url;

use super::account::Account;
use super::answer::Answer;
use super::behaviour::Behaviour;
use super::changes::Changes;
use super::quota::QuotaLimits;
use super::request_log::SeenRequest;

mod requests;
mod ringing;

use requests::{Tenant, Toggl};
pub use ringing::SeenDelivery;

/// A Toggl of its own on a port of this machine. Dropping it closes the port.
#[derive(Debug)]
pub struct Simulator {
    toggl: Arc<Toggl>,
    address: SocketAddr,
    /// Dropped with the simulator, which ends the server.
    _running: oneshot::Sender<()>,
}

impl Simulator {
    /// Serves the account on a free port. The quota is out of reach until it is limited.
    ///
    /// # Panics
    ///
    /// If no port can be opened.
    pub async fn start(account: Account) -> Self {
        Self::start_many(vec![account]).await
    }

    /// Serves several accounts, each to whoever brings its token, and each with a quota of its
    /// own. They share nothing: what is changed in one is not changed in another that holds the
    /// same workspace.
    ///
    /// # Panics
    ///
    /// If no port can be opened, without any account, or if two have the same token.
    pub async fn start_many(accounts: Vec<Account>) -> Self {
        let tokens: HashSet<&str> = accounts.iter().map(Account::token).collect();
        assert!(!accounts.is_empty() && tokens.len() == accounts.len(), "accounts need tokens");
        let toggl = Arc::new(Toggl::of(accounts));
        ringing::begin(&toggl);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let (running, ended) = oneshot::channel::<()>();
        let router = Router::new().fallback(requests::respond).with_state(Arc::clone(&toggl));
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

    /// Reads or changes the account, the first if there are several, between two requests.
    pub fn with_account<T>(&self, visit: impl FnOnce(&mut Account) -> T) -> T {
        self.toggl.visit(0, visit)
    }

    /// The same for the account that has this token now.
    ///
    /// # Panics
    ///
    /// If none has.
    pub fn with_account_of<T>(&self, token: &str, visit: impl FnOnce(&mut Account) -> T) -> T {
        let has_token = |tenant: &&Tenant| lock(&tenant.account).token() == token;
        let place = self.toggl.tenants.iter().position(|tenant| has_token(&tenant));
        self.toggl.visit(place.expect("an account of this token"), visit)
    }

    /// Changes how requests are answered from now on.
    pub fn configure(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut lock(&self.toggl.behaviour));
    }

    /// Limits the quota, of each account the same. All buckets are full again, their windows not
    /// yet open.
    pub fn limit_quota(&self, limits: QuotaLimits) {
        self.toggl.tenants.iter().for_each(|tenant| tenant.limit_quota(limits));
    }

    /// Lets time pass for the quota's windows, and for nothing else.
    pub fn advance_quota_clock(&self, by: Duration) {
        self.toggl.tenants.iter().for_each(|tenant| tenant.advance_quota_clock(by));
    }

    /// Puts an answer at the end of the queue of a path, which may hold `{…}` for any one
    /// segment, as `/api/v9/workspaces/{w}/tags`. Paths the simulator does not know are fine.
    pub fn script(&self, pattern: &str, answer: Answer) {
        lock(&self.toggl.scripts).add(pattern, answer);
    }

    /// Changes the account just before the nth request to a path is answered, counted from 1 and from
    /// now. The path may hold `{…}` for any one segment; `*` or nothing is any path. With several
    /// accounts it is that of who asks.
    ///
    /// # Panics
    ///
    /// If `nth` is zero.
    pub fn before_request(
        &self,
        pattern: &str,
        nth: usize,
        change: impl FnOnce(&mut Account) + Send + 'static,
    ) {
        lock(&self.toggl.changes).before_request(pattern, nth, Box::new(change));
    }

    /// Changes the account before every request from now on, instead of what did so until now. The
    /// change is told the number of the request, from 1.
    pub fn before_every_request(&self, change: impl FnMut(&mut Account, usize) + Send + 'static) {
        lock(&self.toggl.changes).before_every_request(Arc::new(Mutex::new(change)));
    }

    /// Leaves the account as it is from now on: no change that waits for a request is made.
    pub fn calm_down(&self) {
        *lock(&self.toggl.changes) = Changes::default();
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

    /// The most accounts that had requests open at the same time.
    pub fn most_accounts_at_once(&self) -> usize {
        self.toggl.attendance.most()
    }

    /// Returns once that many requests have arrived whose path begins so, answered or not.
    pub async fn wait_for(&self, path_prefix: &str, count: usize) {
        self.toggl.log.wait_for(path_prefix, count).await;
    }
}

/// A test that panicked while it held a lock has failed already; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
