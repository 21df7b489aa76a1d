//! What a message says of its batch in a header: enough for a loader to know a listing that brings nothing
//! new without unpacking it.
//!
//! ```text
//! Toggl-Digest: v1 payload=5c1d0a8f0e2b9a47 resource=time_entries workspace=0 run=01935a2e-… part=3 api=v9
//!               fetched=1764477034000000 starts=1764460800000000..1764547200000000 user=42
//!               records=2240 hashes=00f3a1c5d2e4b687 offsets=96768000000000
//! ```
//!
//! It is one line, its words are in this order, and one blank is between two of them:
//!
//! | word | what |
//! |---|---|
//! | `v1` | of this form, and of what the words mean; anything else is read by later releases |
//! | `payload` | xxh3 of the payload as it is sent, in hexadecimal digits |
//! | `resource` … `api` | as in the batch |
//! | `fetched` | as in the batch; all times are microseconds since 1970 |
//! | `ids` or `starts` | the claim: `after..through` with empty ends where it has none, or `from..to` |
//! | `user` | of a claim of starts, if it is one user's |
//! | `records`, `hashes`, `offsets` | what the records sum up to: [`Sums`] |
//!
//! There is a digest only of a batch that claims, and whose records are all live and covered by that claim;
//! nothing in it is refused. The payload is what counts: a digest speaks for the very bytes whose hash it
//! has, so that one beside any other payload is ignored, as one of another version or form is. Whoever can
//! publish a digest that is wrong all the same can publish such a payload as well.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use jiff::Timestamp;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use crate::batch::{Batch, Coverage, Record, VERSION, is_storable};
use crate::catalogue;
use crate::resource::{Resource, Scope};

/// The only form there is.
const FORM: &str = "v1";

/// What records sum up to, in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// How many there are.
    pub rows: i64,
    /// Their hashes by exclusive or. Each is one of a text that holds its own id.
    pub hashes: i64,
    /// Their starts, in microseconds after that of the claim; 0 where records have none.
    pub starts: i64,
}

/// What a header says of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The batch without its records.
    pub envelope: Batch,
    /// What its records sum up to: all are live, and covered by its claim.
    pub sums: Sums,
    /// xxh3 of the payload.
    payload: u64,
}

/// By which two texts of one record are compared: of the JSON's bytes.
pub fn content_hash(data: &[u8]) -> i64 {
    xxh3_64(data).cast_signed()
}

impl Sums {
    /// Of the records of a batch that are live and covered by its claim; each comes with its
    /// [`content_hash`].
    pub fn of<'a>(
        resource: &Resource,
        batch: &Batch,
        records: impl IntoIterator<Item = (&'a Record, i64)>,
    ) -> Self {
        let first = match batch.coverage {
            Coverage::Starts { from, .. } => Some(from),
            Coverage::Ids { .. } | Coverage::Partial => None,
        };
        let covered = records.into_iter().filter(|(record, _)| covers(resource, batch, record));
        covered.fold(Self::default(), |sums, (record, hash)| {
            let start = record.started_at.zip(first);
            let start = start.map_or(0, |(at, first)| at.as_microsecond() - first.as_microsecond());
            Self {
                rows: sums.rows + 1,
                hashes: sums.hashes ^ hash,
                starts: sums.starts.wrapping_add(start),
            }
        })
    }
}

/// Whether a record of the batch is among the live ones that its claim covers.
fn covers(resource: &Resource, batch: &Batch, record: &Record) -> bool {
    let in_workspace = match resource.scope {
        Scope::Account => true,
        Scope::Workspace => record.workspace_id.is_none_or(|id| id == batch.workspace_id),
    };
    let in_range = match batch.coverage {
        Coverage::Partial => false,
        Coverage::Ids { after, through } => {
            after.unwrap_or(i64::MIN) < record.source_id
                && record.source_id <= through.unwrap_or(i64::MAX)
        }
        Coverage::Starts { from, to, user_id } => {
            record.started_at.is_some_and(|start| from <= start && start < to)
                && (user_id.is_none() || record.user_id == user_id)
        }
    };
    record.deleted_at.is_none() && in_workspace && in_range
}

impl Digest {
    /// Of a batch and the payload that it is sent as. None where its records have to be looked at in any
    /// case.
    pub fn of(resource: &Resource, batch: &Batch, payload: &[u8]) -> Option<Self> {
        if batch.coverage == Coverage::Partial || !batch.rejected.is_empty() {
            return None;
        }
        let records = batch.records.iter().map(|record| (record, content_hash(&record.data)));
        let sums = Sums::of(resource, batch, records);
        let envelope = Batch {
            resource: batch.resource.clone(),
            api_version: batch.api_version.clone(),
            coverage: batch.coverage.clone(),
            records: Vec::new(),
            rejected: Vec::new(),
            ..*batch
        };
        let is_all = usize::try_from(sums.rows) == Ok(batch.records.len());
        is_all.then(|| Self { envelope, sums, payload: xxh3_64(payload) })
    }

    /// Reads a header. None where it says nothing that can be relied on of this payload.
    pub fn read(header: &str, payload: &[u8]) -> Option<Self> {
        let digest = Words(header).digest()?;
        (digest.payload == xxh3_64(payload)).then_some(digest)
    }

    /// The catalogue row of the batch.
    pub fn resource(&self) -> Option<&'static Resource> {
        catalogue::find(&self.envelope.resource)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { envelope, sums: Sums { rows, hashes, starts }, payload } = self;
        let Batch { resource, workspace_id, run_id, part, api_version, .. } = envelope;
        let fetched = envelope.fetched_at.as_microsecond();
        write!(
            f,
            "{FORM} payload={payload:016x} resource={resource} workspace={workspace_id} run={run_id} \
             part={part} api={api_version} fetched={fetched}"
        )?;
        let id = |id: &Option<i64>| id.map_or_else(String::new, |id| id.to_string());
        match &envelope.coverage {
            Coverage::Partial => {}
            Coverage::Ids { after, through } => write!(f, " ids={}..{}", id(after), id(through))?,
            Coverage::Starts { from, to, user_id } => {
                write!(f, " starts={}..{}", from.as_microsecond(), to.as_microsecond())?;
                if let Some(user_id) = user_id {
                    write!(f, " user={user_id}")?;
                }
            }
        }
        write!(f, " records={rows} hashes={hashes:016x} offsets={starts}")
    }
}

/// The rest of a header.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn digest(mut self) -> Option<Digest> {
        self.0 = self.0.strip_prefix(FORM)?;
        let payload = hexadecimal(self.word("payload")?)?;
        let envelope = Batch {
            version: VERSION,
            resource: self.word("resource")?.to_owned(),
            workspace_id: self.number("workspace")?,
            run_id: Uuid::parse_str(self.word("run")?).ok()?,
            part: self.number("part")?,
            api_version: self.word("api")?.to_owned(),
            fetched_at: time(self.word("fetched")?)?,
            coverage: self.coverage()?,
            records: Vec::new(),
            rejected: Vec::new(),
        };
        let sums = Sums {
            rows: self.number("records")?,
            hashes: hexadecimal(self.word("hashes")?)?.cast_signed(),
            starts: self.number("offsets")?,
        };
        let resource = catalogue::find(&envelope.resource)?;
        let has_starts = matches!(envelope.coverage, Coverage::Starts { .. });
        let is_possible = is_storable(envelope.fetched_at)
            && envelope.coverage.is_possible()
            && (resource.is_time_entry() || !has_starts)
            && sums.rows >= 0
            && self.0.is_empty();
        is_possible.then_some(Digest { envelope, sums, payload })
    }

    fn coverage(&mut self) -> Option<Coverage> {
        if let Some(ids) = self.word("ids") {
            let (after, through) = ids.split_once("..")?;
            return Some(Coverage::Ids { after: end(after).ok()?, through: end(through).ok()? });
        }
        let (from, to) = self.word("starts")?.split_once("..")?;
        let (from, to) = (time(from)?, time(to)?);
        let user_id = self.word("user").map(str::parse).transpose().ok()?;
        Some(Coverage::Starts { from, to, user_id })
    }

    fn number<T: FromStr>(&mut self, name: &str) -> Option<T> {
        self.word(name)?.parse().ok()
    }

    /// What the next word says, if it has this name.
    fn word(&mut self, name: &str) -> Option<&'a str> {
        let value = self.0.strip_prefix(' ')?.strip_prefix(name)?.strip_prefix('=')?;
        let (value, rest) = value.split_at(value.find(' ').unwrap_or(value.len()));
        self.0 = rest;
        Some(value)
    }
}

/// None where there is none.
fn end(text: &str) -> Result<Option<i64>, ParseIntError> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

fn time(microseconds: &str) -> Option<Timestamp> {
    Timestamp::from_microsecond(microseconds.parse().ok()?).ok()
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16)
}

#[cfg(test)]
mod tests;
