//! Names a test that hangs, and ends the run: cargo's own test runner would wait for it for ever.

use std::cell::OnceCell;
use std::io::{self, Write as _};
use std::process;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// No test takes a third of this, also on a machine that is busy with something else;
/// `LONGEST_TEST_MINUTES` is for those that are told to take longer.
const LONGEST_TEST: Duration = Duration::from_mins(8);
const LONGEST_TEST_VARIABLE: &str = "LONGEST_TEST_MINUTES";
/// How often the running tests are looked at.
const PAUSE: Duration = Duration::from_secs(1);
/// What cargo's runner exits with when a test has failed.
const FAILED: i32 = 101;

type Running = Mutex<Vec<(String, Instant)>>;

thread_local! {
    /// The runner has a thread for each test: this one goes with the test.
    static THIS_TEST: OnceCell<Watched> = const { OnceCell::new() };
}

struct Watched(String);

/// The test that this thread runs is watched from now to its end. To be called by whatever starts
/// something that may hang; on threads that run no test it does nothing.
pub(crate) fn watch_this_test() {
    let thread = thread::current();
    let Some(name) = thread.name().filter(|name| name.contains("::")) else { return };
    THIS_TEST.with(|test| {
        test.get_or_init(|| {
            running().push((name.to_owned(), Instant::now()));
            Watched(name.to_owned())
        });
    });
}

impl Drop for Watched {
    fn drop(&mut self) {
        running().retain(|(name, _)| *name != self.0);
    }
}

fn running() -> MutexGuard<'static, Vec<(String, Instant)>> {
    static RUNNING: OnceLock<Running> = OnceLock::new();
    let running = RUNNING.get_or_init(|| {
        thread::spawn(look);
        Running::default()
    });
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The servers end with this process, and their folders go.
fn look() {
    let longest = longest_test();
    loop {
        thread::sleep(PAUSE);
        let hung = running().iter().find(|(_, since)| since.elapsed() > longest).cloned();
        if let Some((name, _)) = hung {
            // Not by the macros: what they print in a test's process may be kept back.
            writeln!(io::stderr(), "\ntest {name} hangs: not ended after {longest:?}").ok();
            #[expect(clippy::exit, reason = "nothing else ends a test from outside")]
            process::exit(FAILED);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "no program's setting, but the harness' own")]
fn longest_test() -> Duration {
    let minutes = std::env::var(LONGEST_TEST_VARIABLE).ok().and_then(|text| text.parse().ok());
    minutes.map_or(LONGEST_TEST, Duration::from_mins)
}
