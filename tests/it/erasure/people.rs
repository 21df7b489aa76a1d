//! `loader forget`: nothing is left of a person or a workspace, and nothing brings them back.

use bytes::Bytes;
use serde_json::{Value, json};
use shared::batch::{Batch, Record, Rejected, ZSTD};
use shared::catalogue::CATALOGUE;
use shared::listing::Span;
use shared::resource::Resource;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};
use tests::workers::Finished;

use crate::dead_letters::letters::Letters;
use crate::expected::rows::resource;
use crate::given::batches::{USER, cut, listing, moment, publish_raw, record};

/// The person to be forgotten, by id, name and address.
pub(crate) const EVA: i64 = 8_675_309_142;
const MARKS: [&str; 3] = ["8675309142", "Eva Vergiss", "eva@vergiss.example"];

pub(crate) fn of(resource: &Resource, id: i64, at: i64, mut data: Value) -> Record {
    data["id"] = json!(id);
    data["marker"] = json!(at);
    let user_id = data["user_id"].as_i64();
    let like = record(resource, id, at, "");
    Record { data: Bytes::from(data.to_string()), user_id: like.user_id.and(user_id), ..like }
}

/// A listing with her in it, in the way in which each resource knows people.
pub(crate) fn with_her(resource: &'static Resource, fetched_at: i64, at: i64) -> Vec<Batch> {
    let her = json!({"id": EVA, "user_id": EVA, "name": MARKS[1], "fullname": MARKS[1], "email": MARKS[2]});
    let plain = |id| of(resource, id, at, json!({"name": format!("plain {id}")}));
    let records = match resource.name {
        "me" => vec![of(resource, EVA, at, her)],
        "users" => vec![plain(USER), of(resource, EVA, at, her)],
        "workspace_users" => vec![
            of(resource, 1, at, json!({"uid": USER, "name": "Tom"})),
            of(resource, 2, at, json!({"uid": EVA, "name": MARKS[1], "email": MARKS[2]})),
        ],
        "project_users" => vec![
            of(resource, 1, at, json!({"user_id": USER})),
            of(resource, 2, at, json!({"user_id": EVA})),
        ],
        "groups" => {
            vec![of(resource, 1, at, json!({"users": [her, {"user_id": USER, "name": "Tom"}]}))]
        }
        "tasks" => vec![
            of(resource, 1, at, json!({"user_id": EVA, "user_name": MARKS[1], "name": "task"})),
            plain(2),
        ],
        "tags" | "clients" => {
            vec![of(resource, 1, at, json!({"creator_id": EVA, "name": "made by her"}))]
        }
        "inventories" => vec![
            of(
                resource,
                1,
                at,
                json!({"asking_user_id": EVA, "users": [{"user_id": EVA, "rows": 1}, {"user_id": USER}]}),
            ),
            of(resource, 2, at, json!({"user_id": EVA, "groups": [{"key": 5, "ids": [5]}]})),
        ],
        name if name.starts_with("time_entries") => vec![
            of(
                resource,
                1,
                at,
                json!({"user_id": USER, "shared_with": [{"user_id": EVA, "user_name": MARKS[1]}]}),
            ),
            of(resource, 2, at, json!({"user_id": EVA, "description": MARKS[1]})),
        ],
        _ => vec![plain(1)],
    };
    match resource.name {
        "time_entries" => {
            let span = Span::Starts { from: moment(0), to: moment(9_000), user_id: Some(EVA) };
            let hers = cut(resource, fetched_at, span, vec![records[1].clone()]);
            [hers, cut(resource, fetched_at, Span::Partial, vec![records[0].clone()])].concat()
        }
        "time_entries_report" => {
            let span = Span::Starts { from: moment(0), to: moment(9_000), user_id: None };
            cut(resource, fetched_at, span, records)
        }
        _ => listing(resource, fetched_at, records),
    }
}

fn everything(fetched_at: i64, at: i64) -> Vec<Batch> {
    CATALOGUE.iter().flat_map(|resource| with_her(resource, fetched_at, at)).collect()
}

/// Where the marks stand: every column of every table and view of these schemas, and inside packed batches.
/// The list of the forgotten itself is left out.
pub(crate) async fn traces(
    connection: &mut PgConnection,
    schemas: &[&str],
    marks: &[&str],
) -> Vec<String> {
    let relations: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', nspname, relname) from pg_class c
         join pg_namespace n on n.oid = c.relnamespace
         where nspname = any($1) and relkind in ('r', 'p', 'v', 'm') and relname <> 'toggl_track__forgotten'
         order by 1",
    )
    .bind(schemas)
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    assert!(relations.len() > 20 * schemas.len() / 2, "{relations:?}");
    let mut found = Vec::new();
    for relation in relations {
        let sql = format!("select to_jsonb(t)::text from {relation} t");
        let mut texts: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut *connection).await.unwrap();
        if relation.ends_with("dead_letters") {
            let sql = format!("select payload, encoding, batch from {relation}");
            for row in connection.fetch_all(AssertSqlSafe(sql)).await.unwrap() {
                let (payload, encoding): (Vec<u8>, Option<String>) = (row.get(0), row.get(1));
                let batches = row.get::<Option<Vec<u8>>, _>(2).map(|batch| (batch, Some(ZSTD)));
                let payloads = (payload.clone(), encoding.as_deref());
                texts.push(String::from_utf8_lossy(&payload).into_owned());
                for (bytes, encoding) in batches.into_iter().chain([payloads]) {
                    texts.extend(Batch::decode(&bytes, encoding).map(|batch| format!("{batch:?}")));
                }
            }
        }
        for text in texts {
            let marks = marks.iter().filter(|mark| text.contains(**mark));
            found.extend(marks.map(|mark| format!("{mark} in {relation}: {text}")));
        }
    }
    found
}

pub(crate) async fn of_her(letters: &mut Letters, schemas: &[&str]) -> Vec<String> {
    traces(&mut letters.connection, schemas, &MARKS).await
}

pub(crate) async fn forget(letters: &Letters, arguments: &[&str], code: i32) -> Finished {
    let arguments: Vec<&str> = ["forget"].iter().chain(arguments).copied().collect();
    let finished = letters.world.loader(&arguments).run().await.unwrap();
    assert_eq!(finished.code, Some(code), "{arguments:?}: {finished:#?}");
    finished
}

pub(crate) async fn replay(letters: &Letters, arguments: &[&str]) {
    let arguments: Vec<&str> = ["replay"].iter().chain(arguments).copied().collect();
    let finished = letters.world.loader(&arguments).run().await.unwrap();
    assert!(matches!(finished.code, Some(0 | 6)), "{finished:#?}");
}

/// All that there is without her, by table.
async fn plain_rows(letters: &mut Letters) -> Vec<(String, Vec<i64>)> {
    let mut all = Vec::new();
    for resource in CATALOGUE {
        all.push((resource.name.to_owned(), letters.live(resource).await.into_iter().collect()));
    }
    all
}

/// Records, a claim and a rejected text of hers as dead letters, beside one that has nothing to do with her.
async fn plant_letters(letters: &mut Letters) {
    let (users, tasks, tags) = (resource("users"), resource("tasks"), resource("tags"));
    letters.refuse(users, "no_poison").await;
    letters.refuse(tasks, "no_poison").await;
    let poison = |resource, id, data: Value| of(resource, id, 30, data);
    let hers = poison(users, EVA, json!({"name": "poison", "email": MARKS[2]}));
    let task = poison(tasks, 7, json!({"name": "poison", "user_id": EVA, "user_name": MARKS[1]}));
    let mut refused = cut(users, 30, Span::Partial, vec![hers]);
    refused.extend(cut(tasks, 30, Span::Partial, vec![task]));
    let mut rejected = cut(tags, 30, Span::Partial, Vec::new());
    let reject =
        |text: String| Rejected { source_id: None, reason: "no id".to_owned(), data: text.into() };
    if rejected.is_empty() {
        rejected = cut(tags, 30, Span::Partial, vec![record(tags, 3, 30, "third")]);
    }
    rejected[0].rejected = vec![
        reject(json!({"creator_id": EVA, "name": "nameless"}).to_string()),
        reject("no JSON: 8675309142".to_owned()),
        reject("nothing of hers".to_owned()),
    ];
    refused.extend(rejected);
    // A listing that is not believed, with her in it.
    let many = |ids: std::ops::RangeInclusive<i64>| {
        let some = ids.map(|id| record(users, id, 5, "many")).collect::<Vec<_>>();
        let her =
            of(users, EVA + 1, 5, json!({"manager": {"user_id": EVA, "user_name": MARKS[1]}}));
        [some, vec![her]].concat()
    };
    refused.extend(listing(users, 40, many(100..=150)));
    letters.load(&refused).await;
    // In this order: the other way round there is nothing to refuse.
    letters.load(&listing(users, 50, many(100..=110))).await;
    letters.allow(users, "no_poison").await;
    letters.allow(tasks, "no_poison").await;
    publish_raw(&letters.context, tags.subject(), None, Bytes::from_static(b"noise")).await;
    letters.loaded().await;
    let kinds: Vec<String> = letters.kept().await.into_iter().map(|kept| kept.kind).collect();
    for kind in ["record", "claim", "rejected", "message"] {
        assert!(kinds.iter().any(|known| known == kind), "{kind}: {kinds:?}");
    }
}

#[tokio::test]
async fn nothing_of_a_person_is_left_anywhere_and_nothing_brings_them_back() {
    let mut letters = Letters::start().await;
    letters.load(&everything(10, 5)).await;
    letters.load(&everything(20, 15)).await;
    plant_letters(&mut letters).await;
    replay(&letters, &["--into", "beside"]).await;
    assert!(of_her(&mut letters, &["raw", "staging"]).await.len() > 30);
    assert!(!of_her(&mut letters, &["beside"]).await.is_empty());
    let before = plain_rows(&mut letters).await;

    let tried = forget(&letters, &["--user", &EVA.to_string(), "--dry-run"], 6).await;
    assert!(tried.stdout.contains("Nothing was deleted"), "{tried:#?}");
    assert!(of_her(&mut letters, &["raw", "staging"]).await.len() > 30);
    assert_eq!(plain_rows(&mut letters).await, before);

    let forgotten = forget(&letters, &["--user", &EVA.to_string(), "--yes"], 6).await;
    assert_eq!(of_her(&mut letters, &["raw", "staging"]).await, [""; 0]);
    for words in
        ["users", "history", "claims", "dead letters", "drop schema beside", "TOGGL_TRACK_RAW"]
    {
        assert!(forgotten.stdout.contains(words), "{words}: {forgotten:#?}");
    }
    let letter = letters.kept().await.into_iter().find(|kept| kept.kind == "message").unwrap();
    let named = format!("--id {}", letter.dead_letter_id);
    assert!(forgotten.stdout.contains(&named), "{named}: {forgotten:#?}");
    // What is about something else is there without her.
    let (name, users): (String, String) = sqlx::query_as(
        "select (select data->>'name' from raw.toggl_track__tasks where source_id = 1),
                (select data->>'users' from raw.toggl_track__groups)",
    )
    .fetch_one(&mut letters.connection)
    .await
    .unwrap();
    assert_eq!(name, "task");
    assert!(users.contains("Tom") && !users.contains("Eva"), "{users}");
    let past: i64 =
        sqlx::query_scalar("select count(*) from raw.toggl_track__as_of('users', now())")
            .fetch_one(&mut letters.connection)
            .await
            .unwrap();
    assert!(past > 0);

    // Neither what is replayed, nor what is loaded, nor a letter, nor another schema.
    letters.execute("truncate raw.toggl_track__loads".to_owned()).await;
    replay(&letters, &["--force"]).await;
    assert_eq!(of_her(&mut letters, &["raw", "staging"]).await, [""; 0], "replayed");
    letters.load(&everything(60, 55)).await;
    assert_eq!(of_her(&mut letters, &["raw", "staging"]).await, [""; 0], "loaded");
    letters.command(&["retry", "--all"]).run().await.unwrap();
    assert_eq!(of_her(&mut letters, &["raw", "staging"]).await, [""; 0], "retried");
    letters.execute("drop schema beside cascade".to_owned()).await;
    replay(&letters, &["--into", "beside"]).await;
    assert_eq!(of_her(&mut letters, &["beside"]).await, [""; 0], "replayed into another schema");
    assert!(letters.live(resource("users")).await.contains(&USER));
    assert!(letters.live(resource("time_entries_report")).await.contains(&1));

    forget(&letters, &["--user", &EVA.to_string(), "--undo"], 0).await;
    replay(&letters, &["--force"]).await;
    assert!(letters.live(resource("me")).await.contains(&EVA));
    assert!(letters.live(resource("time_entries")).await.contains(&2));
    let text: String = sqlx::query_scalar("select data::text from raw.toggl_track__groups")
        .fetch_one(&mut letters.connection)
        .await
        .unwrap();
    assert!(text.contains(MARKS[1]), "{text}");
}
