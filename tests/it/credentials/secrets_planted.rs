//! Secrets where nobody expects them: deep in records of every resource, and in the words of errors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;
use tests::toggl::{Account, Answer, List, TOKEN, with_fields};
use tests::world::World;

use crate::credentials::secrets::{batches, tables_containing};
use crate::expected::endings::{assert_fails, assert_unspoken};

const MARKER: &str = "pl4ntedw0rd";
const KEPT: &str = "k3ptw0rd";
const LISTS: [List; 8] = [
    List::Projects,
    List::Clients,
    List::Tags,
    List::Users,
    List::Groups,
    List::Tasks,
    List::ProjectUsers,
    List::WorkspaceUsers,
];
const TAGS: &str = "/api/v9/workspaces/{w}/tags";

/// The record with secrets at several depths, and beside them something that is none.
fn planted(text: &str) -> String {
    let subscription = format!(
        r#"{{"card":{{"holder":"{MARKER}"}},"billing_contact":["{MARKER}"],"vat_number":"{MARKER}"}}"#
    );
    let nested = format!(
        r#"[{{"api\u005ftoken":"{MARKER}","note":"{KEPT}","deep":[{{"Ical_URL":"{MARKER}"}}]}}]"#
    );
    let word = format!("\"{MARKER}\"");
    let secrets = [
        ("subscription", subscription.as_str()),
        ("invite_url", &word),
        ("api_token", &word),
        ("nested", &nested),
    ];
    with_fields(text, &secrets)
}

fn account() -> Account {
    let mut account = Account::sample_at(Timestamp::now());
    let workspace_id = account.workspace_id();
    account.set_me(&planted(account.me()));
    for workspace in account.workspaces().to_vec() {
        account.put_workspace(&planted(workspace.text()));
    }
    for list in LISTS {
        for record in account.records(list, workspace_id).to_vec() {
            account.put(list, workspace_id, &planted(record.text()));
        }
    }
    let entries: Vec<_> = account.time_entries().map(|entry| planted(entry.text())).collect();
    for entry in &entries {
        account.put_time_entry(entry);
    }
    account
}

#[tokio::test]
async fn no_secret_at_any_depth_of_any_record_leaves_the_fetcher_and_all_else_does() {
    let world = World::start(account()).await.unwrap();
    let organization = planted(r#"{"id":9,"name":"One"}"#);
    let row = planted(&format!(
        r#"{{"user_id":7,"time_entries":[{}]}}"#,
        planted(
            r#"{"id":5,"start":"2024-07-30T08:13:46Z","stop":"2024-07-30T08:14:46Z","at":"2024-07-30T08:14:46Z"}"#
        )
    ));
    let list = |record: &str| Answer::json(format!("[{record}]")).forever();
    world.toggl.script("/api/v9/me/organizations", list(&organization));
    world.toggl.script("/reports/api/v3/workspace/{w}/search/time_entries", list(&row));
    let unusable = planted(r#"{"name":"without an id"}"#);
    world.toggl.script(TAGS, Answer::json(format!("[{unusable},[{unusable}]]")));
    let arguments = ["--only", "all", "--log-level", "debug"];
    let fetched = world.fetcher(&arguments).run().await.unwrap();
    assert_eq!(fetched.code, Some(6), "{fetched:#?}");
    let report = ["report", "--from", "2024-07-30", "--to", "2024-07-30", "--log-level", "debug"];
    let reported = world.fetcher(&report).run().await.unwrap();
    let loader = world.loader(&["--log-level", "debug"]).start().await.unwrap();
    world.loaded().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));

    for finished in [&fetched, &reported] {
        assert_unspoken(finished, MARKER);
    }
    assert!(!loader.log().contains(MARKER), "{}", loader.log());
    let mut connection = world.connect().await.unwrap();
    assert_eq!(tables_containing(&mut connection, MARKER).await, Vec::<String>::new());
    let kept = tables_containing(&mut connection, KEPT).await;
    for resource in shared::catalogue::CATALOGUE {
        let table = format!("raw.{}", resource.table());
        // Of tags nothing is usable here, and of what an inventory is made of only ids and seconds are kept.
        let keeps_fields = !["tags", "inventories"].contains(&resource.name);
        assert!(!keeps_fields || kept.contains(&table), "{table} is not in {kept:?}");
    }
    assert!(kept.contains(&"raw.toggl_track__dead_letters".to_owned()), "{kept:?}");
    for batch in batches(&world).await {
        let records = batch.records.iter().map(|record| &record.data);
        for data in records.chain(batch.rejected.iter().map(|rejected| &rejected.data)) {
            let text = std::str::from_utf8(data).unwrap();
            assert!(!text.contains(MARKER) && text.contains(KEPT), "{text}");
            serde_json::from_str::<Value>(text).unwrap();
        }
    }
}

/// So much of a secret tells too much.
fn beginning(secret: &str) -> &str {
    secret.get(..12).unwrap()
}

#[tokio::test]
async fn no_error_page_that_repeats_the_request_shows_the_token() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    let login = STANDARD.encode(format!("{TOKEN}:api_token"));
    let page = format!(
        "{}Authorization: Basic {login}, {TOKEN}, {}",
        "x ".repeat(70),
        login.trim_end_matches('=')
    );
    let title = format!("<html><title>Basic {login}</title></html>");
    let text = Value::from(page.as_str()).to_string();
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("run.json");
    let arguments = ["--log-level", "debug", "--summary-json", summary.to_str().unwrap()];
    for (status, body) in [(500, &page), (404, &page), (400, &title), (200, &text), (200, &title)] {
        world.toggl.script(TAGS, Answer::status(status).body(body.clone()).repeat(2));
        let finished = world.fetcher(&arguments).run().await.unwrap();
        assert!(matches!(finished.code, Some(1 | 6)), "{finished:#?}");
        assert!(finished.stderr.contains("***"), "it is not repeated at all: {finished:#?}");
        for secret in [TOKEN, login.trim_end_matches('='), beginning(&login), beginning(TOKEN)] {
            assert_unspoken(&finished, secret);
            let summary = std::fs::read_to_string(&summary).unwrap();
            assert!(!summary.contains(secret), "{summary}");
        }
        world.toggl.clear_scripts();
    }
}

#[tokio::test]
async fn an_answer_that_is_one_long_text_makes_a_short_error() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    let text = Value::from("long ".repeat(500_000)).to_string();
    world.toggl.script(TAGS, Answer::json(text).forever());
    let finished = world.fetcher(&[]).run().await.unwrap();
    assert_fails(&finished, 1, &["tags"]);
    assert!(finished.stderr.lines().all(|line| line.len() < 500), "{}", finished.stderr);
}
