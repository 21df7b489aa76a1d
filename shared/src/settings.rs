//! The command line and its variables of the environment, as people and tools write them.
//!
//! A variable that is there and empty, as compose files leave them, is not set. White space around a
//! value and a pair of quotes, as the files of `docker run --env-file` keep them, are not part of it;
//! of secrets only the end of a line is not. Words to choose from are taken in any case.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use clap::builder::{BoolishValueParser, PossibleValue, Resettable, TypedValueParser};
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, Command, Error, Parser};
use secrecy::SecretString;

/// What is set once, if ever: shown by `--help`, and not by `-h`.
const RARE: &[&str] = &["NATS", "Stream", "Toggl", "Keeping"];

/// Reads the command line and the environment.
///
/// # Errors
/// As clap words them; a variable that is wrong is named.
pub fn parse<C: Parser>(words: &[OsString]) -> Result<C, Error> {
    let command = tolerant(C::command());
    let matches = command.clone().try_get_matches_from(words);
    let parsed = matches.and_then(|matches| C::from_arg_matches(&matches));
    parsed.map_err(|error| named(error, &command, words))
}

/// The same command, to which an empty variable is none, and the case of words does not matter; its
/// short help has the usual settings only.
pub fn tolerant(command: Command) -> Command {
    let tolerant_arg = |arg: Arg| {
        let arg = if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg };
        let is_rare = arg.get_help_heading().is_some_and(|heading| RARE.contains(&heading));
        let arg = if is_rare { arg.hide_short_help(true) } else { arg };
        let has_words = arg.get_action().takes_values() && !arg.get_possible_values().is_empty();
        arg.ignore_case(has_words)
    };
    command.mut_args(tolerant_arg).mut_subcommands(tolerant)
}

fn is_empty(arg: &Arg) -> bool {
    value_of(arg).is_some_and(|value| bare(&value).is_empty())
}

/// What stands in its variable.
fn value_of(arg: &Arg) -> Option<OsString> {
    arg.get_env().and_then(std::env::var_os)
}

/// Names the variable of what is wrong, where it was not on the command line.
pub fn named(mut error: Error, command: &Command, words: &[OsString]) -> Error {
    let named = |shown: &str| name(shown, command, words).unwrap_or_else(|| shown.to_owned());
    for kind in [ContextKind::InvalidArg, ContextKind::PriorArg] {
        let renamed = match error.get(kind) {
            Some(ContextValue::String(shown)) => ContextValue::String(named(shown)),
            Some(ContextValue::Strings(all)) => {
                ContextValue::Strings(all.iter().map(|shown| named(shown)).collect())
            }
            _ => continue,
        };
        error.insert(kind, renamed);
    }
    error
}

/// `LOG_LEVEL (--log-level <LOG_LEVEL>)`, of a flag that stands in the environment only.
fn name(shown: &str, command: &Command, words: &[OsString]) -> Option<String> {
    let arg = find(command, shown)?;
    let variable = arg.get_env()?.to_str()?;
    let value = value_of(arg)?;
    let is_given = words.iter().skip(1).any(|word| match arg.get_long() {
        Some(long) => {
            let flag = format!("--{long}");
            let word = word.to_string_lossy();
            word == flag || word.starts_with(&format!("{flag}="))
        }
        None => *word == value,
    });
    (!is_given).then(|| format!("{variable} ({shown})"))
}

/// The argument that clap shows like this, of the command or of one below it.
fn find<'a>(command: &'a Command, shown: &str) -> Option<&'a Arg> {
    let is_shown = |arg: &&Arg| match arg.get_long() {
        Some(long) => {
            let rest = shown.strip_prefix("--").and_then(|shown| shown.strip_prefix(long));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '=', '[']))
        }
        None => arg.to_string() == shown,
    };
    let here = command.get_arguments().find(is_shown);
    here.or_else(|| command.get_subcommands().find_map(|below| find(below, shown)))
}

/// A value that may stand in the environment with white space or a pair of quotes around it.
#[derive(Debug, Clone)]
pub struct Plain<P>(P);

/// Reads by `parser` what stands in a variable without that.
pub fn plain<P: TypedValueParser>(parser: P) -> Plain<P> {
    Plain(parser)
}

impl<P: TypedValueParser> TypedValueParser for Plain<P> {
    type Value = P::Value;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, Error> {
        self.0.parse_ref(command, arg, value)
    }

    fn parse_ref_(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<Self::Value, Error> {
        let value = if source == ValueSource::EnvVariable { bare(value) } else { value };
        self.0.parse_ref_(command, arg, value, source)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

/// Without white space and one pair of quotes around it.
fn bare(value: &OsStr) -> &OsStr {
    let value = value.as_bytes().trim_ascii();
    OsStr::from_bytes(match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner.trim_ascii(),
        _ => value,
    })
}

/// Yes or no, in the usual words.
pub fn switch() -> Plain<BoolishValueParser> {
    plain(BoolishValueParser::new())
}

/// A secret, of which the end of the line is no part.
///
/// # Errors
/// Never.
pub fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.trim_end_matches(['\r', '\n']).into())
}

/// No length of time.
#[derive(Debug, thiserror::Error)]
#[error("write a number with its unit, as in 90s, 5m, 2h or 30d")]
pub struct TimeError(#[source] humantime::DurationError);

/// A length of time. A bare number is none: days and seconds would both be meant by it.
///
/// # Errors
/// When it is none.
pub fn time(text: &str) -> Result<Duration, TimeError> {
    humantime::parse_duration(text).map_err(TimeError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_a_pair_of_quotes_are_no_part_of_a_value() {
        for (written, meant) in [
            ("info", "info"),
            (" info\r\n", "info"),
            ("\"info\"", "info"),
            ("' info '\r", "info"),
            ("\"info", "\"info"),
            ("\"info'", "\"info'"),
            ("\"\"", ""),
            ("\"", "\""),
            (" \t", ""),
        ] {
            assert_eq!(bare(OsStr::new(written)), meant, "{written:?}");
        }
    }

    #[test]
    fn a_length_of_time_has_a_unit_and_the_error_says_which_there_are() {
        assert_eq!(time("5m").unwrap(), Duration::from_mins(5));
        assert_eq!(time("1h 30min").unwrap(), Duration::from_mins(90));
        for wrong in ["300", "5 apples", "", "-1s"] {
            assert!(time(wrong).unwrap_err().to_string().contains("90s, 5m, 2h or 30d"));
        }
    }
}
