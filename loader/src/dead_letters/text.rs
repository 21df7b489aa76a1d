//! Text from outside on its way to a terminal.

use jiff_sqlx::Timestamp;

/// One line that does to a terminal what text does: everything else is escaped.
pub(crate) fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut line, c| {
        if is_harmless(c) {
            line.push(c);
        } else {
            line.extend(c.escape_default());
        }
        line
    })
}

/// Neither a control character nor one that changes the direction of writing.
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line of so many characters at most.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let line = escaped(text);
    if line.chars().count() <= most {
        return line;
    }
    let mut start: String = line.chars().take(most.saturating_sub(1)).collect();
    start.push('…');
    start
}

/// Escaped line by line, each indented, so that no line can be taken for one of ours.
pub(crate) fn indented(text: &str) -> String {
    text.split('\n').fold(String::new(), |mut lines, line| {
        lines.push_str("    ");
        lines.push_str(&escaped(line));
        lines.push('\n');
        lines
    })
}

/// The first of the bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8], most: usize) -> String {
    let digits = bytes.iter().take(most).flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.filter_map(|digit| char::from_digit(digit.into(), 16));
    digits.chain((bytes.len() > most).then_some('…')).collect()
}

/// In UTC, to the second.
pub(super) fn time(time: Timestamp) -> String {
    time.to_jiff().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_move_the_cursor_or_turn_the_line_is_escaped() {
        assert_eq!(escaped("a\u{1b}[2J\r\n\tb\u{9b}\0"), r"a\u{1b}[2J\r\n\tb\u{9b}\u{0}");
        assert_eq!(escaped("a\u{202e}b"), r"a\u{202e}b");
        assert_eq!(escaped("Ünï \"cöde\" 🚀 \\"), "Ünï \"cöde\" 🚀 \\");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äö…");
    }

    #[test]
    fn no_line_of_a_payload_begins_where_ours_do() {
        assert_eq!(indented("{\n  reason\r}"), "    {\n      reason\\r}\n");
    }

    #[test]
    fn hexadecimal_digits_end_with_an_ellipsis_where_there_is_more() {
        assert_eq!(hex(b"\x00\xffa", 3), "00ff61");
        assert_eq!(hex(b"\x00\xffa", 2), "00ff…");
    }
}
