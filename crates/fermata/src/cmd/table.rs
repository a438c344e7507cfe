//! Columns for terminals.

/// Rows under their titles, two blanks between columns.
pub(super) fn render(titles: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut all: Vec<Vec<String>> = vec![titles.iter().map(|&title| title.to_owned()).collect()];
    all.extend(rows);
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    all.iter().map(line).collect()
}

/// `1.5 MB`.
pub(super) fn bytes(count: u64) -> String {
    let [kilo, mega, giga] = [1e3, 1e6, 1e9];
    match count as f64 {
        count if count < kilo => format!("{count} B"),
        count if count < mega => format!("{:.1} kB", count / kilo),
        count if count < giga => format!("{:.1} MB", count / mega),
        count => format!("{:.1} GB", count / giga),
    }
}
