//! Writing generated time entries, a million of them in seconds: dates are formatted once a day,
//! and nothing is parsed that is known already.

use std::fmt::{Arguments, Write as _};

use jiff::Timestamp;

use super::generator::{AccountSize, Chance, project_id, tag_id};
use super::record::quoted;
use super::time_entries::{Place, Places, TimeEntry};

const DAY_S: i64 = 86_400;

/// The generated ids begin here, above 2^32 as Toggl's do since 2026.
const FIRST_ID: u64 = 4_300_000_000;
/// Ids are scattered over this many, a power of two, so that an odd factor permutes them.
const ID_SPAN: u64 = 1 << 30;
const ID_FACTOR: u64 = 0x9e37_79b1;

/// Descriptions as JSON, `&` and `<` escaped the way Go's encoder does it by default.
const DESCRIPTIONS: [&str; 10] = [
    "null",
    r#""""#,
    r#""Code review""#,
    r#""Besprechung mit Jürgen – Maßnahmen""#,
    r#""Fix 🐛 in \"parser\"""#,
    r#""C:\\temp\\report.txt""#,
    r#""Q\u0026A \u003cdraft\u003e""#,
    r#""会議""#,
    r#""two\nlines\tand a tab""#,
    r#""it's 100% done; drop table x;--""#,
];

/// The entries of a generated account, oldest first.
#[derive(Debug)]
pub(super) struct EntryWriter {
    chance: Chance,
    count: i64,
    next: i64,
    first_s: i64,
    now_s: i64,
    workspace_id: i64,
    own_user_id: i64,
    user_count: i64,
    project_count: usize,
    tag_names: Vec<String>,
    dates: Dates,
}

impl EntryWriter {
    pub(super) fn new(
        size: &AccountSize,
        workspace_id: i64,
        own_user_id: i64,
        tag_names: &[String],
    ) -> Self {
        let now_s = size.now.as_second();
        let first_s = now_s - i64::from(size.days) * DAY_S;
        Self {
            chance: Chance::new(size.seed.wrapping_add(1)),
            count: i64::try_from(size.time_entries).expect("a count of entries"),
            next: 0,
            first_s,
            now_s,
            workspace_id,
            own_user_id,
            user_count: i64::try_from(size.entry_users.max(1)).expect("few users"),
            project_count: size.projects,
            tag_names: tag_names.iter().map(|name| quoted(name)).collect(),
            dates: Dates::between(first_s, now_s),
        }
    }

    fn entry(&mut self, index: i64) -> TimeEntry {
        let start_s = self.first_s + (self.now_s - self.first_s) * index / self.count;
        let is_running = index == self.count - 1;
        let is_instant = index == self.count / 2;
        let wanted_s = if is_instant { 0 } else { 1 + self.chance.small_below(4 * 3600) };
        let duration_s = wanted_s.min(self.now_s - start_s);
        let stop_s = (!is_running).then_some(start_s + duration_s);
        // Last touched a little after it ended, never later than now.
        let touched_s = stop_s.unwrap_or(start_s) + self.chance.small_below(20);
        let draft = Draft {
            id: scattered_id(index),
            // Counted from the newest entry, which is the token's user's.
            user_id: self.own_user_id + (self.count - 1 - index) % self.user_count,
            project_id: self.project(),
            start_s,
            stop_s,
            at_s: touched_s.min(self.now_s - 1).max(start_s),
        };
        let (text, is_billable, places) = self.text(&draft);
        TimeEntry {
            id: draft.id,
            user_id: draft.user_id,
            workspace_id: Some(self.workspace_id),
            start_s,
            stop_s,
            at_s: draft.at_s,
            duration_s: draft.duration_s(),
            is_running,
            is_deleted: false,
            is_billable,
            places,
            text: text.into_boxed_str(),
        }
    }

    /// A project for four entries of five.
    fn project(&mut self) -> Option<u64> {
        let has_project = self.project_count > 0 && self.chance.below(5) > 0;
        has_project.then(|| project_id(self.chance.index(self.project_count)))
    }

    /// The text, whether it says billable, and where reports find their values in it.
    fn text(&mut self, draft: &Draft) -> (String, bool, Places) {
        let mut text = String::with_capacity(480);
        let mut places = Places::default();
        let (id, workspace_id) = (draft.id, self.workspace_id);
        append(
            &mut text,
            format_args!(r#"{{"id":{id},"workspace_id":{workspace_id},"project_id":"#),
        );
        match draft.project_id {
            Some(id) => places.project_id = append(&mut text, format_args!("{id}")),
            None => text.push_str("null"),
        }
        let billable = self.chance.below(5) == 0;
        append(&mut text, format_args!(r#","task_id":null,"billable":{billable},"#));
        self.push_times(&mut text, draft);
        text.push_str(r#","description":"#);
        match self.chance.of(&DESCRIPTIONS) {
            "null" => text.push_str("null"),
            description => places.description = append(&mut text, format_args!("{description}")),
        }
        places.tag_ids = self.push_tags(&mut text);
        text.push_str(r#","duronly":true,"at":""#);
        self.push_at(&mut text, draft.at_s);
        let user_id = draft.user_id;
        append(
            &mut text,
            format_args!(
                r#"","server_deleted_at":null,"user_id":{user_id},"uid":{user_id},"wid":{workspace_id}"#
            ),
        );
        if let Some(id) = draft.project_id {
            append(&mut text, format_args!(r#","pid":{id}"#));
        }
        text.push('}');
        (text, billable, places)
    }

    fn push_times(&self, text: &mut String, draft: &Draft) {
        text.push_str(r#""start":""#);
        self.dates.push(text, draft.start_s);
        if let Some(stop_s) = draft.stop_s {
            text.push_str(r#"+00:00","stop":""#);
            self.dates.push(text, stop_s);
            append(text, format_args!(r#"+00:00","duration":{}"#, draft.duration_s()));
        } else {
            append(text, format_args!(r#"+00:00","stop":null,"duration":{}"#, draft.duration_s()));
        }
    }

    /// Up to two tags, names and ids in the same order. The place of the ids.
    fn push_tags(&mut self, text: &mut String) -> Place {
        let count = self.tag_names.len();
        let wanted = self.chance.index(3).min(count);
        // A step of one from a random place, so that no tag comes twice.
        let first = self.chance.index(count);
        let tags = (first..first + wanted).map(|place| place % count);
        text.push_str(r#","tags":["#);
        for (place, tag) in tags.clone().enumerate() {
            text.push_str(if place == 0 { "" } else { "," });
            text.push_str(&self.tag_names[tag]);
        }
        text.push_str(r#"],"tag_ids":"#);
        let start = text.len();
        text.push('[');
        for (place, tag) in tags.enumerate() {
            let comma = if place == 0 { "" } else { "," };
            append(text, format_args!("{comma}{}", tag_id(tag)));
        }
        text.push(']');
        Place::new(start, text.len())
    }

    /// Micro-seconds without their trailing zeros and `Z`; one in fifty in the older form, whole
    /// seconds with an offset.
    fn push_at(&mut self, text: &mut String, at_s: i64) {
        self.dates.push(text, at_s);
        if self.chance.below(50) == 0 {
            text.push_str("+00:00");
            return;
        }
        let micros = self.chance.below(1_000_000);
        if micros > 0 {
            append(text, format_args!(".{micros:06}"));
            text.truncate(text.trim_end_matches('0').len());
        }
        text.push('Z');
    }
}

impl Iterator for EntryWriter {
    type Item = TimeEntry;

    fn next(&mut self) -> Option<TimeEntry> {
        let index = self.next;
        self.next += 1;
        (index < self.count).then(|| self.entry(index))
    }
}

/// What an entry's text is written from, beside chance.
#[derive(Debug)]
struct Draft {
    id: i64,
    user_id: i64,
    project_id: Option<u64>,
    start_s: i64,
    stop_s: Option<i64>,
    at_s: i64,
}

impl Draft {
    /// A running entry's duration is its negated start, one second off as recorded.
    fn duration_s(&self) -> i64 {
        self.stop_s.map_or(-(self.start_s + 1), |stop_s| stop_s - self.start_s)
    }
}

/// The dates of a span of days, formatted once.
#[derive(Debug)]
struct Dates {
    first_day: i64,
    texts: Vec<String>,
}

impl Dates {
    fn between(first_s: i64, last_s: i64) -> Self {
        let first_day = first_s.div_euclid(DAY_S);
        let texts = (first_day..=last_s.div_euclid(DAY_S)).map(|day| {
            let midnight = Timestamp::from_second(day * DAY_S).expect("a time in this era");
            midnight.strftime("%Y-%m-%dT").to_string()
        });
        Self { first_day, texts: texts.collect() }
    }

    /// Date and time of day in UTC, without an offset.
    fn push(&self, text: &mut String, unix_s: i64) {
        let day = usize::try_from(unix_s.div_euclid(DAY_S) - self.first_day).expect("a known day");
        text.push_str(&self.texts[day]);
        let second = unix_s.rem_euclid(DAY_S);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        append(text, format_args!("{hour:02}:{minute:02}:{second:02}"));
    }
}

fn scattered_id(index: i64) -> i64 {
    let index = u64::try_from(index).expect("a place");
    let scattered = FIRST_ID + index.wrapping_mul(ID_FACTOR) % ID_SPAN;
    i64::try_from(scattered).expect("an id far below 2^63")
}

/// The place where it stands then.
fn append(text: &mut String, piece: Arguments<'_>) -> Place {
    let start = text.len();
    // Writing to a string does not fail.
    text.write_fmt(piece).unwrap();
    Place::new(start, text.len())
}

#[cfg(test)]
mod tests;
