//! What a run prints: a table for people (Markdown, so that it can be pasted into the README) or JSON.

use serde::Serialize;

/// One measured value.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
}

/// A figure named `name`, in `unit`.
pub fn figure(name: &'static str, value: f64, unit: &'static str) -> Figure {
    Figure { name, value, unit }
}

/// The longest time told apart, in microseconds. A fixed range: `saturating_record` clamps to the range of the moment, so
/// a histogram that grows by itself would never grow.
const LONGEST_US: u64 = 120_000_000;

/// An empty histogram of microseconds.
pub fn histogram() -> anyhow::Result<hdrhistogram::Histogram<u64>> {
    Ok(hdrhistogram::Histogram::new_with_bounds(1, LONGEST_US, 3)?)
}

/// Median, p99 and maximum of a histogram of microseconds, as milliseconds.
pub fn latency(histogram: &hdrhistogram::Histogram<u64>) -> Vec<Figure> {
    let ms = |us: u64| us as f64 / 1000.0;
    vec![
        figure("p50", ms(histogram.value_at_quantile(0.5)), "ms"),
        figure("p99", ms(histogram.value_at_quantile(0.99)), "ms"),
        figure("max", ms(histogram.max()), "ms"),
    ]
}

/// The figures of one server in one case.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub program: &'static str,
    pub case: String,
    pub server: String,
    pub figures: Vec<Figure>,
}

/// The median of each figure over the rounds of the same case and server, in the order first seen.
pub fn medians(rounds: &[Row]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for row in rounds {
        if rows.iter().any(|seen| same(seen, row)) {
            continue;
        }
        let group: Vec<&Row> = rounds.iter().filter(|other| same(other, row)).collect();
        let mut merged = row.clone();
        for (index, figure) in merged.figures.iter_mut().enumerate() {
            let mut values: Vec<f64> = group.iter().filter_map(|row| Some(row.figures.get(index)?.value)).collect();
            values.sort_by(f64::total_cmp);
            figure.value = values[(values.len() - 1) / 2];
        }
        rows.push(merged);
    }
    rows
}

fn same(a: &Row, b: &Row) -> bool {
    a.program == b.program && a.case == b.case && a.server == b.server
}

/// A table for each case: a line a server, and the first server's figures as a multiple of each other's.
pub fn tables(rows: &[Row]) -> String {
    let mut text = String::new();
    for cases in rows.chunk_by(|a, b| a.program == b.program && a.case == b.case) {
        text += &format!("\n### {}: {}\n\n{}", cases[0].program, cases[0].case, table(cases));
    }
    text
}

fn table(rows: &[Row]) -> String {
    let mut lines = vec![std::iter::once("server".to_owned()).chain(rows[0].figures.iter().map(heading)).collect()];
    for row in rows {
        lines.push(std::iter::once(row.server.clone()).chain(row.figures.iter().map(|f| number(f.value))).collect());
    }
    for peer in &rows[1..] {
        let name = format!("{} : {}", rows[0].server, peer.server);
        let ratios = rows[0].figures.iter().zip(&peer.figures).map(|(own, peer)| ratio(own.value, peer.value));
        lines.push(std::iter::once(name).chain(ratios).collect());
    }
    markdown(&lines)
}

/// A Markdown table with the columns lined up; the first line is the heading, all but the first column numbers.
pub fn markdown(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            text += &if column == 0 { format!("| {cell:<width$} ") } else { format!("| {cell:>width$} ") };
        }
        text += "|\n";
        if index == 0 {
            let rules = widths.iter().enumerate();
            let rule = |(column, width): (usize, &usize)| {
                if column == 0 { format!("|{}", "-".repeat(width + 2)) } else { format!("|{}:", "-".repeat(width + 1)) }
            };
            text += &(rules.map(rule).collect::<String>() + "|\n");
        }
    }
    text
}

fn heading(figure: &Figure) -> String {
    if figure.unit.is_empty() { figure.name.to_owned() } else { format!("{} ({})", figure.name, figure.unit) }
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 || value >= 1000.0 {
        grouped(value.round() as i64)
    } else if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

fn ratio(own: f64, peer: f64) -> String {
    if peer == 0.0 { "-".to_owned() } else { format!("{:.2}×", own / peer) }
}
