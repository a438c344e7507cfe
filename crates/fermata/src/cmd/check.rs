//! `fermata check`: everything that is wrong with files, for people and for programs.

use std::fmt::Write;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use fermata_spec::diagnostic::codes::{self, Code};
use fermata_spec::diagnostic::render::{Checked, github, json, sarif};
use fermata_spec::{Outcome, Severity, SourceText};

use super::{Answer, Failure, file};
use crate::cli::{Check, CheckFormat};
use fermata_spec::balancers::{self, BALANCERS, Balancer};

/// A file that was read, with what there is to say about it.
struct Read {
    name: String,
    text: String,
    outcome: Outcome,
}

/// Runs it.
pub fn run(args: &Check) -> Result<Answer, Failure> {
    if let Some(name) = &args.explain {
        anstream::print!("{}", explain(find(name)?));
        return Ok(Answer::Yes);
    }
    let paths = if args.files.is_empty() { vec![file::find(None)?] } else { args.files.clone() };
    let behind = args.behind.as_deref().map(named).transpose()?;
    let files: Vec<Read> = paths.iter().map(|path| read(path, behind, args.strict)).collect::<Result<_, _>>()?;
    anstream::print!("{}", report(&files, args.format));
    let accepted = files.iter().all(|file| file.outcome.spec.is_some());
    Ok(if accepted { Answer::Yes } else { Answer::No })
}

fn named(name: &str) -> Result<&'static Balancer, Failure> {
    balancers::balancer(name).ok_or_else(|| {
        let names: Vec<&str> = BALANCERS.iter().map(|balancer| balancer.name).collect();
        Failure::Usage(format!("\"{name}\" is not a load balancer that is known; those are: {}", names.join(", ")))
    })
}

fn read(path: &Path, behind: Option<&Balancer>, strict: bool) -> Result<Read, Failure> {
    let text = file::read(path)?;
    let mut outcome = fermata_spec::read(&text);
    if let (Some(balancer), Some(spec)) = (behind, &outcome.spec) {
        let judged = balancers::judge(balancer, spec);
        let refused = judged.iter().any(|said| said.severity == Severity::Error);
        outcome.diagnostics.extend(judged);
        outcome.diagnostics.sort_by_key(|said| said.places.first().map_or(0, |place| place.span.start));
        outcome.spec = outcome.spec.filter(|_| !refused);
    }
    Ok(Read { name: path.display().to_string(), text, outcome: if strict { outcome.strict() } else { outcome } })
}

/// The whole answer.
fn report(files: &[Read], format: CheckFormat) -> String {
    let sources: Vec<SourceText<'_>> = files.iter().map(|file| SourceText::new(&file.name, &file.text)).collect();
    let pairs = files.iter().zip(&sources);
    let checked: Vec<Checked<'_>> =
        pairs.map(|(file, source)| Checked { source, diagnostics: &file.outcome.diagnostics }).collect();
    match format {
        CheckFormat::Human => files.iter().zip(&checked).map(|(file, checked)| human(file, checked)).collect(),
        CheckFormat::Json => super::json(&json(&checked)) + "\n",
        CheckFormat::Sarif => super::json(&sarif(&checked, env!("CARGO_PKG_VERSION"))) + "\n",
        CheckFormat::Github => github(&checked),
    }
}

/// Every diagnostic, and a line that sums them up. Colours are taken out again where there is no terminal.
fn human(file: &Read, checked: &Checked<'_>) -> String {
    let mut text = String::new();
    for diagnostic in checked.diagnostics {
        text.push_str(&checked.source.render(diagnostic, true));
        text.push('\n');
    }
    let counts = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let counts: Vec<String> =
        counts.iter().filter_map(|(severity, word)| several(file.outcome.count(*severity), word)).collect();
    let counts = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
    let (style, verdict) = match file.outcome.spec {
        Some(_) => (color(AnsiColor::Green), "ok"),
        None => (color(AnsiColor::Red), "refused"),
    };
    let _ = writeln!(text, "{} {style}{verdict}{style:#}{counts}", file.name);
    text
}

/// `2 errors`, or nothing for none.
fn several(count: usize, word: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    }
}

fn color(color: AnsiColor) -> Style {
    color.on_default().bold()
}

fn find(name: &str) -> Result<&'static Code, Failure> {
    codes::find(name).ok_or_else(|| {
        let names: Vec<&str> = codes::all().map(|code| code.name).collect();
        Failure::Usage(format!("there is no code {name}; the codes are {}", names.join(", ")))
    })
}

/// What a code means, with a file that has the problem, what is said about it, and the file without it.
fn explain(code: &Code) -> String {
    let bold = Style::new().bold();
    let mut text =
        format!("{bold}{}{bold:#} ({}): {}\n\n{}\n", code.name, code.severity, code.title, wrapped(code.text));
    if code.wrong.is_empty() {
        return text;
    }
    let source = SourceText::new("service.yml", code.wrong);
    let outcome = fermata_spec::read(code.wrong);
    let said = outcome.diagnostics.iter().filter(|said| said.code == code.name);
    let said: String = said.map(|said| source.render(said, true)).collect();
    let _ = write!(text, "\n{bold}Wrong{bold:#}\n\n{}\n{}\n", indented(code.wrong), indented(&said));
    let _ = write!(text, "{bold}Right{bold:#}\n\n{}", indented(code.right));
    text
}

/// In lines of at most 80 columns.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("never empty");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > 80 {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect()
}
