//! How a run over several accounts ends: one that fails does not keep the others from being read.

use shared::exit::{Exit, Failure, chain};
use shared::output::complain;
use shared::telemetry::ORCHESTRATOR;
use tracing::warn;

/// The first account that did not end well decides.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    exit: Option<Exit>,
    /// Why the only one failed.
    failure: Option<Failure>,
}

impl Accounts {
    /// Notes how an account's run ended.
    pub(super) fn note(&mut self, account: &str, ended: Result<Exit, Failure>, accounts: usize) {
        let exit = match ended {
            Err(failure) if accounts == 1 => {
                self.failure = Some(failure);
                return;
            }
            Err(Failure { exit, error }) => {
                complain(format_args!("account {account}: {}", chain(error.as_ref())));
                exit
            }
            Ok(exit) => exit,
        };
        if exit != Exit::Done {
            // What merely lacks something gives way to what failed.
            match self.exit {
                None | Some(Exit::Incomplete) => self.exit = Some(exit),
                Some(_) => {}
            }
        }
    }

    /// How the command ends. What was published was waited for, if that was asked for, whatever became of
    /// the accounts.
    pub(super) fn conclude(self, stored: Result<Exit, Failure>) -> Result<Exit, Failure> {
        match (self.failure, stored) {
            (Some(failure), Ok(_)) => Err(failure),
            (Some(failure), Err(unstored)) => {
                warn!(target: ORCHESTRATOR, "{}", chain(unstored.error.as_ref()));
                Err(failure)
            }
            (None, Err(unstored)) => Err(unstored),
            (None, Ok(stored)) => Ok(match self.exit {
                None => stored,
                Some(exit) => exit,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(exit: Exit) -> Result<Exit, Failure> {
        Err(Failure { exit, error: anyhow::anyhow!("no") })
    }

    fn conclusion(ended: &[Result<Exit, Exit>], stored: Result<Exit, Failure>) -> Exit {
        let mut accounts = Accounts::default();
        for ended in ended {
            accounts.note("a", ended.or_else(failed), 4);
        }
        accounts.conclude(stored).unwrap_or_else(|failure| failure.exit)
    }

    #[test]
    fn the_first_failure_decides_over_what_is_merely_incomplete() {
        let done = Ok(Exit::Done);
        assert_eq!(conclusion(&[done], Ok(Exit::Done)), Exit::Done);
        let ended = [done, Ok(Exit::Incomplete), Err(Exit::Quota), Err(Exit::Credentials)];
        assert_eq!(conclusion(&ended, Ok(Exit::Done)), Exit::Quota);
    }

    #[test]
    fn what_was_not_stored_is_no_success() {
        let done = Ok(Exit::Done);
        assert_eq!(conclusion(&[done], Ok(Exit::Incomplete)), Exit::Incomplete);
        assert_eq!(conclusion(&[done], failed(Exit::Failed)), Exit::Failed);
    }

    #[test]
    fn the_failure_of_the_only_account_is_the_commands() {
        let mut accounts = Accounts::default();
        accounts.note("a", failed(Exit::Credentials), 1);
        let ended = accounts.conclude(failed(Exit::Failed));
        assert_eq!(ended.unwrap_err().exit, Exit::Credentials);
    }
}
