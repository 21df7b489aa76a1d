//! What happened in each minute of the last hour.

use std::collections::VecDeque;

/// Minutes that the plots show.
const MINUTES: usize = 60;

/// What happened in one minute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Minute {
    /// Minutes since 1970.
    pub(crate) number: i64,
    /// Records in the batches that this loader applied.
    pub(crate) rows: u64,
    /// The most batches that waited in the stream; none while NATS was away.
    pub(crate) lag: Option<u64>,
}

/// With what is new in its last minute.
pub(super) fn with(mut minutes: VecDeque<Minute>, now: Minute) -> VecDeque<Minute> {
    match minutes.back_mut().filter(|minute| minute.number == now.number) {
        Some(minute) => {
            minute.rows += now.rows;
            minute.lag = minute.lag.max(now.lag);
        }
        None => minutes.push_back(now),
    }
    while minutes.len() > MINUTES {
        minutes.pop_front();
    }
    minutes
}
