//! Toggl's webhooks: the subscriptions of an account's workspaces, and what was delivered of them.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::behaviour::WebhookBehaviour;
use super::happenings::Happening;

/// The rise of an event's id from one to the next.
const STEP: i64 = 7;

/// One kind of thing and what happens to it; an asterisk is any.
#[derive(Debug, Clone, Deserialize)]
struct Filter {
    entity: String,
    action: String,
}

impl Filter {
    fn lets_through(&self, happening: &Happening) -> bool {
        let is = |pattern: &str, what: &str| pattern == "*" || pattern == what;
        is(&self.entity, happening.entity) && is(&self.action, happening.action)
    }
}

/// What is asked for.
#[derive(Debug, Deserialize)]
struct Wanted {
    url_callback: String,
    event_filters: Vec<Filter>,
    enabled: bool,
    description: String,
    secret: Option<String>,
}

/// A subscription, as Toggl keeps it.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) id: i64,
    pub(super) workspace_id: i64,
    pub(super) url_callback: String,
    pub(super) secret: String,
    /// What whoever is called has to send back.
    pub(super) code: String,
    pub(super) enabled: bool,
    pub(super) validated_at: Option<Timestamp>,
    filters: Vec<Filter>,
    description: String,
}

/// An event that was tried to be delivered.
#[derive(Debug, Clone)]
pub(super) struct Tried {
    pub(super) subscription_id: i64,
    pub(super) event: Value,
    /// What was answered last; none before it was tried, or where nobody answered.
    pub(super) status: Option<u16>,
}

/// The webhooks of an account.
#[derive(Debug)]
pub(super) struct Webhooks {
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) tried: Vec<Tried>,
    next_id: i64,
    next_event_id: i64,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            subscriptions: Vec::new(),
            tried: Vec::new(),
            next_id: 10_700,
            // Beyond what a floating-point number holds.
            next_event_id: 9_007_199_254_740_993,
        }
    }
}

/// The words of a 400.
pub(super) type Refused = String;

impl Webhooks {
    /// Makes a subscription, or puts another in the place of the one with this id.
    pub(super) fn put(
        &mut self,
        workspace_id: i64,
        id: Option<i64>,
        body: &[u8],
        behaviour: &WebhookBehaviour,
    ) -> Result<Subscription, Refused> {
        let wanted: Wanted =
            serde_json::from_slice(body).map_err(|error| format!("JSON is not valid: {error}"))?;
        self.check(&wanted, workspace_id, id, behaviour)?;
        let known = id.and_then(|id| self.subscriptions.iter().find(|known| known.id == id));
        let same_address = known.filter(|known| known.url_callback == wanted.url_callback);
        let validated_at = same_address.and_then(|known| known.validated_at);
        let id = id.unwrap_or_else(|| {
            self.next_id += 1;
            self.next_id
        });
        let subscription = Subscription {
            id,
            workspace_id,
            url_callback: wanted.url_callback,
            secret: wanted.secret.unwrap_or_else(|| Uuid::now_v7().simple().to_string()),
            code: Uuid::now_v7().simple().to_string(),
            enabled: wanted.enabled,
            validated_at,
            filters: wanted.event_filters,
            description: wanted.description,
        };
        self.subscriptions.retain(|known| known.id != id);
        self.subscriptions.push(subscription.clone());
        Ok(subscription)
    }

    fn check(
        &self,
        wanted: &Wanted,
        workspace_id: i64,
        id: Option<i64>,
        behaviour: &WebhookBehaviour,
    ) -> Result<(), Refused> {
        let others = || {
            let others = self.subscriptions.iter().filter(|known| Some(known.id) != id);
            others.filter(|known| known.workspace_id == workspace_id)
        };
        if wanted.url_callback.parse::<Url>().is_err() {
            return Err("url_callback is not a valid URL".to_owned());
        }
        if wanted.description.is_empty()
            || others().any(|known| known.description == wanted.description)
        {
            return Err("description must be set and unique in the workspace".to_owned());
        }
        if others().count() >= behaviour.most {
            return Err(format!("a workspace may have {} webhooks", behaviour.most));
        }
        if wanted.event_filters.is_empty() || wanted.event_filters.len() > behaviour.most_filters {
            return Err(format!("a webhook may have {} event filters", behaviour.most_filters));
        }
        let is_any = |filter: &Filter| filter.entity == "*";
        if !behaviour.takes_any_entity && wanted.event_filters.iter().any(is_any) {
            return Err("event filter: unknown entity *".to_owned());
        }
        Ok(())
    }

    pub(super) fn find(&mut self, id: i64) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|known| known.id == id)
    }

    pub(super) fn remove(&mut self, id: i64) {
        self.subscriptions.retain(|known| known.id != id);
    }

    /// The deliveries of what has happened, by their places among what was tried.
    pub(super) fn deliveries(
        &mut self,
        happenings: &[Happening],
        behaviour: &WebhookBehaviour,
        (creator_id, now): (i64, Timestamp),
        may_see: impl Fn(&Happening) -> bool,
    ) -> Vec<usize> {
        let mut places = Vec::new();
        for happening in happenings.iter().filter(|happening| may_see(happening)) {
            self.next_event_id += STEP;
            let event = happening.event(self.next_event_id, creator_id, now, behaviour.ids);
            for subscription in &self.subscriptions {
                if subscription.hears(happening) && !behaviour.loses_events {
                    let event = event.clone();
                    let subscription_id = subscription.id;
                    places.push(self.tried.len());
                    self.tried.push(Tried { subscription_id, event, status: None });
                }
            }
        }
        if behaviour.reverses {
            places.reverse();
        }
        places.iter().flat_map(|place| std::iter::repeat_n(*place, behaviour.times)).collect()
    }

    /// What was tried of a subscription, the newest first, a page of it.
    pub(super) fn page(&self, subscription_id: i64, offset: usize) -> Value {
        const SIZE: usize = 50;
        let of = |tried: &&Tried| tried.subscription_id == subscription_id;
        let all: Vec<&Tried> = self.tried.iter().rev().filter(of).collect();
        let event = |tried: &&Tried| {
            let mut event = tried.event.clone();
            event["consumer_id"] = json!(1);
            event["failed_delivery_attempts"] = json!(u8::from(!tried.is_taken()));
            event
        };
        let events: Vec<Value> = all.iter().skip(offset).take(SIZE).map(event).collect();
        json!({ "total": all.len(), "events": events })
    }
}

impl Tried {
    /// Whether it was answered as Toggl wants it.
    pub(super) fn is_taken(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

impl Subscription {
    fn hears(&self, happening: &Happening) -> bool {
        self.enabled
            && self.validated_at.is_some()
            && self.workspace_id == happening.workspace_id
            && self.filters.iter().any(|filter| filter.lets_through(happening))
    }

    /// As it is answered.
    pub(super) fn json(&self, tells_secret: bool) -> Value {
        let filter = |filter: &Filter| json!({"entity": filter.entity, "action": filter.action});
        let mut json = json!({
            "subscription_id": self.id,
            "workspace_id": self.workspace_id,
            "user_id": 9_000_001,
            "enabled": self.enabled,
            "description": self.description,
            "event_filters": self.filters.iter().map(filter).collect::<Vec<_>>(),
            "url_callback": self.url_callback,
            "validated_at": self.validated_at.map(|at| at.to_string()),
            "has_pending_events": false,
            "created_at": "2022-05-31T02:50:45.984607Z",
        });
        if tells_secret {
            json["secret"] = json!(self.secret);
        }
        json
    }

    /// What the address is tried with.
    pub(super) fn ping(&self, now: Timestamp) -> Value {
        let mut ping = json!({
            "event_id": 0,
            "created_at": now.to_string(),
            "creator_id": 9_000_001,
            "metadata": {"request_type": "POST", "event_user_id": 9_000_001},
            "payload": "ping",
        });
        if self.validated_at.is_none() {
            ping["validation_code"] = json!(self.code);
            ping["validation_code_url"] = json!(format!(
                "https://track.toggl.com/webhooks/api/v1/validate/{}/{}/{}",
                self.workspace_id, self.id, self.code
            ));
        }
        self.addressed(ping, now)
    }

    /// With what each subscription adds.
    pub(super) fn addressed(&self, mut event: Value, now: Timestamp) -> Value {
        event["subscription_id"] = json!(self.id);
        event["timestamp"] = json!(now.to_string());
        event["url_callback"] = json!(self.url_callback);
        event
    }
}
