//! Tells fetchers what was kept of their runs as dead letters: `shared::kept`.
//!
//! Beside the loading, and by connections of its own: a question waits for no batch, and no batch for a
//! question. The client renews the subscription with every connection to NATS.

use std::time::Duration;

use async_nats::{Client, Message};
use futures::StreamExt as _;
use shared::kept::{
    Answer, KeptLetters, MAX_RUNS, QUEUE, Question, SUBJECT, VERSION, is_asker, one_line,
};
use shared::telemetry::SUBSCRIBER;
use sqlx::PgConnection;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::postgres::database::Database;
use crate::status::store::Looker;

/// The fetcher waits a little longer for an answer.
const LIMIT: Duration = Duration::from_secs(5);
/// Before it is tried again to be there for questions.
const PAUSE: Duration = Duration::from_secs(5);

/// Answers questions until it is dropped.
pub(crate) async fn answer_questions(client: Client, database: Database) {
    loop {
        match client.queue_subscribe(SUBJECT, QUEUE.to_owned()).await {
            Ok(mut questions) => {
                while let Some(question) = questions.next().await {
                    answer(&client, &database, question).await;
                }
            }
            Err(error) => warn!(target: SUBSCRIBER, %error, "Cannot be asked on {SUBJECT}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Only to where answers belong: who may ask a loader shall not make it publish anywhere else.
async fn answer(client: &Client, database: &Database, question: Message) {
    let Some(asker) = question.reply.filter(|asker| is_asker(asker)) else {
        debug!(target: SUBSCRIBER, "A question on {SUBJECT} that nobody waits for");
        return;
    };
    let answer = match Question::decode(&question.payload) {
        Ok(Question { version: VERSION, run_ids }) if run_ids.len() <= MAX_RUNS => {
            ask_postgres(database, &run_ids).await
        }
        Ok(_) => Answer::Unknown("it does not know this question: update the loader".to_owned()),
        Err(error) => Answer::Unknown(error.to_string()),
    };
    if let Err(error) = send(client, asker, &answer).await {
        warn!(target: SUBSCRIBER, %error, "Could not answer a question on {SUBJECT}");
    }
}

async fn send(
    client: &Client,
    asker: async_nats::Subject,
    answer: &Answer,
) -> Result<(), async_nats::Error> {
    Ok(client.publish(asker, answer.encode()?.into()).await?)
}

async fn ask_postgres(database: &Database, run_ids: &[Uuid]) -> Answer {
    let mut looker = Looker::new(database.clone());
    let kept = looker.within(LIMIT, async |connection| kept(connection, run_ids).await).await;
    looker.close().await;
    match kept {
        Ok(kept) => Answer::Kept(kept),
        Err(away) => Answer::Unknown(one_line(&away.words)),
    }
}

/// What the fetcher could make no record of is its own to count.
async fn kept(connection: &mut PgConnection, run_ids: &[Uuid]) -> sqlx::Result<Vec<KeptLetters>> {
    let kept: Vec<(String, i64, String)> = sqlx::query_as(
        "select resource, count(*), (array_agg(reason order by dead_letter_id))[1]
         from raw.toggl_track__dead_letters
         where run_id = any($1) and kind <> 'rejected'
         group by resource order by resource",
    )
    .bind(run_ids)
    .fetch_all(connection)
    .await?;
    let letters = |(resource, letters, reason): (String, i64, String)| KeptLetters {
        resource,
        letters: letters.unsigned_abs(),
        reason: one_line(&reason),
    };
    Ok(kept.into_iter().map(letters).collect())
}
