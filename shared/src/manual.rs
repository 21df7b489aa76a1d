//! What a program says of its own command line: completions for shells, and man pages.

use std::path::PathBuf;

use clap::{Command, Subcommand};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::exit::{Exit, Failure, OrExit as _};
use crate::output::print;

/// Commands that both programs have.
#[derive(Debug, Subcommand)]
pub enum Manual {
    /// Print completions for a shell.
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// Which.
        shell: Shell,
    },
    /// Print the man page, or write one for each command to a folder.
    #[command(after_help = MAN_EXAMPLES)]
    Man {
        /// An existing folder.
        folder: Option<PathBuf>,
    },
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  fetcher completions bash > ~/.local/share/bash-completion/completions/fetcher
  loader completions zsh > ~/.zfunc/_loader";

const MAN_EXAMPLES: &str = "\
Examples:
  fetcher man | man --local-file -
  loader man ~/.local/share/man/man1";

impl Manual {
    /// Prints or writes it; `command` is the whole program's.
    ///
    /// # Errors
    /// When the folder or standard output cannot be written.
    pub fn run(&self, mut command: Command) -> Result<Exit, Failure> {
        let mut text = Vec::new();
        match self {
            Self::Completions { shell } => {
                let name = command.get_name().to_owned();
                clap_complete::generate(*shell, &mut command, name, &mut text);
            }
            Self::Man { folder: None } => {
                Man::new(command).render(&mut text).or_exit(Exit::Failed)?;
            }
            Self::Man { folder: Some(folder) } => {
                clap_mangen::generate_to(command, folder).or_exit(Exit::Failed)?;
            }
        }
        print(&text).or_exit(Exit::Failed)?;
        Ok(Exit::Done)
    }
}
