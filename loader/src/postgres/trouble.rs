//! What errors of Postgres ask for.

use shared::postgres::is_of_shared_session;
use shared::retry::Disposition;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// What a Postgres error means for the batch in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A value that Postgres refuses: isolate the record, load the others.
    Data,
    /// Nobody's fault, or the connection's: drop it and try again.
    Passing,
    /// Somebody has to mend it: a missing table, a missing right, or a bug. It is tried again, too, for
    /// nobody tells when it is mended.
    Mending,
}

impl Trouble {
    /// The retry policy of errors that are not the data's.
    pub const fn disposition(self) -> Disposition {
        match self {
            Self::Passing => Disposition::Retry(None),
            Self::Data => Disposition::Skip,
            Self::Mending => Disposition::Stop,
        }
    }
}

/// Classifies an error of a session that had begun; errors of connecting always pass. What is unknown is
/// to be mended, so that nothing is dropped blindly.
pub fn classify(error: &sqlx::Error) -> Trouble {
    let Some(database) = error.as_database_error() else {
        return if is_of_connection(error) { Trouble::Passing } else { Trouble::Mending };
    };
    if is_of_connection(error) {
        return Trouble::Passing;
    }
    let trouble = database.code().map_or(Trouble::Mending, |code| classify_sqlstate(&code));
    match trouble {
        Trouble::Mending if is_raised(database) => Trouble::Data,
        trouble => trouble,
    }
}

/// Whether the connection is lost: it broke, or the server ended the session, for whatever reason.
pub(crate) fn is_of_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => postgres(&**error)
            .is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)),
        _ => false,
    }
}

/// Whether a statement ran out of time: of its own, or of that which an idle session has, for that is what
/// one is that waits for a slow line to bring the rest of a statement.
pub(crate) fn is_out_of_time(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("57014" | "25P03"))
}

/// What a command finds lacking in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// A table, schema or column.
    Tables,
    /// A right.
    Rights,
}

/// What an error says is lacking; none of others.
pub(crate) fn lack(error: &sqlx::Error) -> Option<Lack> {
    match error.as_database_error().and_then(DatabaseError::code).as_deref() {
        Some("42P01" | "3F000" | "42703") => Some(Lack::Tables),
        Some("42501") => Some(Lack::Rights),
        _ => None,
    }
}

/// A trigger's own refusal of a row, whatever code it chose for it.
fn is_raised(error: &dyn DatabaseError) -> bool {
    postgres(error).and_then(PgDatabaseError::routine) == Some("exec_stmt_raise")
}

fn postgres(error: &dyn DatabaseError) -> Option<&PgDatabaseError> {
    error.try_downcast_ref()
}

fn classify_sqlstate(code: &str) -> Trouble {
    // The exceptions first: 25006 is a server that became read-only, 55P03 a lock not available, 55006
    // an object in use, 57014 a statement that ran out of time, 58030 an I/O error, 25P02 a transaction
    // already lost, 25P03 and 25P04 one that was idle or took too long, as when the line was silent for a
    // while. 39P0x is a trigger that is wrong for every row, and 20000 a CASE in one that fits no branch.
    match code {
        "25006" | "25P02" | "25P03" | "25P04" | "55006" | "55P03" | "58030" => {
            return Trouble::Passing;
        }
        "09000" | "20000" | "27000" | "44000" => return Trouble::Data,
        _ => {}
    }
    match code.get(..2) {
        // P0 is PL/pgSQL's `raise` and `assert`, 38 what functions in other languages raise.
        Some("22" | "23" | "38" | "54" | "P0") => Trouble::Data,
        Some("08" | "40" | "53" | "57") => Trouble::Passing,
        _ => Trouble::Mending,
    }
}

/// What to do about it, in a few words.
pub(crate) fn advice(error: &sqlx::Error) -> &'static str {
    let code = error.as_database_error().and_then(DatabaseError::code);
    let code = code.as_deref().unwrap_or_default();
    match code {
        _ if is_of_shared_session(error) => {
            "is there a pooler in transaction mode now? Use session mode, or Postgres itself"
        }
        "25006" => "is this the primary, and is `default_transaction_read_only` off?",
        "42501" => "grant this role what loaders have; `loader check` names it",
        "42P01" | "42703" | "3F000" => {
            "restore the table from a backup, or run `loader migrate` if it is older than this loader"
        }
        "40P01" | "55006" | "55P03" => {
            "somebody holds a lock on it: see pg_locks and pg_stat_activity"
        }
        "53100" => "make room on the disk of Postgres",
        "57014" | "25P03" => "is there a slow trigger on it, or is Postgres overloaded?",
        _ => "mend that",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_ask_for_what_the_policy_says() {
        let table = [
            (
                Trouble::Data,
                "22P05 22021 22P02 22003 22008 23502 23505 23514 54001 54000 P0000 P0001 P0002 P0003 \
                 P0004 38000 38001 09000 20000 27000 44000",
            ),
            (
                Trouble::Passing,
                "08000 08006 08P01 40001 40P01 53100 53200 53300 55006 55P03 57014 57P01 57P03 57P05 \
                 58030 25006 25P02 25P03 25P04",
            ),
            (
                Trouble::Mending,
                "0A000 21000 25001 2F005 28000 28P01 39P01 3D000 3F000 42501 42703 42804 42883 42P01 \
                 42P10 55000 55P02 55P04 58000 58P01 F0000 HV000 XX000 XX001 ZZ001",
            ),
        ];
        for (trouble, codes) in table {
            for code in codes.split(' ') {
                assert_eq!(classify_sqlstate(code), trouble, "{code}");
            }
        }
    }
}
