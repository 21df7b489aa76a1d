//! The message of the pipeline: envelope, coverage, and the codec.
//!
//! A message is MessagePack with named fields, compressed with zstd level 1 and marked so in its
//! `Content-Encoding` header. What a batch claims is decided in [`crate::listing`]; what is done
//! with it is the loader's.

use std::io::Read as _;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::catalogue;
use crate::resource::Resource;

/// The only envelope version there is.
pub const VERSION: u16 = 1;

/// Value of the `Content-Encoding` header; a message without one is plain MessagePack.
pub const ZSTD: &str = "zstd";

/// Level 1 packs Toggl's JSON four to eight times at more than a million rows a second and core;
/// higher levels gain little on batches of this size.
const ZSTD_LEVEL: i32 = 1;

/// The most a message may unpack to. NATS servers take messages of 64 MiB at the very most, so
/// this bounds memory against a hostile frame and refuses nothing a fetcher writes.
const MAX_DECODED_BYTES: u64 = 64 * 1024 * 1024;

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
    fn is_possible(&self) -> bool {
        match *self {
            Self::Partial => true,
            Self::Ids { after, through } => {
                after.unwrap_or(i64::MIN) <= through.unwrap_or(i64::MAX)
            }
            Self::Starts { from, to, .. } => is_storable(from) && from <= to,
        }
    }
}

/// One Toggl record. Times travel as microseconds since 1970, Postgres' own resolution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
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
    pub data: Bytes,
}

/// Something in an answer that no record can be made of: without an id, not an object, with a time
/// that is none. The loader keeps it as a dead letter, so that nothing is dropped silently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Toggl's id, if it could be read.
    pub source_id: Option<i64>,
    /// What is wrong with it, in words.
    pub reason: String,
    /// Its text as Toggl sent it, secrets removed; empty where that could not be done safely.
    pub data: Bytes,
}

/// One message: records of one resource, read from one workspace by one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
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
    pub records: Vec<Record>,
    /// What no record could be made of.
    #[serde(default)]
    pub rejected: Vec<Rejected>,
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
        let plain = rmp_serde::to_vec_named(self)?;
        Ok(zstd::bulk::compress(&plain, ZSTD_LEVEL)?.into())
    }

    /// Reads a payload; `encoding` is its `Content-Encoding` header, if there is one. The version
    /// is looked at before the rest, so that a future shape is reported as what it is.
    pub fn decode(payload: &[u8], encoding: Option<&str>) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct Version {
            version: u16,
        }
        let unpacked;
        let plain = match encoding {
            None => payload,
            Some(ZSTD) => {
                unpacked = decompress(payload)?;
                unpacked.as_slice()
            }
            Some(other) => return Err(DecodeError::Encoding(other.to_owned())),
        };
        let Version { version } = rmp_serde::from_slice(plain).map_err(DecodeError::Format)?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let batch: Self = rmp_serde::from_slice(plain).map_err(DecodeError::Format)?;
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

fn decompress(payload: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut plain = Vec::new();
    zstd::stream::Decoder::new(payload)
        .and_then(|decoder| decoder.take(MAX_DECODED_BYTES + 1).read_to_end(&mut plain))
        .map_err(DecodeError::Compression)?;
    if plain.len() as u64 > MAX_DECODED_BYTES {
        return Err(DecodeError::TooLarge);
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) fn timestamps() -> impl Strategy<Value = Timestamp> {
        // Everything both jiff and Postgres can hold, at Postgres' resolution.
        (-62_135_596_800_000_000..253_402_207_200_000_000_i64)
            .prop_map(|micros| Timestamp::from_microsecond(micros).unwrap())
    }

    fn coverages() -> impl Strategy<Value = Coverage> {
        prop_oneof![
            Just(Coverage::Partial),
            any::<(Option<i64>, Option<i64>)>().prop_map(|(after, through)| {
                match after.zip(through) {
                    Some((a, b)) => {
                        Coverage::Ids { after: Some(a.min(b)), through: Some(a.max(b)) }
                    }
                    None => Coverage::Ids { after, through },
                }
            }),
            (timestamps(), timestamps(), any::<Option<i64>>()).prop_map(|(a, b, user_id)| {
                Coverage::Starts { from: a.min(b), to: a.max(b), user_id }
            }),
        ]
    }

    fn records() -> impl Strategy<Value = Record> {
        let times = || proptest::option::of(timestamps());
        (any::<(i64, Option<i64>, Option<i64>)>(), times(), times(), times(), any::<Vec<u8>>())
            .prop_map(
                |(
                    (source_id, workspace_id, user_id),
                    modified_at,
                    started_at,
                    deleted_at,
                    data,
                )| {
                    Record {
                        source_id,
                        workspace_id,
                        modified_at,
                        started_at,
                        user_id,
                        deleted_at,
                        data: data.into(),
                    }
                },
            )
    }

    fn rejected() -> impl Strategy<Value = Rejected> {
        any::<(Option<i64>, String, Vec<u8>)>().prop_map(|(source_id, reason, data)| Rejected {
            source_id,
            reason,
            data: data.into(),
        })
    }

    fn batches() -> impl Strategy<Value = Batch> {
        (
            any::<(u128, i64, u32)>(),
            timestamps(),
            coverages(),
            proptest::collection::vec(records(), 0..20),
            proptest::collection::vec(rejected(), 0..3),
        )
            .prop_map(
                |((run, workspace_id, part), fetched_at, coverage, records, rejected)| Batch {
                    version: VERSION,
                    run_id: Uuid::from_u128(run),
                    resource: "projects".to_owned(),
                    workspace_id,
                    api_version: "v9".to_owned(),
                    fetched_at,
                    part,
                    coverage,
                    records,
                    rejected,
                },
            )
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(batch in batches()) {
            let payload = batch.encode().unwrap();
            prop_assert_eq!(Batch::decode(&payload, Some(ZSTD)).unwrap(), batch);
        }

        #[test]
        fn a_message_without_the_header_is_plain_messagepack(batch in batches()) {
            let payload = rmp_serde::to_vec_named(&batch).unwrap();
            prop_assert_eq!(Batch::decode(&payload, None).unwrap(), batch);
        }

        #[test]
        fn no_input_panics(payload in any::<Vec<u8>>(), zstd in any::<bool>()) {
            drop(Batch::decode(&payload, zstd.then_some(ZSTD)));
        }

        #[test]
        fn a_damaged_message_does_not_panic(
            batch in batches(), at in any::<proptest::sample::Index>(), to in any::<u8>()
        ) {
            let mut payload = rmp_serde::to_vec_named(&batch).unwrap();
            let at = at.index(payload.len());
            payload[at] = to;
            drop(Batch::decode(&payload, None));
        }
    }

    #[test]
    fn an_unknown_version_is_reported_whatever_else_the_message_holds() {
        #[derive(Serialize)]
        struct Future {
            version: u16,
            shape: &'static str,
        }
        let payload = rmp_serde::to_vec_named(&Future { version: 2, shape: "new" }).unwrap();
        assert!(matches!(Batch::decode(&payload, None), Err(DecodeError::Version(2))));
    }

    #[test]
    fn a_claim_that_ends_before_it_begins_is_refused() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for coverage in [
            Coverage::Ids { after: Some(2), through: Some(1) },
            Coverage::Starts { from: at(2), to: at(1), user_id: None },
            Coverage::Starts { from: Timestamp::MIN, to: at(1), user_id: None },
        ] {
            let batch = Batch {
                version: VERSION,
                run_id: Uuid::nil(),
                resource: "tags".to_owned(),
                workspace_id: 1,
                api_version: "v9".to_owned(),
                fetched_at: at(0),
                part: 0,
                coverage,
                records: Vec::new(),
                rejected: Vec::new(),
            };
            let read = Batch::decode(&batch.encode().unwrap(), Some(ZSTD));
            assert!(matches!(read, Err(DecodeError::Impossible { .. })), "{read:?}");
        }
    }

    #[test]
    fn an_unknown_encoding_is_named() {
        let error = Batch::decode(b"", Some("br")).unwrap_err();
        assert_eq!(error.to_string(), "unknown content encoding \"br\"");
    }

    #[test]
    fn a_frame_that_unpacks_without_end_is_refused() {
        let bomb = zstd::bulk::compress(&vec![0; 65 * 1024 * 1024], 1).unwrap();
        assert!(matches!(Batch::decode(&bomb, Some(ZSTD)), Err(DecodeError::TooLarge)));
    }
}
