//! Waiting for a condition with a deadline: the one place of the harness that sleeps.

use std::panic::Location;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::{Instant, sleep, timeout_at};

/// Whatever has to come is waited for so long: a machine that has other work to do is slow, and only a failure costs it.
pub const DEADLINE: Duration = Duration::from_mins(4);
/// First pause between two looks; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// A look is followed by a pause as many times as long as it took: that keeps a busy machine busy
/// with the work waited for, and not with the waiting.
const PAUSES_PER_LOOK: u32 = 4;
/// After the longest of looks.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Asks `probe` again and again until it answers `Some`. The deadline cuts off a probe that hangs,
/// but nothing else does: what may hang wants a limit of its own. The error names
/// `what`, the deadline and the line of the call.
#[track_caller]
pub fn wait_for<T, F, P>(
    what: &str,
    deadline: Duration,
    mut probe: P,
) -> impl Future<Output = Result<T>>
where
    F: Future<Output = Option<T>>,
    P: FnMut() -> F,
{
    let caller = Location::caller();
    async move {
        let end = Instant::now() + deadline;
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = Instant::now();
            let answer = timeout_at(end, probe()).await.ok().flatten();
            if let Some(answer) = answer {
                return Ok(answer);
            }
            if Instant::now() >= end {
                return Err(anyhow!("waited {deadline:?} in vain for {what} (at {caller})"));
            }
            sleep(pause.max(rest_after(begun))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The same of something that may fail for a while, as any question to servers of which one has just died.
/// The error is the last one.
#[track_caller]
pub fn wait_until_ok<T, F, P>(
    what: &str,
    deadline: Duration,
    mut attempt: P,
) -> impl Future<Output = Result<T>>
where
    F: Future<Output = Result<T>>,
    P: FnMut() -> F,
{
    let caller = Location::caller();
    async move {
        let end = Instant::now() + deadline;
        let mut last = anyhow!("no answer");
        while Instant::now() < end {
            let begun = Instant::now();
            match timeout_at(end, attempt()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => last = error,
                Err(_) => break,
            }
            sleep(LONGEST_PAUSE.max(rest_after(begun))).await;
        }
        Err(last.context(format!("waited {deadline:?} in vain for {what} (at {caller})")))
    }
}

fn rest_after(begun: Instant) -> Duration {
    (begun.elapsed() * PAUSES_PER_LOOK).min(LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use std::future;

    use super::*;

    #[tokio::test]
    async fn answer_ends_the_waiting() {
        let mut looks = 0;
        let answer = wait_for("the third look", Duration::from_secs(10), || {
            looks += 1;
            future::ready((looks == 3).then_some(looks))
        });
        assert_eq!(answer.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn what_fails_at_first_is_tried_again_and_the_last_error_is_told() {
        let mut attempts = 0;
        let answer = wait_until_ok("the third attempt", Duration::from_secs(10), || {
            attempts += 1;
            future::ready(if attempts == 3 { Ok(attempts) } else { Err(anyhow!("no leader")) })
        });
        assert_eq!(answer.await.unwrap(), 3);
        let failing = || future::ready(Err::<(), _>(anyhow!("no leader")));
        let error = wait_until_ok("a leader", Duration::from_millis(5), failing).await.unwrap_err();
        let words = format!("{error:#}");
        assert!(words.contains("a leader") && words.ends_with("no leader"), "{words}");
    }

    #[tokio::test]
    async fn passed_deadline_names_what_was_waited_for_and_where() {
        let hanging = wait_for("godot", Duration::from_millis(5), future::pending::<Option<()>>);
        let error = hanging.await.unwrap_err().to_string();
        assert!(error.contains("godot"), "{error}");
        assert!(error.contains(file!()), "{error}");
    }
}
