//! Whose a consumer is, and who may take from it.

use std::fmt;

use uuid::Uuid;

use super::{Notes, Readers};
use crate::stream::STREAM;

/// The database that a consumer loads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The id that its migrations gave it; a dump that is restored has the same.
    pub installation: Uuid,
    /// Which database it is, for telling a dump that was restored elsewhere from what it is of; empty
    /// where Postgres does not say.
    pub database: String,
}

impl Owner {
    /// Whether both are one database, as far as can be told.
    pub fn is_same(&self, other: &Self) -> bool {
        let same_place = self.database == other.database
            || self.database.is_empty()
            || other.database.is_empty();
        self.installation == other.installation && same_place
    }

    /// What a loader of this database writes into a consumer that has these notes, where it may take
    /// from it: not while it is another database's, nor, where there is none, while any of the others is.
    ///
    /// # Errors
    /// When it may not.
    pub fn take(
        &self,
        readers: &Readers,
        notes: Option<Notes>,
        others: &[Self],
    ) -> Result<Notes, Foreign> {
        let notes = notes.unwrap_or_default();
        let owners = notes.owner.iter().chain(others);
        match owners.into_iter().find(|owner| !self.is_same(owner)) {
            Some(owner) => Err(self.foreign(readers, owner)),
            None => Ok(Notes { owner: Some(self.clone()), ..notes }),
        }
    }

    /// Why a loader of this database takes nothing while that one owns the consumers.
    pub fn foreign(&self, readers: &Readers, owner: &Self) -> Foreign {
        let whose = if owner.installation == self.installation {
            Whose::Twin(owner.clone())
        } else {
            Whose::Other(owner.clone())
        };
        Foreign { readers: readers.clone(), whose }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "installation {}", self.installation)?;
        // The rest says which server, to nobody but a program.
        match self.database.split_once('/') {
            Some((_, name)) => write!(f, ", database {name}"),
            None => Ok(()),
        }
    }
}

/// Who loads the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Another database.
    Other(Owner),
    /// What this database is a copy of, or a copy of this one; its loader is at work.
    Twin(Owner),
    /// Nobody knows: the consumers are the first release's, its loader is at work, and this database
    /// lacks what they have loaded.
    Unknown,
}

/// The consumers load another database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Foreign {
    /// Which consumers.
    pub readers: Readers,
    /// What they load.
    pub whose: Whose,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, adopt) = match self.readers.copy() {
            None => (format!("the stream {STREAM}"), "loader adopt".to_owned()),
            Some(name) => (
                format!("the copy {name} of the stream {STREAM}"),
                format!("loader adopt --copy {name}"),
            ),
        };
        match &self.whose {
            Whose::Other(owner) => write!(f, "{what} is loaded into another database ({owner})")?,
            Whose::Twin(owner) => write!(
                f,
                "{what} is loaded into another copy of this database ({owner}), by a loader that is \
                 at work"
            )?,
            Whose::Unknown => write!(
                f,
                "{what} is loaded into another database by a loader of an older version that is at \
                 work"
            )?,
        }
        write!(
            f,
            "; nothing is taken for this one. To move the stream to this database run `{adopt}`; to \
             load both, start the loaders of this one with `--copy NAME`"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(installation: u128, database: &str) -> Owner {
        Owner { installation: Uuid::from_u128(installation), database: database.to_owned() }
    }

    fn notes(owner: Owner) -> Notes {
        Notes { owner: Some(owner), trouble: None }
    }

    #[test]
    fn a_consumer_is_taken_by_its_own_database_alone() {
        let ours = owner(1, "7/toggl");
        let take = |notes, others: &[Owner]| ours.take(&Readers::Main, notes, others);
        for mine in
            [None, Some(Notes::default()), Some(notes(ours.clone())), Some(notes(owner(1, "")))]
        {
            assert_eq!(take(mine, &[]).unwrap().owner, Some(ours.clone()));
        }
        for theirs in [owner(2, "7/toggl"), owner(1, "7/copy"), owner(1, "8/toggl")] {
            assert!(take(Some(notes(theirs.clone())), &[]).is_err(), "{theirs}");
            assert!(take(None, &[ours.clone(), theirs.clone()]).is_err(), "{theirs}");
        }
    }

    #[test]
    fn who_may_not_take_is_told_whose_it_is_and_the_ways_out() {
        let copy = Readers::Copy("team".parse().unwrap());
        for (readers, adopt) in [(Readers::Main, "`loader adopt`"), (copy, "adopt --copy team`")] {
            let error = owner(1, "7/toggl").take(&readers, Some(notes(owner(2, "9/theirs"))), &[]);
            let words = error.unwrap_err().to_string();
            for part in [adopt, "--copy NAME", "database theirs", &Uuid::from_u128(2).to_string()] {
                assert!(words.contains(part), "{part}: {words}");
            }
            assert!(!words.contains("9/"), "{words}");
        }
    }
}
