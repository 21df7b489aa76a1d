//! See [`loader::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    loader::cli::main()
}
