//! Webhooks as the server answers for them, and the calls that follow from what happens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::requests::{Asked, Tenant, Toggl};
use super::{Simulator, lock};
use crate::toggl::behaviour::Behaviour;
use crate::toggl::endpoint::Endpoint;
use crate::toggl::happenings::Happening;
use crate::toggl::reply::Reply;
use crate::toggl::resources::no_access;
use crate::toggl::ringer::Ringer;
use crate::toggl::webhooks::{Subscription, Tried};

/// Calls that are to be made, one after the other: whose, and where among what was tried.
type Calls = Vec<(usize, usize)>;

/// What makes the calls.
#[derive(Debug, Default)]
pub(super) struct Ringing {
    ringer: Ringer,
    calls: Mutex<Option<mpsc::UnboundedSender<Calls>>>,
    called: watch::Sender<()>,
}

/// An event that was delivered, or tried to be.
#[derive(Debug, Clone)]
pub struct SeenDelivery {
    /// As it was sent, without what each subscription adds.
    pub event: Value,
    /// What was answered last; none where nobody answered.
    pub status: Option<u16>,
}

/// Makes calls for as long as there is a simulator.
pub(super) fn begin(toggl: &Arc<Toggl>) {
    let (sender, mut calls) = mpsc::unbounded_channel::<Calls>();
    *lock(&toggl.ringing.calls) = Some(sender);
    let toggl = Arc::downgrade(toggl);
    tokio::spawn(async move {
        while let Some(calls) = calls.recv().await {
            for (tenant, place) in calls {
                let Some(toggl) = toggl.upgrade() else { return };
                toggl.call(tenant, place).await;
            }
        }
    });
}

impl Toggl {
    /// Calls for what has happened in an account.
    pub(super) fn ring(&self, place: usize, happenings: &[Happening]) {
        let behaviour = lock(&self.behaviour).clone();
        let tenant = self.tenants.get(place).unwrap_or_else(|| self.first());
        let (user_id, seen) = {
            let account = lock(&tenant.account);
            let user_id = account.user_id();
            let sees = |happening: &Happening| {
                let workspace = account.workspace(happening.workspace_id);
                let is_own = happening.owner_id.is_none_or(|owner| owner == user_id);
                workspace.is_some_and(|workspace| workspace.is_admin() || is_own)
            };
            (user_id, happenings.iter().map(sees).collect::<Vec<_>>())
        };
        let happenings: Vec<Happening> =
            happenings.iter().zip(seen).filter(|(_, sees)| *sees).map(|(h, _)| h.clone()).collect();
        let who = (user_id, behaviour.now());
        let places =
            lock(&tenant.webhooks).deliveries(&happenings, &behaviour.webhooks, who, |_| true);
        self.make(places.into_iter().map(|number| (place, number)).collect());
    }

    fn make(&self, calls: Calls) {
        if let Some(sender) = &*lock(&self.ringing.calls) {
            // The other end lives as long as the runtime does.
            sender.send(calls).ok();
        }
    }

    async fn call(&self, place: usize, number: usize) {
        let tenant = self.tenants.get(place).unwrap_or_else(|| self.first());
        let now = lock(&self.behaviour).now();
        let call = {
            let mut webhooks = lock(&tenant.webhooks);
            let tried = webhooks.tried.get(number).cloned();
            tried.and_then(|Tried { subscription_id, event, .. }| {
                let subscription = webhooks.find(subscription_id)?.clone();
                Some((subscription.addressed(event, now), subscription))
            })
        };
        let Some((event, Subscription { url_callback, secret, .. })) = call else { return };
        let answered = self.ringing.ringer.call(&url_callback, &secret, &event).await;
        if let Some(tried) = lock(&tenant.webhooks).tried.get_mut(number) {
            tried.status = answered.map(|answered| answered.status);
        }
        self.ringing.called.send_replace(());
    }

    /// Calls the address of a subscription that was made, or is to be tried, before that is answered.
    pub(super) async fn tried_address(&self, asked: &Asked, reply: Reply) -> Reply {
        let endpoint = Endpoint::of(asked.head.uri.path());
        let is_made = asked.head.method == Method::POST;
        let tenant = self.tenants.get(self.place(&asked.head.headers));
        let (Some(tenant), true) = (tenant, reply.status() == StatusCode::OK && is_made) else {
            return reply;
        };
        let id = match endpoint {
            Some(Endpoint::Subscriptions(_)) => {
                let made: Value = serde_json::from_slice(reply.body()).expect("a subscription");
                made["subscription_id"].as_i64()
            }
            Some(Endpoint::SubscriptionPing(_, id)) => Some(id),
            _ => return reply,
        };
        let id = id.expect("a subscription has an id");
        match self.ping(tenant, id).await {
            Ok(()) => reply,
            Err(words) => {
                if matches!(endpoint, Some(Endpoint::Subscriptions(_))) {
                    lock(&tenant.webhooks).remove(id);
                }
                Reply::refusal(StatusCode::BAD_REQUEST, &words)
            }
        }
    }

    async fn ping(&self, tenant: &Tenant, id: i64) -> Result<(), String> {
        let now = lock(&self.behaviour).now();
        let subscription = lock(&tenant.webhooks).find(id).cloned();
        let subscription = subscription.ok_or("no such subscription")?;
        let (url, secret) = (&subscription.url_callback, &subscription.secret);
        let answered = self.ringing.ringer.call(url, secret, &subscription.ping(now)).await;
        let Some(answered) = answered else {
            return Err(format!("URL endpoint {url} request failed with error"));
        };
        if answered.status != 200 {
            let status = answered.status;
            return Err(format!(
                "URL endpoint {url} responded with status {status} instead of 200"
            ));
        }
        let code = serde_json::from_slice::<Value>(&answered.body).ok();
        let is_proof =
            code.is_some_and(|body| body["validation_code"] == subscription.code.as_str());
        if is_proof && let Some(known) = lock(&tenant.webhooks).find(id) {
            known.validated_at = Some(now);
        }
        Ok(())
    }
}

impl Tenant {
    pub(super) fn answer_about_webhooks(
        &self,
        endpoint: Endpoint,
        asked: &Asked,
        query: &HashMap<String, String>,
        behaviour: &Behaviour,
    ) -> Reply {
        let behaviour = &behaviour.webhooks;
        let (Endpoint::WebhookLimits(id)
        | Endpoint::Subscriptions(id)
        | Endpoint::Subscription(id, _)
        | Endpoint::SubscriptionEvents(id, _)
        | Endpoint::SubscriptionPing(id, _)) = endpoint
        else {
            return no_access();
        };
        if lock(&self.account).workspace(id).is_none() {
            return no_access();
        }
        let mut webhooks = lock(&self.webhooks);
        let json = |subscription: &Subscription| subscription.json(behaviour.tells_secrets);
        let put = |webhooks: &mut crate::toggl::webhooks::Webhooks, subscription_id| match webhooks
            .put(id, subscription_id, &asked.body, behaviour)
        {
            Ok(subscription) => Reply::ok(json(&subscription).to_string()),
            Err(words) => Reply::refusal(StatusCode::BAD_REQUEST, &words),
        };
        match (endpoint, &asked.head.method) {
            (Endpoint::WebhookLimits(_), _) => {
                let limits = json!({
                    "max_webhooks": behaviour.most,
                    "max_events_per_webhook": behaviour.most_filters,
                });
                Reply::ok(limits.to_string())
            }
            (Endpoint::Subscriptions(_), &Method::POST) => {
                lock(&self.account).keep_happenings();
                put(&mut webhooks, None)
            }
            (Endpoint::Subscriptions(_), _) => {
                let of = |known: &&Subscription| known.workspace_id == id;
                let all: Vec<Value> = webhooks.subscriptions.iter().filter(of).map(json).collect();
                Reply::ok(Value::from(all).to_string())
            }
            (Endpoint::SubscriptionEvents(..), _) if !behaviour.tells_tried => {
                Reply::refusal(StatusCode::NOT_FOUND, "Not Found")
            }
            (Endpoint::SubscriptionEvents(_, subscription), _) => {
                let offset = query.get("offset").and_then(|text| text.parse().ok());
                Reply::ok(webhooks.page(subscription, offset.unwrap_or_default()).to_string())
            }
            (
                Endpoint::Subscription(_, subscription)
                | Endpoint::SubscriptionPing(_, subscription),
                _,
            ) if webhooks.find(subscription).is_none() => {
                Reply::refusal(StatusCode::NOT_FOUND, "Not Found")
            }
            (Endpoint::Subscription(_, subscription), &Method::DELETE) => {
                webhooks.remove(subscription);
                Reply::ok("")
            }
            (Endpoint::Subscription(_, subscription), _) => put(&mut webhooks, Some(subscription)),
            _ => Reply::ok(r#"{"status":"OK"}"#),
        }
    }
}

impl Simulator {
    /// The subscriptions of the account, the first if there are several, with their secrets.
    pub fn subscriptions(&self) -> Vec<Value> {
        let webhooks = lock(&self.toggl.first().webhooks);
        webhooks.subscriptions.iter().map(|subscription| subscription.json(true)).collect()
    }

    /// Disables all of them, as Toggl or somebody may do.
    pub fn disable_subscriptions(&self) {
        for known in &mut lock(&self.toggl.first().webhooks).subscriptions {
            known.enabled = false;
        }
    }

    /// Forgets that deliveries are wanted.
    pub fn invalidate_subscriptions(&self) {
        for known in &mut lock(&self.toggl.first().webhooks).subscriptions {
            known.validated_at = None;
        }
    }

    /// Gives all of them another secret.
    pub fn set_webhook_secret(&self, secret: &str) {
        for known in &mut lock(&self.toggl.first().webhooks).subscriptions {
            secret.clone_into(&mut known.secret);
        }
    }

    /// Every event that was delivered or tried to be, in the order in which they happened.
    pub fn deliveries(&self) -> Vec<SeenDelivery> {
        let webhooks = lock(&self.toggl.first().webhooks);
        let seen =
            |tried: &Tried| SeenDelivery { event: tried.event.clone(), status: tried.status };
        webhooks.tried.iter().map(seen).collect()
    }

    /// Delivers once more what was not taken, or all of it.
    pub fn deliver_again(&self, all: bool) {
        let calls = {
            let webhooks = lock(&self.toggl.first().webhooks);
            let again =
                webhooks.tried.iter().enumerate().filter(|(_, tried)| all || !tried.is_taken());
            again.map(|(number, _)| (0, number)).collect()
        };
        self.toggl.make(calls);
    }

    /// Returns once so many events were taken.
    ///
    /// # Panics
    /// When the server has ended.
    pub async fn taken(&self, count: usize) {
        let mut called = self.toggl.ringing.called.subscribe();
        let taken = || {
            let webhooks = lock(&self.toggl.first().webhooks);
            webhooks.tried.iter().filter(|tried| tried.is_taken()).count()
        };
        while taken() < count {
            called.changed().await.expect("the server holds the sender");
        }
    }
}
