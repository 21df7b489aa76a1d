//! Takes a request through script, credentials, method and quota to an account, and keeps the log
//! of what was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use url::form_urlencoded;

use super::lock;
use super::ringing::Ringing;
use crate::toggl::account::Account;
use crate::toggl::answer::{Answer, Content, Scripts};
use crate::toggl::attendance::Attendance;
use crate::toggl::behaviour::Behaviour;
use crate::toggl::changes::Changes;
use crate::toggl::credentials;
use crate::toggl::endpoint::Endpoint;
use crate::toggl::quota::{Bucket, Quota, QuotaLimits, Standing};
use crate::toggl::record::Record;
use crate::toggl::reply::Reply;
use crate::toggl::request_log::{RequestLog, SeenRequest};
use crate::toggl::resources::Resources;
use crate::toggl::webhooks::Webhooks;

/// The state that requests and tests share. A request locks one part at a time, so a test may use
/// the simulator while it visits an account.
#[derive(Debug)]
pub(super) struct Toggl {
    pub(super) tenants: Vec<Tenant>,
    pub(super) behaviour: Mutex<Behaviour>,
    pub(super) scripts: Mutex<Scripts>,
    pub(super) changes: Mutex<Changes>,
    pub(super) log: RequestLog,
    pub(super) attendance: Attendance,
    pub(super) ringing: Ringing,
}

/// An account and what its user may still ask.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) account: Mutex<Account>,
    pub(super) webhooks: Mutex<Webhooks>,
    quota: Mutex<Quota>,
}

/// A request that has arrived as a whole.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) head: Parts,
    pub(super) body: Bytes,
}

impl Toggl {
    pub(super) fn of(accounts: Vec<Account>) -> Self {
        let tenants = accounts.into_iter().map(|account| Tenant {
            account: Mutex::new(account),
            webhooks: Mutex::default(),
            quota: Mutex::new(Quota::new(QuotaLimits::default())),
        });
        Self {
            tenants: tenants.collect(),
            behaviour: Mutex::default(),
            scripts: Mutex::default(),
            changes: Mutex::default(),
            log: RequestLog::new(),
            attendance: Attendance::default(),
            ringing: Ringing::default(),
        }
    }

    pub(super) fn first(&self) -> &Tenant {
        self.tenants.first().expect("a simulator serves an account")
    }

    /// Makes the changes that were to come before this request.
    fn change(&self, asked: &Asked) {
        let due = lock(&self.changes).due(asked.head.uri.path());
        let place = self.place(&asked.head.headers);
        let place = if place < self.tenants.len() { place } else { 0 };
        self.visit(place, |account| due.make(account));
    }

    /// Lets somebody change an account, and rings for what has happened then.
    pub(super) fn visit<T>(&self, place: usize, visit: impl FnOnce(&mut Account) -> T) -> T {
        let tenant = self.tenants.get(place).unwrap_or_else(|| self.first());
        let (result, happenings) = {
            let mut account = lock(&tenant.account);
            let result = visit(&mut account);
            (result, account.take_happenings())
        };
        if !happenings.is_empty() {
            self.ring(place, &happenings);
        }
        result
    }

    /// The answer of an account, with everything Toggl checks before.
    fn reply(&self, asked: &Asked) -> Reply {
        let endpoint = Endpoint::of(asked.head.uri.path());
        let headers = &asked.head.headers;
        let (tenant, reply) = match self.tenant(headers) {
            Some(tenant) => (tenant, self.answer(tenant, endpoint, asked)),
            None => (self.first(), self.refusal(headers)),
        };
        reply.with_standing(tenant.standing(tenant.bucket(endpoint)))
    }

    /// Whose token the request brings.
    fn tenant(&self, headers: &HeaderMap) -> Option<&Tenant> {
        self.tenants.get(self.place(headers))
    }

    /// Where among the accounts that one is; after all of them if there is none.
    pub(super) fn place(&self, headers: &HeaderMap) -> usize {
        let is_known =
            |tenant: &Tenant| credentials::are_of(headers, lock(&tenant.account).token());
        self.tenants.iter().position(is_known).unwrap_or(self.tenants.len())
    }

    /// The answer to a request with credentials that are missing or wrong.
    fn refusal(&self, headers: &HeaderMap) -> Reply {
        if !credentials::are_given(headers) {
            return Reply::credentials_missing();
        }
        let status = StatusCode::from_u16(lock(&self.behaviour).wrong_token_status);
        Reply::refusal(status.expect("an HTTP status"), "Incorrect username and/or password")
    }

    fn answer(&self, tenant: &Tenant, endpoint: Option<Endpoint>, asked: &Asked) -> Reply {
        let Some(endpoint) = endpoint else {
            return Reply::refusal(StatusCode::NOT_FOUND, "Not Found");
        };
        if !endpoint.takes(&asked.head.method) {
            return Reply::refusal(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
        }
        if let Err(used_up) = tenant.spend(endpoint) {
            return Reply::quota_used_up(used_up);
        }
        let query = asked.head.uri.query().unwrap_or_default();
        let query = form_urlencoded::parse(query.as_bytes());
        let query = query.into_owned().collect::<HashMap<_, _>>();
        let (behaviour, quotas) = (lock(&self.behaviour).clone(), tenant.standings());
        if endpoint.is_of_webhooks() {
            return tenant.answer_about_webhooks(endpoint, asked, &query, &behaviour);
        }
        let account = &lock(&tenant.account);
        let body = &asked.body;
        Resources { account, behaviour: &behaviour, query, body, quotas }.reply(endpoint)
    }
}

impl Tenant {
    pub(super) fn limit_quota(&self, limits: QuotaLimits) {
        *lock(&self.quota) = Quota::new(limits);
    }

    pub(super) fn advance_quota_clock(&self, by: Duration) {
        lock(&self.quota).advance(by);
    }

    /// Pays for the request; the standing of the bucket that is used up.
    fn spend(&self, endpoint: Endpoint) -> Result<(), Standing> {
        let bucket = self.bucket(Some(endpoint));
        let mut quota = lock(&self.quota);
        if endpoint.is_counted() && quota.spend(bucket).is_err() {
            return Err(quota.standing(bucket));
        }
        Ok(())
    }

    /// What Toggl does not know belongs to the first organisation.
    fn bucket(&self, endpoint: Option<Endpoint>) -> Bucket {
        let account = lock(&self.account);
        endpoint.map_or_else(
            || Bucket::Organization(account.organization_of(None)),
            |endpoint| endpoint.bucket(&account),
        )
    }

    fn standing(&self, bucket: Bucket) -> Standing {
        lock(&self.quota).standing(bucket)
    }

    /// Of each organisation, and of `/me` under none.
    fn standings(&self) -> Vec<(Option<i64>, Standing)> {
        let ids: Vec<i64> = lock(&self.account).organizations().iter().map(Record::id).collect();
        let quota = lock(&self.quota);
        let of = |id| (Some(id), quota.standing(Bucket::Organization(Some(id))));
        ids.into_iter().map(of).chain([(None, quota.standing(Bucket::Me))]).collect()
    }
}

/// Answers one request. A scripted answer comes before everything else, as a proxy's would.
pub(super) async fn respond(State(toggl): State<Arc<Toggl>>, request: Request) -> Response {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    // A client that hangs up while it posts has posted nothing.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let asked = Asked { head, body };
    let place = toggl.place(&asked.head.headers);
    let _visit = toggl.attendance.enter(place);
    let number = toggl.log.open(asked.seen(at));
    let script = lock(&toggl.scripts).next(asked.head.uri.path(), &asked.head.headers);
    let script = script.unwrap_or_else(Answer::pass_through);
    if let Some(gathering) = &script.gathering {
        gathering.join(place).await;
    }
    if !script.delay.is_zero() {
        tokio::time::sleep(script.delay).await;
    }
    toggl.change(&asked);
    let reply = match script.content {
        Content::Canned(canned) => Reply::from(canned),
        Content::PassThrough => {
            let reply = toggl.reply(&asked);
            toggl.tried_address(&asked, reply).await
        }
    };
    toggl.log.close(number, reply.status().as_u16());
    let now = lock(&toggl.behaviour).clock();
    reply.dated(now).into_response(script.delivery)
}

impl Asked {
    fn seen(&self, at: Instant) -> SeenRequest {
        SeenRequest {
            at,
            method: self.head.method.to_string(),
            path: self.head.uri.path().to_owned(),
            query: self.head.uri.query().unwrap_or_default().to_owned(),
            authorization: credentials::are_given(&self.head.headers),
            body: String::from_utf8_lossy(&self.body).into_owned(),
            status: None,
        }
    }
}
