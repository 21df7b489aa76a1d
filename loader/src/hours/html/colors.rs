//! Which colour stands for what: a project's own, else one of a palette; what is small shares one.

use crate::hours::report::{Key, Timeline};

/// As many are told apart; the others stand together.
const MOST: usize = 8;
/// Readable on light and on dark.
const PALETTE: [&str; MOST] =
    ["#4a7fb5", "#d9822b", "#4c9f70", "#b0619c", "#b8991f", "#6d78c9", "#c45b4f", "#3d9aa1"];
const OTHERS: &str = "#8b95a1";

#[derive(Debug)]
pub(super) struct Colors<'a> {
    /// The most hours first.
    pub(super) shown: Vec<Shown<'a>>,
    /// Of all others together.
    pub(super) other_seconds: i64,
    pub(super) other_count: usize,
}

#[derive(Debug)]
pub(super) struct Shown<'a> {
    pub(super) key: &'a Key,
    pub(super) seconds: i64,
    pub(super) color: &'a str,
}

impl<'a> Colors<'a> {
    pub(super) fn of(timeline: &'a Timeline) -> Self {
        let mut shown: Vec<Shown<'a>> = Vec::new();
        for (key, seconds) in timeline.steps.iter().flat_map(|step| &step.piles) {
            match shown.iter_mut().find(|known| known.key.is(key)) {
                Some(known) => known.seconds += seconds,
                None => shown.push(Shown { key, seconds: *seconds, color: OTHERS }),
            }
        }
        shown.sort_by(|one, other| {
            (other.seconds, one.key.words()).cmp(&(one.seconds, other.key.words()))
        });
        // A single one more has a name instead.
        let others = if shown.len() > MOST + 1 { shown.split_off(MOST) } else { Vec::new() };
        for (shown, color) in shown.iter_mut().zip(PALETTE.into_iter().chain([OTHERS])) {
            // What has none of it is no thing of its own.
            let is_without = shown.key.id.is_none() && timeline.dimension.is_some();
            shown.color = own(shown.key).unwrap_or(if is_without { OTHERS } else { color });
        }
        Self {
            shown,
            other_seconds: others.iter().map(|other| other.seconds).sum(),
            other_count: others.len(),
        }
    }

    pub(super) const OTHERS: &'static str = OTHERS;
}

/// A project's, if it is one.
fn own(key: &Key) -> Option<&str> {
    let color = key.color.as_deref()?;
    let digits = color.strip_prefix('#')?;
    (digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(color)
}
