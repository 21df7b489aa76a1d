//! The numbers are those of a small model, whatever they are asked by.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _, Zoned};
use serde_json::{Value, json};
use tests::toggl::{Account, with_fields};
use tests::world::World;

use super::ledger::{Piece, Sums, hours, pieces, summed};
use crate::given::watched::ended;

/// Days of the account; less than a report of the fetcher asks for.
const DAYS: u16 = 40;

/// The agency, where somebody also works past midnight, with several tags, and without a project.
pub(super) fn account() -> Account {
    let mut account = Account::agency(DAYS, Timestamp::now());
    let running = account.time_entries().find(|entry| entry.is_running()).unwrap().id();
    account.delete_time_entry(running, Timestamp::now());
    let own: Vec<_> = account
        .time_entries()
        .filter(|entry| entry.text().contains("\"user_id\":2166398") && !entry.is_deleted())
        .map(|entry| entry.text().to_owned())
        .collect();
    let base = &own[own.len() / 2];
    let today = Zoned::now().date();
    let night = |days: i64| (today - days.days()).strftime("%Y-%m-%d").to_string();
    // In Berlin midnight is at 22:00 or 23:00 of UTC.
    for (id, days, fields) in [
        (1, 9, json!({"tags": ["design", "meeting"], "tag_ids": [16_100_000, 16_100_002]})),
        (2, 8, json!({"tags": [], "tag_ids": [], "task_id": null, "tid": null})),
        (
            3,
            7,
            json!({"project_id": null, "pid": null, "task_id": null, "tid": null, "billable": false}),
        ),
    ] {
        let mut fields = fields;
        fields["id"] = json!(4_400_000_000_i64 + id);
        fields["start"] = json!(format!("{}T21:10:05+00:00", night(days)));
        fields["stop"] = json!(format!("{}T01:40:10+00:00", night(days - 1)));
        fields["duration"] = json!(4 * 3600 + 30 * 60 + 5);
        let fields = fields.as_object().unwrap().iter();
        let texts: Vec<_> = fields.map(|(name, value)| (name.clone(), value.to_string())).collect();
        let changes: Vec<_> =
            texts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        account.put_time_entry(&with_fields(base, &changes));
    }
    account
}

/// The account, loaded with everybody's entries.
pub(super) async fn world(account: Account) -> World {
    let world = World::start(account).await.unwrap();
    let days = (DAYS + 2).to_string();
    world.sync_and_load(&["--only", "all", "--days", &days, "--team", &days]).await.unwrap();
    world
}

pub(super) async fn object(world: &World, arguments: &[&str]) -> Value {
    let arguments = [&["hours", "--format", "json"], arguments].concat();
    let finished = ended(world.loader(&arguments).without("NATS_URL"), 0).await;
    serde_json::from_str(&finished.stdout).unwrap()
}

fn told(object: &Value, by: &[&str]) -> Sums {
    let mut sums = Sums::new();
    for row in object["rows"].as_array().unwrap() {
        let key = by.iter().map(|dimension| row[dimension].as_str().map(str::to_owned)).collect();
        let number = |field: &str| row[field].as_i64().unwrap();
        // Tasks of two projects may have one name; the model knows no ids.
        let sum = sums.entry(key).or_default();
        sum.0 += number("seconds");
        sum.1 += number("billable_seconds");
        sum.2 += usize::try_from(number("entries")).unwrap();
    }
    sums
}

/// Names the first difference alone: all of both is too much to read.
#[track_caller]
fn assert_same(told: &Sums, meant: &Sums) {
    let differing = told.keys().chain(meant.keys()).find(|key| told.get(*key) != meant.get(*key));
    if let Some(key) = differing {
        panic!("{key:?}: {:?} instead of {:?}", told.get(key), meant.get(key));
    }
}

fn within(pieces: &[Piece], from: Date, to: Date) -> Vec<Piece> {
    pieces.iter().filter(|piece| (from..=to).contains(&piece.day)).cloned().collect()
}

#[tokio::test]
async fn every_way_to_group_and_every_zone_gives_the_hours_of_the_model() {
    let account = account();
    let world = world(account.clone()).await;
    let today = Zoned::now().date();
    for (zone, given) in [
        ("Europe/Berlin", None),
        ("Asia/Tokyo", Some("Asia/Tokyo")),
        ("America/New_York", Some("america/new_york")),
    ] {
        let pieces = pieces(&account, zone);
        // Weeks, and a day into which an entry of the day before reaches.
        for (from, to) in [(30, 2), (8, 8)] {
            let (from, to) = (today - i64::from(from).days(), today - i64::from(to).days());
            let pieces = within(&pieces, from, to);
            for by in GROUPINGS {
                let (first, last) = (from.to_string(), to.to_string());
                let mut arguments = vec!["--from", &first, "--to", &last, "--by", by];
                arguments.extend(given.iter().flat_map(|zone| ["--time-zone", zone]));
                let object = object(&world, &arguments).await;
                let by: Vec<&str> = by.split(',').collect();
                assert_same(&told(&object, &by), &summed(&pieces, &by));
                assert_total(&object["total"], &pieces);
            }
        }
    }
}

const GROUPINGS: [&str; 7] = [
    "project,user",
    "client",
    "task,day",
    "tag,billable",
    "week,project",
    "month",
    "day,tag,user,client",
];

/// Whatever is told apart, and however often by tags.
#[track_caller]
fn assert_total(sums: &Value, pieces: &[Piece]) {
    let total = summed(pieces, &[])[&Vec::new()];
    assert_eq!(sums["seconds"], total.0, "{sums}");
    assert_eq!(sums["billable_seconds"], total.1, "{sums}");
    assert_eq!(sums["entries"], total.2, "{sums}");
    assert_eq!(sums["people"], summed(pieces, &["user"]).len(), "{sums}");
    // Everybody's rate is 120.50; each row of a report is cut to cents.
    let amount = sums["amounts"]["EUR"].as_f64().unwrap_or_default();
    let expected = hours(total.1) * 120.5;
    let cents = 0.02 * f64::from(u32::try_from(total.2).unwrap());
    assert!((amount - expected).abs() < cents, "{amount} {expected}");
}

#[tokio::test]
async fn only_what_is_asked_for_counts_by_name_or_id_in_any_case() {
    let account = account();
    let world = world(account.clone()).await;
    let today = Zoned::now().date();
    let from = (today - 30.days()).to_string();
    let pieces = within(&pieces(&account, "Europe/Berlin"), today - 30.days(), today);
    let nora = |piece: &&Piece| piece.user == "Nora Lindqvist";
    for (arguments, is_meant) in [
        (&["--user", "nora lindqvist"][..], Box::new(nora) as Box<dyn Fn(&&Piece) -> bool>),
        (&["--user", "2166398"], Box::new(nora)),
        (
            &["--user", "Nora Lindqvist", "--user", "tom rivera"],
            Box::new(|p| p.user.starts_with("Nora") || p.user.starts_with("Tom")),
        ),
        (&["--client", "ACME OUTDOOR"], Box::new(|p| p.client.as_deref() == Some("Acme Outdoor"))),
        (
            &["--project", "Internal", "--workspace", "studio north"],
            Box::new(|p| p.project.as_deref() == Some("Internal")),
        ),
        (&["--project", "Nothing"], Box::new(|_| false)),
    ] {
        let arguments = [&["--from", &from, "--by", "day"][..], arguments].concat();
        let object = object(&world, &arguments).await;
        let meant: Vec<Piece> = pieces.iter().filter(|piece| is_meant(piece)).cloned().collect();
        assert_same(&told(&object, &["day"]), &summed(&meant, &["day"]));
    }
}
