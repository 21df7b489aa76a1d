//! What is written: files by their endings, texts that cannot do harm, and how far the numbers can be trusted.

use jiff::{Timestamp, ToSpan as _, Zoned};
use tests::toggl::{Account, List};
use tests::world::World;

use super::numbers::object;
use crate::given::watched::ended;

pub(super) const SCRIPT: &str = "<script>alert('x')</script> & \"more\"";
const FORMULA: &str = "=HYPERLINK(\"http://example.com\",\"x\")";

/// The agency, where a project, a client and a person have names that would do harm.
pub(super) fn hostile() -> Account {
    let mut account = Account::agency(40, Timestamp::now());
    let workspace = account.workspace_id();
    let quoted = |name: &str| serde_json::to_string(name).unwrap();
    account.edit(
        List::Projects,
        workspace,
        180_100_000,
        &[("name", &quoted(SCRIPT)), ("color", "\"red;} body{display:none}\"")],
    );
    account.edit(List::Projects, workspace, 180_100_001, &[("name", &quoted(FORMULA))]);
    account.edit(List::Clients, workspace, 64_100_001, &[("name", &quoted("tab\there \u{1b}[2J"))]);
    account
}

async fn world() -> World {
    let world = World::start(hostile()).await.unwrap();
    world.sync_and_load(&["--days", "40", "--team", "40"]).await.unwrap();
    world
}

/// From four weeks ago: this month may have just begun.
pub(super) fn since() -> String {
    (Zoned::now().date() - 28.days()).to_string()
}

/// What `-o` writes into a file of this name, which is alone in its folder.
async fn written(world: &World, name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let path = path.to_str().unwrap();
    let hours = ["hours", "--from", &since(), "--by", "project,client", "-o", path];
    let said = ended(world.loader(&hours), 0).await.stdout;
    assert!(said.starts_with(&format!("{path}: ")), "{said}");
    assert!(said.contains(" hours of 4 people, "), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn the_ending_of_a_file_says_its_format_and_a_name_cannot_do_harm_in_any() {
    let world = world().await;
    let html = written(&world, "hours.HTML").await;
    assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>"), "{html:.3000}");
    assert!(html.contains("&lt;script&gt;alert('x')&lt;/script&gt; &amp; "), "{html:.3000}");
    assert!(!html.contains("<script") && !html.contains("display:none}\""), "it is a name");
    for loads in ["href", "src=", "url("] {
        assert!(!html.contains(loads), "nothing is loaded");
    }

    let csv = written(&world, "hours.csv").await;
    let titles =
        "\u{feff}project,project_id,client,client_id,hours,billable_hours,entries,amount_EUR\r\n";
    assert!(csv.starts_with(titles), "{csv}");
    let formula = r#""'=HYPERLINK(""http://example.com"",""x"")",180100001,Acme Outdoor,64100000,"#;
    assert!(csv.contains(formula), "{csv}");
    assert!(csv.contains(r#""<script>alert('x')</script> & ""more""",180100000,"#), "{csv}");

    let json: serde_json::Value =
        serde_json::from_str(&written(&world, "hours.json").await).unwrap();
    assert!(json["rows"].as_array().unwrap().iter().any(|row| row["project"] == FORMULA), "{json}");

    let text = written(&world, "hours.txt").await;
    assert!(text.contains("PROJECT") && text.contains("Total"), "{text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
}

#[tokio::test]
async fn without_a_file_it_is_a_table_on_standard_output_and_any_other_format_if_asked() {
    let world = world().await;
    let table = ended(world.loader(&["hours", "--from", &since(), "--quiet"]), 0).await.stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].contains(" hours of 4 people, "), "{table}");
    assert!(lines[2].starts_with("PROJECT") && lines[2].contains("HOURS"), "{table}");
    let page = ended(world.loader(&["hours", "--format", "html", "-o", "-"]), 0).await.stdout;
    assert!(page.starts_with("<!DOCTYPE html>"), "{page:.300}");
}

#[tokio::test]
async fn it_says_how_fresh_it_is_and_whether_toggl_says_the_same() {
    let world = world().await;
    let since = since();
    let before = object(&world, &["--from", &since]).await;
    assert_eq!(before["proof"]["is_equal"], false, "{before}");
    assert!(before["proof"]["words"].as_str().unwrap().contains("`fetcher verify`"), "{before}");
    let asked: Timestamp = before["last_asked_at"].as_str().unwrap().parse().unwrap();
    assert!((Timestamp::now() - asked).total(jiff::Unit::Minute).unwrap() < 30.0, "{asked}");
    assert_eq!(before["total"]["running_timers"], 1, "{before}");
    assert!(before["notes"].to_string().contains("A timer is running"), "{before}");

    let loader = world.start_loader().await.unwrap();
    let verify = world
        .fetcher(&["verify", "--from", &since, "--wait=90s"])
        .env("DATABASE_URL", &world.database.url);
    ended(verify, 0).await;
    let proven = object(&world, &["--from", &since]).await;
    assert_eq!(proven["proof"]["is_equal"], true, "{proven}");
    assert!(proven["proof"]["words"].as_str().unwrap().contains("equal to Toggl"), "{proven}");
    // Of other days nothing is known.
    let long_ago = object(&world, &["--from", "2020-01-01", "--to", "2020-01-31"]).await;
    assert_eq!(long_ago["proof"]["is_equal"], false, "{long_ago}");
    assert!(long_ago["notes"].to_string().contains("Nothing was tracked"), "{long_ago}");

    let mut connection = world.connect().await.unwrap();
    let change = "update raw.toggl_track__time_entries_report set deleted_at = fetched_at
                  where source_id = (select time_entry_id from staging.stg_toggl_track__daily_entries
                                     where user_id <> 2166398 and day = $1::text::date + 10 - extract(isodow from $1::text::date)::integer
                                     limit 1)";
    let changed = sqlx::query(change).bind(&since).execute(&mut connection).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
    let differs = object(&world, &["--from", &since]).await;
    assert_eq!(differs["proof"]["is_equal"], false, "{differs}");
    assert!(differs["proof"]["words"].as_str().unwrap().contains("--repair"), "{differs}");
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
}
