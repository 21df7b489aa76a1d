//! Changes of an account that come between two requests: what other people do while somebody reads.

use std::fmt;
use std::sync::{Arc, Mutex};

use super::account::Account;
use super::answer::is_match;

/// Made once.
type Change = Box<dyn FnOnce(&mut Account) + Send>;
/// Made before every request, with the request's number.
type Habit = Arc<Mutex<dyn FnMut(&mut Account, usize) + Send>>;

/// The changes not yet made.
#[derive(Default)]
pub(super) struct Changes {
    waiting: Vec<Waiting>,
    habit: Option<Habit>,
    /// Since the habit began.
    requests: usize,
}

struct Waiting {
    pattern: String,
    /// 1 if the next request to the pattern is the one.
    requests: usize,
    change: Change,
}

/// What is to be done before a request is answered. It holds no lock, so that changes may take their time.
pub(super) struct Due {
    changes: Vec<Change>,
    habit: Option<(Habit, usize)>,
}

impl Changes {
    pub(super) fn before_request(&mut self, pattern: &str, nth: usize, change: Change) {
        assert!(nth > 0, "requests are counted from one");
        self.waiting.push(Waiting { pattern: pattern.to_owned(), requests: nth, change });
    }

    pub(super) fn before_every_request(&mut self, habit: Habit) {
        (self.habit, self.requests) = (Some(habit), 0);
    }

    /// Counts a request.
    pub(super) fn due(&mut self, path: &str) -> Due {
        let fits = |waiting: &mut Waiting| {
            let fits = is_any(&waiting.pattern) || is_match(&waiting.pattern, path);
            waiting.requests -= usize::from(fits);
            waiting.requests == 0
        };
        let changes = self.waiting.extract_if(.., fits).map(|waiting| waiting.change).collect();
        self.requests += 1;
        Due { changes, habit: self.habit.clone().map(|habit| (habit, self.requests)) }
    }
}

fn is_any(pattern: &str) -> bool {
    matches!(pattern, "" | "*")
}

impl Due {
    pub(super) fn make(self, account: &mut Account) {
        for change in self.changes {
            change(account);
        }
        if let Some((habit, number)) = self.habit {
            let mut habit = habit.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            habit(account, number);
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<&str> = self.waiting.iter().map(|w| w.pattern.as_str()).collect();
        formatter
            .debug_struct("Changes")
            .field("waiting", &patterns)
            .field("habit", &self.habit.is_some())
            .finish_non_exhaustive()
    }
}
