//! Prints a report in the form that was asked for, and makes an answer of it.

use super::Answer;
use crate::cli::ReportFormat;
use crate::report::{Html, Junit, Outcome, Report, Topic};

pub(super) fn print<T: Topic>(report: &Report<T>, format: ReportFormat) -> Answer {
    let reports = std::slice::from_ref(report);
    match format {
        ReportFormat::Human => anstream::print!("{report}"),
        ReportFormat::Html => anstream::print!("{}", Html { lead: &[], reports }),
        ReportFormat::Junit => anstream::print!("{}", Junit(reports)),
        ReportFormat::Json => anstream::println!("{}", super::json(report)),
    }
    answer(report.outcome)
}

pub(super) fn answer(outcome: Outcome) -> Answer {
    if outcome == Outcome::Broken { Answer::No } else { Answer::Yes }
}
