//! Settings from a file, as systemd's `EnvironmentFile=` and `docker --env-file` have them: for cron, which
//! takes a percent sign for a line end and shows its lines to whoever may see them.
//!
//! The program is started anew with them in its environment. So they hold for everything that looks there:
//! settings, libraries, and the runs of a schedule.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use clap::Args;

use crate::exit::{Exit, Failure, OrExit as _};
use crate::output::caution;

const FLAG: &str = "--env-file";

/// More than any settings; a larger file holds something else.
const MAX_BYTES: u64 = 1024 * 1024;

/// Anybody on this machine may read or write it.
const OPEN_TO_OTHERS: u32 = 0o006;

/// Where settings may come from besides the environment.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct EnvFileArgs {
    /// File with settings, one NAME=VALUE a line, read as systemd's `EnvironmentFile=` and `docker
    /// --env-file` do: values are taken literally, except for quotes around them. The environment wins over a
    /// file, and a later file over an earlier one.
    #[arg(long, value_name = "FILE", global = true)]
    pub env_file: Vec<PathBuf>,
}

/// Why a file cannot be used. No line is repeated, for it may hold a password.
#[derive(Debug, thiserror::Error)]
enum EnvFileError {
    #[error("cannot read the settings in {path} ({FLAG})")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} ({FLAG}) is larger than {MAX_BYTES} bytes, and holds no settings")]
    TooLarge { path: PathBuf },
    #[error("{path} ({FLAG}), line {line}: {what}")]
    Line { path: PathBuf, line: usize, what: LineError },
    #[error("{FLAG} needs the name of a file")]
    NoName,
    #[error("cannot start anew with the settings of {FLAG}")]
    Start(#[source] std::io::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum LineError {
    #[error("is no NAME=VALUE")]
    Form,
    #[error("the name before the equals sign is none of letters, digits and underscores")]
    Name,
    #[error(
        "the value begins with a quote that nothing closes at its end; put single quotes around the whole"
    )]
    Quote,
    #[error("the value holds a NUL byte, which the environment cannot")]
    Nul,
}

/// Starts the program anew if the command line names files with settings; returns where it does not.
///
/// # Errors
/// When a file cannot be used.
pub fn apply() -> Result<(), Failure> {
    let mut words = env::args_os();
    let name = words.next();
    let (files, rest) = split(words.collect()).or_exit(Exit::Usage)?;
    if files.is_empty() {
        return Ok(());
    }
    let mut settings = BTreeMap::new();
    for path in files {
        settings.extend(read(&path).or_exit(Exit::Usage)?);
    }
    settings.retain(|name, _| env::var_os(name).is_none());
    let program = env::current_exe().map_err(EnvFileError::Start).or_exit(Exit::Failed)?;
    let mut command = Command::new(program);
    if let Some(name) = name {
        command.arg0(name);
    }
    Err(EnvFileError::Start(command.args(rest).envs(settings).exec())).or_exit(Exit::Failed)
}

/// The files that are named before `--`, and the command line without them.
fn split(words: Vec<OsString>) -> Result<(Vec<PathBuf>, Vec<OsString>), EnvFileError> {
    let (mut files, mut rest) = (Vec::new(), Vec::new());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            rest.push(word);
            break;
        }
        if word == FLAG {
            files.push(words.next().ok_or(EnvFileError::NoName)?.into());
        } else if let Some(file) = value(&word) {
            files.push(file);
        } else {
            rest.push(word);
        }
    }
    rest.extend(words);
    Ok((files, rest))
}

/// Of a word `--env-file=FILE`.
fn value(word: &OsStr) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    let value = word.as_bytes().strip_prefix(FLAG.as_bytes())?.strip_prefix(b"=")?;
    Some(OsStr::from_bytes(value).into())
}

fn read(path: &Path) -> Result<BTreeMap<String, String>, EnvFileError> {
    let failed = |source| EnvFileError::Read { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_file() && about.permissions().mode() & OPEN_TO_OTHERS != 0 {
        warn_of(path);
    }
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(EnvFileError::TooLarge { path: path.to_owned() });
    }
    parse(&text).map_err(|(line, what)| EnvFileError::Line { path: path.to_owned(), line, what })
}

/// Logging begins with the settings of the file.
fn warn_of(path: &Path) {
    let path = path.display();
    caution(format_args!("{path} is open to everybody on this machine: chmod 600 {path}"));
}

/// Names and values; the last of a name counts. An error comes with its line.
fn parse(text: &str) -> Result<BTreeMap<String, String>, (usize, LineError)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut settings = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with(['#', ';']) {
            let (name, value) = parse_line(line).map_err(|what| (index + 1, what))?;
            settings.insert(name.to_owned(), value);
        }
    }
    Ok(settings)
}

fn parse_line(line: &str) -> Result<(&str, String), LineError> {
    let (name, value) = line.split_once('=').ok_or(LineError::Form)?;
    // As files have it that shells read, too.
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(is_name)
    {
        return Err(LineError::Name);
    }
    let value = unquoted(value.trim()).ok_or(LineError::Quote)?;
    if value.contains('\0') { Err(LineError::Nul) } else { Ok((name, value)) }
}

/// A value in single quotes is literal; in double quotes, as systemd has them, a backslash takes the meaning
/// of a quote, a backslash, `$` and `` ` ``. None where the quote is not closed at the end.
fn unquoted(value: &str) -> Option<String> {
    if let Some(rest) = value.strip_prefix('\'') {
        let inner = rest.strip_suffix('\'')?;
        return (!inner.contains('\'')).then(|| inner.to_owned());
    }
    let Some(rest) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let mut plain = String::new();
    let mut letters = rest.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return letters.as_str().is_empty().then_some(plain),
            '\\' => match letters.next()? {
                escaped @ ('"' | '\\' | '$' | '`') => plain.push(escaped),
                other => plain.extend(['\\', other]),
            },
            other => plain.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(line: &str) -> Result<String, LineError> {
        let settings = parse(line).map_err(|(_, what)| what)?;
        Ok(settings.into_values().next().unwrap_or_default())
    }

    #[test]
    fn odd_passwords_are_taken_as_they_stand() {
        for (line, value) in [
            ("A=50%off", "50%off"),
            ("A=$HOME", "$HOME"),
            ("A=a#b", "a#b"),
            ("A=a #b", "a #b"),
            ("A=#b", "#b"),
            ("A=a=b==", "a=b=="),
            (r"A=a\nb\", r"a\nb\"),
            ("A=it's", "it's"),
            ("A=a\"b\"", "a\"b\""),
            ("A=ü b\tc", "ü b\tc"),
            ("A=`id`$(id)!&;|<>*?~", "`id`$(id)!&;|<>*?~"),
            ("A=", ""),
            ("A=''", ""),
            (r#"A='a "$b" \c #d'"#, r#"a "$b" \c #d"#),
            (r#"A="a \"b\" \$c \\ \d 'e'""#, r#"a "b" $c \ \d 'e'"#),
            ("  A = b  \r", "b"),
            ("export A=b", "b"),
            ("\u{feff}A=b", "b"),
            ("A=1\nA=2", "2"),
            ("# A=1\n; A=2\n\n\r\nA=3\r\n", "3"),
            (
                "A=postgres://u:p%40ss%2Fw%25rd@h:5432/d?sslmode=require&x=#y",
                "postgres://u:p%40ss%2Fw%25rd@h:5432/d?sslmode=require&x=#y",
            ),
        ] {
            assert_eq!(one(line).as_deref(), Ok(value), "{line:?}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused_with_its_line() {
        for (line, what) in [
            ("A", LineError::Form),
            ("=b", LineError::Name),
            ("1A=b", LineError::Name),
            ("A-B=c", LineError::Name),
            ("A='b", LineError::Quote),
            ("A='b'c", LineError::Quote),
            ("A='b'c'", LineError::Quote),
            ("A=\"b", LineError::Quote),
            ("A=\"b\"c", LineError::Quote),
            ("A=\"b\\\"", LineError::Quote),
            ("A=b\0c", LineError::Nul),
        ] {
            assert_eq!(parse(&format!("X=1\n{line}\n")), Err((2, what)), "{line:?}");
        }
    }

    #[test]
    fn files_are_named_before_two_dashes_and_nothing_else_is_taken_away() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let (files, rest) = split(words(&[
            "--env-file",
            "a",
            "schedule",
            "--env-file=b=c",
            "--",
            "--env-file",
            "d",
        ]))
        .unwrap();
        assert_eq!(files, [PathBuf::from("a"), PathBuf::from("b=c")]);
        assert_eq!(rest, words(&["schedule", "--", "--env-file", "d"]));
        assert!(split(words(&["--env-file"])).is_err());
    }

    proptest! {
        #[test]
        fn any_line_of_text_survives_single_quotes(value in "[^'\r\n\0\u{feff}]*") {
            prop_assert_eq!(one(&format!("A='{value}'")), Ok(value));
        }

        #[test]
        fn any_line_of_text_survives_double_quotes(value in "[^\r\n\0]*") {
            let escaped = value.replace('\\', r"\\").replace('"', "\\\"");
            prop_assert_eq!(one(&format!("A=\"{escaped}\"")), Ok(value));
        }

        #[test]
        fn any_word_that_begins_with_no_quote_is_taken_as_it_stands(value in "[^'\"\\s\0][^\\s\0]*") {
            prop_assert_eq!(one(&format!("A={value}")), Ok(value));
        }

        #[test]
        fn no_text_ends_the_program(text in ".*") {
            drop(parse(&text));
        }
    }
}
