//! Which pipeline it is: whoever asks how it is wants to know whose answer that is.

use jiff::Timestamp;
use serde::Serialize;
use shared::stream::STREAM;

/// Between a key and its value where it stands as text.
const COLON: &str = ": ";

/// Never with a user or a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Pipeline {
    /// Host, port and name of the database.
    pub(crate) database: String,
    /// Host and port of each NATS server that is known.
    pub(crate) nats: String,
    /// The stream.
    pub(crate) stream: &'static str,
    /// Of this program.
    pub(crate) version: &'static str,
    /// When the loader was started; none for a command that only looks.
    pub(crate) started_at: Option<Timestamp>,
}

impl Pipeline {
    pub(crate) const fn new(database: String, nats: String) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self { database, nats, stream: STREAM, version, started_at: None }
    }

    /// That of a loader that starts now.
    pub(crate) fn started(self) -> Self {
        Self { started_at: Some(Timestamp::now()), ..self }
    }

    /// A line for each thing there is to know.
    pub(crate) fn lines(&self) -> String {
        let Self { database, nats, stream, version, started_at } = self;
        let started = started_at.map(|at| format!("started{COLON}{at}\n")).unwrap_or_default();
        format!(
            "database{COLON}{database}\nnats{COLON}{nats}\nstream{COLON}{stream}\nversion{COLON}{version}\n\
             {started}"
        )
    }

    /// All of it in one line, for people.
    pub(crate) fn words(&self) -> String {
        let Self { database, nats, stream, version, started_at } = self;
        let started = started_at.map(|at| format!(", started {} UTC", at.strftime("%F %T")));
        format!(
            "Pipeline: {stream} at {nats} into {database}, loader {version}{}",
            started.unwrap_or_default()
        )
    }
}

/// What another loader's [lines](Pipeline::lines) say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told<'a> {
    database: &'a str,
    nats: &'a str,
}

impl<'a> Told<'a> {
    /// None where it says nothing, as loaders of the first releases do.
    pub(crate) fn in_lines(text: &'a str) -> Option<Self> {
        let value = |key: &str| {
            let mut values = text.lines().filter_map(|line| line.strip_prefix(key));
            values.find_map(|rest| rest.strip_prefix(COLON))
        };
        Some(Self { database: value("database")?, nats: value("nats")? })
    }

    /// In words what it loads instead of what is expected here; what is not expected is not compared.
    pub(crate) fn differs(self, database: Option<&str>, nats: Option<&str>) -> Option<String> {
        let is_same = |found: &str, wanted: &str| plain(found) == plain(wanted);
        if let Some(database) = database.filter(|database| !is_same(self.database, database)) {
            return Some(format!("loads into {}, and DATABASE_URL is {database}", self.database));
        }
        // Of a cluster each may know other servers.
        let is_shared = |nats: &str| {
            nats.split(", ").any(|one| self.nats.split(", ").any(|other| is_same(one, other)))
        };
        let nats = nats.filter(|nats| !is_shared(nats))?;
        Some(format!("reads from {}, and NATS_URL is {nats}", self.nats))
    }
}

/// However this machine is called.
fn plain(address: &str) -> String {
    let local = ["127.0.0.1:", "[::1]:", "::1:"];
    let rest = local.into_iter().find_map(|name| address.strip_prefix(name));
    rest.map_or_else(
        || address.to_ascii_lowercase(),
        |rest| format!("localhost:{rest}").to_ascii_lowercase(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(database: Option<&str>, nats: Option<&str>) -> Option<String> {
        let pipeline =
            Pipeline::new("db:5432/toggl".to_owned(), "127.0.0.1:4222, b:4222".to_owned());
        Told::in_lines(&format!("ok\n{}", pipeline.started().lines()))
            .unwrap()
            .differs(database, nats)
    }

    #[test]
    fn another_database_or_server_is_named_and_what_is_not_set_is_not_compared() {
        assert_eq!(differs(None, None), None);
        assert_eq!(differs(Some("DB:5432/toggl"), Some("localhost:4222")), None);
        assert_eq!(differs(Some("db:5432/toggl"), Some("a:4222, b:4222")), None);
        let words = differs(Some("db:5432/other"), None).unwrap();
        assert_eq!(words, "loads into db:5432/toggl, and DATABASE_URL is db:5432/other");
        let words = differs(None, Some("a:4222")).unwrap();
        assert_eq!(words, "reads from 127.0.0.1:4222, b:4222, and NATS_URL is a:4222");
    }

    #[test]
    fn who_says_nothing_about_itself_is_not_known() {
        assert_eq!(Told::in_lines("ok\n"), None);
        assert_eq!(Told::in_lines("database is out of reach: is it running?\nnats: a"), None);
    }
}
