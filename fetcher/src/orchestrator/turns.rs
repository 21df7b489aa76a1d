//! The accounts of a command beside each other. What several of them can read is read with the account that
//! would read it if they came one after the other; all else each does for itself.
//!
//! An account that cannot know yet whether a list is its own to read leaves it for the end of its run, and waits
//! for those before it then: for [`LONGEST_WAIT`] for those of which nothing is known yet, who come after it from then
//! on, and as long again for what the others may read, which it leaves to them then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::Instant;

mod board;

use self::board::Board;
pub(super) use self::board::{Note, Slot};
use crate::state::{Reader, Readers, Reading, State, StateError};

/// How long an account that has nothing else to do waits for those before it: long enough for an answer of
/// Toggl, and not for a quota.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What the accounts of a command know of each other.
#[derive(Debug)]
struct Turns {
    board: Mutex<Board>,
    changed: watch::Sender<()>,
    /// Readers are written down one after the other.
    saving: tokio::sync::Mutex<()>,
    /// Two names of one account are not read at once.
    users: Mutex<BTreeMap<i64, Arc<tokio::sync::Mutex<()>>>>,
}

/// An account's place among those that a command reads beside each other. Once dropped, it keeps nobody
/// waiting.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    id: usize,
}

/// A turn for each account of a command, in their order.
pub(crate) fn turns(accounts: usize) -> Vec<Turn> {
    let turns = Arc::new(Turns {
        board: Mutex::new(Board::of(accounts)),
        changed: watch::Sender::new(()),
        saving: tokio::sync::Mutex::default(),
        users: Mutex::default(),
    });
    (0..accounts).map(|id| Turn { turns: Arc::clone(&turns), id }).collect()
}

impl Turn {
    /// Of an account that no other is read beside.
    pub(crate) fn alone() -> Self {
        turns(1).remove(0)
    }

    /// Until the answer is dropped, no other run of the command is this user's. Who has to wait for that comes
    /// last.
    pub(super) async fn only_one_of(&self, user_id: i64) -> OwnedMutexGuard<()> {
        let user = {
            let mut users = self.turns.users.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(users.entry(user_id).or_default())
        };
        if let Ok(guard) = Arc::clone(&user).try_lock_owned() {
            return guard;
        }
        self.board().step_back(self.id);
        self.tell();
        user.lock_owned().await
    }

    /// Says what the account may read of what others can read, too.
    pub(super) async fn announce(
        &self,
        state: &State,
        may: BTreeMap<Slot, Note>,
    ) -> Result<(), StateError> {
        self.load(state, &may).await?;
        self.board().open(self.id, may);
        self.tell();
        Ok(())
    }

    /// What the account does with a list; none where that cannot be known yet.
    pub(super) fn reading(&self, slot: &Slot, me: Reader) -> Option<Reading> {
        self.board().reading(self.id, slot, me)
    }

    /// The same where it was waited for long enough.
    pub(super) fn likely_reading(&self, slot: &Slot, me: Reader) -> Reading {
        self.board().likely_reading(self.id, slot, me)
    }

    /// The same, of an account that keeps nobody waiting and waits for nobody.
    pub(super) async fn stored_reading(
        &self,
        state: &State,
        slot: &Slot,
        me: Reader,
    ) -> Result<Reading, StateError> {
        let note = Note::Read { me, is_listed: true };
        self.load(state, &BTreeMap::from([(slot.clone(), note)])).await?;
        Ok(self.likely_reading(slot, me))
    }

    /// Whether another account has read a list since this one has.
    pub(super) fn is_overtaken(&self, slot: &Slot, me: Reader) -> bool {
        self.board().is_overtaken(self.id, slot, me)
    }

    /// Waits until this is so, which depends on what others do; whether it came to that before the deadline.
    pub(super) async fn until(&self, deadline: Instant, mut is_so: impl FnMut() -> bool) -> bool {
        let mut changed = self.turns.changed.subscribe();
        let waiting = async { while !is_so() && changed.changed().await.is_ok() {} };
        tokio::time::timeout_at(deadline, waiting).await.is_ok()
    }

    /// Those before it that have not said yet what they have come last from now on.
    pub(super) fn pass_by(&self) {
        self.board().pass_by(self.id);
        self.tell();
    }

    /// Writes down what the account has done, and what is left for it to do.
    pub(super) async fn settle(
        &self,
        state: &State,
        notes: BTreeMap<Slot, Note>,
        still: &BTreeSet<Slot>,
    ) -> Result<(), StateError> {
        self.load(state, &notes).await?;
        let slots = notes.keys().cloned().collect();
        {
            let mut board = self.board();
            board.note(self.id, notes);
            board.keep_open(self.id, still);
        }
        self.tell();
        self.save(state, slots).await
    }

    /// Writes down that the account no longer has a workspace.
    pub(super) async fn leave(
        &self,
        state: &State,
        slot: Slot,
        user_id: i64,
    ) -> Result<(), StateError> {
        let notes = BTreeMap::from([(slot.clone(), Note::Left { user_id })]);
        self.load(state, &notes).await?;
        self.board().note(self.id, notes);
        self.save(state, vec![slot]).await
    }

    async fn load(&self, state: &State, slots: &BTreeMap<Slot, Note>) -> Result<(), StateError> {
        let keys: BTreeSet<&String> = slots.keys().map(|slot| &slot.key).collect();
        for key in keys {
            if !self.board().is_loaded(key) {
                let readers: Readers = state.load(key).await?.unwrap_or_default();
                self.board().load(key, &readers);
            }
        }
        Ok(())
    }

    async fn save(&self, state: &State, slots: Vec<Slot>) -> Result<(), StateError> {
        let mut resources: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
        for Slot { key, resource } in slots {
            resources.entry(key).or_default().push(resource);
        }
        let _saving = self.turns.saving.lock().await;
        for (key, resources) in resources {
            let mut readers: Readers = state.load(&key).await?.unwrap_or_default();
            for resource in resources {
                match self.board().reader(&Slot { key: key.clone(), resource }) {
                    Some(reader) => drop(readers.insert(resource.to_owned(), reader)),
                    None => drop(readers.remove(resource)),
                }
            }
            state.save(&key, &readers).await?;
        }
        Ok(())
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.turns.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.turns.changed.send_replace(());
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.board().close(self.id);
        self.tell();
    }
}
