//! In whatever order batches come, and however often, the same dead letters are left.

use std::collections::BTreeMap;

use shared::batch::Batch;
use shared::listing::Span;
use shared::resource::Resource;
use sqlx::AssertSqlSafe;

use crate::dead_letters::letters::{Letters, rejected};
use crate::expected::rows::resource;
use crate::given::batches::{USER, cut, listing, moment, publish, record};
use crate::given::dice::Dice;

const CASES: usize = 30;
const IDS: i64 = 4;

/// By id: the kind, when it was fetched, and the bytes.
type Left = BTreeMap<i64, (String, i64, String)>;

/// What is no record, with a start as those of [`record`] have it.
fn unreadable(id: i64, fetched_at: i64) -> String {
    let start = moment(id * 100);
    format!(r#"{{"id":{id},"at":{fetched_at},"start":"{start}","user_id":{USER}}}"#)
}

/// Batches in the order of their fetching, and the letters that they must leave: of each id the newest
/// form, if that is a bad one and no later listing lacks it.
fn history(dice: &mut Dice, resource: &'static Resource) -> (Vec<Batch>, Left) {
    let (mut batches, mut left) = (Vec::new(), Left::new());
    for fetched_at in (10..=100).step_by(10) {
        let ids: Vec<i64> = (1..=IDS).filter(|_| dice.below(2) == 0).collect();
        let kind = dice.below(5);
        if kind == 4 {
            let texts: Vec<_> = ids.iter().map(|id| unreadable(*id, fetched_at)).collect();
            let texts: Vec<_> = ids.iter().zip(&texts).map(|(id, t)| (Some(*id), &**t)).collect();
            for (id, text) in &texts {
                let form = ("rejected".to_owned(), fetched_at, (*text).to_owned());
                left.insert(id.unwrap(), form);
            }
            batches.push(rejected(resource, fetched_at, &texts));
            continue;
        }
        let is_complete = kind < 2;
        if is_complete {
            left.clear();
        }
        let records: Vec<_> = ids
            .iter()
            .map(|id| {
                let name = ["good", "better", "poison", "poisonous"][dice.below(4)];
                let record = record(resource, *id, 5, name);
                if name.starts_with("poison") {
                    let text = String::from_utf8(record.data.to_vec()).unwrap();
                    left.insert(*id, ("record".to_owned(), fetched_at, text));
                } else {
                    left.remove(id);
                }
                record
            })
            .collect();
        batches.extend(if is_complete {
            listing(resource, fetched_at, records)
        } else {
            cut(resource, fetched_at, Span::Partial, records)
        });
    }
    (batches, left)
}

/// Every batch once and some again.
fn shuffled(dice: &mut Dice, mut batches: Vec<Batch>) -> Vec<Batch> {
    for _ in 0..3 {
        let again = batches[dice.below(batches.len())].clone();
        batches.push(again);
    }
    for place in (1..batches.len()).rev() {
        batches.swap(place, dice.below(place + 1));
    }
    batches
}

#[tokio::test]
async fn any_order_of_batches_leaves_the_same_letters() {
    let mut dice = Dice::new();
    let mut letters = Letters::start().await;
    let resources = ["tags", "users", "time_entries"].map(resource);
    for resource in resources {
        letters.refuse(resource, "no_poison").await;
    }
    for case in 0..CASES {
        let resource = resources[case % resources.len()];
        letters
            .execute(format!(
                "truncate raw.{}, raw.toggl_track__claims, raw.toggl_track__dead_letters",
                resource.table()
            ))
            .await;
        let (batches, expected) = history(&mut dice, resource);
        let order = shuffled(&mut dice, batches);
        publish(&letters.context, &order).await;
        letters.loaded().await;
        let sql = "select source_id, kind, extract(epoch from fetched_at)::bigint,
                          convert_from(payload, 'UTF8') from raw.toggl_track__dead_letters";
        let left: Vec<(i64, String, i64, String)> =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut letters.connection).await.unwrap();
        let number = left.len();
        let left: Left = left
            .into_iter()
            .map(|(id, kind, at, text)| (id, (kind, at - moment(0).as_second(), text)))
            .collect();
        assert_eq!(left.len(), number, "one letter a record");
        assert_eq!(left, expected, "case {case}, {}: {order:#?}", resource.name);
    }
}
