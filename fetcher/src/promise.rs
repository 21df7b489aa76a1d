//! How old tables get at most until they are read again. Whoever starts the runs knows; each batch tells it of its
//! table, so that everybody who looks at the tables knows, too, and sees when it does not hold.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use shared::catalogue;
use shared::message::LONGEST_PROMISE;
use shared::resource::Resource;
use shared::settings::{TimeError, time};

const SHORTEST: Duration = Duration::from_secs(1);
/// Between a run's beginning and its rows in the tables lies a run and the loading, whatever lies between two runs.
const LEAST_ALLOWANCE: SignedDuration = SignedDuration::from_secs(30);
/// A tenth of the time between two runs is theirs to be late, and to take longer than usual.
const ALLOWANCE: i32 = 10;

/// By resource, and for all others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Promise {
    others: Option<Duration>,
    of: BTreeMap<&'static str, Duration>,
}

/// Why a promise is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PromiseError {
    #[error(transparent)]
    Time(#[from] TimeError),
    #[error("must lie between 1s and 366d")]
    Length,
    #[error("there is no resource {0}")]
    Unknown(String),
}

impl Promise {
    /// The same for all tables that come with runs like these.
    pub(crate) fn every(every: SignedDuration) -> Self {
        Self { others: Some(with_allowance(every)), of: BTreeMap::new() }
    }

    /// One for each of these tables, by how often they are read.
    pub(crate) fn of_each(
        every: impl IntoIterator<Item = (&'static Resource, SignedDuration)>,
    ) -> Self {
        let of = every.into_iter().map(|(resource, every)| (resource.name, with_allowance(every)));
        Self { others: None, of: of.collect() }
    }

    /// What is promised of a table, if anything is.
    pub(crate) fn of(&self, resource: &Resource) -> Option<Duration> {
        self.of.get(resource.name).copied().or(self.others)
    }
}

/// The time between two runs, what they take, and so rounded up that it does not change with every run.
fn with_allowance(every: SignedDuration) -> Duration {
    let longest = every + (every / ALLOWANCE).max(LEAST_ALLOWANCE);
    let seconds = u64::try_from(longest.as_secs()).unwrap_or(0);
    let step = match seconds {
        0..=3_600 => 5 * 60,
        3_601..=21_600 => 15 * 60,
        _ => 3_600,
    };
    Duration::from_secs(seconds.div_ceil(step).max(1) * step).min(LONGEST_PROMISE)
}

impl FromStr for Promise {
    type Err = PromiseError;

    fn from_str(text: &str) -> Result<Self, PromiseError> {
        let mut promise = Self::default();
        for part in text.split(',') {
            let (name, age) = match part.split_once('=') {
                Some((name, age)) => (Some(name.trim()), age.trim()),
                None => (None, part.trim()),
            };
            let age = time(age)?;
            if !(SHORTEST..=LONGEST_PROMISE).contains(&age) {
                return Err(PromiseError::Length);
            }
            match name {
                None => promise.others = Some(age),
                Some(name) => {
                    let unknown = || PromiseError::Unknown(name.to_owned());
                    let resource = catalogue::find(name).ok_or_else(unknown)?;
                    promise.of.insert(resource.name, age);
                }
            }
        }
        Ok(promise)
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = self.others.map(|age| format!("{}s", age.as_secs()));
        let of = self.of.iter().map(|(name, age)| format!("{name}={}s", age.as_secs()));
        f.write_str(&others.into_iter().chain(of).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(promise: &Promise, name: &str) -> Option<Duration> {
        promise.of(catalogue::find(name).unwrap())
    }

    #[test]
    fn a_promise_is_for_all_tables_or_for_one() {
        let promise: Promise = "70m, time_entries = 5m".parse().unwrap();
        assert_eq!(of(&promise, "tags"), Some(Duration::from_mins(70)));
        assert_eq!(of(&promise, "time_entries"), Some(Duration::from_mins(5)));
        let promise: Promise = "time_entries=5m".parse().unwrap();
        assert_eq!(of(&promise, "tags"), None);
        assert_eq!(of(&Promise::default(), "tags"), None);
    }

    #[test]
    fn what_is_no_promise_says_why() {
        for (text, why) in [
            ("", "unit"),
            ("300", "unit"),
            ("0s", "between 1s and 366d"),
            ("400d", "between 1s and 366d"),
            ("entries=5m", "there is no resource entries"),
            ("tags=", "unit"),
        ] {
            let error = text.parse::<Promise>().unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_run_may_be_a_bit_late_and_take_its_time() {
        let minutes = |every: i64| {
            let promise = Promise::every(SignedDuration::from_mins(every));
            of(&promise, "tags").unwrap().as_secs() / 60
        };
        assert_eq!([1, 4, 5, 15, 50, 60].map(minutes), [5, 5, 10, 20, 55, 75]);
        assert_eq!([12 * 60, 24 * 60].map(minutes), [14 * 60, 27 * 60]);
    }

    proptest! {
        #[test]
        fn a_promise_survives_being_handed_on(seconds in 1_u64..31_000_000, one in 1_u64..31_000_000) {
            let text = format!("{seconds}s,users={one}s");
            let promise: Promise = text.parse().unwrap();
            prop_assert_eq!(promise.to_string(), text);
            let each = [(catalogue::find("tags").unwrap(), SignedDuration::from_secs(one.cast_signed()))];
            let promise = Promise::of_each(each);
            prop_assert_eq!(promise.to_string().parse::<Promise>().unwrap(), promise);
        }
    }
}
