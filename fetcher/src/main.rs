//! See [`fetcher::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    fetcher::cli::main()
}
