//! One attempt to apply a delivery, and what follows from how it went.

use shared::exit::chain;
use shared::retry::Disposition;
use shared::telemetry::run_span;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{Content, Prepared, Settled, Work, Worker, log};
use crate::apply::fetch_time;
use crate::consume::applier::WriteError;
use crate::consume::pool::Lent;
use crate::consume::table::{Cause, Table};

/// A batch that loses its connection so often in a row while it is applied may well be why.
const MOST_LOSSES: u32 = 3;

impl Worker {
    /// None where there is more to come, or it is to be tried again.
    pub(super) async fn attempt(
        &self,
        table: &Table,
        work: &mut Work,
        prepared: Prepared<'_>,
    ) -> Option<Settled> {
        let started = Instant::now();
        let Prepared { content, mut lent, .. } = prepared;
        match apply(work, &mut lent, content).await {
            Ok(settled) => {
                lent.answered();
                succeeded(table, work);
                match &settled {
                    Some(Settled::Applied(resource, batch, applied)) => {
                        table.learn(applied);
                        self.metrics.applied(resource, applied, started.elapsed());
                        if let Some(ahead) = applied.clock_ahead
                            && self.metrics.is_first_ahead(batch.run_id)
                        {
                            fetch_time::warn_of(ahead);
                        }
                    }
                    Some(Settled::Unreadable(_)) => self.metrics.buried(table.resource),
                    None => {}
                }
                settled
            }
            Err(error) => {
                lent.applier().forget_connection();
                self.metrics.postgres_lost();
                failed(table, work, &lent, &error);
                None
            }
        }
    }
}

/// By its digest if that is enough, else by its records.
async fn apply(
    Work { delivery, cutting, .. }: &mut Work,
    lent: &mut Lent<'_>,
    content: Content,
) -> Result<Option<Settled>, WriteError> {
    let origin = &delivery.origin;
    let batch = match content {
        Content::Batch(batch) => batch,
        Content::Digest(resource, digest) => {
            let span = run_span(digest.envelope.run_id, None);
            let applying = lent.applier().apply_unread(resource, &digest, origin, cutting);
            if let Some(applied) = applying.instrument(span).await? {
                return Ok(Some(Settled::Applied(resource, Box::new(digest.envelope), applied)));
            }
            delivery.decode()
        }
    };
    match batch {
        Ok((resource, batch)) => {
            let applying = lent.applier().apply(resource, &batch, origin, cutting);
            let applied = applying.instrument(run_span(batch.run_id, None)).await?;
            Ok(applied.map(|applied| Settled::Applied(resource, Box::new(batch), applied)))
        }
        Err(reason) => {
            lent.applier().keep_message(&delivery.undecodable(), &chain(&reason)).await?;
            Ok(Some(Settled::Unreadable(reason)))
        }
    }
}

fn succeeded(table: &Table, work: &mut Work) {
    (work.delays, work.losses) = (None, 0);
    table.gate.open();
    if let Some(duration) = table.succeeded(work.delivery.origin.stream_sequence) {
        log::healed(table.resource, duration);
    }
}

/// Decides when it is tried again, and who waits until then: everybody, or its table.
fn failed(table: &Table, work: &mut Work, lent: &Lent<'_>, error: &WriteError) {
    if error.is_of_connection() {
        lent.lost(error);
        work.losses += u32::from(!error.is_unconnected());
        if work.losses < MOST_LOSSES {
            return;
        }
    } else {
        lent.answered();
        work.losses = 0;
    }
    let is_to_be_mended = error.disposition() == Disposition::Stop;
    let delay = work.delay(is_to_be_mended);
    work.due = Instant::now() + delay;
    table.gate.close(work.due);
    let cause = Cause { words: error.words(), is_to_be_mended };
    let is_news = table.failed(work.delivery.origin.stream_sequence, &cause);
    log::failed(&work.delivery, &cause, is_news, delay);
}
