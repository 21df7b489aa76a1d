//! The answer for people.

use std::fmt::Write as _;

use shared::resource::Claim;

use super::answer::{Answer, Found, Looked};
use super::stored::Stored;
use super::story::Became;
use super::words::{maybe, place, time};
use crate::dead_letters::text::{escaped, indented, shortened};

/// Longer data is cut, unless all of it is wanted.
const EXCERPT: usize = 160;

pub(super) fn text(answer: &Answer, whole_data: bool) -> String {
    let mut text = String::new();
    match &answer.stored {
        Some(stored) => row(&mut text, answer, stored, whole_data),
        None => no_row(&mut text, answer),
    }
    claims(&mut text, answer);
    changes(&mut text, answer);
    letters(&mut text, answer);
    batches(&mut text, answer);
    text
}

fn line(text: &mut String, words: impl AsRef<str>) {
    text.push_str(words.as_ref());
    text.push('\n');
}

fn field(text: &mut String, name: &str, value: impl AsRef<str>) {
    // Writing to a string cannot fail.
    writeln!(text, "  {name:<10} {}", value.as_ref()).ok();
}

fn row(text: &mut String, answer: &Answer, stored: &Stored, whole_data: bool) {
    let asked = &answer.asked;
    line(
        text,
        format!("{} {} of workspace {}", asked.resource.name, asked.id, stored.workspace_id),
    );
    let state = match stored.deleted_at {
        None => "live".to_owned(),
        Some(at) => {
            let by = answer.deleted_by().map_or_else(
                || "according to Toggl, or by a listing that is not among these batches".to_owned(),
                |load| format!("as a complete listing lacks it: {}", place(load)),
            );
            format!("deleted since {} UTC, {by}", time(at))
        }
    };
    field(text, "state", state);
    field(text, "modified", format!("{} UTC, according to Toggl", maybe(stored.modified_at)));
    let by = answer.brought_by().map_or_else(String::new, |load| format!(", by {}", place(load)));
    field(text, "fetched", format!("{} UTC{by}", time(stored.fetched_at)));
    let newest = answer.claims.iter().map(|claim| claim.fetched_at).max();
    if let Some(at) = newest.filter(|at| stored.deleted_at.is_none() && *at > stored.fetched_at) {
        field(text, "confirmed", format!("{} UTC, by a complete listing that has it", time(at)));
    }
    field(text, "written", format!("{} UTC", time(stored.synced_at)));
    if asked.resource.is_time_entry() {
        field(text, "starts", format!("{} UTC", maybe(stored.started_at)));
        let user = stored.user_id.map_or_else(|| "not known".to_owned(), |id| id.to_string());
        field(text, "user", user);
    }
    if whole_data {
        let pretty = serde_json::from_str::<serde_json::Value>(&stored.data);
        let pretty = pretty.and_then(|data| serde_json::to_string_pretty(&data));
        line(text, "  data");
        text.push_str(&indented(pretty.as_deref().unwrap_or(&stored.data)));
    } else {
        field(text, "data", shortened(&stored.data, EXCERPT));
    }
}

fn no_row(text: &mut String, answer: &Answer) {
    let asked = &answer.asked;
    let name = asked.resource.name;
    let of = asked.workspace_id.map_or_else(String::new, |id| format!(" of workspace {id}"));
    line(text, format!("{name} {}{of} is not stored", asked.id));
    let seen = if answer.is_known() {
        "it was heard of, see below"
    } else {
        "nothing was ever heard of it, as far as Postgres and these batches tell"
    };
    field(text, "known", seen);
    let newest = answer.claims.first();
    let covered = match (asked.resource.claim, newest) {
        (_, Some(claim)) => format!(
            "a complete listing of workspace {}, fetched {} UTC, would have had it: at Toggl it was not \
             there then",
            claim.workspace_id,
            time(claim.fetched_at)
        ),
        (Claim::Ids, None) => {
            format!("no complete listing of it is on record; `fetcher --only {name}` reads one")
        }
        (Claim::Starts, None) => {
            "an entry is read with the days it starts in: `fetcher --days N`, or \
             `fetcher report --from DATE` for older ones"
                .to_owned()
        }
        (Claim::Nothing | Claim::Gone, None) => {
            format!("listings of {name} claim nothing; `fetcher --only {name}` reads one")
        }
    };
    field(text, "covered", covered);
}

fn claims(text: &mut String, answer: &Answer) {
    if answer.claims.is_empty() || answer.stored.is_none() {
        return;
    }
    line(text, "Complete listings on record that cover it, the newest first:");
    for claim in &answer.claims {
        let user = claim.user_id.map_or_else(String::new, |id| format!(" of user {id}"));
        let axis = if answer.asked.resource.is_time_entry() { "starts" } else { "ids" };
        line(
            text,
            format!(
                "  fetched {} UTC, run {}: {axis}{user} in {}",
                time(claim.fetched_at),
                claim.run_id,
                escaped(&claim.range)
            ),
        );
    }
}

fn changes(text: &mut String, answer: &Answer) {
    if answer.history.is_empty() {
        return;
    }
    line(text, "Changes, the newest first:");
    for change in &answer.history {
        let run = change.run_id.map_or_else(String::new, |id| format!(", run {id}"));
        line(
            text,
            format!(
                "  {} in workspace {}, fetched {} UTC (modified {}){run}",
                escaped(&change.kind),
                change.workspace_id,
                time(change.fetched_at),
                maybe(change.modified_at)
            ),
        );
    }
}

fn letters(text: &mut String, answer: &Answer) {
    if answer.letters.is_empty() {
        return;
    }
    line(
        text,
        "Dead letters of it, the newest first; `loader dead-letters show ID` has all of one:",
    );
    for letter in &answer.letters {
        line(
            text,
            format!(
                "  {} ({}), sequence {}, kept {} UTC: {}",
                letter.dead_letter_id,
                escaped(&letter.kind),
                letter.stream_sequence,
                time(letter.created_at),
                shortened(&letter.reason, EXCERPT)
            ),
        );
    }
}

fn batches(text: &mut String, answer: &Answer) {
    if answer.batches.is_empty() {
        line(text, "No batch that may concern it is in the ledger");
        return;
    }
    if let Some(away) = &answer.away {
        line(
            text,
            format!(
                "The stream could not be read, so what batches held is not known: {}",
                escaped(away)
            ),
        );
    }
    let number = answer.batches.len();
    line(
        text,
        format!(
            "What became of it in the last {number} batches, the last loaded first, as far as these tell:"
        ),
    );
    let (others, told): (Vec<_>, Vec<_>) = answer.batches.iter().rev().partition(|looked| {
        matches!(&looked.found, Found::Read { became: Became::NotCovered, .. })
    });
    for looked in told {
        batch(text, looked);
    }
    let others = others.len();
    if others > 0 {
        line(text, format!("  {others} of them neither have it nor are complete for it"));
    }
}

fn batch(text: &mut String, looked: &Looked) {
    let Looked { load, found } = looked;
    let words = match found {
        Found::Read { became, is_of_today: true } => {
            format!("{}. It is the version that is stored now", became.words())
        }
        Found::Read { became, .. } => became.words(),
        Found::Gone => "is gone from the stream: what it held is not known".to_owned(),
        Found::Unread => "was not read".to_owned(),
    };
    line(
        text,
        format!(
            "  sequence {}, fetched {} UTC, loaded {}, run {}, part {}:\n    {words}",
            load.stream_sequence,
            time(load.fetched_at),
            time(load.loaded_at),
            load.run_id,
            load.part
        ),
    );
}
