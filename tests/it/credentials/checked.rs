//! `fetcher credentials set` asks Toggl whose a token is before it stores it.

use jiff::Timestamp;
use tests::toggl::{Account, Answer, TOKEN};
use tests::workers::{Finished, Worker};
use tests::world::World;

use crate::credentials::vault::give_key;
use crate::expected::endings::{assert_fails, assert_unspoken};

const WRONG: &str = "wr0ngt0ken";
const OWNER: [&str; 3] = ["Test User <user@example.com>", "2166398", "2230991"];

struct Safe(World);

impl Safe {
    async fn start() -> Self {
        let account = Account::sample_at(Timestamp::now());
        let world = World::start_with_own_postgres(account).await.unwrap();
        give_key(&world).await;
        Self(world)
    }

    fn fetcher(&self, arguments: &[&str]) -> Worker {
        let fetcher = self.0.fetcher(arguments).without("TOGGL_API_TOKEN");
        fetcher.env("DATABASE_URL", &self.0.database.url)
    }

    async fn set(&self, arguments: &[&str], text: &str) -> Finished {
        let words = [&["credentials", "set"], arguments].concat();
        self.fetcher(&words).stdin(text).run().await.unwrap()
    }

    async fn show(&self) -> Finished {
        self.fetcher(&["credentials", "show"]).run().await.unwrap()
    }

    async fn assert_nothing_is_stored(&self) {
        assert_fails(&self.show().await, 3, &["no Toggl credentials in the vault"]);
    }
}

#[track_caller]
fn assert_says(finished: &Finished, words: &[&str]) {
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    for word in words {
        assert!(finished.stdout.contains(word), "{word} is not in {finished:#?}");
    }
    assert_unspoken(finished, TOKEN);
}

#[tokio::test]
async fn whose_the_token_is_is_said_when_it_is_stored_and_whenever_it_is_asked_for() {
    let safe = Safe::start().await;
    assert_says(&safe.set(&["--workspace", "2230991"], TOKEN).await, &OWNER);
    let asked = safe.0.toggl.requests().len();
    assert_eq!(asked, 1);
    assert_says(&safe.show().await, &OWNER);
    assert_eq!(safe.0.toggl.requests().len(), asked, "to show costs no request");
    let synced = safe.fetcher(&[]).run().await.unwrap();
    assert_eq!(synced.code, Some(0), "{synced:#?}");
}

#[tokio::test]
async fn a_token_that_toggl_refuses_is_not_stored_unless_one_insists() {
    let safe = Safe::start().await;
    let refused = safe.set(&[], WRONG).await;
    assert_fails(&refused, 3, &["nothing was stored", "refuses"]);
    assert_unspoken(&refused, WRONG);
    safe.assert_nothing_is_stored().await;
    // What was stored before stays.
    assert_says(&safe.set(&[], TOKEN).await, &OWNER);
    assert_fails(&safe.set(&[], WRONG).await, 3, &["nothing was stored"]);
    assert_says(&safe.show().await, &OWNER);

    assert_says(&safe.set(&["--unchecked"], WRONG).await, &["was not asked", "fetcher check"]);
    let shown = safe.show().await;
    assert_says(&shown, &["are stored", "was not asked"]);
    assert!(!shown.stdout.contains("Test User"), "{shown:#?}");
    assert_fails(&safe.fetcher(&[]).run().await.unwrap(), 3, &["refuses"]);
}

#[tokio::test]
async fn where_toggl_does_not_answer_nothing_is_stored_and_the_way_to_store_it_is_named() {
    let safe = Safe::start().await;
    let set = safe.fetcher(&["credentials", "set"]).env("TOGGL_URL", "http://127.0.0.1:1");
    let finished = set.stdin(TOKEN).run().await.unwrap();
    assert_fails(&finished, 1, &["nothing was stored", "--unchecked"]);
    safe.0.toggl.script("/api/v9/me", Answer::status(503));
    safe.0.toggl.script("/api/v9/me", Answer::status(503));
    assert_fails(&safe.set(&[], TOKEN).await, 1, &["nothing was stored", "--unchecked"]);
    safe.assert_nothing_is_stored().await;

    let set = safe.fetcher(&["credentials", "set", "--unchecked"]);
    let set = set.env("TOGGL_URL", "http://127.0.0.1:1").stdin(TOKEN).run().await.unwrap();
    assert_says(&set, &["Stored"]);
    let synced = safe.fetcher(&[]).run().await.unwrap();
    assert_eq!(synced.code, Some(0), "{synced:#?}");
}

#[tokio::test]
async fn what_editors_and_shells_leave_around_a_token_is_taken_away() {
    let safe = Safe::start().await;
    for text in ["\u{feff}{}\r\n", "  {}\t\n\n", "{}"] {
        assert_says(&safe.set(&[], &text.replace("{}", TOKEN)).await, &OWNER);
        assert_eq!(safe.fetcher(&["--only", "me"]).run().await.unwrap().code, Some(0));
    }
}

#[tokio::test]
async fn what_is_no_token_is_named_and_neither_asked_for_nor_stored() {
    let safe = Safe::start().await;
    for (text, words) in [
        ("", "empty"),
        ("\u{feff}\r\n", "empty"),
        ("hunter2\nhunter3\n", "several lines"),
        ("{\"api_token\": \"hunter2\"}", "JSON"),
        ("user@example.com:hunter2", "log-in"),
        ("TOGGL_API_TOKEN=hunter2", "setting"),
        ("'hunter2'", "quotes"),
        ("Bearer hunter2", "one word"),
    ] {
        let finished = safe.set(&[], text).await;
        assert_fails(&finished, 3, &["standard input holds no API token", words]);
        assert_unspoken(&finished, "hunter2");
        // From wherever it comes.
        if !text.is_empty() && words != "empty" {
            let synced = safe.fetcher(&[]).env("TOGGL_API_TOKEN", text).run().await.unwrap();
            assert_fails(&synced, 3, &["TOGGL_API_TOKEN holds no API token", words]);
            assert_unspoken(&synced, "hunter2");
        }
    }
    assert_eq!(safe.0.toggl.requests().len(), 0);
    safe.assert_nothing_is_stored().await;
}
