//! The message of the pipeline: envelope, coverage, and the codec.
//!
//! A message is MessagePack with named fields, compressed with zstd level 1 and marked so in its
//! `Content-Encoding` header; [`crate::message`] has its headers. What a batch claims is decided in
//! [`crate::listing`]; what is done with it is the loader's.

use std::cell::RefCell;
use std::io::Read as _;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zstd::bulk::{Compressor, Decompressor};

use crate::catalogue;
use crate::resource::Resource;

/// The only envelope version there is.
pub const VERSION: u16 = 1;

/// Value of the `Content-Encoding` header; a message without one is plain MessagePack.
pub const ZSTD: &str = "zstd";

/// Level 1 packs Toggl's JSON four to eight times at more than a million rows a second and core;
/// higher levels gain little on batches of this size.
const ZSTD_LEVEL: i32 = 1;

/// What a record takes besides its data, and a little more.
const RECORD_ROOM: usize = 144;

/// The most a message may unpack to. NATS servers take messages of 64 MiB at the very most, so
/// this bounds memory against a hostile frame and refuses nothing a fetcher writes.
const MAX_DECODED_BYTES: u64 = 64 * 1024 * 1024;

/// Room that is made ahead because a frame says so: more than any fetcher packs into one.
const MAX_TRUSTED_BYTES: usize = 8 * 1024 * 1024;

/// The earliest moment that Postgres can hold: 4713 years before Christ. The latest that jiff can
/// hold comes long before Postgres' own.
const EARLIEST: Timestamp = Timestamp::constant(-210_866_803_200, 0);

/// Whether Postgres can hold it.
pub fn is_storable(time: Timestamp) -> bool {
    time >= EARLIEST
}

/// What a batch is complete for: rows inside it that the batch does not hold no longer exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// Nothing; absent ids mean nothing.
    Partial,
    /// Every record of the workspace with an id in `(after, through]`.
    Ids {
        /// Exclusive lower bound; none for the first batch of a listing.
        after: Option<i64>,
        /// Inclusive upper bound; none for the last batch of a listing.
        through: Option<i64>,
    },
    /// Every entry whose start lies in `[from, to)`.
    Starts {
        /// Inclusive.
        #[serde(with = "jiff::fmt::serde::timestamp::microsecond::required")]
        from: Timestamp,
        /// Exclusive.
        #[serde(with = "jiff::fmt::serde::timestamp::microsecond::required")]
        to: Timestamp,
        /// Of this user only; none for everybody in the workspace.
        user_id: Option<i64>,
    },
}

impl Coverage {
    pub(crate) fn is_possible(&self) -> bool {
        match *self {
            Self::Partial => true,
            Self::Ids { after, through } => {
                after.unwrap_or(i64::MIN) <= through.unwrap_or(i64::MAX)
            }
            Self::Starts { from, to, .. } => is_storable(from) && from <= to,
        }
    }
}

/// One Toggl record. Times travel as microseconds since 1970, Postgres' own resolution. `T` is how its
/// text is held: for as long as the message is read, inside that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<T = Bytes> {
    /// Toggl's id; 64 bit, for entry ids passed 2^32.
    pub source_id: i64,
    /// The record's own workspace, where an account-level request returns several; none means the
    /// batch's.
    pub workspace_id: Option<i64>,
    /// Toggl's own time of last change.
    #[serde(with = "jiff::fmt::serde::timestamp::microsecond::optional")]
    pub modified_at: Option<Timestamp>,
    /// Start of a time entry.
    #[serde(with = "jiff::fmt::serde::timestamp::microsecond::optional")]
    pub started_at: Option<Timestamp>,
    /// User of a time entry.
    pub user_id: Option<i64>,
    /// When Toggl says it was deleted.
    #[serde(with = "jiff::fmt::serde::timestamp::microsecond::optional")]
    pub deleted_at: Option<Timestamp>,
    /// The JSON text as Toggl sent it, secrets removed.
    pub data: T,
}

/// Something in an answer that no record can be made of: without an id, not an object, with a time
/// that is none. The loader keeps it as a dead letter, so that nothing is dropped silently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected<T = Bytes> {
    /// Toggl's id, if it could be read.
    pub source_id: Option<i64>,
    /// What is wrong with it, in words.
    pub reason: String,
    /// Its text as Toggl sent it, secrets removed; empty where that could not be done safely.
    pub data: T,
}

/// One message: records of one resource, read from one workspace by one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch<T = Bytes> {
    /// [`VERSION`].
    pub version: u16,
    /// The fetcher's run (UUID v7, so runs sort by their start).
    pub run_id: Uuid,
    /// Name in the catalogue.
    pub resource: String,
    /// Workspace asked; 0 for account-level requests.
    pub workspace_id: i64,
    /// `v9` or `v3`.
    pub api_version: String,
    /// Just before the first request of the listing was sent, by the fetcher's clock.
    #[serde(with = "jiff::fmt::serde::timestamp::microsecond::required")]
    pub fetched_at: Timestamp,
    /// Counts the batches of one run, resource and workspace from 0.
    pub part: u32,
    /// What the batch is complete for.
    pub coverage: Coverage,
    /// The records, each id at most once.
    pub records: Vec<Record<T>>,
    /// What no record could be made of.
    #[serde(default)]
    pub rejected: Vec<Rejected<T>>,
}

/// Why a message cannot be read. None of these gets better by trying again.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The `Content-Encoding` header names something else than zstd.
    #[error("unknown content encoding {0:?}")]
    Encoding(String),
    /// Not a zstd frame, or a damaged one.
    #[error("damaged zstd frame")]
    Compression(#[source] std::io::Error),
    /// Unpacks to more than any fetcher writes.
    #[error("unpacks to more than {MAX_DECODED_BYTES} bytes")]
    TooLarge,
    /// Not a batch.
    #[error("not a MessagePack batch")]
    Format(#[source] rmp_serde::decode::Error),
    /// Written by a newer fetcher.
    #[error("batch version {0} is not known; this loader reads version {VERSION}")]
    Version(u16),
    /// A moment that Postgres cannot hold, or a claim that ends before it begins.
    #[error("fetched at or claiming what cannot be: {fetched_at}, {coverage:?}")]
    Impossible {
        /// Of the batch.
        fetched_at: Timestamp,
        /// Of the batch.
        coverage: Coverage,
    },
    /// No such row in this loader's catalogue.
    #[error("resource {0:?} is not in the catalogue")]
    Resource(String),
}

/// Why a batch cannot be written; a bug, not an outside condition.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// MessagePack refused it.
    #[error("could not encode the batch")]
    Format(#[from] rmp_serde::encode::Error),
    /// zstd refused it.
    #[error("could not compress the batch")]
    Compression(#[from] std::io::Error),
}

impl Batch {
    /// The `Nats-Msg-Id`: the same for every attempt to publish this batch. JetStream compares ids
    /// over the whole stream, hence the resource in it.
    pub fn message_id(&self) -> String {
        let Self { resource, workspace_id, run_id, part, .. } = self;
        format!("v{VERSION}:{resource}:{workspace_id}:{run_id}:{part}")
    }

    /// The compressed payload.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let data = self.records.iter().map(|record| record.data.len() + RECORD_ROOM).sum();
        let mut plain = Vec::with_capacity(data);
        rmp_serde::encode::write_named(&mut plain, self)?;
        Ok(compress(&plain)?.into())
    }

    /// Reads a payload; `encoding` is its `Content-Encoding` header, if there is one. A future shape is
    /// reported as what it is.
    pub fn decode(payload: &[u8], encoding: Option<&str>) -> Result<Self, DecodeError> {
        let plain = match encoding {
            None => Bytes::copy_from_slice(payload),
            Some(ZSTD) => decompress(payload)?,
            Some(other) => return Err(DecodeError::Encoding(other.to_owned())),
        };
        let batch: Batch<&[u8]> =
            rmp_serde::from_slice(&plain).map_err(|error| not_a_batch(&plain, error))?;
        let batch = batch.sharing(&plain);
        if batch.version != VERSION {
            return Err(DecodeError::Version(batch.version));
        }
        if is_storable(batch.fetched_at) && batch.coverage.is_possible() {
            return Ok(batch);
        }
        let Self { fetched_at, coverage, .. } = batch;
        Err(DecodeError::Impossible { fetched_at, coverage })
    }

    /// The catalogue row of the batch.
    pub fn known_resource(&self) -> Result<&'static Resource, DecodeError> {
        catalogue::find(&self.resource).ok_or_else(|| DecodeError::Resource(self.resource.clone()))
    }
}

impl Batch<&[u8]> {
    /// The same, with texts that keep alive what they were read from.
    fn sharing(self, plain: &Bytes) -> Batch {
        let record = |record: Record<&[u8]>| Record {
            source_id: record.source_id,
            workspace_id: record.workspace_id,
            modified_at: record.modified_at,
            started_at: record.started_at,
            user_id: record.user_id,
            deleted_at: record.deleted_at,
            data: plain.slice_ref(record.data),
        };
        let rejected = |rejected: Rejected<&[u8]>| Rejected {
            source_id: rejected.source_id,
            reason: rejected.reason,
            data: plain.slice_ref(rejected.data),
        };
        Batch {
            version: self.version,
            run_id: self.run_id,
            resource: self.resource,
            workspace_id: self.workspace_id,
            api_version: self.api_version,
            fetched_at: self.fetched_at,
            part: self.part,
            coverage: self.coverage,
            records: self.records.into_iter().map(record).collect(),
            rejected: self.rejected.into_iter().map(rejected).collect(),
        }
    }
}

/// With a compressor that each thread keeps: every new one would clear its tables anew.
fn compress(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    thread_local! {
        static KEPT: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    }
    KEPT.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(Compressor::new(ZSTD_LEVEL)?),
        };
        compressor.compress(plain)
    })
}

/// Why it is none: before anything else, because a newer fetcher wrote it.
fn not_a_batch(plain: &[u8], error: rmp_serde::decode::Error) -> DecodeError {
    #[derive(Deserialize)]
    struct Version {
        version: u16,
    }
    match rmp_serde::from_slice(plain) {
        Ok(Version { version }) if version != VERSION => DecodeError::Version(version),
        Ok(_) | Err(_) => DecodeError::Format(error),
    }
}

fn decompress(payload: &[u8]) -> Result<Bytes, DecodeError> {
    let plain = match trusted_room(payload) {
        Some(room) => decompress_at_once(payload, room),
        None => decompress_in_pieces(payload),
    };
    let plain = plain.map_err(DecodeError::Compression)?;
    if plain.len() as u64 > MAX_DECODED_BYTES {
        return Err(DecodeError::TooLarge);
    }
    Ok(plain.into())
}

/// The room that a frame says it needs. That may be anything; what a fetcher writes needs little.
fn trusted_room(payload: &[u8]) -> Option<usize> {
    Decompressor::upper_bound(payload).filter(|room| *room <= MAX_TRUSTED_BYTES)
}

/// Into its place, without the window that pieces go through.
fn decompress_at_once(payload: &[u8], room: usize) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::with_capacity(room);
    Decompressor::new()?.decompress_to_buffer(payload, &mut plain)?;
    Ok(plain)
}

/// No further than one byte past the most there may be.
fn decompress_in_pieces(payload: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let decoder = zstd::stream::Decoder::new(payload)?;
    decoder.take(MAX_DECODED_BYTES + 1).read_to_end(&mut plain)?;
    Ok(plain)
}

#[cfg(test)]
pub(crate) mod tests;
