use proptest::prelude::*;

use super::*;
use crate::batch::tests::{batches, coverages, records, timestamps};
use crate::batch::{Rejected, ZSTD};
use crate::listing::{Listing, Span};

const PAYLOAD: &[u8] = b"what is sent";

/// A batch that claims, with the sums of some records.
fn digests() -> impl Strategy<Value = Digest> {
    let claims =
        coverages().prop_filter("claims", |coverage| !matches!(coverage, Coverage::Partial));
    (batches(), claims, any::<(u32, i64, i64)>()).prop_map(
        |(batch, coverage, (rows, hashes, starts))| {
            let resource = "time_entries".to_owned();
            let (records, rejected) = (Vec::new(), Vec::new());
            Digest {
                envelope: Batch { resource, coverage, records, rejected, ..batch },
                sums: Sums { rows: rows.into(), hashes, starts },
                payload: xxh3_64(PAYLOAD),
            }
        },
    )
}

/// Listings as a fetcher cuts them: their records may lie outside of what is claimed, and be deleted.
fn listings() -> impl Strategy<Value = Vec<Batch>> {
    let span = prop_oneof![
        Just(Span::Partial),
        Just(Span::Ids),
        (timestamps(), timestamps(), any::<bool>(), any::<i64>()).prop_map(|(a, b, mine, id)| {
            Span::Starts { from: a.min(b), to: a.max(b), user_id: mine.then_some(id) }
        }),
    ];
    let records = proptest::collection::vec(records(), 0..20);
    (span, records, timestamps(), any::<u128>(), any::<bool>()).prop_map(
        |(span, mut records, fetched_at, run, is_tidy)| {
            for record in records.iter_mut().filter(|_| is_tidy) {
                record.deleted_at = None;
                if let Span::Starts { from, user_id, .. } = span {
                    (record.started_at, record.user_id) = (Some(from), user_id);
                }
            }
            let resource = catalogue::find("time_entries").unwrap();
            let rejected = Vec::new();
            Listing { resource, workspace_id: 0, fetched_at, span, records, rejected }.into_batches(
                Uuid::from_u128(run),
                0,
                1024 * 1024,
            )
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(digest in digests()) {
        prop_assert_eq!(Digest::read(&digest.to_string(), PAYLOAD), Some(digest));
    }

    #[test]
    fn a_digest_says_what_is_read_from_the_payload(batches in listings()) {
        for batch in batches {
            let payload = batch.encode().unwrap();
            let resource = batch.known_resource().unwrap();
            let read = Batch::decode(&payload, Some(ZSTD)).unwrap();
            let hashed = read.records.iter().map(|record| (record, content_hash(&record.data)));
            let sums = Sums::of(resource, &read, hashed);
            let covers_all = sums.rows == i64::try_from(read.records.len()).unwrap();
            let digest = Digest::of(resource, &batch, &payload);
            prop_assert_eq!(digest.is_some(), covers_all && read.coverage != Coverage::Partial);
            let Some(digest) = digest else { continue };
            let digest = Digest::read(&digest.to_string(), &payload).unwrap();
            prop_assert_eq!(digest.sums, sums);
            prop_assert_eq!(digest.resource(), Some(resource));
            prop_assert_eq!(digest.envelope, Batch { records: Vec::new(), ..read });
        }
    }

    #[test]
    fn beside_any_other_payload_it_says_nothing(
        digest in digests(), at in any::<proptest::sample::Index>(), bit in 0..8_u8
    ) {
        let mut other = PAYLOAD.to_vec();
        let at = at.index(other.len());
        other[at] ^= 1 << bit;
        let text = digest.to_string();
        prop_assert_eq!(Digest::read(&text, &other), None);
        prop_assert_eq!(Digest::read(&text, &PAYLOAD[..at]), None);
    }

    #[test]
    fn what_is_cut_or_followed_by_more_or_of_another_form_says_nothing(
        digest in digests(), at in any::<proptest::sample::Index>(), more in "[ -~]{1,9}"
    ) {
        let text = digest.to_string();
        let words: Vec<_> = text.split(' ').collect();
        let (before, after) = words.split_at(at.index(words.len()));
        let without = [before, &after[1..]].concat().join(" ");
        let twice = [before, &after[..1], after].concat().join(" ");
        let version = text.replacen("v1", "v2", 1);
        for other in [before.join(" "), twice, version, format!("{text} {more}")] {
            prop_assert_eq!(Digest::read(&other, PAYLOAD), None, "{}", other);
        }
        // A claim may be everybody's.
        if !after[0].starts_with("user=") {
            prop_assert_eq!(Digest::read(&without, PAYLOAD), None, "{}", without);
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>(), digest in digests(), at in any::<proptest::sample::Index>(), to in any::<char>()) {
        prop_assert_eq!(Digest::read(&text, PAYLOAD), None);
        let mut letters: Vec<char> = digest.to_string().chars().collect();
        let at = at.index(letters.len());
        letters[at] = to;
        drop(Digest::read(&letters.into_iter().collect::<String>(), PAYLOAD));
    }
}

fn resource(name: &str) -> &'static Resource {
    catalogue::find(name).unwrap()
}

/// Two tags of a workspace, and a claim of all of them.
fn tags() -> Batch {
    let tag = |id: i64| Record {
        source_id: id,
        workspace_id: None,
        modified_at: None,
        started_at: None,
        user_id: None,
        deleted_at: None,
        data: format!(r#"{{"id":{id}}}"#).into(),
    };
    Batch {
        version: VERSION,
        run_id: Uuid::from_u128(0x0193_5a2e_0000_7000_8000_0000_0000_002a),
        resource: "tags".to_owned(),
        workspace_id: 12,
        api_version: "v9".to_owned(),
        fetched_at: Timestamp::constant(1_764_477_034, 0),
        part: 3,
        coverage: Coverage::Ids { after: None, through: Some(9) },
        records: vec![tag(1), tag(2)],
        rejected: Vec::new(),
    }
}

/// Loaders of other releases read it: another text needs another version.
#[test]
fn the_form_is_what_it_was_in_the_first_release_that_wrote_it() {
    let text = Digest::of(resource("tags"), &tags(), PAYLOAD).unwrap().to_string();
    assert_eq!(
        text,
        "v1 payload=21b03aad6557228b resource=tags workspace=12 \
         run=01935a2e-0000-7000-8000-00000000002a part=3 api=v9 fetched=1764477034000000 ids=..9 \
         records=2 hashes=634db582342f6269 offsets=0"
    );
}

#[test]
fn what_has_to_be_looked_at_has_no_digest() {
    let of = |batch: &Batch| Digest::of(resource("tags"), batch, PAYLOAD);
    assert!(of(&tags()).is_some());
    assert!(of(&Batch { records: Vec::new(), ..tags() }).is_some(), "nothing is there any more");
    assert_eq!(of(&Batch { coverage: Coverage::Partial, ..tags() }), None);
    let refused = Rejected { source_id: None, reason: String::new(), data: "".into() };
    assert_eq!(of(&Batch { rejected: vec![refused], ..tags() }), None);
    let with = |change: fn(&mut Record)| {
        let mut batch = tags();
        change(&mut batch.records[1]);
        of(&batch)
    };
    assert!(with(|record| record.workspace_id = Some(12)).is_some());
    assert_eq!(with(|record| record.workspace_id = Some(13)), None);
    assert_eq!(with(|record| record.source_id = 10), None);
    assert_eq!(with(|record| record.deleted_at = Some(Timestamp::UNIX_EPOCH)), None);
}

#[test]
fn only_what_a_claim_covers_is_summed_up() {
    let sums = |name: &str, coverage: &Coverage, records: &[Record]| {
        let batch = Batch { coverage: coverage.clone(), ..tags() };
        let hashed = (1..).map(|bit| 1 << bit);
        let sums = Sums::of(resource(name), &batch, records.iter().zip(hashed));
        (sums.rows, sums.hashes, sums.starts)
    };
    let of = |id: i64, start: i64, user_id: i64| Record {
        source_id: id,
        started_at: Some(Timestamp::from_microsecond(start).unwrap()),
        user_id: Some(user_id),
        ..tags().records.remove(0)
    };
    let ids = [4, 5, 6, 7].map(|id| of(id, 0, 0));
    let between = Coverage::Ids { after: Some(4), through: Some(6) };
    assert_eq!(sums("tags", &between, &ids), (2, 0b1100, 0));
    let all = Coverage::Ids { after: None, through: None };
    assert_eq!(sums("tags", &all, &ids), (4, 0b11110, 0));
    assert_eq!(sums("tags", &Coverage::Partial, &ids), (0, 0, 0));

    let starts = [999, 1_000, 1_007, 2_000].map(|start| of(1, start, 42));
    let at = |start| Timestamp::from_microsecond(start).unwrap();
    let span = |user_id| Coverage::Starts { from: at(1_000), to: at(2_000), user_id };
    assert_eq!(sums("time_entries", &span(None), &starts), (2, 0b1100, 7));
    assert_eq!(sums("time_entries", &span(Some(42)), &starts), (2, 0b1100, 7));
    assert_eq!(sums("time_entries", &span(Some(43)), &starts), (0, 0, 0));
}

#[test]
fn a_claim_that_is_impossible_says_nothing() {
    let text = Digest::of(resource("tags"), &tags(), PAYLOAD).unwrap().to_string();
    let read = |from: &str, to: &str| Digest::read(&text.replacen(from, to, 1), PAYLOAD);
    assert!(read("ids=..9", "ids=..").is_some());
    for (from, to) in [
        ("ids=..9", "ids=10..9"),
        ("ids=..9", "starts=1..2"),
        ("ids=..9", ""),
        ("resource=tags", "resource=unicorns"),
        ("records=2", "records=-2"),
        ("fetched=1764477034000000", "fetched=-300000000000000000"),
    ] {
        assert_eq!(read(from, to), None, "{to}");
    }
}

#[test]
fn the_longest_digest_leaves_room_for_other_headers() {
    let coverage =
        Coverage::Starts { from: Timestamp::MIN, to: Timestamp::MAX, user_id: Some(i64::MIN) };
    let longest = catalogue::CATALOGUE.iter().map(|resource| resource.name);
    let longest = longest.max_by_key(|name| name.len()).unwrap();
    let envelope = Batch {
        resource: longest.to_owned(),
        workspace_id: i64::MIN,
        part: u32::MAX,
        fetched_at: Timestamp::MIN,
        coverage,
        records: Vec::new(),
        ..tags()
    };
    let sums = Sums { rows: i64::MAX, hashes: -1, starts: i64::MIN };
    let digest = Digest { envelope, sums, payload: u64::MAX };
    assert!(digest.to_string().len() < 400, "{}", digest.to_string().len());
}
