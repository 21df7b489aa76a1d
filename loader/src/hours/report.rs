//! The hours of some days, grouped: what every format writes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::by::Dimension;
use super::numbers::{days, decimal};
use super::span::Unit;
use super::trust::Trust;

/// Millionths of a unit of the currency, by currency.
pub(super) type Amounts = BTreeMap<String, i64>;

#[derive(Debug)]
pub(super) struct Report {
    pub(super) from: Date,
    pub(super) to: Date,
    /// None if each person's own zone counts.
    pub(super) time_zone: Option<String>,
    pub(super) by: Vec<Dimension>,
    /// Such as `("user", ["Nora"])`.
    pub(super) only: Vec<(&'static str, Vec<String>)>,
    pub(super) made_at: Timestamp,
    /// Of every depth: each is followed by those in it. Time in order, else the most hours first.
    pub(super) groups: Vec<Group>,
    pub(super) timeline: Timeline,
    pub(super) total: Sums,
    pub(super) people: i64,
    /// Timers that run: they count up to the moment of the report.
    pub(super) running: i64,
    pub(super) trust: Trust,
}

/// What stands together, by the first or all of the dimensions.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// The first dimension's, and so on; an inner group has one for each.
    pub(super) keys: Vec<Key>,
    pub(super) sums: Sums,
}

/// A value of a dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) dimension: Dimension,
    /// None of entries that have none.
    pub(super) id: Option<String>,
    pub(super) label: Option<String>,
    /// Of projects, as `#rrggbb`.
    pub(super) color: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) seconds: i64,
    pub(super) billable_seconds: i64,
    /// Of these, without a price, though no timer runs: no report has brought it.
    pub(super) unpriced_seconds: i64,
    pub(super) entries: i64,
    pub(super) amounts: Amounts,
}

/// Hours along the days, piled up by one dimension.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) unit: Unit,
    /// None where everything is one pile.
    pub(super) dimension: Option<Dimension>,
    pub(super) steps: Vec<Step>,
}

/// A day, a week or a month.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) first_day: Date,
    /// Seconds of each group.
    pub(super) piles: Vec<(Key, i64)>,
}

impl Report {
    /// In one line.
    pub(super) fn words(&self) -> String {
        let people = match self.people {
            0 => "nobody".to_owned(),
            1 => "one person".to_owned(),
            people => format!("{people} people"),
        };
        format!("{} hours of {people}, {}", decimal(self.total.seconds), days(self.from, self.to))
    }

    /// What the numbers leave open, for people.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.total.entries == 0 {
            notes.push("Nothing was tracked in these days, as far as the tables know.".to_owned());
        }
        match self.running {
            0 => {}
            1 => notes
                .push("A timer is running; it counts up to the moment of this report.".to_owned()),
            running => notes.push(format!(
                "{running} timers are running; they count up to the moment of this report."
            )),
        }
        if self.by.contains(&Dimension::Tag) {
            notes.push(
                "An entry with several tags stands under each of them, and counts once in the sum."
                    .to_owned(),
            );
        }
        if !self.total.amounts.is_empty() && self.total.unpriced_seconds > 0 {
            let hours = decimal(self.total.unpriced_seconds);
            notes.push(format!(
                "{hours} billable hours have no price here: Toggl tells it in reports alone."
            ));
        }
        notes
    }

    /// The currencies of all amounts.
    pub(super) fn currencies(&self) -> impl Iterator<Item = &str> {
        self.total.amounts.keys().map(String::as_str)
    }

    /// The innermost groups: each entry is in one of them, or in several by its tags or days.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| group.keys.len() == self.by.len())
    }
}

impl Key {
    /// Where nothing is told apart.
    pub(super) const fn of_all() -> Self {
        Self { dimension: Dimension::Workspace, id: None, label: None, color: None }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        (self.dimension, &self.id) == (other.dimension, &other.id)
    }

    /// For people.
    pub(super) fn words(&self) -> &str {
        match (self.dimension, self.label.as_deref()) {
            (Dimension::Billable, Some("true")) => "billable",
            (Dimension::Billable, Some(_)) => "not billable",
            (_, Some(label)) => label,
            (dimension, None) => dimension.without(),
        }
    }
}

impl Sums {
    pub(super) fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.billable_seconds += other.billable_seconds;
        self.unpriced_seconds += other.unpriced_seconds;
        self.entries += other.entries;
        for (currency, amount) in &other.amounts {
            *self.amounts.entry(currency.clone()).or_default() += amount;
        }
    }
}

/// Puts the groups in order: by the outermost dimension first, and each before what is in it.
pub(super) fn sort(groups: &mut [Group]) {
    let path = |group: &Group, depth: usize| -> Vec<Option<String>> {
        group.keys.iter().take(depth).map(|key| key.id.clone()).collect()
    };
    let weights: BTreeMap<Vec<Option<String>>, i64> =
        groups.iter().map(|group| (path(group, group.keys.len()), group.sums.seconds)).collect();
    groups.sort_by_cached_key(|group| {
        let places = group.keys.iter().zip(1..).map(|(key, depth)| {
            let weight = weights.get(&path(group, depth)).copied().unwrap_or_default();
            (if key.dimension.is_time() { 0 } else { -weight }, key.label.clone(), key.id.clone())
        });
        places.collect::<Vec<_>>()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(dimensions: &[(Dimension, &str)], seconds: i64) -> Group {
        let key = |(dimension, label): &(Dimension, &str)| Key {
            dimension: *dimension,
            id: Some((*label).to_owned()),
            label: Some((*label).to_owned()),
            color: None,
        };
        Group {
            keys: dimensions.iter().map(key).collect(),
            sums: Sums { seconds, ..Sums::default() },
        }
    }

    fn order(groups: &mut [Group]) -> Vec<String> {
        sort(groups);
        groups
            .iter()
            .map(|group| group.keys.iter().map(Key::words).collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn the_most_hours_come_first_at_every_depth_and_time_comes_in_order() {
        use Dimension::{Day, Project, User};
        let mut groups = [
            group(&[(Project, "small"), (User, "a")], 10),
            group(&[(Project, "large"), (User, "a")], 8),
            group(&[(Project, "large"), (User, "b")], 9),
            group(&[(Project, "small")], 10),
            group(&[(Project, "large")], 17),
        ];
        assert_eq!(order(&mut groups), ["large", "large b", "large a", "small", "small a"]);
        let mut groups = [
            group(&[(Day, "2026-11-02")], 1),
            group(&[(Day, "2026-11-03")], 6),
            group(&[(Day, "2026-11-03"), (User, "a")], 1),
            group(&[(Day, "2026-11-02"), (User, "a")], 1),
            group(&[(Day, "2026-11-03"), (User, "b")], 5),
        ];
        assert_eq!(
            order(&mut groups),
            ["2026-11-02", "2026-11-02 a", "2026-11-03", "2026-11-03 b", "2026-11-03 a"]
        );
    }
}
