use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;
use shared::batch::{Rejected, VERSION};
use shared::catalogue;
use uuid::Uuid;

use super::*;
use crate::apply::applied::ApplyError;
use crate::apply::fits::{Fits, LONGEST_TIMEOUT};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn record(id: i64, start: Option<i64>) -> Record {
    Record {
        source_id: id,
        workspace_id: None,
        modified_at: None,
        started_at: start.map(at),
        user_id: None,
        deleted_at: None,
        data: Bytes::from_static(b"{}"),
    }
}

fn batch(coverage: Coverage, records: Vec<Record>) -> Batch {
    Batch {
        version: VERSION,
        run_id: Uuid::nil(),
        resource: "tags".to_owned(),
        workspace_id: 1,
        api_version: "v9".to_owned(),
        fetched_at: Timestamp::UNIX_EPOCH,
        part: 0,
        coverage,
        records,
        rejected: vec![Rejected { source_id: None, reason: String::new(), data: Bytes::new() }],
    }
}

fn tags(records: i64) -> Batch {
    let coverage = Coverage::Ids { after: None, through: None };
    batch(coverage, (1..=records).map(|id| record(id, None)).collect())
}

/// All pieces of a batch, with so many records in each of them.
fn pieces<'a>(batch: &'a Batch, sizes: &[usize]) -> Vec<Piece<'a>> {
    let mut cutting = Cutting::default();
    let mut pieces = Vec::new();
    for most in sizes.iter().cycle() {
        let piece = Piece::next(batch, &cutting, Fit::of_at_most(*most));
        let received = piece.batch.records.len() + piece.batch.rejected.len();
        let done = cutting.advance(&piece, Done::Piece(Applied { received, ..Applied::default() }));
        pieces.push(piece);
        if let Some(done) = done {
            assert_eq!(done.received, batch.records.len() + batch.rejected.len());
            break;
        }
        assert!(pieces.len() <= batch.records.len(), "it does not end");
    }
    pieces
}

fn covers(coverage: &Coverage, record: &Record) -> bool {
    match *coverage {
        Coverage::Partial => false,
        Coverage::Ids { after, through } => {
            after.is_none_or(|after| after < record.source_id)
                && through.is_none_or(|through| record.source_id <= through)
        }
        Coverage::Starts { from, to, .. } => {
            record.started_at.is_some_and(|start| from <= start && start < to)
        }
    }
}

fn coverages() -> impl Strategy<Value = Coverage> {
    let bound = || proptest::option::of(0..40_i64);
    let ids = (bound(), bound()).prop_map(|(a, b)| match (a, b) {
        (Some(a), Some(b)) => Coverage::Ids { after: Some(a.min(b)), through: Some(a.max(b)) },
        (after, through) => Coverage::Ids { after, through },
    });
    let starts = (0..20_i64, 0..20_i64).prop_map(|(from, days)| Coverage::Starts {
        from: at(from),
        to: at(from + days),
        user_id: Some(7),
    });
    prop_oneof![Just(Coverage::Partial), ids, starts]
}

proptest! {
    #[test]
    fn pieces_claim_together_what_the_batch_claims_and_hold_each_record_once(
        coverage in coverages(),
        records in proptest::collection::vec((0..40_i64, proptest::option::of(0..30_i64)), 0..30),
        sizes in proptest::collection::vec(1..12_usize, 1..5),
    ) {
        let records = records.into_iter().map(|(id, start)| record(id, start)).collect();
        let batch = batch(coverage, records);
        let pieces = pieces(&batch, &sizes);
        for (index, record) in batch.records.iter().enumerate() {
            let holders: Vec<_> = pieces.iter().filter(|piece| piece.has(index)).collect();
            prop_assert_eq!(holders.len(), 1);
            let claimed = pieces.iter().filter(|piece| covers(&piece.batch.coverage, record));
            prop_assert_eq!(claimed.count(), usize::from(covers(&batch.coverage, record)));
            if covers(&batch.coverage, record) {
                prop_assert!(covers(&holders[0].batch.coverage, record), "{record:?} {holders:?}");
            }
        }
        for piece in &pieces {
            let chosen = (0..batch.records.len()).filter(|index| piece.has(*index));
            let chosen: Vec<_> = chosen.map(|index| batch.records[index].clone()).collect();
            prop_assert_eq!(&piece.batch.records, &chosen);
            prop_assert_eq!(piece.batch.rejected.len(), usize::from(piece.is_last()));
        }
        // From end to end, without a hole and twice nothing.
        let bounds: Vec<_> = pieces.iter().map(|piece| ends(&piece.batch.coverage)).collect();
        for (one, next) in bounds.iter().zip(&bounds[1..]) {
            prop_assert_eq!(one.1, next.0);
            prop_assert!(one.0 <= one.1 || one.0.is_none() || one.1.is_none());
        }
        let whole = ends(&batch.coverage);
        prop_assert_eq!((bounds[0].0, bounds[bounds.len() - 1].1), whole);
    }
}

fn ends(coverage: &Coverage) -> (Option<i64>, Option<i64>) {
    match *coverage {
        Coverage::Partial => (None, None),
        Coverage::Ids { after, through } => (after, through),
        Coverage::Starts { from, to, .. } => {
            (Some(from.as_microsecond()), Some(to.as_microsecond()))
        }
    }
}

#[test]
fn equal_starts_stay_together() {
    let coverage = Coverage::Starts { from: at(0), to: at(100), user_id: None };
    let records = [1, 2, 2, 2, 3].into_iter().zip(1..).map(|(start, id)| record(id, Some(start)));
    let batch = batch(coverage, records.collect());
    let lengths: Vec<_> =
        pieces(&batch, &[2]).iter().map(|piece| piece.batch.records.len()).collect();
    assert_eq!(lengths, [4, 1]);
}

#[test]
fn what_ran_out_of_time_is_halved_and_has_longer_until_it_fits_and_both_go_back() {
    let resource = catalogue::find("tags").unwrap();
    let (fits, batch) = (Fits::default(), tags(2_500));
    let out_of_time = ApplyError::TimedOut(APPLY_TIMEOUT);
    let next = |fits: &Fits| Piece::next(&batch, &Cutting::default(), fits.of(resource));
    for length in [2_500, 1_250, 625, 312] {
        let piece = next(&fits);
        assert_eq!(piece.batch.records.len(), length);
        fits.learn(resource, piece.size(), Some(&out_of_time), APPLY_TIMEOUT);
        assert!(fits.is_slow(resource));
    }
    fits.learn(resource, next(&fits).size(), None, APPLY_TIMEOUT / 2);
    assert_eq!(next(&fits).batch.records.len(), 156, "it takes half of its time");
    for _ in 0..5 {
        fits.learn(resource, next(&fits).size(), None, Duration::from_secs(1));
    }
    assert_eq!(fits.of(resource), Fit::default());
    assert!(!fits.is_slow(resource));
}

#[test]
fn a_statement_that_postgres_ended_has_twice_the_time_and_ten_minutes_at_most() {
    let batch = tags(1);
    let mut fit = Fit::default();
    for _ in 0..3 {
        fit = fit.ran_out(Piece::whole(&batch, fit.limit).size());
    }
    assert_eq!((fit.most, fit.limit), (1, APPLY_TIMEOUT * 8));
    let piece = Piece::next(&batch, &Cutting::default(), fit);
    assert_eq!(piece.statement_timeout(), (APPLY_TIMEOUT * 8).checked_sub(STATEMENT_MARGIN));
    for _ in 0..9 {
        fit = fit.ran_out(piece.size());
    }
    assert_eq!(fit.limit, LONGEST_TIMEOUT);
    for _ in 0..5 {
        fit = fit.fitted(piece.size(), Duration::from_secs(1));
    }
    assert_eq!(fit.limit, APPLY_TIMEOUT);
}

#[test]
fn a_silent_peer_is_not_waited_for_longer_at_once() {
    let (one, many) = (tags(1), tags(10));
    let mut fit = Fit::default();
    for _ in 0..3 {
        fit = fit.fell_silent(Piece::whole(&many, fit.limit).size());
    }
    assert_eq!(fit.limit, APPLY_TIMEOUT, "it can be cut");
    let first = Fit::default().fell_silent(Piece::whole(&one, APPLY_TIMEOUT).size());
    assert_eq!(first.limit, APPLY_TIMEOUT, "it may be gone");
    let second = first.fell_silent(Piece::whole(&one, APPLY_TIMEOUT).size());
    assert_eq!(second.limit, APPLY_TIMEOUT * 2);
}
