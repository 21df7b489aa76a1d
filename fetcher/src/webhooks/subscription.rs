//! A subscription as Toggl has it, and as it should be.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::delivery::Entity;
use super::lenient;

/// One kind of thing and what happens to it; an asterisk is any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Filter {
    entity: String,
    action: String,
}

impl Filter {
    fn any_of(entity: &str) -> Self {
        Self { entity: entity.to_owned(), action: "*".to_owned() }
    }

    /// Everything, as one filter.
    pub(crate) fn everything() -> Vec<Self> {
        vec![Self::any_of("*")]
    }

    /// Kind by kind, where Toggl does not take everything as one; the plan may not allow all of them.
    pub(crate) fn each(most: usize) -> Vec<Self> {
        Entity::KNOWN.into_iter().take(most).map(|entity| Self::any_of(entity.name())).collect()
    }
}

/// What a workspace's plan allows; none where Toggl did not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Limits {
    #[serde(deserialize_with = "lenient::id")]
    pub(crate) max_webhooks: Option<i64>,
    #[serde(deserialize_with = "lenient::id")]
    max_events_per_webhook: Option<i64>,
}

impl Limits {
    /// How many filters a subscription may have.
    pub(crate) fn filters(self) -> usize {
        self.max_events_per_webhook
            .and_then(|most| usize::try_from(most).ok())
            .unwrap_or(usize::MAX)
    }
}

/// A subscription as Toggl lists it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Subscription {
    #[serde(rename = "subscription_id", deserialize_with = "lenient::id")]
    pub(crate) id: Option<i64>,
    pub(crate) enabled: Option<bool>,
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) description: Option<String>,
    event_filters: Option<Vec<Filter>>,
    #[serde(deserialize_with = "lenient::text")]
    url_callback: Option<String>,
    /// Newer descriptions of the API no longer show it.
    secret: Option<SecretString>,
    #[serde(deserialize_with = "lenient::text")]
    validated_at: Option<String>,
}

impl Subscription {
    /// Whether Toggl knows that its deliveries are wanted.
    pub(crate) fn is_validated(&self) -> bool {
        self.validated_at.as_ref().is_some_and(|at| !at.is_empty())
    }

    /// Whether the list says which secret it has.
    pub(crate) const fn tells_secret(&self) -> bool {
        self.secret.is_some()
    }

    /// What is not as it should be, in words. The filters may be as many of the kinds as the plan allows.
    pub(crate) fn differs(&self, wanted: &Wanted) -> Option<&'static str> {
        let mut filters = self.event_filters.clone().unwrap_or_default();
        filters.sort_unstable();
        let is = |mut expected: Vec<Filter>| {
            expected.sort_unstable();
            filters == expected
        };
        let has_other_secret =
            |known: &SecretString| known.expose_secret() != wanted.secret.expose_secret();
        if self.url_callback.as_deref() != Some(&*wanted.url_callback) {
            Some("it calls another address")
        } else if self.secret.as_ref().is_some_and(has_other_secret) {
            Some("it has another secret")
        } else if !is(wanted.filters.clone())
            && (filters.is_empty() || !is(Filter::each(filters.len())))
        {
            Some("it tells of other things")
        } else if self.enabled != Some(true) {
            Some("it is disabled")
        } else {
            None
        }
    }
}

/// A subscription as it should be.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) url_callback: String,
    pub(crate) description: String,
    pub(crate) filters: Vec<Filter>,
    pub(crate) secret: SecretString,
}

impl Wanted {
    /// The same with other filters.
    pub(crate) fn with(&self, filters: Vec<Filter>) -> Self {
        Self { filters, ..self.clone() }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "url_callback": self.url_callback,
            "event_filters": self.filters,
            "enabled": true,
            "description": self.description,
            "secret": self.secret.expose_secret(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            url_callback: "https://example.com/deliveries/7".to_owned(),
            description: "toggl-track:example.com".to_owned(),
            filters: Filter::everything(),
            secret: "hunter2".to_owned().into(),
        }
    }

    fn differs(change: impl FnOnce(&mut Value)) -> Option<&'static str> {
        let mut json = wanted().json();
        change(&mut json);
        let subscription: Subscription = serde_json::from_value(json).unwrap();
        subscription.differs(&wanted())
    }

    #[test]
    fn what_differs_from_what_is_wanted_is_named_in_words() {
        assert_eq!(differs(|_| ()), None);
        assert_eq!(differs(|json| json["secret"] = Value::Null), None, "nobody knows");
        let each = json!([{"entity": "project", "action": "*"}, {"entity": "client", "action": "*"},
            {"entity": "time_entry", "action": "*"}]);
        assert_eq!(differs(|json| json["event_filters"] = each), None, "in any order");
        for (field, value, words) in [
            ("url_callback", json!("https://example.com/"), "it calls another address"),
            ("secret", json!("other"), "it has another secret"),
            ("event_filters", json!(null), "it tells of other things"),
            (
                "event_filters",
                json!([{"entity": "tag", "action": "*"}]),
                "it tells of other things",
            ),
            ("enabled", json!(false), "it is disabled"),
        ] {
            assert_eq!(differs(|json| json[field] = value.clone()), Some(words), "{field}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let listed: Subscription = serde_json::from_value(wanted().json()).unwrap();
        assert!(!format!("{:?}{listed:?}", wanted()).contains("hunter2"));
    }
}
