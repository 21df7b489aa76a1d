//! What events were the reason to look at, and nobody has looked at yet. However many events there are of a moment,
//! each thing stands here once; and there is an end to how much does.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::toggl::Bucket;
use crate::webhooks::{Action, Entity, Event};

/// Entries that wait for a look, a hundred kilobytes of ids: ten requests take them all.
const MOST_ENTRIES: usize = 10_000;
/// Deletions that wait for NATS.
const MOST_GONE: usize = 10_000;

/// What is to be looked at. Written down, so that a restart forgets nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pending {
    /// The token owner's entries.
    pub(super) own: bool,
    /// Other people's, by workspace.
    pub(super) entries: BTreeMap<i64, BTreeSet<i64>>,
    /// Lists of a workspace, by what they list.
    pub(super) lists: BTreeSet<(i64, Entity)>,
    pub(super) gone: Vec<Gone>,
}

/// What was deleted, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Gone {
    pub(super) workspace_id: i64,
    pub(super) entity: Entity,
    pub(super) id: i64,
    pub(super) at: Timestamp,
}

/// There was no room for what an event told, or it told too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dropped;

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn entry_count(&self) -> usize {
        self.entries.values().map(BTreeSet::len).sum()
    }

    /// Notes what an event of a workspace is the reason to look at, for the owner of the token.
    ///
    /// # Errors
    /// When something of it is not noted.
    pub(super) fn note(
        &mut self,
        workspace_id: i64,
        event: &Event,
        owner_id: i64,
    ) -> Result<(), Dropped> {
        if event.action == Action::Deleted
            && let Some(at) = event.at
            && !event.ids.is_empty()
            && is_told_by_id(event.entity)
        {
            return self.delete(workspace_id, event, at);
        }
        match event.entity {
            Entity::TimeEntry if event.user_id == Some(owner_id) => self.own = true,
            Entity::TimeEntry => {
                // Nobody says whose it is, or which: what can be looked at is looked at.
                self.own |= event.user_id.is_none() || event.ids.is_empty();
                return self.ask(workspace_id, &event.ids);
            }
            // Which workspaces there are is a sync's to find out.
            Entity::Workspace | Entity::Other => {}
            entity => {
                self.lists.insert((workspace_id, entity));
            }
        }
        Ok(())
    }

    fn delete(&mut self, workspace_id: i64, event: &Event, at: Timestamp) -> Result<(), Dropped> {
        // It changes entries, which Toggl does not tell one by one.
        self.own |= matches!(event.entity, Entity::Project | Entity::Task);
        if self.gone.len() + event.ids.len() > MOST_GONE {
            return Err(Dropped);
        }
        let entity = event.entity;
        self.gone.extend(event.ids.iter().map(|id| Gone { workspace_id, entity, id: *id, at }));
        Ok(())
    }

    fn ask(&mut self, workspace_id: i64, ids: &[i64]) -> Result<(), Dropped> {
        let mut room = MOST_ENTRIES.saturating_sub(self.entry_count());
        let entries = self.entries.entry(workspace_id).or_default();
        let mut noted = if ids.is_empty() { Err(Dropped) } else { Ok(()) };
        for id in ids.iter().filter(|id| !entries.contains(*id)).copied().collect::<BTreeSet<_>>() {
            if room == 0 {
                noted = Err(Dropped);
                break;
            }
            entries.insert(id);
            room -= 1;
        }
        if entries.is_empty() {
            self.entries.remove(&workspace_id);
        }
        noted
    }

    /// Takes over what another has; how much of that there was no room for.
    pub(super) fn merge(&mut self, other: Self) -> usize {
        self.own |= other.own;
        self.lists.extend(other.lists);
        let room = MOST_GONE.saturating_sub(self.gone.len());
        let mut dropped = other.gone.len().saturating_sub(room);
        self.gone.extend(other.gone.into_iter().take(room));
        for (workspace_id, ids) in other.entries {
            let ids: Vec<i64> = ids.into_iter().collect();
            if self.ask(workspace_id, &ids).is_err() {
                dropped += ids.iter().filter(|id| !self.has(workspace_id, **id)).count();
            }
        }
        dropped
    }

    fn has(&self, workspace_id: i64, id: i64) -> bool {
        self.entries.get(&workspace_id).is_some_and(|ids| ids.contains(&id))
    }

    /// The quotas that looking at it takes from.
    pub(super) fn buckets(&self) -> BTreeSet<Bucket> {
        let workspaces = self.entries.keys().chain(self.lists.iter().map(|(id, _)| id));
        let workspaces = workspaces.map(|id| Bucket::Workspace(*id));
        self.own.then_some(Bucket::User).into_iter().chain(workspaces).collect()
    }

    /// Takes out what may be looked at now.
    pub(super) fn take(&mut self, may: impl Fn(Bucket) -> bool, may_tell_gone: bool) -> Self {
        let mut taken = Self::default();
        if self.own && may(Bucket::User) {
            taken.own = std::mem::take(&mut self.own);
        }
        if may_tell_gone {
            taken.gone = std::mem::take(&mut self.gone);
        }
        let may_of = |id: &i64| may(Bucket::Workspace(*id));
        taken.entries = self.entries.extract_if(.., |id, _| may_of(id)).collect();
        taken.lists = self.lists.extract_if(.., |(id, _)| may_of(id)).collect();
        taken
    }
}

/// Whether a table is told of a deletion by the id alone. A workspace that is gone is a sync's to find out, and a
/// membership is in two lists.
const fn is_told_by_id(entity: Entity) -> bool {
    matches!(
        entity,
        Entity::TimeEntry
            | Entity::Project
            | Entity::Client
            | Entity::Tag
            | Entity::Task
            | Entity::ProjectUser
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: i64 = 1;

    fn event(entity: Entity, action: Action, ids: &[i64], user_id: Option<i64>) -> Event {
        let at = Some(Timestamp::UNIX_EPOCH);
        Event { subscription_id: None, id: None, entity, action, ids: ids.to_vec(), user_id, at }
    }

    fn noted(events: &[Event]) -> Pending {
        let mut pending = Pending::default();
        for event in events {
            pending.note(7, event, OWNER).ok();
        }
        pending
    }

    #[test]
    fn however_many_events_there_are_each_thing_is_looked_at_once() {
        let mine = event(Entity::TimeEntry, Action::Updated, &[5], Some(OWNER));
        let other = event(Entity::TimeEntry, Action::Updated, &[6], Some(2));
        let project = event(Entity::Project, Action::Created, &[8], None);
        let pending = noted(&[mine.clone(), mine, other.clone(), other, project.clone(), project]);
        assert!(pending.own && pending.gone.is_empty());
        assert_eq!(pending.entries, BTreeMap::from([(7, BTreeSet::from([6]))]));
        assert_eq!(pending.lists, BTreeSet::from([(7, Entity::Project)]));
        assert_eq!(pending.buckets(), BTreeSet::from([Bucket::User, Bucket::Workspace(7)]));
    }

    #[test]
    fn a_deletion_needs_no_look_unless_it_does_not_say_of_what_or_when() {
        let deleted = event(Entity::TimeEntry, Action::Deleted, &[5, 6], Some(2));
        let pending = noted(std::slice::from_ref(&deleted));
        assert_eq!(pending.gone.iter().map(|gone| gone.id).collect::<Vec<_>>(), [5, 6]);
        assert!(pending.buckets().is_empty());
        let never = noted(&[Event { at: None, ..deleted.clone() }]);
        assert!(never.gone.is_empty() && never.entry_count() == 2);
        let of_nothing = noted(&[Event { ids: Vec::new(), ..deleted }]);
        assert!(of_nothing.gone.is_empty() && of_nothing.own);
        let project = noted(&[event(Entity::Project, Action::Deleted, &[8], None)]);
        assert!(project.own && project.gone.len() == 1, "entries have lost it");
    }

    #[test]
    fn what_there_is_no_room_for_is_dropped_and_said_so() {
        let mut pending = Pending::default();
        let ids: Vec<i64> = (0..10_000).collect();
        let many = event(Entity::TimeEntry, Action::Updated, &ids, Some(2));
        assert_eq!(pending.note(7, &many, OWNER), Ok(()));
        assert_eq!(pending.note(7, &many, OWNER), Ok(()), "they are there already");
        let more = event(Entity::TimeEntry, Action::Updated, &[10_001], Some(2));
        assert_eq!(pending.note(8, &more, OWNER), Err(Dropped));
        assert_eq!(pending.entry_count(), MOST_ENTRIES);
        assert_eq!(pending.clone().merge(pending), 0);
    }

    #[test]
    fn what_may_not_be_looked_at_yet_stays() {
        let mut pending = noted(&[
            event(Entity::TimeEntry, Action::Updated, &[5], Some(OWNER)),
            event(Entity::TimeEntry, Action::Updated, &[6], Some(2)),
            event(Entity::Tag, Action::Deleted, &[9], None),
        ]);
        let whole = pending.clone();
        let taken = pending.take(|bucket| bucket == Bucket::User, true);
        assert!(taken.own && taken.gone.len() == 1 && taken.entries.is_empty());
        assert!(!pending.own && pending.gone.is_empty() && pending.entry_count() == 1);
        pending.merge(taken);
        assert_eq!(pending, whole);
    }
}
