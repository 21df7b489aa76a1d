//! From an event to what is to be looked at: each event counts once, however often it comes.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::telemetry::WEBHOOKS;
use tokio::sync::Notify;
use tracing::warn;

use super::metrics::Metrics;
use super::pending::Pending;
use super::seldom::Seldom;
use crate::toggl::Bucket;
use crate::webhooks::{Entity, Event};

/// Events of which it is known that they have come: more than Toggl is known to send again.
const MOST_KNOWN: usize = 10_000;

/// Shared by whoever rings and whoever looks.
#[derive(Debug, Clone)]
pub(super) struct Bell(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Of the token.
    owner_id: i64,
    metrics: Metrics,
    state: Mutex<State>,
    rung: Notify,
    dropped: Seldom,
}

#[derive(Debug, Default)]
struct State {
    /// Goes up whenever there is something else to remember.
    version: u64,
    known: HashSet<(i64, i64)>,
    /// The same, the oldest first.
    order: VecDeque<(i64, i64)>,
    pending: Pending,
    /// What is being looked at: pending again, should that not come to its end.
    in_hand: Pending,
    heard: BTreeMap<i64, Timestamp>,
    /// The newest event of the owner's entries.
    own_at: Option<Timestamp>,
}

/// Whether an event was news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rung {
    Once,
    Again,
}

/// What the next program that listens is told. Key `listen.<user>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// When the newest event of each workspace happened.
    pub(super) heard: BTreeMap<i64, Timestamp>,
    pub(super) pending: Pending,
}

impl Memory {
    pub(super) fn key(user_id: i64) -> String {
        format!("listen.{user_id}")
    }
}

impl Bell {
    /// With what an earlier program has left.
    pub(super) fn new(owner_id: i64, metrics: Metrics, memory: Memory) -> Self {
        let state = State { pending: memory.pending, heard: memory.heard, ..State::default() };
        let (state, rung, dropped) = (Mutex::new(state), Notify::new(), Seldom::default());
        Self(Arc::new(Inner { owner_id, metrics, state, rung, dropped }))
    }

    /// Notes what an event is the reason to look at.
    pub(super) fn ring(&self, workspace_id: i64, event: &Event) -> Rung {
        let noted = {
            let mut state = self.locked();
            if state.is_known(event) {
                return Rung::Again;
            }
            state.version += 1;
            state.hear(workspace_id, event, self.0.owner_id);
            let noted = state.pending.note(workspace_id, event, self.0.owner_id);
            self.0.metrics.pending(&state.pending);
            noted
        };
        if noted.is_err() {
            self.drop_events(1, event.at);
        }
        self.0.rung.notify_one();
        Rung::Once
    }

    /// Has the owner's entries looked at without an event.
    pub(super) fn ring_for_own(&self) {
        self.locked().pending.own = true;
        self.0.rung.notify_one();
    }

    /// Until it rings.
    pub(super) async fn rung(&self) {
        self.0.rung.notified().await;
    }

    /// The quotas that waiting looks take from, and whether a deletion waits.
    pub(super) fn waits_for(&self) -> (Vec<Bucket>, bool) {
        let state = self.locked();
        (state.pending.buckets().into_iter().collect(), !state.pending.gone.is_empty())
    }

    /// Takes what may be looked at now, until that is [done](Self::done).
    pub(super) fn take(&self, may: impl Fn(Bucket) -> bool, may_tell_gone: bool) -> Pending {
        let mut state = self.locked();
        let taken = state.pending.take(may, may_tell_gone);
        state.in_hand = taken.clone();
        self.0.metrics.pending(&state.pending);
        taken
    }

    /// What was taken was looked at, but for this.
    pub(super) fn done(&self, left: Pending) {
        let dropped = {
            let mut state = self.locked();
            state.version += 1;
            state.in_hand = Pending::default();
            let dropped = state.pending.merge(left);
            self.0.metrics.pending(&state.pending);
            dropped
        };
        if dropped > 0 {
            self.drop_events(dropped as u64, None);
        }
    }

    /// Looks at it no more.
    pub(super) fn drop_events(&self, count: u64, at: Option<Timestamp>) {
        self.0.metrics.dropped(count);
        if self.0.dropped.count().is_some() {
            let day = at.unwrap_or_else(Timestamp::now).strftime("%Y-%m-%d");
            warn!(
                target: WEBHOOKS,
                "More has happened than could be looked at, or nobody says to what: `fetcher report --from {day}` \
                 brings entries of these days"
            );
        }
    }

    /// What is to be remembered, and its version.
    pub(super) fn memory(&self) -> (u64, Memory) {
        let state = self.locked();
        let mut pending = state.pending.clone();
        pending.merge(state.in_hand.clone());
        (state.version, Memory { heard: state.heard.clone(), pending })
    }

    pub(super) fn version(&self) -> u64 {
        self.locked().version
    }

    /// When the newest event of a workspace happened.
    pub(super) fn heard_at(&self, workspace_id: i64) -> Option<Timestamp> {
        self.locked().heard.get(&workspace_id).copied()
    }

    /// When the newest event of the owner's entries happened.
    pub(super) fn own_at(&self) -> Option<Timestamp> {
        self.locked().own_at
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether the event has come before; from now on it has.
    fn is_known(&mut self, event: &Event) -> bool {
        let key = event.subscription_id.zip(event.id.filter(|id| *id != 0));
        let Some(key) = key else { return false };
        if !self.known.insert(key) {
            return true;
        }
        self.order.push_back(key);
        if self.order.len() > MOST_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        false
    }

    fn hear(&mut self, workspace_id: i64, event: &Event, owner_id: i64) {
        let Some(at) = event.at else { return };
        let heard = self.heard.entry(workspace_id).or_insert(at);
        *heard = at.max(*heard);
        if event.entity == Entity::TimeEntry && event.user_id.is_none_or(|id| id == owner_id) {
            self.own_at = self.own_at.max(Some(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::Action;

    fn bell() -> Bell {
        Bell::new(1, Metrics::new(), Memory::default())
    }

    fn event(event_id: i64, id: i64) -> Event {
        Event {
            subscription_id: Some(3),
            id: Some(event_id),
            entity: Entity::TimeEntry,
            action: Action::Updated,
            ids: vec![id],
            user_id: Some(2),
            at: Timestamp::from_second(event_id).ok(),
        }
    }

    #[test]
    fn an_event_that_comes_again_is_no_news_even_once_it_was_looked_at() {
        let bell = bell();
        assert_eq!(bell.ring(7, &event(10, 5)), Rung::Once);
        assert_eq!(bell.ring(7, &event(10, 5)), Rung::Again);
        assert_eq!(bell.take(|_| true, true).entry_count(), 1);
        bell.done(Pending::default());
        assert_eq!(bell.ring(7, &event(10, 5)), Rung::Again);
        assert_eq!(bell.waits_for(), (Vec::new(), false));
        assert_eq!(bell.ring(7, &event(11, 5)), Rung::Once);
    }

    #[test]
    fn what_is_known_to_have_come_has_an_end() {
        let bell = bell();
        for number in 1..=20_000 {
            bell.ring(7, &event(number, 5));
        }
        let state = bell.locked();
        assert_eq!((state.known.len(), state.order.len()), (MOST_KNOWN, MOST_KNOWN));
        assert!(state.known.contains(&(3, 20_000)) && !state.known.contains(&(3, 1)));
    }

    #[test]
    fn a_look_that_did_not_come_to_its_end_is_remembered_with_what_came_meanwhile() {
        let bell = bell();
        bell.ring(7, &event(10, 5));
        let taken = bell.take(|_| true, true);
        bell.ring(7, &event(9, 6));
        let (version, memory) = bell.memory();
        assert_eq!(version, 2, "both events are news");
        assert_eq!(memory.pending.entry_count(), 2);
        assert_eq!(memory.heard[&7], Timestamp::from_second(10).unwrap(), "the newest");
        bell.done(taken);
        assert_eq!(bell.version(), 3);
        let text = serde_json::to_string(&bell.memory().1).unwrap();
        let read: Memory = serde_json::from_str(&text).unwrap();
        assert_eq!(read, memory);
        assert_eq!(Bell::new(1, Metrics::new(), read).take(|_| true, true).entry_count(), 2);
    }
}
