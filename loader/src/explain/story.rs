//! What became of one key in a sequence of batches, by the rules of [`crate::apply`] over this key alone.
//!
//! The batches are taken in the order in which they were loaded. What was stored before the first of them
//! is not known unless they are all that there were, so that this is true as far as the batches tell.

use jiff::Timestamp;
use shared::batch::{Batch, Coverage};
use shared::resource::Key;

use super::form::{Form, covers, in_range};
use super::stored::{Asked, Letter, Load, Stored};
use crate::apply::newer::{Known, Version};
use crate::apply::rows::{Row, rows};

/// What became of it in one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Became {
    /// It was not stored, and is since.
    Created,
    /// Newer than what was stored, and different.
    Updated { since: Version },
    /// It was marked deleted, and is live since.
    Restored,
    /// Toggl itself says that it is deleted.
    Deleted,
    /// A newer listing lacks it: stored, as deleted.
    GoneSince(Timestamp),
    /// The same as what was stored.
    Unchanged,
    /// Not newer than what was stored.
    Stale { than: Version },
    /// Not in a batch that is complete for it.
    MarkedDeleted,
    /// Not in it, but seen later.
    LeftAlone { confirmed_at: Timestamp },
    /// Not in it, and known to be deleted.
    StillDeleted,
    /// Not in it, and known to be deleted, but only since a later listing.
    DeletedEarlier { than: Timestamp },
    /// Not in it, and not stored.
    NotThere,
    /// Not in it, and whether it was stored then is not known.
    Lacks,
    /// Not in a batch that was kept whole: the dead letter.
    NotBelieved(i64),
    /// In it, and kept as this dead letter.
    DeadLetter { id: i64, reason: String },
    /// The fetcher could make no record of it.
    Rejected(String),
    /// In it, and nothing of the batch was written.
    NotWritten,
    /// In it; what was stored is not known.
    Unclear,
    /// Neither in it, nor is it complete for it.
    NotCovered,
}

#[derive(Debug, Clone, Copy)]
enum Before {
    Unknown,
    Absent,
    Stored(Form),
}

/// What is known between two batches.
pub(super) struct Story<'a> {
    asked: Asked,
    /// Dead letters of the key, and of whole batches.
    letters: &'a [Letter],
    /// The row of today: where its entry starts tells what covered it.
    today: Option<Form>,
    before: Before,
    /// Claims so far.
    claims: Vec<(Coverage, Timestamp)>,
}

impl<'a> Story<'a> {
    /// `is_whole` says that the batches to come are all that there were.
    pub(super) fn new(
        asked: Asked,
        letters: &'a [Letter],
        today: Option<&Stored>,
        is_whole: bool,
    ) -> Self {
        let before = if is_whole { Before::Absent } else { Before::Unknown };
        Self { asked, letters, today: today.map(Form::of_stored), before, claims: Vec::new() }
    }

    /// The next batch in the order of loading.
    pub(super) fn add(&mut self, load: &Load, batch: &Batch) -> Became {
        let (rows, _) = rows(self.asked.resource, batch);
        let row = rows.iter().find(|row| self.is_it(row));
        let refused = self.letter(load, Letter::is_of_batch);
        let became = match row {
            Some(row) => self.present(load, batch, row),
            None => self.absent(load, batch, refused),
        };
        if batch.coverage != Coverage::Partial && refused.is_none() {
            self.claims.push((batch.coverage.clone(), batch.fetched_at));
        }
        became
    }

    /// A batch of which nothing is known: what it left is not known either.
    pub(super) fn skip(&mut self) {
        self.before = Before::Unknown;
    }

    /// Whether the version of today is that of the batch.
    pub(super) fn is_of_today(&self, batch: &Batch) -> bool {
        let (rows, _) = rows(self.asked.resource, batch);
        let form = rows.iter().find(|row| self.is_it(row)).map(|row| Form::of_row(batch, row));
        form.zip(self.today).is_some_and(|(form, today)| {
            (form.content_hash, form.modified_at) == (today.content_hash, today.modified_at)
        })
    }

    /// Whether it is the batch of that row of `loads`.
    pub(super) fn is_of(&self, load: &Load, batch: &Batch) -> bool {
        let part = i64::from(load.part) == i64::from(batch.part);
        part && batch.resource == self.asked.resource.name
            && (batch.run_id, batch.workspace_id) == (load.run_id, load.workspace_id)
    }

    fn is_it(&self, row: &Row<'_>) -> bool {
        let in_workspace = match self.asked.resource.key {
            Key::Source => true,
            Key::WorkspaceAndSource => {
                self.asked.workspace_id.is_none_or(|id| id == row.workspace_id)
            }
        };
        row.record.source_id == self.asked.id && in_workspace
    }

    fn letter(&self, load: &Load, is_it: impl Fn(&Letter) -> bool) -> Option<&'a Letter> {
        let of_load = |letter: &&Letter| letter.stream_sequence == load.stream_sequence;
        self.letters.iter().filter(of_load).find(|letter| is_it(letter))
    }

    fn present(&mut self, load: &Load, batch: &Batch, row: &Row<'_>) -> Became {
        let is_kept = |letter: &Letter| matches!(&*letter.kind, "record" | "shape");
        if let Some(letter) = self.letter(load, is_kept) {
            return Became::DeadLetter { id: letter.dead_letter_id, reason: letter.reason.clone() };
        }
        let mut form = Form::of_row(batch, row);
        let denied = self.newest_claim(&form, batch.fetched_at);
        let own = form.deleted_at;
        form.deleted_at = own.or_else(|| self.missing_since(denied?, batch.fetched_at));
        let became = match self.before {
            Before::Unknown | Before::Absent if load.written == 0 => Became::NotWritten,
            Before::Unknown => Became::Unclear,
            Before::Absent => written(own, denied, Became::Created),
            Before::Stored(stored) => self.compared(&stored, &form, own, denied),
        };
        match (&became, &mut self.before) {
            (Became::Stale { .. } | Became::NotWritten, _) => {}
            (Became::Unchanged, Before::Stored(stored)) => {
                // Where a claim carries the news, the row is left alone.
                if batch.coverage == Coverage::Partial {
                    stored.fetched_at = stored.fetched_at.max(batch.fetched_at);
                }
            }
            (_, before) => *before = Before::Stored(form),
        }
        became
    }

    fn compared(
        &self,
        stored: &Form,
        new: &Form,
        own: Option<Timestamp>,
        denied: Option<Timestamp>,
    ) -> Became {
        let than = self.version(stored);
        let (was_deleted, is_deleted) = (stored.deleted_at.is_some(), new.deleted_at.is_some());
        let known = Known { version: than, fetched_at: stored.fetched_at, is_deleted: was_deleted };
        let version = Version { modified_at: new.modified_at, confirmed_at: new.fetched_at };
        if !known.is_replaced_by(version, !is_deleted, own.is_some()) {
            return Became::Stale { than };
        }
        let same = stored.content_hash == new.content_hash && stored.started_at == new.started_at;
        // What was deleted before it was seen, and is gone since, was deleted a second time.
        let same_deletion = match (own, denied) {
            (None, Some(_)) => stored.deleted_at > Some(new.fetched_at),
            _ => was_deleted == is_deleted,
        };
        if same && same_deletion {
            return Became::Unchanged;
        }
        let live = if was_deleted { Became::Restored } else { Became::Updated { since: than } };
        written(own, denied, live)
    }

    fn absent(&mut self, load: &Load, batch: &Batch, refused: Option<&Letter>) -> Became {
        let rejected =
            batch.rejected.iter().find(|rejected| rejected.source_id == Some(self.asked.id));
        if let Some(rejected) = rejected {
            return match self.letter(load, |letter| letter.source_id.is_some()) {
                Some(letter) => Became::DeadLetter {
                    id: letter.dead_letter_id,
                    reason: rejected.reason.clone(),
                },
                None => Became::Rejected(rejected.reason.clone()),
            };
        }
        let stored = match self.before {
            Before::Stored(form) => Some(form),
            Before::Unknown => self.today,
            Before::Absent => None,
        };
        if !covers(self.asked, batch, &batch.coverage, stored.as_ref()) {
            return Became::NotCovered;
        }
        if let Some(letter) = refused {
            return Became::NotBelieved(letter.dead_letter_id);
        }
        let stored = match &self.before {
            Before::Stored(stored) => *stored,
            Before::Absent => return Became::NotThere,
            Before::Unknown => return Became::Lacks,
        };
        if let Some(than) = stored.deleted_at {
            return self.absent_deleted(stored, than, batch.fetched_at);
        }
        let confirmed_at = self.version(&stored).confirmed_at;
        if confirmed_at >= batch.fetched_at {
            return Became::LeftAlone { confirmed_at };
        }
        self.before = Before::Stored(Form { deleted_at: Some(batch.fetched_at), ..stored });
        Became::MarkedDeleted
    }

    /// What is marked by a later claim only because this one comes late was gone at this one already.
    fn absent_deleted(&mut self, stored: Form, than: Timestamp, fetched_at: Timestamp) -> Became {
        let comes_late = self.claims.iter().any(|(_, at)| *at > fetched_at);
        if !comes_late || than <= fetched_at || stored.fetched_at >= fetched_at {
            return Became::StillDeleted;
        }
        self.before = Before::Stored(Form { deleted_at: Some(fetched_at), ..stored });
        Became::DeletedEarlier { than }
    }

    /// Since when it is gone that was seen then, and that a newer claim lacks: the stored deletion may lie between.
    fn missing_since(&self, denied: Timestamp, seen_at: Timestamp) -> Option<Timestamp> {
        let stored = match self.before {
            Before::Stored(stored) => stored.deleted_at.filter(|at| *at > seen_at),
            Before::Unknown | Before::Absent => None,
        };
        stored.into_iter().chain([denied]).min()
    }

    /// A live row is as new as the newest listing that had it.
    fn version(&self, form: &Form) -> Version {
        let newest = form.deleted_at.is_none().then(|| self.newest_claim(form, form.fetched_at));
        let confirmed_at = newest.flatten().unwrap_or(form.fetched_at);
        Version { modified_at: form.modified_at, confirmed_at }
    }

    /// The newest of the claims so far that covers it, if there is one after this time.
    fn newest_claim(&self, form: &Form, after: Timestamp) -> Option<Timestamp> {
        let covering =
            self.claims.iter().filter(|(coverage, _)| in_range(self.asked.id, coverage, form));
        covering.map(|(_, at)| *at).max().filter(|at| *at > after)
    }
}

fn written(own: Option<Timestamp>, denied: Option<Timestamp>, live: Became) -> Became {
    match (own, denied) {
        (Some(_), _) => Became::Deleted,
        (None, Some(at)) => Became::GoneSince(at),
        (None, None) => live,
    }
}

impl Became {
    /// Whether the batch has it.
    pub(super) fn has_it(&self) -> bool {
        !matches!(
            self,
            Self::MarkedDeleted
                | Self::LeftAlone { .. }
                | Self::StillDeleted
                | Self::DeletedEarlier { .. }
                | Self::NotThere
                | Self::Lacks
                | Self::NotBelieved(_)
                | Self::NotCovered
        )
    }
}
