use super::*;
use proptest::prelude::*;

pub(crate) fn timestamps() -> impl Strategy<Value = Timestamp> {
    // Everything both jiff and Postgres can hold, at Postgres' resolution.
    (-62_135_596_800_000_000..253_402_207_200_000_000_i64)
        .prop_map(|micros| Timestamp::from_microsecond(micros).unwrap())
}

pub(crate) fn coverages() -> impl Strategy<Value = Coverage> {
    prop_oneof![
        Just(Coverage::Partial),
        any::<(Option<i64>, Option<i64>)>().prop_map(|(after, through)| {
            match after.zip(through) {
                Some((a, b)) => Coverage::Ids { after: Some(a.min(b)), through: Some(a.max(b)) },
                None => Coverage::Ids { after, through },
            }
        }),
        (timestamps(), timestamps(), any::<Option<i64>>()).prop_map(|(a, b, user_id)| {
            Coverage::Starts { from: a.min(b), to: a.max(b), user_id }
        }),
    ]
}

pub(crate) fn records() -> impl Strategy<Value = Record> {
    let times = || proptest::option::of(timestamps());
    (any::<(i64, Option<i64>, Option<i64>)>(), times(), times(), times(), any::<Vec<u8>>())
        .prop_map(
            |((source_id, workspace_id, user_id), modified_at, started_at, deleted_at, data)| {
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

pub(crate) fn batches() -> impl Strategy<Value = Batch> {
    (
        any::<(u128, i64, u32)>(),
        timestamps(),
        coverages(),
        proptest::collection::vec(records(), 0..20),
        proptest::collection::vec(rejected(), 0..3),
    )
        .prop_map(|((run, workspace_id, part), fetched_at, coverage, records, rejected)| {
            Batch {
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
            }
        })
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
fn what_is_of_this_version_and_yet_no_batch_is_named_as_that() {
    #[derive(Serialize)]
    struct Present {
        version: u16,
        shape: &'static str,
    }
    let payload = rmp_serde::to_vec_named(&Present { version: VERSION, shape: "odd" }).unwrap();
    assert!(matches!(Batch::decode(&payload, None), Err(DecodeError::Format(_))));
}

fn tags(records: Vec<Record>) -> Batch {
    Batch {
        version: VERSION,
        run_id: Uuid::nil(),
        resource: "tags".to_owned(),
        workspace_id: 1,
        api_version: "v9".to_owned(),
        fetched_at: Timestamp::UNIX_EPOCH,
        part: 0,
        coverage: Coverage::Partial,
        records,
        rejected: Vec::new(),
    }
}

#[test]
fn a_claim_that_ends_before_it_begins_is_refused() {
    let at = |second| Timestamp::from_second(second).unwrap();
    for coverage in [
        Coverage::Ids { after: Some(2), through: Some(1) },
        Coverage::Starts { from: at(2), to: at(1), user_id: None },
        Coverage::Starts { from: Timestamp::MIN, to: at(1), user_id: None },
    ] {
        let batch = Batch { coverage, ..tags(Vec::new()) };
        let read = Batch::decode(&batch.encode().unwrap(), Some(ZSTD));
        assert!(matches!(read, Err(DecodeError::Impossible { .. })), "{read:?}");
    }
}

#[test]
fn a_claim_may_be_empty_and_may_begin_with_postgres_calendar() {
    for coverage in [
        Coverage::Ids { after: Some(1), through: Some(1) },
        Coverage::Starts { from: EARLIEST, to: EARLIEST, user_id: None },
    ] {
        let batch = Batch { coverage, ..tags(Vec::new()) };
        assert_eq!(Batch::decode(&batch.encode().unwrap(), Some(ZSTD)).unwrap(), batch);
    }
}

#[test]
fn what_was_fetched_before_postgres_calendar_is_refused() {
    assert_eq!(EARLIEST.to_string(), "-004713-11-24T00:00:00Z");
    let before = EARLIEST - jiff::SignedDuration::from_micros(1);
    let read = |fetched_at| {
        let batch = Batch { fetched_at, ..tags(Vec::new()) };
        Batch::decode(&batch.encode().unwrap(), Some(ZSTD))
    };
    assert!(read(EARLIEST).is_ok());
    assert!(matches!(read(before), Err(DecodeError::Impossible { .. })));
}

#[test]
fn the_message_id_is_that_of_the_batch_and_of_no_other() {
    let run_id = Uuid::from_u128(0x0193_5a2e_0000_7000_8000_0000_0000_002a);
    let batch = Batch { run_id, workspace_id: 12, part: 3, ..tags(Vec::new()) };
    assert_eq!(batch.message_id(), "v1:tags:12:01935a2e-0000-7000-8000-00000000002a:3");
    let others = [
        Batch { resource: "clients".to_owned(), ..batch.clone() },
        Batch { workspace_id: 1, ..batch.clone() },
        Batch { run_id: Uuid::nil(), ..batch.clone() },
        Batch { part: 4, ..batch.clone() },
    ];
    for other in others {
        assert_ne!(other.message_id(), batch.message_id());
    }
    let again = Batch { records: large(1).records, coverage: Coverage::Partial, ..batch.clone() };
    assert_eq!(again.message_id(), batch.message_id(), "whatever it holds");
}

#[test]
fn a_resource_is_known_by_its_name_in_the_catalogue() {
    assert_eq!(tags(Vec::new()).known_resource().unwrap().name, "tags");
    let other = Batch { resource: "planets".to_owned(), ..tags(Vec::new()) };
    let error = other.known_resource().unwrap_err();
    assert_eq!(error.to_string(), "resource \"planets\" is not in the catalogue");
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

/// A frame of so many zeros, which are no batch.
fn zeros(bytes: usize) -> Vec<u8> {
    zstd::bulk::compress(&vec![0; bytes], 1).unwrap()
}

#[test]
fn sixty_four_mebibytes_are_unpacked_and_not_a_byte_more() {
    const MOST: usize = 67_108_864;
    let fits = Batch::decode(&zeros(MOST), Some(ZSTD));
    assert!(matches!(fits, Err(DecodeError::Format(_))), "{fits:?}");
    let exceeds = Batch::decode(&zeros(MOST + 1), Some(ZSTD));
    assert!(matches!(exceeds, Err(DecodeError::TooLarge)), "{exceeds:?}");
}

#[test]
fn room_is_made_ahead_for_eight_mebibytes_at_most() {
    const MOST: usize = 8_388_608;
    assert_eq!(trusted_room(&zeros(MOST)), Some(MOST));
    assert_eq!(trusted_room(&zeros(MOST + 1)), None);
}

/// One record of so many bytes.
fn large(bytes: usize) -> Batch {
    tags(vec![Record {
        source_id: 1,
        workspace_id: None,
        modified_at: None,
        started_at: None,
        user_id: None,
        deleted_at: None,
        data: vec![b' '; bytes].into(),
    }])
}

#[test]
fn a_message_that_unpacks_to_more_than_a_fetcher_writes_is_read() {
    let batch = large(2 * MAX_TRUSTED_BYTES);
    let payload = batch.encode().unwrap();
    assert_eq!(Batch::decode(&payload, Some(ZSTD)).unwrap(), batch);
}

#[test]
fn frames_that_do_not_say_how_much_they_hold_are_read() {
    let batch = large(1000);
    let plain = rmp_serde::to_vec_named(&batch).unwrap();
    let (one, other) = plain.split_at(500);
    let frame = |part: &[u8]| zstd::stream::encode_all(part, 1).unwrap();
    let payload = [frame(one), frame(other)].concat();
    assert_eq!(Batch::decode(&payload, Some(ZSTD)).unwrap(), batch);
}

#[test]
fn a_frame_that_is_cut_short_or_followed_by_something_else_is_refused() {
    let payload = large(1000).encode().unwrap();
    let cut = &payload[..payload.len() - 1];
    for damaged in [cut, &[&payload, &b"more"[..]].concat(), b""] {
        let read = Batch::decode(damaged, Some(ZSTD));
        assert!(
            matches!(read, Err(DecodeError::Compression(_) | DecodeError::Format(_))),
            "{read:?}"
        );
    }
}
