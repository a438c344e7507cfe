//! Indentation: tabs, lines too deep, lines that fit nowhere.

use crate::diagnostic::{Diagnostic, codes, quote};

use super::lines::Line;
use super::{Complaint, Explanation};

/// A tab before the first character of a line.
pub(super) fn tab(complaint: &Complaint<'_>) -> Option<Explanation> {
    let has_tab = |line: &Line<'_>| line.text[..line.indent()].contains('\t');
    if !complaint.near.iter().take(2).any(has_tab) {
        return None;
    }
    let tabbed: Vec<Line<'_>> = super::lines_to(complaint.text, complaint.text.len())
        .into_iter()
        .filter(|line| has_tab(line) && !line.is_blank())
        .collect();
    let first = tabbed.first()?;
    let start = first.text.find('\t')?;
    let message = match tabbed.len() {
        1 => "a tab is used to indent; use spaces".to_owned(),
        2 => "a tab is used to indent, here and in another line; use spaces".to_owned(),
        count => format!("a tab is used to indent, here and in {} more lines; use spaces", count - 1),
    };
    let place = first.start + start..first.start + first.indent();
    let diagnostic = Diagnostic::new(&codes::YAML_TAB, "", place, message)
        .help("YAML knows only spaces as indentation, two for each level");
    // Where nothing but tabs indents, a space for each keeps the levels; a mixture has to be left out.
    let leave_out = |line: &Line<'_>| {
        let indent = &line.text[..line.indent()];
        if indent.bytes().all(|byte| byte == b'\t') { line.start..line.start + indent.len() } else { line.all() }
    };
    Some(Explanation { diagnostic, leave_out: tabbed.iter().map(leave_out).collect(), sure: true })
}

/// A key below a key that has a value already, but deeper.
pub(super) fn too_deep(complaint: &Complaint<'_>) -> Option<Explanation> {
    if !complaint.says("mapping values are not allowed") {
        return None;
    }
    let [line, above, ..] = complaint.near.as_slice() else { return None };
    let (key, value) = above.key()?;
    let (below, _) = line.key()?;
    if value.is_empty() || value.starts_with(['#', '&', '|', '>']) || line.indent() <= above.body_column() {
        return None;
    }
    let column = above.body_column() + 1;
    let message =
        format!("{} is indented deeper than {} above it, which has a value already", quote(below), quote(key));
    let diagnostic = Diagnostic::new(&codes::YAML_INDENT, "", line.body_part(0..below.len()), message)
        .also(above.body_part(0..key.len()), format!("begins in column {column}"))
        .help(format!("begin {below} in column {column} as well"));
    Some(Explanation::sure(complaint, line, diagnostic))
}

/// `-80`: a dash without a blank is part of the word behind it.
pub(super) fn dash(complaint: &Complaint<'_>) -> Option<Explanation> {
    let is_dash = |line: &&Line<'_>| {
        let text = line.text.trim();
        text.len() > 1 && text.starts_with('-') && !text.starts_with("- ") && !text.starts_with("--")
    };
    let line = complaint.near.iter().find(is_dash)?;
    let body = line.text.trim();
    let place = line.start + line.indent()..line.start + line.indent() + 1;
    let diagnostic = Diagnostic::new(&codes::YAML_DASH, "", place, "a blank is missing behind the dash")
        .help(format!("write - {}", &body[1..]));
    Some(Explanation::sure(complaint, line, diagnostic))
}

/// A line whose column fits none of the lines above.
pub(super) fn misaligned(complaint: &Complaint<'_>) -> Option<Explanation> {
    let line = complaint.near.first()?;
    let above = complaint.near.get(1)?;
    if let Some(text_block) = text_block(complaint) {
        return Some(text_block);
    }
    if complaint.says("'-' indicator") || (line.is_item() && !above.is_item() && complaint.says("expected key")) {
        return Some(mixed(complaint, line, above));
    }
    if !(complaint.says("expected key") || complaint.says("invalid indentation")) {
        return None;
    }
    let mut columns: Vec<usize> = Vec::new();
    for line in complaint.lines.iter().rev().skip(1).filter(|line| !line.is_blank()).take(200) {
        for column in [line.body_column(), line.indent()] {
            if columns.last().is_none_or(|last| column < *last) {
                columns.push(column);
            }
        }
    }
    if columns.contains(&line.indent()) {
        return None;
    }
    let fitting: Vec<String> = columns.iter().rev().map(|column| (column + 1).to_string()).collect();
    let message = format!("the line begins in column {}, where nothing above it does", line.indent() + 1);
    let diagnostic = Diagnostic::new(&codes::YAML_INDENT, "", line.whole(), message)
        .help(format!("columns that fit: {}", fitting.join(", ")));
    Some(Explanation::sure(complaint, line, diagnostic))
}

/// `command: |` with lines below it that are not deeper.
fn text_block(complaint: &Complaint<'_>) -> Option<Explanation> {
    let at = complaint
        .near
        .iter()
        .position(|line| line.key().is_some_and(|(_, value)| matches!(value, "|" | ">" | "|-" | ">-")))?;
    let (head, line) = (&complaint.near[at], complaint.near.get(at.checked_sub(1)?)?);
    let (key, _) = head.key()?;
    if line.indent() > head.body_column() {
        return None;
    }
    let message = format!("the text of {key} has to be indented deeper than {key}");
    let diagnostic =
        Diagnostic::new(&codes::YAML_INDENT, "", line.whole(), message).also(head.body_span(), "opens a text block");
    let diagnostic = diagnostic.help(format!("begin its lines in column {} or later", head.body_column() + 2));
    Some(Explanation::sure(complaint, line, diagnostic))
}

/// A list item and a key side by side.
fn mixed(complaint: &Complaint<'_>, line: &Line<'_>, above: &Line<'_>) -> Explanation {
    let what = |line: &Line<'_>| if line.is_item() { "an item of a list" } else { "a key" };
    let message = format!("{} stands beside {}", what(line), what(above));
    let diagnostic = Diagnostic::new(&codes::YAML_INDENT, "", line.whole(), message)
        .also(above.whole(), "")
        .help("a value is a list or a map: indent the line deeper, or less, or remove or add a dash");
    Explanation::sure(complaint, line, diagnostic)
}
