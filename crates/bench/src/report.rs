//! What was seen: as a table, as JSON, as a chart.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::machine::Facts;
use crate::svg;

/// One figure of one workload, of every proxy that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) workload: &'static str,
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) proxies: Vec<Values>,
}

/// The values of one proxy, one of each round.
#[derive(Debug, Serialize)]
pub(crate) struct Values {
    pub(crate) proxy: &'static str,
    pub(crate) median: f64,
    pub(crate) all: Vec<f64>,
}

/// A run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Facts,
    pub(crate) figures: Vec<Figure>,
}

impl Figure {
    /// Adds a value.
    pub(crate) fn note(
        figures: &mut Vec<Figure>,
        workload: &'static str,
        name: &'static str,
        unit: &'static str,
        proxy: &'static str,
        value: f64,
    ) {
        let known = figures.iter().position(|figure| (figure.workload, figure.name) == (workload, name));
        let at = known.unwrap_or_else(|| {
            figures.push(Figure { workload, name, unit, proxies: Vec::new() });
            figures.len() - 1
        });
        let proxies = &mut figures[at].proxies;
        match proxies.iter_mut().find(|values| values.proxy == proxy) {
            Some(values) => {
                values.all.push(value);
                values.median = median(&values.all);
            }
            None => proxies.push(Values { proxy, median: value, all: vec![value] }),
        }
    }

    pub(crate) fn of(&self, proxy: &str) -> Option<f64> {
        self.proxies.iter().find(|values| values.proxy == proxy).map(|values| values.median)
    }

    /// Fermata's value by the floor's, and by the best peer's.
    fn ratios(&self) -> (Option<f64>, Option<f64>) {
        let Some(own) = self.of("fermata") else { return (None, None) };
        let peers = self.proxies.iter().filter(|values| !["fermata", "floor"].contains(&values.proxy));
        let more_is_better = self.unit.ends_with("/s");
        let best = peers.map(|values| values.median).reduce(|a, b| if more_is_better { a.max(b) } else { a.min(b) });
        (self.of("floor").map(|floor| own / floor), best.map(|best| own / best))
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

const PROXIES: [&str; 5] = ["fermata", "floor", "haproxy", "nginx", "caddy"];

impl Report {
    /// For people.
    pub(crate) fn table(&self) -> String {
        let Facts { date, processor, cores, kernel, commit, versions } = &self.machine;
        let mut text = format!(
            "{date}, {processor}, {cores} cores, {kernel}, commit {commit}\n{}\n\n{:<24}{:<18}{:<16}",
            versions.join("\n"),
            "workload",
            "figure",
            "unit"
        );
        let there: Vec<&str> =
            PROXIES.into_iter().filter(|proxy| self.figures.iter().any(|figure| figure.of(proxy).is_some())).collect();
        for proxy in &there {
            let _ = write!(text, "{proxy:>11}");
        }
        let _ = writeln!(text, "{:>11}{:>11}", "÷ floor", "÷ best peer");
        let mut before = "";
        for figure in &self.figures {
            let workload = if figure.workload == before { "" } else { figure.workload };
            before = figure.workload;
            let _ = write!(text, "{workload:<24}{:<18}{:<16}", figure.name, figure.unit);
            for proxy in &there {
                let _ = write!(text, "{:>11}", figure.of(proxy).map_or_else(String::new, number));
            }
            let (floor, peer) = figure.ratios();
            let ratio = |ratio: Option<f64>| ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
            let _ = writeln!(text, "{:>11}{:>11}", ratio(floor), ratio(peer));
        }
        text
    }

    /// Writes all forms of it.
    pub(crate) fn keep(&self, folder: &Path, name: &str) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let json = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        let files = [("json", json + "\n"), ("txt", self.table()), ("svg", svg::chart(self))];
        for (form, text) in files {
            let file = folder.join(format!("{name}.{form}"));
            fs::write(&file, text)?;
            anstream::println!("{}", file.display());
        }
        Ok(())
    }
}

/// Three figures of it, as far as there are three.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_medians_and_ratios_to_the_floor_and_the_best_peer() {
        let mut figures = Vec::new();
        for (proxy, values) in
            [("fermata", vec![3.0, 1.0, 2.0]), ("floor", vec![2.0]), ("haproxy", vec![4.0]), ("nginx", vec![3.0, 5.0])]
        {
            for value in values {
                Figure::note(&mut figures, "echo", "CPU", "µs an echo", proxy, value);
            }
        }
        assert_eq!(figures[0].of("fermata"), Some(2.0));
        assert_eq!(figures[0].of("nginx"), Some(4.0));
        assert_eq!(figures[0].ratios(), (Some(1.0), Some(0.5)));
    }

    #[test]
    fn a_number_has_three_figures() {
        assert_eq!([0.123, 4.567, 45.67, 4567.8].map(number), ["0.12", "4.57", "45.7", "4568"]);
    }
}
