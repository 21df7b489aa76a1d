//! README.md and the pages of `docs/`: short lines, links that lead somewhere, and nothing that is shown
//! but not run by a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use shared::catalogue::CATALOGUE;
use sqlx::{Executor as _, SqlSafeStr as _, Statement as _};
use tests::toggl::Account;
use tests::world::World;

/// What tells people how to use it.
pub(crate) const PAGES: [(&str, &str); 23] = [
    ("README.md", include_str!("../../../README.md")),
    ("docs/credentials.md", include_str!("../../../docs/credentials.md")),
    ("docs/databases.md", include_str!("../../../docs/databases.md")),
    ("docs/dbt.md", include_str!("../../../docs/dbt.md")),
    ("docs/dead-letters.md", include_str!("../../../docs/dead-letters.md")),
    ("docs/guarantees.md", include_str!("../../../docs/guarantees.md")),
    ("docs/history.md", include_str!("../../../docs/history.md")),
    ("docs/hours.md", include_str!("../../../docs/hours.md")),
    ("docs/keeping-less.md", include_str!("../../../docs/keeping-less.md")),
    ("docs/listen.md", include_str!("../../../docs/listen.md")),
    ("docs/providers.md", include_str!("../../../docs/providers.md")),
    ("docs/questions.md", include_str!("../../../docs/questions.md")),
    ("docs/replay.md", include_str!("../../../docs/replay.md")),
    ("docs/rights.md", include_str!("../../../docs/rights.md")),
    ("docs/running.md", include_str!("../../../docs/running.md")),
    ("docs/scale.md", include_str!("../../../docs/scale.md")),
    ("docs/settings.md", include_str!("../../../docs/settings.md")),
    ("docs/speed.md", include_str!("../../../docs/speed.md")),
    ("docs/syncing.md", include_str!("../../../docs/syncing.md")),
    ("docs/tables.md", include_str!("../../../docs/tables.md")),
    ("docs/trouble.md", include_str!("../../../docs/trouble.md")),
    ("docs/verify.md", include_str!("../../../docs/verify.md")),
    ("docs/watching.md", include_str!("../../../docs/watching.md")),
];
/// What tells of the project itself.
const OTHERS: [(&str, &str); 4] = [
    ("CHANGELOG.md", include_str!("../../../CHANGELOG.md")),
    ("CONTRIBUTING.md", include_str!("../../../CONTRIBUTING.md")),
    ("SECURITY.md", include_str!("../../../SECURITY.md")),
    ("tests/fixtures/SOURCES.md", include_str!("../../fixtures/SOURCES.md")),
];
const PROVE: &str = include_str!("../../compose/prove.sh");
const CI: &str = include_str!("../../../.ci/run");

const README_WORDS: usize = 1_500;
const LINE_CHARACTERS: usize = 120;

/// What stands between fences of this language in the pages.
pub(crate) fn blocks(language: &str) -> Vec<&'static str> {
    PAGES.iter().flat_map(|(_, text)| blocks_of(text, language)).collect()
}

fn blocks_of(text: &'static str, language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The page of this name.
pub(crate) fn page(name: &str) -> &'static str {
    let page = PAGES.iter().chain(&OTHERS).find(|(of, _)| *of == name);
    page.unwrap_or_else(|| panic!("there is no page {name}")).1
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let readme = page("README.md");
    let words = readme.split_whitespace().count();
    assert!(words <= README_WORDS, "the README has {words} words");
    let known: BTreeSet<String> = PAGES.iter().map(|(name, _)| (*name).to_owned()).collect();
    for entry in fs::read_dir(repository().join("docs")).unwrap() {
        let entry = entry.unwrap();
        let name = format!("docs/{}", entry.file_name().into_string().unwrap());
        if Path::new(&name).extension().is_some_and(|ending| ending == "png") {
            // A picture is of a page.
            assert!(PAGES.iter().any(|(_, text)| text.contains(&name)), "no page shows {name}");
            continue;
        }
        if entry.path().is_dir() {
            // What is there to be copied is told by the page of its name.
            assert!(known.contains(&format!("{name}.md")), "no page tells of {name}");
            continue;
        }
        assert!(known.contains(&name), "{name} is not among the pages here");
        assert!(readme.contains(&format!("]({name}")), "the README does not lead to {name}");
    }
}

#[test]
fn the_page_about_tables_has_a_row_for_every_resource() {
    for resource in CATALOGUE {
        let row = format!("\n| `raw.{}` |", resource.table());
        assert!(page("docs/tables.md").contains(&row), "no row for {}", resource.name);
    }
}

#[test]
fn no_line_is_too_long_but_in_tables() {
    for (name, text) in PAGES.iter().chain(&OTHERS) {
        for (number, line) in (1..).zip(text.lines()) {
            let is_short = line.chars().count() <= LINE_CHARACTERS;
            let is_row = *name != "README.md" && line.starts_with('|');
            assert!(is_short || is_row, "{name}:{number} is too long: {line}");
            assert_eq!(line, line.trim_end(), "{name}:{number} ends with white space");
        }
    }
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let mut links = 0;
    for (name, text) in PAGES.iter().chain(&OTHERS) {
        let folder = Path::new(name).parent().unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("http") {
                continue;
            }
            links += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let path = match file {
                "" => (*name).to_owned(),
                _ => flattened(&folder.join(file)),
            };
            assert!(repository().join(&path).exists(), "{name}: {link} leads nowhere");
            if !heading.is_empty() {
                let has = page(&path).lines().any(|line| anchor(line).as_deref() == Some(heading));
                assert!(has, "{name}: {link} leads to no heading");
            }
        }
    }
    assert!(links > 50, "{links}");
}

/// Files that a person is to make.
const PLACEHOLDERS: [&str; 2] = ["NAME", "YYYY"];

#[test]
fn files_that_are_named_exist() {
    let mut files = 0;
    for (name, text) in PAGES.iter().chain(&OTHERS) {
        for span in text.split('`').skip(1).step_by(2) {
            let is_path =
                [".rs", ".sql", ".sh", ".yaml", ".md"].iter().any(|end| span.ends_with(end))
                    && span.contains('/')
                    && !span.contains(char::is_whitespace)
                    && !PLACEHOLDERS.iter().any(|placeholder| span.contains(placeholder));
            if is_path {
                files += 1;
                assert!(repository().join(span).exists(), "{name}: there is no {span}");
            }
        }
    }
    assert!(files > 20, "{files}");
}

/// `docs/../README.md` as `README.md`.
fn flattened(path: &Path) -> String {
    let mut parts = Vec::new();
    for part in path.to_str().unwrap().split('/') {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// What a link to this heading says behind its `#`.
fn anchor(line: &str) -> Option<String> {
    let heading =
        line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))?;
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
}

#[test]
fn every_block_is_run_by_a_test_or_by_the_script_for_docker() {
    let covered = [
        "cargo test --workspace",
        "docker compose",
        "nats-server",
        "fetcher completions",
        "fetcher credentials",
        "fetcher --only",
        "loader dead-letters",
        "loader explain",
        "loader forget",
        "loader hours",
        "loader prune",
        "loader replay",
        "DATABASE_URL=",
        // `answers::dbt` runs them.
        "dbt build",
        "dbt test",
        // `deployment` runs it.
        "sudo deploy/install",
    ];
    for block in blocks("sh") {
        let is_covered = |start: &&str| block.lines().any(|line| line.starts_with(*start));
        assert!(covered.iter().any(is_covered), "nobody runs {block}");
    }
    assert!(CI.contains("cargo test --workspace"), "who runs it?");
    assert!(PROVE.contains("documented_commands"), "who runs the commands for Docker?");
    let dbt = include_str!("../answers/dbt.rs");
    assert!(dbt.contains("blocks(\"sh\")"), "who runs it?");
    let install = include_str!("deployment.rs");
    assert!(install.contains("deploy/install"), "who runs it?");
}

#[tokio::test]
async fn the_answers_that_are_shown_have_the_columns_of_their_questions() {
    let world = World::start(Account::empty()).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let mut answers = 0;
    for (name, text) in PAGES {
        for rest in text.split("```sql\n").skip(1) {
            let (question, rest) = rest.split_once("```").unwrap();
            let Some(answer) = rest.strip_prefix("\n\n```text\n") else { continue };
            let shown: Vec<&str> =
                answer.lines().next().unwrap().split('|').map(str::trim).collect();
            let statement = connection.prepare(question.into_sql_str()).await;
            let statement = statement.unwrap_or_else(|error| panic!("{name}: {error}: {question}"));
            let columns: Vec<&str> = statement.columns().iter().map(sqlx::Column::name).collect();
            assert_eq!(shown, columns, "{name}: {question}");
            answers += 1;
        }
    }
    assert!(answers >= 6, "{answers}");
}
