//! In which encoding the database holds text.

use sqlx::PgConnection;

use super::MigrationError;

/// The one in which every text of Toggl has a place, and JSON every escape.
const WANTED: &str = "UTF8";

/// Looks whether the database can hold every text. One that cannot refuses some records, or takes bytes for
/// characters.
///
/// # Errors
/// When it cannot, with the statement that makes one that can.
pub(crate) async fn check_encoding(connection: &mut PgConnection) -> Result<(), MigrationError> {
    let (encoding, name, is_plain): (String, String, bool) = sqlx::query_as(
        "select pg_encoding_to_char(encoding)::text, quote_ident(datname || '_utf8'),
                datctype in ('C', 'POSIX') or datctype ~* 'utf-?8$'
         from pg_database where datname = current_database()",
    )
    .fetch_one(connection)
    .await?;
    if encoding == WANTED {
        return Ok(());
    }
    // A locale is of one encoding, but for this one.
    let locale = if is_plain { "" } else { " locale 'C'" };
    let remedy = format!("create database {name} encoding '{WANTED}' template template0{locale}");
    Err(MigrationError::Encoding { encoding, remedy })
}
