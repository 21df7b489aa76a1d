//! How a run over several accounts ends: one that fails does not keep the others from being read.

use shared::exit::{Exit, Failure, chain};

/// The first account that did not end well decides.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    exit: Option<Exit>,
}

impl Accounts {
    /// Notes how an account's run ended. The failure of the only one is the caller's.
    #[expect(clippy::print_stderr, reason = "the one line a user sees, whatever the log level")]
    pub(super) fn note(
        &mut self,
        account: &str,
        ended: Result<Exit, Failure>,
        accounts: usize,
    ) -> Result<(), Failure> {
        let exit = match ended {
            Err(failure) if accounts == 1 => return Err(failure),
            Err(Failure { exit, error }) => {
                eprintln!("error: account {account}: {}", chain(error.as_ref()));
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
        Ok(())
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit.unwrap_or(Exit::Done)
    }

    /// The same, with how it ended after all accounts: that decides only where nothing was wrong before.
    pub(super) fn exit_if(&self, ended: Exit) -> Exit {
        self.exit.unwrap_or(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_decides_over_what_is_merely_incomplete() {
        let failed = |exit| Err(Failure { exit, error: anyhow::anyhow!("no") });
        let mut accounts = Accounts::default();
        accounts.note("a", Ok(Exit::Done), 4).unwrap();
        assert_eq!(accounts.exit(), Exit::Done);
        accounts.note("b", Ok(Exit::Incomplete), 4).unwrap();
        accounts.note("c", failed(Exit::Quota), 4).unwrap();
        accounts.note("d", failed(Exit::Credentials), 4).unwrap();
        assert_eq!(accounts.exit(), Exit::Quota);
    }
}
