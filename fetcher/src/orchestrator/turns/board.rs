//! Who reads which shared list, decided as if the accounts of a command had come one after the other.

use std::collections::{BTreeMap, BTreeSet};

use shared::catalogue;
use shared::resource::Resource;

use crate::orchestrator::workspaces_resource;
use crate::state::{Reader, Readers, Reading, readers_key};

/// A list of a workspace, or the row of one in the list of all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::orchestrator) struct Slot {
    /// Where its readers are written down.
    pub(in crate::orchestrator) key: String,
    pub(in crate::orchestrator) resource: &'static str,
}

impl Slot {
    pub(in crate::orchestrator) fn list(resource: &Resource, workspace_id: i64) -> Self {
        Self { key: readers_key(workspace_id), resource: resource.name }
    }
}

/// What an account has done with a list, or may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::orchestrator) enum Note {
    /// It has read it. Where its workspaces were not listed, whether it is an admin stands as it was.
    Read { me: Reader, is_listed: bool },
    /// It no longer has the workspace.
    Left { user_id: i64 },
}

impl Note {
    /// The reader from now on.
    fn after(self, known: Option<Reader>) -> Option<Reader> {
        match self {
            Self::Left { user_id } => known.filter(|known| known.user_id != user_id),
            Self::Read { me, is_listed } => {
                let was_admin =
                    known.is_some_and(|known| known.user_id == me.user_id && known.is_admin);
                let is_admin = me.is_admin || (!is_listed && was_admin);
                Some(Reader::new(me.user_id, is_admin, me.at).after(known.as_ref()))
            }
        }
    }

    /// Whether another user reads it.
    fn is_anothers_answer(self, user_id: i64) -> bool {
        matches!(self, Self::Read { me, .. } if me.user_id != user_id)
    }

    /// Whether it comes to that, with this reader before.
    fn is_possible(self, known: Option<Reader>) -> bool {
        match self {
            Self::Left { .. } => true,
            Self::Read { me, .. } => !matches!(me.reading(known.as_ref()), Reading::LeftTo(_)),
        }
    }
}

/// What an account may still do.
#[derive(Debug)]
enum Open {
    /// It has not said yet what it has.
    Anything,
    /// No more than this.
    These(BTreeMap<Slot, Note>),
}

#[derive(Debug)]
struct Seat {
    open: Open,
    notes: BTreeMap<Slot, Note>,
}

/// What the accounts of a command have done, in their order. An account sees what those before it did and may
/// still do, and nothing of those after it.
#[derive(Debug)]
pub(super) struct Board {
    /// The readers before the first seat.
    stored: BTreeMap<Slot, Reader>,
    /// The keys that were read from the bucket.
    loaded: BTreeSet<String>,
    /// Without those at the beginning that are done.
    seats: BTreeMap<usize, Seat>,
    /// Where in the order an account is now.
    places: BTreeMap<usize, usize>,
}

impl Board {
    pub(super) fn of(accounts: usize) -> Self {
        let seat = || Seat { open: Open::Anything, notes: BTreeMap::new() };
        Self {
            stored: BTreeMap::new(),
            loaded: BTreeSet::new(),
            seats: (0..accounts).map(|place| (place, seat())).collect(),
            places: (0..accounts).map(|id| (id, id)).collect(),
        }
    }

    pub(super) fn is_loaded(&self, key: &str) -> bool {
        self.loaded.contains(key)
    }

    /// What the bucket has of a key; what it had at the first look stands.
    pub(super) fn load(&mut self, key: &str, readers: &Readers) {
        if !self.loaded.insert(key.to_owned()) {
            return;
        }
        for (resource, reader) in readers {
            if let Some(resource) = catalogue::find(resource) {
                let slot = Slot { key: key.to_owned(), resource: resource.name };
                self.stored.insert(slot, *reader);
            }
        }
    }

    /// Says what an account may do from now on: no more than it has said.
    pub(super) fn open(&mut self, id: usize, may: BTreeMap<Slot, Note>) {
        if let Some(seat) = self.seat(id) {
            seat.open = Open::These(may);
        }
        self.fold();
    }

    /// Notes what an account has done.
    pub(super) fn note(&mut self, id: usize, notes: BTreeMap<Slot, Note>) {
        if let Some(seat) = self.seat(id) {
            seat.notes.extend(notes);
        }
    }

    /// Of what an account may still do only this is left.
    pub(super) fn keep_open(&mut self, id: usize, still: &BTreeSet<Slot>) {
        if let Some(Seat { open: Open::These(open), .. }) = self.seat(id) {
            open.retain(|slot, _| still.contains(slot));
        }
        self.fold();
    }

    /// The account is done.
    pub(super) fn close(&mut self, id: usize) {
        self.open(id, BTreeMap::new());
    }

    /// It comes last from now on, for it lets the others wait.
    pub(super) fn step_back(&mut self, id: usize) {
        let last = self.seats.last_key_value().map_or(0, |(place, _)| *place);
        if let Some(place) = self.places.get_mut(&id)
            && let Some(seat) = self.seats.remove(place)
        {
            *place = last + 1;
            self.seats.insert(*place, seat);
        }
        self.fold();
    }

    /// Those before it that have not said yet what they have come last from now on.
    pub(super) fn pass_by(&mut self, id: usize) {
        let Some(mine) = self.places.get(&id).copied() else { return };
        let is_silent = |place: &usize| {
            *place < mine
                && self.seats.get(place).is_some_and(|seat| matches!(seat.open, Open::Anything))
        };
        let silent: Vec<usize> =
            self.places.iter().filter(|(_, place)| is_silent(place)).map(|(id, _)| *id).collect();
        for id in silent {
            self.step_back(id);
        }
    }

    /// What an account does with a list, if that does not depend on what those before it may still do. Whoever reads
    /// it after another one asks after that one, too: the newer answer counts.
    pub(super) fn reading(&self, id: usize, slot: &Slot, me: Reader) -> Option<Reading> {
        let (states, is_awaited) = self.states(id, slot, me);
        let mut readings = states.iter().map(|known| me.reading(known.as_ref()));
        let first = readings.next()?;
        let is_same = |other| std::mem::discriminant(&first) == std::mem::discriminant(&other);
        let is_certain = readings.all(is_same);
        let is_left = matches!(first, Reading::LeftTo(_));
        (is_certain && (is_left || !is_awaited)).then_some(first)
    }

    /// The same where it was waited for long enough: what another one may still read is left to that one.
    pub(super) fn likely_reading(&self, id: usize, slot: &Slot, me: Reader) -> Reading {
        let mut known = self.stored.get(slot).copied();
        for seat in self.before(id) {
            if let Some(note) = seat.notes.get(slot) {
                known = note.after(known);
            } else if let Open::These(open) = &seat.open
                && let Some(Note::Read { me: other, .. }) = open.get(slot)
                && other.user_id != me.user_id
                && !matches!(other.reading(known.as_ref()), Reading::LeftTo(_))
            {
                return Reading::LeftTo(*other);
            }
        }
        me.reading(known.as_ref())
    }

    /// Whether another account has read a list since this one has.
    pub(super) fn is_overtaken(&self, id: usize, slot: &Slot, me: Reader) -> bool {
        let notes = self.before(id).filter_map(|seat| seat.notes.get(slot));
        let known = notes.fold(self.stored.get(slot).copied(), |known, note| note.after(known));
        known.is_some_and(|known| known.user_id != me.user_id && known.at >= me.at)
    }

    /// The reader of a list after all that was done until now.
    pub(super) fn reader(&self, slot: &Slot) -> Option<Reader> {
        let notes = self.seats.values().filter_map(|seat| seat.notes.get(slot));
        notes.fold(self.stored.get(slot).copied(), |known, note| note.after(known))
    }

    /// Who may be the reader when an account's turn comes, and whether another one may still read until then.
    fn states(&self, id: usize, slot: &Slot, me: Reader) -> (Vec<Option<Reader>>, bool) {
        let (mut states, mut is_awaited) = (vec![self.stored.get(slot).copied()], false);
        for seat in self.before(id) {
            if let Some(note) = seat.notes.get(slot) {
                for known in &mut states {
                    *known = note.after(*known);
                }
                continue;
            }
            for known in states.clone() {
                let may = match &seat.open {
                    Open::Anything => anybody(slot, known, me),
                    Open::These(open) => open.get(slot).copied().into_iter().collect(),
                };
                for note in may.iter().filter(|note| note.is_possible(known)) {
                    is_awaited |= note.is_anothers_answer(me.user_id);
                    let reader = note.after(known);
                    if !states.contains(&reader) {
                        states.push(reader);
                    }
                }
            }
        }
        (states, is_awaited)
    }

    fn before(&self, id: usize) -> impl Iterator<Item = &Seat> {
        let place = self.places.get(&id).copied().unwrap_or_default();
        self.seats.range(..place).map(|(_, seat)| seat)
    }

    fn seat(&mut self, id: usize) -> Option<&mut Seat> {
        self.seats.get_mut(self.places.get(&id)?)
    }

    /// Those at the beginning that are done need no seat any more.
    fn fold(&mut self) {
        while let Some(first) = self.seats.first_entry() {
            match &first.get().open {
                Open::These(open) if open.is_empty() => {}
                _ => return,
            }
            let (place, seat) = first.remove_entry();
            self.places.retain(|_, known| *known != place);
            for (slot, note) in seat.notes {
                match note.after(self.stored.get(&slot).copied()) {
                    Some(reader) => drop(self.stored.insert(slot, reader)),
                    None => drop(self.stored.remove(&slot)),
                }
            }
        }
    }
}

/// What an account may do of which nothing is known: it may be the reader, or somebody else.
fn anybody(slot: &Slot, known: Option<Reader>, me: Reader) -> Vec<Note> {
    // No user has the id 0; two names of one account are the same user.
    let users: BTreeSet<i64> = known
        .iter()
        .flat_map(|known| [Some(known.user_id), known.absent()])
        .flatten()
        .chain([me.user_id, 0])
        .collect();
    let read = |user_id| {
        [true, false].map(|is_admin| {
            let me = Reader::new(user_id, is_admin, me.at);
            Note::Read { me, is_listed: true }
        })
    };
    // Only who writes the row of a workspace gives that up by leaving.
    let left = known.filter(|_| slot.resource == workspaces_resource().name);
    let left = left.map(|known| Note::Left { user_id: known.user_id });
    users.into_iter().flat_map(read).chain(left).collect()
}

#[cfg(test)]
mod tests;
