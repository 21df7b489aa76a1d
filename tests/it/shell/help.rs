//! What the programs say of themselves: help, completions, man pages.

use clap::{Command, CommandFactory as _};
use tests::workers::Worker;

/// Columns at which clap breaks lines at most, as `Cli` says.
const HELP_WIDTH: usize = 100;

fn programs() -> [(&'static str, Command); 2] {
    [("fetcher", fetcher::cli::Cli::command()), ("loader", loader::cli::Cli::command())]
}

/// A command and everything below it, by their whole names.
fn all(name: &str, command: &Command) -> Vec<(String, Command)> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    let below = below.flat_map(|below| all(&format!("{name} {}", below.get_name()), below));
    std::iter::once((name.to_owned(), command.clone())).chain(below).collect()
}

#[test]
fn the_help_of_every_command_has_examples_that_the_command_line_takes() {
    for (program, command) in programs() {
        let commands = all(program, &command);
        assert!(commands.len() > 8, "{commands:?}");
        for (name, command) in commands {
            // Lines as they were written, however narrow a terminal is.
            let help = command.term_width(0).render_long_help().to_string();
            let (_, examples) =
                help.split_once("Examples:\n").unwrap_or_else(|| panic!("{name} has no examples"));
            let wide = examples.lines().find(|line| line.chars().count() > HELP_WIDTH);
            assert_eq!(wide, None, "{name}: it would be broken at the wrong place");
            let examples: Vec<&str> =
                examples.lines().take_while(|line| !line.is_empty()).collect();
            assert!(examples.iter().any(|line| line.contains(&name)), "{name}: {examples:#?}");
            for example in examples {
                assert_taken(example);
            }
        }
    }
}

/// Words of an example: without what stands before the program, and from a pipe or a remark on.
fn assert_taken(example: &str) {
    let words: Vec<&str> = example.split_whitespace().collect();
    let is_program = |word: &&str| matches!(*word, "fetcher" | "loader");
    let Some(start) = words.iter().position(is_program) else {
        panic!("{example:?} names no program");
    };
    // A remark is set off by several spaces.
    let line = example.trim_start().split_once("  ").map_or(example, |(command, _)| command);
    let end = line.split_whitespace().count().min(words.len());
    let end = words[..end]
        .iter()
        .position(|word| word.starts_with(['|', '<', '>', '&']))
        .map_or(end, |cut| cut.min(end));
    let words = words[start..end].iter().map(|word| word.trim_matches('\''));
    let text = words.collect::<Vec<_>>();
    // A quoted argument of several words is put together again.
    let joined = text.join(" ");
    let quoted = example.split('\'').nth(1).filter(|quoted| quoted.contains(' '));
    let quoted = quoted.filter(|quoted| joined.contains(quoted));
    let arguments: Vec<String> = match quoted {
        Some(quoted) => {
            let (before, after) = joined.split_once(quoted).unwrap();
            let split = |part: &str| part.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            [split(before), vec![quoted.to_owned()], split(after)].concat()
        }
        None => text.into_iter().map(str::to_owned).collect(),
    };
    let (_, command) =
        programs().into_iter().find(|(program, _)| *program == arguments[0]).unwrap();
    if let Err(error) = command.try_get_matches_from(&arguments) {
        panic!("{example:?} is refused: {error}");
    }
}

#[tokio::test]
async fn the_short_help_has_the_usual_settings_and_the_long_one_all_under_fitting_headings() {
    for (program, own) in [("fetcher", "--wait"), ("loader", "--writers")] {
        let short = Worker::new(program, &["-h"]).run().await.unwrap().stdout;
        assert!(short.contains(own) && short.contains("--help"), "{short}");
        assert!(!short.contains("--nats-cert") && !short.contains("--stream-max-age"), "{short}");
        let long = Worker::new(program, &["--help"]).run().await.unwrap().stdout;
        assert!(long.contains("--nats-cert") && long.contains("--stream-max-age"), "{long}");
    }
    let long = Worker::new("fetcher", &["report", "--help"]).run().await.unwrap().stdout;
    let at = |words: &str| long.find(words).unwrap_or_else(|| panic!("{words} is not in {long}"));
    assert!(at("--from") < at("--nats-url") && at("--from") < at("--wait"), "{long}");
    let (logging, run) = (at("\nLogging:"), at("\nRun:"));
    for flag in ["--wait", "--if-running"] {
        assert!(at(flag) > run && (run > logging || at(flag) < logging), "{long}");
    }
}

#[tokio::test]
async fn completions_and_man_pages_are_printed_and_need_no_setting() {
    for program in ["fetcher", "loader"] {
        for shell in ["bash", "zsh", "fish"] {
            let finished = Worker::new(program, &["completions", shell]).run().await.unwrap();
            assert_eq!(finished.code, Some(0), "{finished:#?}");
            assert!(finished.stdout.contains("nats-url"), "{shell}: {}", finished.stdout);
        }
        let page = Worker::new(program, &["man"]).run().await.unwrap();
        assert_eq!(page.code, Some(0), "{page:#?}");
        for words in [".TH", "NATS_URL", "Exit codes"] {
            assert!(page.stdout.contains(words), "{words} is not in {}", page.stdout);
        }
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().to_str().unwrap();
        let pages = Worker::new(program, &["man", to]).run().await.unwrap();
        assert_eq!(pages.code, Some(0), "{pages:#?}");
        let names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(names.contains(&format!("{program}-check.1")), "{names:?}");
    }
}

#[tokio::test]
async fn a_man_page_tells_no_value_of_a_setting() {
    for program in ["fetcher", "loader"] {
        let man = Worker::new(program, &["man"])
            .env("DATABASE_URL", "postgres://u:hunter2@localhost/x")
            .env("NATS_PASSWORD", "hunter2")
            .env("NATS_USER", "hunter2");
        assert!(!man.run().await.unwrap().stdout.contains("hunter2"));
    }
}
