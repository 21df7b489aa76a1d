//! What is written on: how wide it is, and whether it shows colours.

use std::env;
use std::io::IsTerminal as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Where nothing says how wide it is.
const COLUMNS: usize = 80;
/// Lines are no longer than this, however wide the window.
const MOST_COLUMNS: usize = 110;

/// The colours that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// None: a file, `NO_COLOR`, a terminal that says it is dumb.
    None,
    /// The 256 of nearly every terminal.
    Few,
    /// All of them, 8 bits for red, green and blue.
    All,
}

/// Where the lines go.
#[derive(Debug, Clone, Copy)]
pub struct Paper {
    /// Cells in a line.
    pub columns: usize,
    /// Its colours.
    pub ink: Ink,
}

impl Paper {
    /// Standard output.
    pub fn of_stdout() -> Self {
        let size = terminal_size::terminal_size_of(stdout());
        let columns = size.map_or(COLUMNS, |(width, _)| usize::from(width.0)).min(MOST_COLUMNS);
        Self { columns, ink: ink() }
    }

    /// The text in a colour such as `#0b83d9`; as it is where there are no colours, or that is none.
    pub fn painted(self, text: &str, color: &str) -> String {
        let Some((red, green, blue)) =
            channels(color).filter(|_| self.ink != Ink::None && !text.is_empty())
        else {
            return text.to_owned();
        };
        if self.ink == Ink::All {
            return format!("\u{1b}[38;2;{red};{green};{blue}m{text}\u{1b}[0m");
        }
        let step = |channel: u8| (u16::from(channel) * 5 + 127) / 255;
        let number = 16 + 36 * step(red) + 6 * step(green) + step(blue);
        format!("\u{1b}[38;5;{number}m{text}\u{1b}[0m")
    }

    /// The text as a heading.
    pub fn bold(self, text: &str) -> String {
        self.styled(text, 1)
    }

    /// The text as what matters less.
    pub fn dim(self, text: &str) -> String {
        self.styled(text, 2)
    }

    fn styled(self, text: &str, style: u8) -> String {
        if self.ink == Ink::None {
            return text.to_owned();
        }
        format!("\u{1b}[{style}m{text}\u{1b}[0m")
    }
}

fn ink() -> Ink {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
    if !stdout().is_terminal() || is_set("NO_COLOR") || is_dumb {
        return Ink::None;
    }
    let depth = env::var_os("COLORTERM").unwrap_or_default();
    if depth == "truecolor" || depth == "24bit" { Ink::All } else { Ink::Few }
}

#[expect(clippy::disallowed_methods, reason = "only to see what it is")]
fn stdout() -> std::io::Stdout {
    std::io::stdout()
}

fn channels(color: &str) -> Option<(u8, u8, u8)> {
    let number =
        u32::from_str_radix(color.strip_prefix('#').filter(|hex| hex.len() == 6)?, 16).ok()?;
    let [_, red, green, blue] = number.to_be_bytes();
    Some((red, green, blue))
}

/// The text in exactly so many cells, without what would move the cursor; what is too long ends with `…`.
pub(super) fn fitted(text: &str, width: usize) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if plain.width() <= width {
        let rest = width - plain.width();
        return format!("{plain}{}", " ".repeat(rest));
    }
    let mut short = String::new();
    let mut taken = 0;
    for c in plain.chars() {
        let cells = c.width().unwrap_or(0);
        if taken + cells + 1 > width {
            break;
        }
        short.push(c);
        taken += cells;
    }
    let rest = width.saturating_sub(taken + 1);
    format!("{short}…{}", " ".repeat(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_takes_exactly_its_cells_whatever_is_in_it() {
        for text in [
            "",
            "short",
            "a long text that has to be cut",
            "数据数据数据数据",
            "🚀 Launch",
            "a\u{1b}[2Jb\tc\n",
        ] {
            let fitted = fitted(text, 9);
            assert_eq!(fitted.width(), 9, "{fitted:?}");
            assert!(!fitted.chars().any(char::is_control), "{fitted:?}");
        }
    }

    #[test]
    fn without_ink_nothing_is_painted_and_with_it_the_nearest_colour_is() {
        let paper = |ink| Paper { columns: 80, ink };
        assert_eq!(paper(Ink::None).painted("x", "#0b83d9"), "x");
        assert_eq!(paper(Ink::None).bold("x"), "x");
        assert_eq!(paper(Ink::All).painted("x", "#0b83d9"), "\u{1b}[38;2;11;131;217mx\u{1b}[0m");
        assert_eq!(paper(Ink::Few).painted("x", "#ff0000"), "\u{1b}[38;5;196mx\u{1b}[0m");
        assert_eq!(paper(Ink::All).painted("x", "red\u{1b}"), "x");
    }
}
