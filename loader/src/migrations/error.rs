//! Why the tables are not as this loader needs them.

use std::fmt;

use shared::exit::Exit;
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

use super::rights::Refusal;
use crate::postgres::trouble::{Trouble, classify};

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// Postgres, or the connection to it.
    #[error("could not bring the tables up to date")]
    Ask(#[from] sqlx::Error),
    /// The server lacks functions that the migrations use.
    #[error("this Postgres is version {0}; 14 or newer is needed")]
    Old(u32),
    /// The database cannot hold every text.
    #[error(
        "this database holds text as {encoding}, which cannot hold all that Toggl has: make one in UTF8 \
         ({remedy}) and name it in DATABASE_URL. Nothing was changed"
    )]
    Encoding {
        /// As Postgres calls it.
        encoding: String,
        /// The statement.
        remedy: String,
    },
    /// There are migrations that this binary does not know.
    #[error("the tables are of a newer version than this loader: update it")]
    Newer,
    /// A migration was applied in another form.
    #[error(
        "migration {0} was applied to this database in another form than this loader knows: use the \
         loader that made the tables, or another database"
    )]
    Altered(i64),
    /// What a migration is to make is there already.
    #[error("{0}")]
    Taken(Strangers),
    /// This role may not make the tables.
    #[error("{0}")]
    Forbidden(String),
    /// This role may not use them.
    #[error("{0}")]
    Refused(Refusal),
    /// Somebody uses a table for longer than a migration waits.
    #[error(
        "migration {version} was not applied, for it waited a minute for a table that others use{holders}; \
         nothing was changed by it. Let them end, then start again"
    )]
    Locked {
        /// Of the migration.
        version: i64,
        /// Who holds what, to be read after "use".
        holders: String,
    },
    /// Somebody uses a view for longer than a loader waits.
    #[error(
        "the view {name} was not replaced, for it waited a minute for what others use{holders}; nothing was \
         changed by it. Let them end, then start again"
    )]
    LockedView {
        /// Of the view.
        name: String,
        /// Who holds what, to be read after "use".
        holders: String,
    },
    /// Some views are not in their present form; everything else is up to date.
    #[error("{0}")]
    Views(String),
    /// A signal came first.
    #[error(
        "interrupted before the tables were up to date; a migration that was at work leaves nothing"
    )]
    Interrupted,
    /// A migration does not work on what is there.
    #[error("migration {version} was not applied, and nothing was changed by it")]
    Failed {
        /// Of the migration.
        version: i64,
        /// What Postgres says.
        #[source]
        source: sqlx::Error,
    },
    /// The list of migrations and the database do not agree.
    #[error("could not migrate")]
    Migrate(#[source] MigrateError),
}

impl MigrationError {
    /// Whether the same look may find it otherwise when another loader has migrated.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Taken(_) | Self::Forbidden(_) | Self::Refused(_))
    }

    /// Whether nothing that is loaded needs what is not up to date.
    pub(crate) fn is_of_views(&self) -> bool {
        matches!(self, Self::Views(_))
    }

    /// The exit code of a command that ends with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Ask(error) if classify(error) == Trouble::Passing => Exit::Unreachable,
            _ => Exit::Failed,
        }
    }
}

impl From<MigrateError> for MigrationError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::ExecuteMigration(source, version) => Self::Failed { version, source },
            MigrateError::Execute(error) => Self::Ask(error),
            MigrateError::VersionMissing(_) => Self::Newer,
            MigrateError::VersionMismatch(version) => Self::Altered(version),
            error => Self::Migrate(error),
        }
    }
}

/// Whether a lock was not to be had in time.
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).as_deref() == Some("55P03")
}

/// Relations and functions of somebody else whose names the migrations need, each with its owner.
#[derive(Debug)]
pub struct Strangers(pub(super) Vec<(String, String)>);

impl fmt::Display for Strangers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// More would hide what to do.
        const NAMED: usize = 5;
        let named: Vec<String> =
            self.0.iter().take(NAMED).map(|(name, owner)| format!("{name} (of {owner})")).collect();
        let more = match self.0.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        write!(
            f,
            "this database holds things of another tool under names that the loader needs: {}{more}. \
             By raw.toggl_track__migrations no loader made them; rename or move them, or give the \
             loader another database. Nothing was changed",
            named.join(", ")
        )
    }
}
