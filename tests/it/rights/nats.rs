//! What the NATS users of the compose stack may do, and what they may not.

use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::{Client, ConnectOptions, Event};
use shared::stream::STREAM;
use tests::servers::{DEADLINE, wait_for};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::expected::endings::assert_fails;
use crate::expected::rows::assert_tables_hold;
use crate::given::guarded::{FETCHER, Guarded, LOADER, password};

/// A client with one user's rights, and what the server says to it.
struct User {
    client: Client,
    said: UnboundedReceiver<String>,
}

impl User {
    async fn connect(guarded: &Guarded, user: &str, name: &str) -> Self {
        let (sender, said) = unbounded_channel();
        let options = ConnectOptions::new()
            .user_and_password(user.to_owned(), password(user))
            .custom_inbox_prefix(format!("_INBOX.{name}"))
            .event_callback(move |event| {
                let sender = sender.clone();
                async move {
                    if let Event::ServerError(error) = event {
                        sender.send(error.to_string()).ok();
                    }
                }
            });
        Self { client: options.connect(guarded.world.nats.url()).await.unwrap(), said }
    }

    async fn may_not_publish(&mut self, subject: &str) {
        self.client.publish(subject.to_owned(), "{}".into()).await.unwrap();
        self.is_told("publish", subject).await;
    }

    async fn may_not_subscribe(&mut self, subject: &str) {
        drop(self.client.subscribe(subject.to_owned()).await.unwrap());
        self.is_told("subscription", subject).await;
    }

    async fn is_told(&mut self, action: &str, subject: &str) {
        let said = tokio::time::timeout(DEADLINE, self.said.recv()).await;
        let said = said.unwrap_or_else(|_| panic!("may: {action} {subject}")).unwrap();
        let said = said.to_lowercase();
        assert!(said.contains("permissions violation"), "{said}");
        assert!(said.contains(action) && said.contains(&subject.to_lowercase()), "{said}");
    }
}

async fn loaded_world() -> Guarded {
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    let finished = guarded.fetcher(&["--days", "60"]).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    guarded
}

async fn messages(guarded: &Guarded) -> u64 {
    let context = guarded.world.jetstream().await.unwrap();
    context.get_stream(STREAM).await.unwrap().cached_info().state.messages
}

#[tokio::test]
async fn with_these_rights_both_programs_do_all_their_work_and_nothing_is_refused() {
    let guarded = loaded_world().await;
    let loader = guarded.loader(&[]).start().await.unwrap();
    let commands: [&[&str]; 5] = [
        &["--days", "60", "--wait"],
        &["report", "--from", "2026-11-01"],
        &["changes", "--lists"],
        &["verify", "--wait"],
        &["check"],
    ];
    for arguments in commands {
        let finished = guarded.fetcher(arguments).run().await.unwrap();
        assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:#?}");
        assert!(!finished.stderr.contains("WARN"), "{}", finished.stderr);
    }
    let resident: [(&[&str], &str); 3] = [
        (&["schedule", "auto"], "Plan: "),
        (&["schedule", "* * * * * *"], "has ended well"),
        (
            &["listen", "--address", "127.0.0.1:0", "--public-url", "https://example.com"],
            "Making the subscription",
        ),
    ];
    for (arguments, logged) in resident {
        let resident = guarded.fetcher(arguments).start().await.unwrap();
        resident.logged(logged, DEADLINE).await.unwrap();
        assert_eq!(resident.terminate().await.unwrap(), Some(0), "{}", resident.log());
    }
    guarded.world.loaded_by(&loader).await.unwrap();
    for arguments in [
        &["status"][..],
        &["check"],
        &["verify"],
        &["explain", "--resource", "tags", "--id", "1"],
        &["explain", "--sequence", "1"],
        &["dead-letters", "retry", "--all"],
    ] {
        let finished = guarded.loader(arguments).run().await.unwrap();
        assert!(matches!(finished.code, Some(0 | 6)), "{arguments:?}: {finished:#?}");
    }
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    assert!(!loader.log().contains("WARN"), "{}", loader.log());
    let finished = guarded.loader(&["replay"]).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_tables_hold(&guarded.world).await;
    let violations = guarded.world.nats.log().matches("Violation").count();
    assert_eq!(violations, 0, "{}", guarded.world.nats.log());
}

#[tokio::test]
async fn a_fetcher_may_not_read_or_delete_what_is_in_the_stream() {
    let guarded = loaded_world().await;
    let before = messages(&guarded).await;
    let mut fetcher = User::connect(&guarded, FETCHER, "toggl-track-fetcher").await;
    for action in [
        "STREAM.MSG.GET.TOGGL_TRACK_RAW",
        "DIRECT.GET.TOGGL_TRACK_RAW",
        "DIRECT.GET.TOGGL_TRACK_RAW.toggl_track.raw.tags",
        "CONSUMER.CREATE.TOGGL_TRACK_RAW.nosy.toggl_track.raw.tags",
        "CONSUMER.DURABLE.CREATE.TOGGL_TRACK_RAW.nosy",
        "CONSUMER.MSG.NEXT.TOGGL_TRACK_RAW.loader_tags",
        "CONSUMER.DELETE.TOGGL_TRACK_RAW.loader_tags",
        "STREAM.MSG.DELETE.TOGGL_TRACK_RAW",
        "STREAM.PURGE.TOGGL_TRACK_RAW",
        "STREAM.UPDATE.TOGGL_TRACK_RAW",
        "STREAM.DELETE.TOGGL_TRACK_RAW",
        "STREAM.DELETE.KV_toggl_track_state",
        "STREAM.CREATE.OTHER",
    ] {
        fetcher.may_not_publish(&format!("$JS.API.{action}")).await;
    }
    fetcher.may_not_publish("$JS.ACK.TOGGL_TRACK_RAW.loader_tags.1.1.1.1.0").await;
    for subject in [
        "toggl_track.kept",
        "toggl_track.raw.*",
        "_INBOX.>",
        "_INBOX.toggl-track-loader.>",
        "$JS.>",
        ">",
    ] {
        fetcher.may_not_subscribe(subject).await;
    }
    assert_eq!(messages(&guarded).await, before);
}

#[tokio::test]
async fn a_loader_may_neither_publish_nor_touch_the_state_or_the_stream() {
    let guarded = loaded_world().await;
    let before = messages(&guarded).await;
    let mut loader = User::connect(&guarded, LOADER, "toggl-track-loader").await;
    for subject in [
        "toggl_track.raw.tags",
        "$KV.toggl_track_state.since.1",
        "$JS.API.DIRECT.GET.KV_toggl_track_state.$KV.toggl_track_state.since.1",
        "$JS.API.STREAM.MSG.GET.KV_toggl_track_state",
        "$JS.API.CONSUMER.CREATE.KV_toggl_track_state.nosy",
        "$JS.API.STREAM.INFO.KV_toggl_track_state",
        "$JS.API.STREAM.MSG.DELETE.TOGGL_TRACK_RAW",
        "$JS.API.STREAM.PURGE.TOGGL_TRACK_RAW",
        "$JS.API.STREAM.UPDATE.TOGGL_TRACK_RAW",
        "$JS.API.STREAM.DELETE.TOGGL_TRACK_RAW",
        "$JS.API.STREAM.CREATE.OTHER",
        "toggl_track.kept",
        "_INBOX.toggl-track-fetcher.x",
        "_INBOX.toggl-track-fetcher.x.y",
    ] {
        loader.may_not_publish(subject).await;
    }
    for subject in [
        "toggl_track.raw.*",
        "toggl_track.kept",
        "_INBOX.>",
        "_INBOX.toggl-track-fetcher.>",
        "_INBOX.toggl-track-fetcher.kept.*",
        ">",
    ] {
        loader.may_not_subscribe(subject).await;
    }
    assert_eq!(messages(&guarded).await, before);
    assert_eq!(loader.said.try_recv().ok(), None);
}

#[tokio::test]
async fn a_loader_may_have_consumers_of_other_names_read_by_them_and_delete_them() {
    let guarded = loaded_world().await;
    let mut loader = User::connect(&guarded, LOADER, "toggl-track-loader").await;
    let context = shared::nats::jetstream(loader.client.clone());
    let stream = context.get_stream(STREAM).await.unwrap();
    let config = pull::Config { durable_name: Some("replay".into()), ..pull::Config::default() };
    let replay = stream.create_consumer(config).await.unwrap();
    let mut read = replay.fetch().max_messages(1).messages().await.unwrap();
    let message = futures::StreamExt::next(&mut read).await.unwrap().unwrap();
    message.ack().await.unwrap();
    let settled = || async {
        let info = stream.consumer_info("replay").await.ok()?;
        (info.ack_floor.consumer_sequence == 1).then_some(())
    };
    wait_for("the acknowledgement", DEADLINE, settled).await.unwrap();
    stream.delete_consumer("replay").await.unwrap();
    assert_eq!(loader.said.try_recv().ok(), None);
}

#[tokio::test]
async fn a_missing_stream_that_the_user_may_not_create_ends_with_5_and_names_who_may() {
    let guarded = Guarded::start().await;
    for worker in [guarded.fetcher(&[]), guarded.loader(&[])] {
        assert_fails(&worker.run().await.unwrap(), 5, &["TOGGL_TRACK_RAW", "loader setup"]);
    }
    assert!(guarded.world.toggl.requests().is_empty());
}

#[tokio::test]
async fn a_stream_with_other_settings_that_the_user_may_not_change_is_used_with_one_warning() {
    let guarded = loaded_world().await;
    let warning = "has other settings than these";
    let fetcher = guarded.fetcher(&[]).env("STREAM_MAX_AGE", "7d");
    let finished = fetcher.run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(finished.stderr.matches(warning).count(), 1, "{}", finished.stderr);
    let loader = guarded.loader(&[]).env("STREAM_MAX_AGE", "7d").start().await.unwrap();
    guarded.world.loaded_by(&loader).await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    assert_eq!(loader.log().matches(warning).count(), 1, "{}", loader.log());

    let context = guarded.world.jetstream().await.unwrap();
    let max_age = async || context.get_stream(STREAM).await.unwrap().cached_info().config.max_age;
    assert_eq!(max_age().await, Duration::from_hours(365 * 24));
    // Who may change it does.
    let finished = guarded.world.fetcher(&[]).env("STREAM_MAX_AGE", "7d").run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(max_age().await, Duration::from_hours(7 * 24));
}
