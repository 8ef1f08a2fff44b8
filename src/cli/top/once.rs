//! What was seen in two looks, printed once.

use std::sync::Arc;

use anyhow::Context;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::columns::Row;
use super::facts::{Facts, GroupRow, TopicRow};
use super::filter::Filter;
use super::looks::Looks;
use super::sheet::{Sheet, View};
use super::trouble::Trouble;
use super::words;
use crate::cli::output::counted;
use crate::cli::{Status, output};
use crate::kafka::watch::Watch;

/// The columns of topics: all but the courses, which two looks don't have.
const TOPICS: [&str; 8] = ["TOPIC", "PARTS", "IN/S", "BYTES/S", "OUT/S", "MESSAGES", "SIZE", "STATE"];
/// The columns of groups. Rebalances and trends take longer than two looks, and JSON has all.
const GROUPS: [&str; 7] = ["GROUP", "STATE", "MEMBERS", "TOPICS", "LAG", "BEHIND", "OUT/S"];
/// The columns of what is wrong.
const PROBLEMS: [&str; 4] = ["SEVERITY", "OF", "NAME", "PROBLEM"];

/// What is printed.
#[derive(Serialize)]
struct Printed {
    servers: String,
    #[serde(flatten)]
    facts: Facts,
}

/// Looks twice and prints.
///
/// # Errors
/// The cluster can't be looked at.
pub async fn run(
    watch: &Watch,
    servers: String,
    filter: &Filter,
    internal: bool,
    format: output::Format,
) -> anyhow::Result<Status> {
    let mut seen = watch.looks();
    let mut looks = Looks::default();
    while looks.count() < 2 {
        seen.changed().await.context("nobody looks at the cluster any more")?;
        let snapshot = Arc::clone(&seen.borrow_and_update());
        if let Some(reason) = &snapshot.away {
            anyhow::bail!("{reason}");
        }
        looks.add(snapshot);
    }
    let facts = only(Facts::new(&looks, &watch.past()), filter, internal);
    output::print(format, &Printed { servers, facts }, tables)?;
    Ok(Status::Success)
}

/// What was asked for; the sums stay those of the cluster.
fn only(mut facts: Facts, filter: &Filter, internal: bool) -> Facts {
    facts.topics.retain(|row| (internal || !row.internal) && filter.matches(&row.topic));
    facts.groups.retain(|row| filter.matches(&row.group));
    facts.problems.retain(|trouble| trouble.is_shown(filter));
    facts
}

fn tables(printed: &Printed) -> String {
    let facts = &printed.facts;
    let mut parts = vec![
        cluster(printed),
        table::<TopicRow, _>(TOPICS, &facts.topics),
        table::<GroupRow, _>(GROUPS, &facts.groups),
    ];
    if !facts.problems.is_empty() {
        parts.push(table::<Trouble, _>(PROBLEMS, &facts.problems));
    }
    parts.join("\n\n")
}

fn cluster(Printed { servers, facts }: &Printed) -> String {
    format!(
        "{servers}: {}, {} with {}, {}\nin {}/s ({}/s), out {}/s, lag {}; rates over {:.1} s",
        counted(facts.brokers, "broker"),
        counted(facts.topic_count, "topic"),
        counted(facts.partitions, "partition"),
        counted(facts.group_count, "group"),
        words::rate(facts.written),
        words::bytes_rate(facts.bytes),
        words::rate(facts.read),
        words::count(facts.lag),
        facts.rate_seconds,
    )
}

/// The columns with these titles, sorted as on the screen.
fn table<R: Row, const N: usize>(titles: [&'static str; N], rows: &[R]) -> String {
    let sheet = Sheet::new(rows.iter().collect(), &View::of::<R>(), rows.len(), &TimeZone::UTC);
    let columns = titles.map(|title| sheet.heads.iter().position(|head| head.title == title).unwrap_or_default());
    let right: Vec<usize> = (0..N).filter(|column| sheet.heads[columns[*column]].is_number).collect();
    output::table(titles, &right, sheet.rows.iter().map(|cells| columns.map(|column| cells[column].text.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::testing;

    #[test]
    fn the_table_has_what_the_screen_has_but_courses() {
        let printed = |filter: &str, internal| {
            let facts = only(testing::model().facts, &Filter::new(filter), internal);
            tables(&Printed { servers: "kafka:9092".to_owned(), facts })
        };
        assert_eq!(printed("", false), testing::shown("once"));
        assert!(printed("", true).contains("__consumer_offsets"));
        let some = printed("mail", false);
        assert!(some.contains("mailer") && !some.contains("billing") && !some.contains("orders"), "{some}");
    }

    #[test]
    fn all_titles_are_of_columns() {
        fn have<R: Row>(titles: &[&str]) -> bool {
            titles.iter().all(|title| R::COLUMNS.iter().any(|column| column.title == *title))
        }
        assert!(have::<TopicRow>(&TOPICS) && have::<GroupRow>(&GROUPS) && have::<Trouble>(&PROBLEMS));
    }
}
