//! An error with its causes, in one line.

use std::error::Error;

/// An error and its causes in one line. A cause whose words stand in the line already, as those of
/// many libraries do, is left out.
pub fn chain(error: &dyn Error) -> String {
    let mut line = words(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = words(error);
        if !line.contains(&words) {
            line = format!("{line}: {words}");
        }
        cause = error.source();
    }
    line.replace('\n', " ")
}

/// Without the line of Postgres' own source code, which sqlx adds behind what Postgres says.
fn words(error: &dyn Error) -> String {
    let words = error.to_string();
    match words.rsplit_once(" at line ") {
        Some((said, line))
            if !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            said.to_owned()
        }
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_postgres_own_source_is_left_out_and_no_other() {
        for (words, line) in [
            ("permission denied for schema raw at line 3655", "permission denied for schema raw"),
            ("EOF while parsing at line 1 column 2", "EOF while parsing at line 1 column 2"),
            ("a train at line ", "a train at line "),
        ] {
            let source: Box<dyn Error + Send + Sync> = words.into();
            let error = anyhow::Error::from_boxed(source).context("could not ask");
            assert_eq!(chain(error.as_ref()), format!("could not ask: {line}"));
        }
    }
}
