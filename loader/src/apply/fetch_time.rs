//! Which time of fetching is believed.
//!
//! `fetched_at` decides what is newer, and the fetcher's clock makes it. One that is ahead would hide
//! all that comes after, until its time has come. `JetStream`'s time of storing bounds it: nothing is
//! stored before it was fetched. It comes with the message at every delivery, in replays too, and stays
//! with dead letters, so that everybody believes the same.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use shared::batch::Batch;
use shared::telemetry::RAW_CLIENT;
use tracing::warn;

use super::origin::Origin;

/// Less than this heals by itself before anybody would look, and the clock of a NATS server that was
/// set back must not make news look old.
const BELIEVED_AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// When a batch was fetched: by its own word, or when the stream stored it if that lies an hour later.
pub(crate) fn fetched_at(batch: &Batch, origin: &Origin) -> Timestamp {
    match ahead(batch, origin) {
        Some(_) => origin.published_at,
        None => batch.fetched_at,
    }
}

/// The batch as it is to be applied, and how far ahead the clock was that is not believed.
pub(crate) fn believed<'a>(
    batch: &'a Batch,
    origin: &Origin,
) -> (Cow<'a, Batch>, Option<SignedDuration>) {
    let ahead = ahead(batch, origin);
    let batch = match ahead {
        Some(_) => Cow::Owned(Batch { fetched_at: origin.published_at, ..batch.clone() }),
        None => Cow::Borrowed(batch),
    };
    (batch, ahead)
}

fn ahead(batch: &Batch, origin: &Origin) -> Option<SignedDuration> {
    let ahead = batch.fetched_at.duration_since(origin.published_at);
    (origin.is_dated() && ahead > BELIEVED_AHEAD).then_some(ahead)
}

/// Tells whoever reads the log, once for each run.
pub(crate) fn warn_of(ahead: SignedDuration) {
    warn!(
        target: RAW_CLIENT,
        "The clock of the machine that fetched is {ahead:#} ahead: its time of fetching is not believed, \
         and the time at which JetStream stored the batch stands instead. Set that machine's clock \
         right (`timedatectl` shows whether it is synchronised)"
    );
}

#[cfg(test)]
mod tests {
    use shared::batch::{Coverage, VERSION};
    use uuid::Uuid;

    use super::*;

    const HOUR: i64 = 60 * 60;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn fetched(second: i64) -> Batch {
        Batch {
            version: VERSION,
            run_id: Uuid::now_v7(),
            resource: "tags".to_owned(),
            workspace_id: 7,
            api_version: "v9".to_owned(),
            fetched_at: at(second),
            part: 0,
            coverage: Coverage::Partial,
            records: Vec::new(),
            rejected: Vec::new(),
        }
    }

    fn stored(published_at: Timestamp) -> Origin {
        let subject = "toggl.track.raw.tags".to_owned();
        Origin { subject, stream_sequence: 1, published_at, promised_age: None }
    }

    #[test]
    fn what_was_stored_an_hour_before_it_was_fetched_is_still_believed() {
        for second in [-1_000 * HOUR, 0, HOUR] {
            let batch = fetched(second);
            assert_eq!(fetched_at(&batch, &stored(at(0))), at(second));
            let (believed, ahead) = believed(&batch, &stored(at(0)));
            assert_eq!((believed.fetched_at, ahead), (at(second), None));
        }
    }

    #[test]
    fn what_was_stored_more_than_an_hour_before_was_fetched_when_it_was_stored() {
        for second in [HOUR + 1, 10 * 365 * 24 * HOUR] {
            let batch = fetched(second);
            assert_eq!(fetched_at(&batch, &stored(at(0))), at(0));
            let (believed, ahead) = believed(&batch, &stored(at(0)));
            assert_eq!(believed.fetched_at, at(0));
            assert_eq!(ahead, Some(SignedDuration::from_secs(second)));
        }
    }

    #[test]
    fn where_nobody_knows_when_it_was_stored_its_own_word_stands() {
        let batch = fetched(10 * HOUR);
        assert_eq!(fetched_at(&batch, &stored(Timestamp::UNIX_EPOCH)), batch.fetched_at);
    }
}
