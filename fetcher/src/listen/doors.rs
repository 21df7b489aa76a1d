//! The subscriptions that deliveries may come of, one a workspace: what each should be, and how it is.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;

use super::public_url::PublicUrl;
use crate::webhooks::{Filter, Verifier, Wanted, secret};

/// Whose subscriptions are ours: what stands before the place in their descriptions.
const OURS: &str = "toggl-track:";

/// One for each workspace.
#[derive(Debug)]
pub(crate) struct Doors(BTreeMap<i64, Door>);

/// The way in of one workspace's deliveries.
#[derive(Debug)]
pub(crate) struct Door {
    pub(super) workspace_id: i64,
    pub(super) verifier: Verifier,
    pub(super) wanted: Wanted,
    state: Mutex<DoorState>,
}

#[derive(Debug, Default)]
struct DoorState {
    /// None until it is known, as while it is being made.
    subscription_id: Option<i64>,
    standing: Standing,
    /// Events since the subscription was last mended.
    heard: u64,
}

/// How a subscription is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Standing {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// Toggl delivers.
    Rings,
    /// It is there, and Toggl has not had its proof that deliveries are wanted.
    Unvalidated,
    /// Toggl has no webhooks for this account there, as it says.
    Closed(String),
    /// What keeps it from being as it should be.
    Failed(String),
}

impl Doors {
    pub(crate) fn new(token: &SecretString, public_url: &PublicUrl, workspace_ids: &[i64]) -> Self {
        let place = public_url.place();
        let door = |workspace_id: i64| {
            let secret = secret(token, workspace_id, &place);
            let door = Door {
                workspace_id,
                verifier: Verifier::new(&secret),
                wanted: Wanted {
                    url_callback: public_url.callback(workspace_id),
                    description: format!("{OURS}{place}"),
                    filters: Filter::everything(),
                    secret,
                },
                state: Mutex::default(),
            };
            (workspace_id, door)
        };
        Self(workspace_ids.iter().copied().map(door).collect())
    }

    pub(super) fn get(&self, workspace_id: i64) -> Option<&Door> {
        self.0.get(&workspace_id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Door> {
        self.0.values()
    }

    /// # Errors
    /// In words, which of them do not ring and why.
    pub(super) fn ready(&self) -> Result<(), String> {
        let mut silent = Vec::new();
        let mut rings = false;
        for door in self.iter() {
            let words = match door.standing() {
                Standing::Rings => {
                    rings = true;
                    continue;
                }
                // Another look will not change that, and the others may ring.
                Standing::Closed(_) if self.0.len() > 1 => continue,
                Standing::Closed(words) | Standing::Failed(words) => words,
                Standing::Unknown => "its subscription was not looked at yet".to_owned(),
                Standing::Unvalidated => "Toggl has not reached this program yet".to_owned(),
            };
            silent.push(format!("workspace {}: {words}", door.workspace_id));
        }
        if silent.is_empty() && !rings {
            return Err("no workspace has webhooks".to_owned());
        }
        if silent.is_empty() { Ok(()) } else { Err(silent.join("; ")) }
    }
}

impl Door {
    pub(super) fn subscription_id(&self) -> Option<i64> {
        self.locked().subscription_id
    }

    pub(super) fn set_subscription_id(&self, id: Option<i64>) {
        self.locked().subscription_id = id;
    }

    /// Whether a delivery may be of this subscription. Toggl calls while it is being made, before anybody knows
    /// which it will be.
    pub(super) fn is_of(&self, subscription_id: Option<i64>) -> bool {
        let known = self.subscription_id();
        known.is_none() || known == subscription_id
    }

    pub(super) fn standing(&self) -> Standing {
        self.locked().standing.clone()
    }

    /// Answers what it was before.
    pub(super) fn set_standing(&self, standing: Standing) -> Standing {
        std::mem::replace(&mut self.locked().standing, standing)
    }

    pub(super) fn hear(&self) {
        self.locked().heard += 1;
    }

    /// How many events have come since this was last asked.
    pub(super) fn take_heard(&self) -> u64 {
        std::mem::take(&mut self.locked().heard)
    }

    fn locked(&self) -> MutexGuard<'_, DoorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors() -> Doors {
        let url = "https://example.com".parse().unwrap();
        Doors::new(&"token".to_owned().into(), &url, &[1, 2])
    }

    #[test]
    fn a_door_that_knows_its_subscription_takes_no_other() {
        let doors = doors();
        let door = doors.get(1).unwrap();
        assert!(door.is_of(Some(5)) && door.is_of(None), "it is being made");
        door.set_subscription_id(Some(5));
        assert!(door.is_of(Some(5)) && !door.is_of(Some(6)) && !door.is_of(None));
    }

    #[test]
    fn it_is_ready_when_every_workspace_rings_that_can() {
        let doors = doors();
        let set = |id, standing| doors.get(id).unwrap().set_standing(standing);
        assert!(doors.ready().is_err());
        set(1, Standing::Rings);
        assert!(doors.ready().unwrap_err().contains("workspace 2"));
        set(2, Standing::Closed("not in this plan".to_owned()));
        assert_eq!(doors.ready(), Ok(()));
        set(1, Standing::Closed("not in this plan".to_owned()));
        assert!(doors.ready().is_err());
    }
}
