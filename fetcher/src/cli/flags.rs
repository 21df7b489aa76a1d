//! A flag that is accepted has an effect, whether it stands before a command or behind it; one that
//! has none is refused with a line that says what to write instead.
//!
//! Only the command line is held to that: settings in the environment are for every command.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory as _, Error, FromArgMatches as _};
use shared::settings;

use super::schedule::AutoRuns;
use super::{Cli, Command as Chosen, credentials, wait};

/// Which account in which vault.
const VAULT: &[&str] = &["account", "database_url"];
/// Settings for the environment, which every command may be given.
const ENV_FILE: &[&str] = &["env_file"];
/// How several accounts are read.
const ACCOUNTS: &[&str] = &["accounts_at_once"];
const TOKEN_FILE: &[&str] = &["api_token_file"];
const WORKSPACES: &[&str] = &["workspaces"];
const TOGGL: &[&str] =
    &["toggl_url", "toggl_allow_http", "requests_per_second", "burst", "toggl_timeout", "max_wait"];
const NATS: &[&str] = &[
    "nats_url",
    "nats_creds",
    "nats_nkey",
    "nats_token",
    "nats_user",
    "nats_password",
    "nats_ca",
    "nats_cert",
    "nats_key",
    "nats_tls_first",
    "nats_domain",
];
const STREAM: &[&str] = &["stream_max_age", "stream_max_bytes", "replicas", "state_max_bytes"];
const LOG: &[&str] = &["log_level", "log_format", "quiet"];
/// What concerns a run as a whole, and what it leaves behind.
const RUN: &[&str] = &["if_running", "wait", "promise", "summary_json", "metrics_textfile"];

const IF_RUNNING: &[&str] = &["if_running"];

/// The flags of [`Cli`] that each command makes use of, by their ids. Without a command all are used.
const USES: &[(&str, &[&[&str]])] = &[
    (
        "changes",
        &[VAULT, ACCOUNTS, TOKEN_FILE, WORKSPACES, TOGGL, NATS, STREAM, RUN, LOG, ENV_FILE],
    ),
    ("report", &[VAULT, ACCOUNTS, TOKEN_FILE, WORKSPACES, TOGGL, NATS, STREAM, RUN, LOG, ENV_FILE]),
    ("verify", &[VAULT, ACCOUNTS, TOKEN_FILE, WORKSPACES, TOGGL, NATS, STREAM, RUN, LOG, ENV_FILE]),
    // Each run is given them.
    (SCHEDULE, &[VAULT, ACCOUNTS, TOKEN_FILE, WORKSPACES, TOGGL, NATS, STREAM, RUN, LOG, ENV_FILE]),
    ("listen", &[VAULT, TOKEN_FILE, WORKSPACES, TOGGL, NATS, STREAM, IF_RUNNING, LOG, ENV_FILE]),
    ("check", &[VAULT, ACCOUNTS, TOKEN_FILE, TOGGL, NATS, STREAM, LOG, ENV_FILE]),
    ("credentials set", &[VAULT, WORKSPACES, TOGGL, LOG, ENV_FILE]),
    ("credentials show", &[VAULT, LOG, ENV_FILE]),
    ("credentials remove", &[VAULT, LOG, ENV_FILE]),
    ("completions", &[ENV_FILE]),
    ("man", &[ENV_FILE]),
];

const SCHEDULE: &str = "schedule";

fn is_used(command: &str, id: &str) -> bool {
    let uses = USES.iter().find(|(name, _)| *name == command);
    uses.is_some_and(|(_, groups)| groups.iter().any(|group| group.contains(&id)))
}

/// The command line and the environment, as they are read.
fn root() -> Command {
    settings::tolerant(Cli::command())
}

/// The command line of the program, whose commands do not show the flags that they refuse.
pub(super) fn command() -> Command {
    let root = root();
    let global: Vec<Arg> =
        root.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    root.mut_subcommands(|command| {
        let name = command.get_name().to_owned();
        hide_unused(command, &name, &global)
    })
}

/// What every command takes.
fn global(root: &Command) -> Vec<Arg> {
    root.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect()
}

fn hide_unused(command: Command, name: &str, global: &[Arg]) -> Command {
    if command.has_subcommands() {
        return command.mut_subcommands(|below| {
            let name = format!("{name} {}", below.get_name());
            hide_unused(below, &name, global)
        });
    }
    let unused = global.iter().filter(|arg| !is_used(name, arg.get_id().as_str()));
    command.args(unused.cloned().map(|arg| arg.hide(true)))
}

/// Reads the command line. What a schedule's runs would be refused for is refused at once.
///
/// # Errors
/// As clap words them, and for a flag that would have no effect.
pub(super) fn parse(words: &[OsString]) -> Result<Cli, Error> {
    refuse_separate_wait(words)?;
    // Before clap: what it finds missing may stand in the wrong place.
    refuse_unused(&root().ignore_errors(true).try_get_matches_from(words)?)?;
    refuse_clashes(words)?;
    let command = command();
    let matches = command.clone().try_get_matches_from(words);
    let matches = matches.map_err(|error| settings::named(error, &command, words))?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    refuse_contradiction(&cli)?;
    if asks_toggl(cli.command.as_ref()) {
        let checked = cli.common.toggl.check();
        checked.map_err(|error| Error::raw(ErrorKind::ValueValidation, format!("{error}\n")))?;
    }
    if let Some(Chosen::Schedule(schedule)) = &mut cli.command {
        schedule.arguments = arguments_of_run(&matches, &schedule.arguments)?;
        schedule.verification = arguments_of_run(&matches, &["verify".into()])?;
        let run = parse(&as_words(&schedule.arguments))?;
        schedule.credentials = Some(run.common.credentials.clone());
        if schedule.is_auto() {
            schedule.auto = Some(Box::new(auto_runs(&schedule.arguments, run)?));
        }
    }
    Ok(cli)
}

/// Clap would take the time for a command.
fn refuse_separate_wait(words: &[OsString]) -> Result<(), Error> {
    let separate = words.windows(2).find_map(|words| match words {
        [flag, time] if flag == "--wait" => time.to_str().filter(|time| wait(time).is_ok()),
        _ => None,
    });
    separate.map_or(Ok(()), |time| {
        let words = format!("`--wait {time}` needs an equals sign: write --wait={time}\n");
        Err(Error::raw(ErrorKind::NoEquals, words))
    })
}

/// What the runs of `schedule auto` are given: what a sync is told, and of that to the others what holds for every
/// command.
fn auto_runs(sync: &[OsString], run: Cli) -> Result<AutoRuns, Error> {
    if run.command.is_some() {
        let words = "`fetcher schedule auto` chooses the commands itself: behind `--` stands what a sync is given, as \
                     --days 7\n";
        return Err(Error::raw(ErrorKind::ArgumentConflict, words));
    }
    let given = root().try_get_matches_from(as_words(sync))?;
    let command = |words: &[OsString]| arguments_of_run(&given, words);
    let team = AutoRuns::team_words(run.sync.team);
    Ok(AutoRuns {
        sync: sync.to_vec(),
        changes: command(&["changes".into()])?,
        lists: command(&["changes".into(), "--lists".into()])?,
        verify: command(&["verify".into(), AutoRuns::KNOWN_OWNER.into()])?,
        team: team.map(|words| command(&words)).transpose()?,
        common: run.common,
    })
}

fn asks_toggl(command: Option<&Chosen>) -> bool {
    !matches!(
        command,
        Some(
            Chosen::Manual(_)
                | Chosen::Credentials(credentials::Command::Show | credentials::Command::Remove)
        )
    )
}

fn as_words(arguments: &[OsString]) -> Vec<OsString> {
    std::iter::once("fetcher".into()).chain(arguments.iter().cloned()).collect()
}

/// The flags that the schedule was given, then what each run is given; where both name a flag, the
/// run's own counts.
fn arguments_of_run(schedule: &ArgMatches, own: &[OsString]) -> Result<Vec<OsString>, Error> {
    let command = root();
    // Their mistakes are found when all are read together: a flag may need one of the others.
    let run = command.clone().ignore_errors(true).try_get_matches_from(as_words(own))?;
    let flags = command
        .get_arguments()
        .filter(|arg| arg.is_global_set() && is_given(schedule, arg) && !is_given(&run, arg));
    Ok(flags.flat_map(|flag| written(flag, schedule)).chain(own.iter().cloned()).collect())
}

fn is_given(matches: &ArgMatches, arg: &Arg) -> bool {
    matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
}

/// A flag as it may be written again, once for each of its values.
fn written(flag: &Arg, matches: &ArgMatches) -> Vec<OsString> {
    let name = OsString::from(format!("--{}", long(flag)));
    if !flag.get_action().takes_values() {
        return vec![name];
    }
    let values = matches.get_raw(flag.get_id().as_str()).into_iter().flatten();
    let word = |value| {
        let mut word = name.clone();
        word.push("=");
        word.push(value);
        word
    };
    values.map(word).collect()
}

fn long(flag: &Arg) -> &str {
    flag.get_long().unwrap_or_else(|| flag.get_id().as_str())
}

fn refuse_unused(matches: &ArgMatches) -> Result<(), Error> {
    let root = root();
    let (mut command, mut name, mut below) = (&root, String::new(), matches);
    while let Some((next, inner)) = below.subcommand() {
        let Some(chosen) = command.find_subcommand(next) else { break };
        (command, below) = (chosen, inner);
        name = if name.is_empty() { next.to_owned() } else { format!("{name} {next}") };
    }
    if name.is_empty() {
        return Ok(());
    }
    let given = root.get_arguments().filter(|arg| is_given(matches, arg));
    let unused: Vec<&Arg> = given.filter(|arg| !is_used(&name, arg.get_id().as_str())).collect();
    if unused.is_empty() {
        return Ok(());
    }
    let words = advice(command, &name, &unused, matches);
    Err(Error::raw(ErrorKind::ArgumentConflict, format!("{words}\n")))
}

/// Clap sees no clash of what stands before a command with what stands behind it: of the same flag it
/// takes the second, of two that exclude each other both.
fn refuse_clashes(words: &[OsString]) -> Result<(), Error> {
    let root = root();
    let global = global(&root);
    let matches = apart(root.clone(), &global).ignore_errors(true).try_get_matches_from(words)?;
    let (mut name, mut levels) = ("", vec![&matches]);
    while let Some((next, below)) = levels.last().and_then(|matches| matches.subcommand()) {
        levels.push(below);
        name = next;
    }
    let places = |flag: &Arg| levels.iter().filter(|matches| is_given(matches, flag)).count();
    let clash = |flag: &Arg| {
        let name_of = |flag: &Arg| format!("--{}", long(flag));
        match places(flag) {
            0 => None,
            1 => {
                let excluded = root.get_arg_conflicts_with(flag);
                let other = excluded.into_iter().find(|other| places(other) > 0)?;
                Some(format!("{} excludes {}", name_of(flag), name_of(other)))
            }
            _ => Some(format!("{} stands before `{name}` and behind it", name_of(flag))),
        }
    };
    global.iter().find_map(clash).map_or(Ok(()), |clash| {
        let words = format!("{clash}: write `fetcher … {name}` with one of them\n");
        Err(Error::raw(ErrorKind::ArgumentConflict, words))
    })
}

/// Of what is set in different places, flags or variables, one may exclude the other.
fn refuse_contradiction(cli: &Cli) -> Result<(), Error> {
    let logs_in = !matches!(cli.command, Some(Chosen::Credentials(_) | Chosen::Manual(_)));
    let contradiction = cli.common.credentials.contradiction().filter(|_| logs_in);
    contradiction.map_or(Ok(()), |words| {
        let words = format!("{words}: write `fetcher …` with one of them\n");
        Err(Error::raw(ErrorKind::ArgumentConflict, words))
    })
}

/// The same command line, with flags that count only where they stand.
fn apart(command: Command, global: &[Arg]) -> Command {
    let known: Vec<_> = command.get_arguments().map(|arg| arg.get_id().clone()).collect();
    let missing = global.iter().filter(|flag| !known.contains(flag.get_id()));
    command
        .args(missing.cloned())
        .mut_args(|arg| arg.global(false))
        .mut_subcommands(|below| apart(below, global))
}

/// What to write instead.
fn advice(command: &Command, name: &str, unused: &[&Arg], matches: &ArgMatches) -> String {
    let flags: Vec<_> = unused.iter().map(|flag| format!("--{}", long(flag))).collect();
    let flags = flags.join(", ");
    // Of those, only what a sync reads is shown with its value: none of them is a secret.
    let own = |flag: &&&Arg| {
        let is_same = |own: &Arg| own.get_long() == flag.get_long() && !flag.is_global_set();
        command.get_arguments().any(is_same)
    };
    if name == SCHEDULE {
        let run: Vec<_> = unused.iter().map(|flag| shown(flag, matches)).collect();
        return format!(
            "{flags} before `schedule` would not reach its runs: write `fetcher schedule '…' -- {}`",
            run.join(" ")
        );
    }
    if let Some(flag) = unused.iter().find(own) {
        let flag = shown(flag, matches);
        return format!("{flag} belongs behind the command: write `fetcher {name} {flag}`");
    }
    if name == "credentials set" && flags == "--api-token-file" {
        return format!("`fetcher {name}` makes no use of {flags}: write `fetcher {name} < FILE`");
    }
    format!("`fetcher {name}` makes no use of {flags}: write `fetcher {name}` without")
}

fn shown(flag: &Arg, matches: &ArgMatches) -> String {
    let values = matches.get_raw(flag.get_id().as_str()).into_iter().flatten();
    let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
    format!("--{} {}", long(flag), values.join(","))
}

#[cfg(test)]
mod tests;
