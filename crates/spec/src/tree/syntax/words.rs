//! Slips in a value's first characters, and lines that do not belong into any file.

use crate::diagnostic::{Diagnostic, codes, quote};

use super::lines::is_word;
use super::{Complaint, Explanation};

/// Lines that version control left.
pub(super) fn conflict(complaint: &Complaint<'_>) -> Option<Explanation> {
    const MARKS: [&str; 3] = ["<<<<<<< ", "=======", ">>>>>>> "];
    let is_mark = |text: &str| MARKS.iter().any(|mark| text.starts_with(mark));
    complaint.near.iter().find(|line| is_mark(line.text))?;
    let marks = || super::lines_to(complaint.text, complaint.text.len()).into_iter().filter(|line| is_mark(line.text));
    let first = marks().next()?;
    let mut diagnostic =
        Diagnostic::new(&codes::YAML_CONFLICT, "", first.whole(), "a merge conflict is left in the file")
            .help("keep one of the two sides and remove the lines with <<<<<<<, ======= and >>>>>>>");
    for line in marks().skip(1).take(2) {
        diagnostic = diagnostic.also(line.whole(), "");
    }
    Some(Explanation { diagnostic, leave_out: marks().map(|line| line.all()).collect(), sure: true })
}

/// `{{VAR}}-suffix` and `{{STACK[x].VAR}}` without quotes.
pub(super) fn braces(complaint: &Complaint<'_>) -> Option<Explanation> {
    let line = complaint.near.iter().find(|line| {
        let value = line.key().map_or(line.body(), |(_, value)| value);
        value.starts_with("{{") || ["[{{", ", {{", "[ {{"].iter().any(|start| value.contains(start))
    })?;
    let start = line.body().find("{{")?;
    let written = &line.body()[start..];
    let end = written.find([',', ' ']).filter(|_| written.contains(',')).unwrap_or(written.len());
    let (place, written) = (line.body_part(start..start + end), &written[..end]);
    let message = format!("{} has to be quoted, because {{ begins a map in YAML", quote(written));
    let inside = written.strip_prefix("{{").and_then(|rest| rest.split_once("}}"));
    let help = match inside {
        Some((name, "")) => format!("write \"{written}\", or the modern _env({})", name.trim()),
        Some((name, rest)) => format!("write \"{written}\", or the modern _env({}){rest}", name.trim()),
        None => "put the value into double quotes".to_owned(),
    };
    Some(Explanation::sure(complaint, line, Diagnostic::new(&codes::YAML_BRACES, "", place, message).help(help)))
}

/// A value that begins with a character that YAML keeps for itself.
pub(super) fn reserved(complaint: &Complaint<'_>) -> Option<Explanation> {
    if !["unknown anchor", "anchor or alias", "unexpected character", "parsing a tag", "scanning a tag", "a directive"]
        .iter()
        .any(|words| complaint.says(words))
    {
        return None;
    }
    let line = complaint.lines.last()?;
    // An anchor's or tag's complaint stands behind its first character.
    let column = complaint.at.saturating_sub(line.start);
    let start = line.text.get(..=column).unwrap_or(line.text).rfind(['*', '&', '!', '@', '`', '%'])?;
    let rest = &line.text[start..];
    let end = rest.find([',', ']', '}']).filter(|_| line.text[..start].contains(['[', '{'])).unwrap_or(rest.len());
    let written = rest[..end].trim_end();
    let first = written.chars().next()?;
    let place = line.start + start..line.start + start + written.len();
    let anchors = anchors(&complaint.text[..line.start]);
    if first == '*' && is_word(&written[1..]) && !anchors.is_empty() {
        let message = format!("{} repeats an anchor that is not above it", quote(written));
        let known: Vec<String> = anchors.iter().map(|name| format!("&{name}")).collect();
        let help =
            format!("the anchors above are {}; a value that only begins with * has to be quoted", known.join(", "));
        let diagnostic = Diagnostic::new(&codes::YAML_RESERVED, "", place, message).help(help);
        return Some(Explanation::sure(complaint, line, diagnostic));
    }
    let message = format!(
        "{} has to be quoted, because {first} at the beginning of a value means something else in YAML",
        quote(written)
    );
    let diagnostic = Diagnostic::new(&codes::YAML_RESERVED, "", place, message)
        .help(format!("write \"{}\"", written.replace('"', "\\\"")));
    Some(Explanation::sure(complaint, line, diagnostic))
}

/// The names of the first few anchors of a text.
fn anchors(text: &str) -> Vec<&str> {
    let behind_blank = text.match_indices('&').filter(|(at, _)| text[..*at].ends_with([' ', '[', '{']));
    let names =
        behind_blank.map(|(at, _)| text[at + 1..].split([' ', '\n', '\r', ',', ']', '}']).next().unwrap_or_default());
    names.filter(|name| is_word(name)).take(5).collect()
}
