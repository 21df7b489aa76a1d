//! What a loader answers who asks it which dead letters there are of a run.

use async_nats::jetstream::message::PublishMessage;
use async_nats::{Client, Request};
use shared::kept::{ANSWERS, Answer, Question, SUBJECT};
use shared::listing::Span;
use shared::stream::STREAM;
use tests::servers::{DEADLINE, Shutdown, wait_for};
use tests::sessions::waiting_sessions;
use tests::toggl::Account;
use tests::world::World;
use uuid::Uuid;

use crate::dead_letters::letters::{Letters, poison};
use crate::expected::rows::resource;
use crate::given::batches::{cut, publish, record};

/// None where nobody answers.
async fn try_ask(client: &Client, run_ids: &[Uuid]) -> Option<Answer> {
    let question = Request::new()
        .payload(Question::about(run_ids).encode().unwrap().into())
        .inbox(format!("{ANSWERS}.{}", Uuid::now_v7().simple()));
    let answer = client.send_request(SUBJECT, question).await.ok()?;
    Some(Answer::decode(&answer.payload).unwrap())
}

/// Resource and number of the letters.
async fn ask(client: &Client, run_ids: &[Uuid]) -> Vec<(String, u64)> {
    let answer = wait_for("an answer", DEADLINE, || try_ask(client, run_ids)).await.unwrap();
    let Answer::Kept(kept) = answer else { panic!("{answer:?}") };
    kept.into_iter().map(|kept| (kept.resource, kept.letters)).collect()
}

#[tokio::test]
async fn the_letters_of_the_runs_asked_for_are_counted_and_no_others() {
    let mut letters = Letters::start().await;
    let (tags, clients) = (resource("tags"), resource("clients"));
    letters.refuse(tags, "no_poison").await;
    letters.refuse(clients, "no_poison").await;
    let one = cut(tags, 10, Span::Partial, poison(tags, 1..=3));
    let two = cut(clients, 10, Span::Partial, poison(clients, 1..=2));
    letters.load(&one).await;
    letters.load(&two).await;
    let client = letters.context.client();
    let (one, two) = (one[0].run_id, two[0].run_id);
    assert_eq!(ask(&client, &[one]).await, [("tags".to_owned(), 3)]);
    let both = [("clients".to_owned(), 2), ("tags".to_owned(), 3)];
    assert_eq!(ask(&client, &[one, two]).await, both);
    assert_eq!(ask(&client, &[Uuid::now_v7()]).await, []);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_a_letter_of_the_run_in_its_id() {
    let letters = Letters::start().await;
    let run_id = Uuid::now_v7();
    let message = PublishMessage::build()
        .payload("no batch at all".into())
        .message_id(format!("v1:tags:7:{run_id}:0"));
    let sent = letters.context.send_publish("toggl_track.raw.tags", message).await.unwrap();
    sent.await.unwrap();
    letters.loaded().await;
    assert_eq!(ask(&letters.context.client(), &[run_id]).await, [("tags".to_owned(), 1)]);
}

#[tokio::test]
async fn after_nats_or_postgres_was_away_a_loader_answers_again() {
    let world = World::start_with_own_postgres(Account::empty()).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    let client = world.jetstream().await.unwrap().client();
    assert_eq!(ask(&client, &[Uuid::now_v7()]).await, []);

    world.postgres().stop(Shutdown::Fast).await.unwrap();
    let answer = try_ask(&client, &[Uuid::now_v7()]).await.unwrap();
    let Answer::Unknown(reason) = answer else { panic!("{answer:?}") };
    assert!(reason.contains("cannot connect to Postgres"), "{reason}");
    world.postgres().restart(Shutdown::Fast).await.unwrap();
    assert_eq!(ask(&client, &[Uuid::now_v7()]).await, []);

    world.nats.kill9().unwrap();
    world.nats.restart().await.unwrap();
    assert_eq!(ask(&client, &[Uuid::now_v7()]).await, []);
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
async fn a_question_is_answered_while_every_writer_waits() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    let mut blocker = letters.world.connect().await.unwrap();
    let lock = "begin; lock table raw.toggl_track__tags, raw.toggl_track__clients";
    sqlx::raw_sql(lock).execute(&mut blocker).await.unwrap();
    for resource in [tags, resource("clients")] {
        let batch = cut(resource, 10, Span::Partial, vec![record(resource, 1, 5, "one")]);
        publish(&letters.context, &batch).await;
    }
    waiting_sessions(&mut letters.connection, 2).await.unwrap();
    assert_eq!(ask(&letters.context.client(), &[Uuid::now_v7()]).await, []);
}

#[tokio::test]
async fn no_question_makes_a_loader_publish_where_no_answers_belong() {
    let letters = Letters::start().await;
    let tags = resource("tags");
    letters.load(&cut(tags, 10, Span::Partial, vec![record(tags, 1, 5, "one")])).await;
    let client = letters.context.client();
    let purge = format!("$JS.API.STREAM.PURGE.{STREAM}");
    for elsewhere in [purge, tags.subject()] {
        let question = Question::about(&[]).encode().unwrap();
        client.publish_with_reply(SUBJECT, elsewhere, question.into()).await.unwrap();
    }
    // Questions are answered one after the other.
    assert_eq!(ask(&client, &[Uuid::now_v7()]).await, []);
    let stream = letters.context.get_stream(STREAM).await.unwrap();
    let state = &stream.cached_info().state;
    assert_eq!((state.messages, state.last_sequence), (1, 1));
}

#[tokio::test]
async fn anything_but_a_question_is_answered_in_words() {
    let letters = Letters::start().await;
    let client = letters.context.client();
    let newer = Question { version: 2, run_ids: Vec::new() }.encode().unwrap();
    for (bytes, words) in [(b"{}".to_vec(), "no question"), (newer, "update the loader")] {
        let inbox = format!("{ANSWERS}.{}", Uuid::now_v7().simple());
        let request = Request::new().payload(bytes.into()).inbox(inbox);
        let answer = client.send_request(SUBJECT, request).await.unwrap();
        let answer = Answer::decode(&answer.payload).unwrap();
        let Answer::Unknown(reason) = answer else { panic!("{answer:?}") };
        assert!(reason.contains(words), "{reason}");
    }
}
