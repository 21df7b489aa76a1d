//! What Prometheus reads of a program that listens.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};

use super::doors::{Door, Standing};
use super::pending::Pending;
use crate::webhooks::Event;

const PREFIX: &str = "toggl_track_listener";

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    /// It has come before.
    Repeated,
    /// NATS has not taken it, so Toggl is to send it again.
    Unwritten,
    Ping,
    Unreadable,
    Unknown,
    Unsigned,
    Forged,
    TooLarge,
    Broken,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Repeated => "repeated",
            Self::Unwritten => "unwritten",
            Self::Ping => "ping",
            Self::Unreadable => "unreadable",
            Self::Unknown => "unknown",
            Self::Unsigned => "unsigned",
            Self::Forged => "forged",
            Self::TooLarge => "too_large",
            Self::Broken => "broken",
        }
    }
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookKind {
    Own,
    Entries,
    Lists,
    Deletions,
}

impl LookKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Own => "own_entries",
            Self::Entries => "entries",
            Self::Lists => "lists",
            Self::Deletions => "deletions",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEvent {
    entity: &'static str,
    action: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLook {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfWorkspace {
    workspace_id: i64,
}

/// Handle on all meters of the process; copies count together.
#[derive(Debug, Clone)]
pub(super) struct Metrics(Arc<Meters>);

#[derive(Debug)]
struct Meters {
    registry: Registry,
    deliveries: Family<OfOutcome, Counter>,
    events: Family<OfEvent, Counter>,
    last_event: Gauge,
    looks: Family<OfLook, Counter>,
    pending: Family<OfKind, Gauge>,
    dropped: Counter,
    unannounced: Counter,
    subscriptions: Family<OfWorkspace, Gauge>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let r = &mut registry;
        let deliveries =
            metric(r, "deliveries", "Requests where deliveries come in, by what became of them");
        let events = metric(r, "events", "Events that Toggl has signed, by what happened to what");
        let last_event = metric(
            r,
            "last_event_timestamp_seconds",
            "When the newest event happened, by Toggl's clock",
        );
        let looks = metric(r, "looks", "Looks at Toggl that events were the reason for");
        let pending = metric(r, "pending", "What is to be looked at");
        let dropped = metric(
            r,
            "dropped",
            "Events that nothing was looked at for, because too many waited; a report has them",
        );
        let unannounced = metric(
            r,
            "unannounced_changes",
            "Times that a run saw a change of entries that no event had announced",
        );
        let subscriptions = metric(
            r,
            "subscription_up",
            "Whether the workspace's subscription is as it should be, 1 or 0",
        );
        Self(Arc::new(Meters {
            registry,
            deliveries,
            events,
            last_event,
            looks,
            pending,
            dropped,
            unannounced,
            subscriptions,
        }))
    }

    pub(super) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }

    pub(super) fn delivered(&self, outcome: Outcome) {
        self.0.deliveries.get_or_create(&OfOutcome { outcome: outcome.name() }).inc();
    }

    pub(super) fn heard(&self, event: &Event) {
        let of = OfEvent { entity: event.entity.name(), action: event.action.name() };
        self.0.events.get_or_create(&of).inc();
        if let Some(at) = event.at {
            let at = at.as_second().max(self.0.last_event.get());
            self.0.last_event.set(at);
        }
    }

    pub(super) fn looked(&self, kind: LookKind, outcome: &'static str) {
        self.0.looks.get_or_create(&OfLook { kind: kind.name(), outcome }).inc();
    }

    pub(super) fn pending(&self, pending: &Pending) {
        let set = |kind: LookKind, count: usize| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.0.pending.get_or_create(&OfKind { kind: kind.name() }).set(count);
        };
        set(LookKind::Own, usize::from(pending.own));
        set(LookKind::Entries, pending.entry_count());
        set(LookKind::Lists, pending.lists.len());
        set(LookKind::Deletions, pending.gone.len());
    }

    pub(super) fn dropped(&self, events: u64) {
        self.0.dropped.inc_by(events);
    }

    pub(super) fn unannounced(&self) {
        self.0.unannounced.inc();
    }

    pub(super) fn subscription(&self, door: &Door) {
        let of = OfWorkspace { workspace_id: door.workspace_id };
        let is_up = i64::from(door.standing() == Standing::Rings);
        self.0.subscriptions.get_or_create(&of).set(is_up);
    }
}

fn metric<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}
