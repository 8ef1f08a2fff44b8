//! `/metrics/dlq`: what is in the dead-letter topics, counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde::Serialize;
use tokio::sync::Mutex;
use warp::Filter;
use warp::http::StatusCode;

use super::{READ, Routes, reply};
use crate::kafka::dead_letter::letter::Letter;
use crate::kafka::dead_letter::survey::{Limits, survey};
use crate::kafka::{Cluster, KafkaError};

/// How long the numbers are given again before the topics are read anew.
const FRESH: Duration = Duration::from_secs(5);
/// How far each topic is read, from its newest letter back.
const LIMITS: Limits = Limits { offsets: 100_000, time: Duration::from_secs(2) };
/// Reasons, groups or origins of a topic that are counted by themselves: what letters say may be anything.
const APART: usize = 100;
/// The name under which the others are counted together.
const OTHERS: &str = "others";

/// The dead-letter topics.
#[derive(Debug, Serialize)]
struct DeadLetters {
    topics: Vec<Summary>,
}

/// What is in a dead-letter topic.
#[derive(Debug, Default, Serialize)]
struct Summary {
    topic: String,
    /// Letters, and those of them that were not sent back.
    #[serde(flatten)]
    all: Count,
    /// By what they died of, with # for numbers and ids.
    by_reason: BTreeMap<String, Count>,
    /// By the group that gave them up.
    by_group: BTreeMap<String, Count>,
    /// By the topic they came from.
    by_origin: BTreeMap<String, Count>,
    /// Times of the oldest and the newest letter, in milliseconds since the epoch.
    oldest: Option<i64>,
    newest: Option<i64>,
    /// Whether the whole topic was read; if not, it has more letters than this.
    complete: bool,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Count {
    letters: u64,
    waiting: u64,
}

impl Count {
    fn add(&mut self, sent_back: bool) {
        self.letters += 1;
        self.waiting += u64::from(!sent_back);
    }
}

/// What the topics had when they were last read.
struct Board {
    cluster: Cluster,
    topics: Vec<String>,
    last: Mutex<Option<(Instant, Arc<DeadLetters>)>>,
}

/// The route, for the dead-letter topics `topics`.
pub fn routes(cluster: Cluster, topics: Vec<String>) -> Routes {
    let board = Arc::new(Board { cluster, topics, last: Mutex::default() });
    let filter = warp::path!("metrics" / "dlq").and(warp::get()).then(move || {
        let board = Arc::clone(&board);
        async move { reply::json(StatusCode::OK, &*board.counted().await) }
    });
    Routes::new(filter.boxed(), &[("/metrics/dlq", READ)])
}

impl Board {
    /// The numbers; whoever asks while they are being found out waits for them, too.
    async fn counted(&self) -> Arc<DeadLetters> {
        let mut last = self.last.lock().await;
        if let Some((_, found)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Arc::clone(found);
        }
        let topics = join_all(self.topics.iter().map(|topic| summary(&self.cluster, topic))).await;
        let found = Arc::new(DeadLetters { topics });
        *last = Some((Instant::now(), Arc::clone(&found)));
        found
    }
}

/// What is known of `topic`; that it can't be read is no failure of the others.
async fn summary(cluster: &Cluster, topic: &str) -> Summary {
    let found = look(cluster, topic)
        .await
        .unwrap_or_else(|error| Summary { problem: Some(error.to_string()), ..Summary::default() });
    Summary { topic: topic.to_owned(), ..found }
}

async fn look(cluster: &Cluster, topic: &str) -> Result<Summary, KafkaError> {
    let take = |letter: &Letter, _: &_| Some((letter.kind(), letter.group.clone(), letter.origin.clone()));
    let survey = survey(cluster, topic, LIMITS, take).await?;
    let mut summary = Summary {
        oldest: survey.found.last().map(|letter| letter.timestamp),
        newest: survey.found.first().map(|letter| letter.timestamp),
        complete: survey.is_complete(),
        ..Summary::default()
    };
    for letter in survey.found {
        let (reason, group, origin) = letter.taken;
        summary.all.add(letter.sent_back);
        for (counts, name) in
            [(&mut summary.by_reason, Some(reason)), (&mut summary.by_group, group), (&mut summary.by_origin, origin)]
        {
            count(counts, name.unwrap_or_else(|| "unknown".to_owned()), letter.sent_back);
        }
    }
    Ok(summary)
}

fn count(counts: &mut BTreeMap<String, Count>, name: String, sent_back: bool) {
    let name = if counts.len() < APART || counts.contains_key(&name) { name } else { OTHERS.to_owned() };
    counts.entry(name).or_default().add(sent_back);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_letters_say_is_counted_apart_only_so_often() {
        let mut counts = BTreeMap::new();
        for number in 0..APART + 10 {
            count(&mut counts, format!("e{number}"), number % 2 == 0);
        }
        count(&mut counts, "e0".to_owned(), false);
        assert_eq!(counts.len(), APART + 1);
        assert_eq!(counts["e0"], Count { letters: 2, waiting: 1 });
        assert_eq!(counts[OTHERS], Count { letters: 10, waiting: 5 });
    }
}
