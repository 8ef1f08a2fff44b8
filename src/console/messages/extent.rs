//! A topic as far as it may be looked at: its partitions, each from where to where.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;

use super::browse::{Part, Way};
use super::cut::Cut;
use super::query::{From, Query, cut, millis};
use crate::console::Console;
use crate::console::refusal::Refusal;
use crate::kafka::fetch::{At, Isolation, Located, offsets};
use crate::kafka::wire::WireError;
use crate::kafka::{Cluster, KafkaError, lookup};

/// What may be looked at.
#[derive(Clone, Debug)]
pub struct Extent {
    /// The topic.
    pub topic: Arc<str>,
    /// Its partitions, or the one that was asked for.
    pub parts: Vec<Part>,
    /// The numbers of all its partitions.
    pub all: Vec<i32>,
    /// Partitions that can't be read now, and why.
    pub away: Vec<(i32, String)>,
}

impl Extent {
    /// Finds out what `query` allows to be looked at in `topic`.
    ///
    /// # Errors
    /// There is no such topic or partition, no partition can be read, or a time is none.
    pub async fn of(console: &Console, topic: &str, query: &Query) -> Result<Self, Refusal> {
        let cluster = &console.cluster;
        let (since, until) = (millis("since", &query.since)?, millis("until", &query.until)?);
        let all = partitions(console, topic).await?;
        let chosen = match query.partition {
            Some(partition) if !all.contains(&partition) => {
                let (topic, count) = (topic.to_owned(), all.len());
                return Err(KafkaError::UnknownPartition { topic, partition, count }.into());
            }
            Some(partition) => vec![partition],
            None => all.clone(),
        };
        let (starts, ends, since, until) = tokio::join!(
            found(cluster, topic, &chosen, Some(At::Earliest), query.isolation()),
            found(cluster, topic, &chosen, Some(At::Latest), query.isolation()),
            found(cluster, topic, &chosen, since.map(At::Time), query.isolation()),
            found(cluster, topic, &chosen, until.map(At::Time), query.isolation()),
        );
        let (mut parts, mut away, mut refusal) = (Vec::new(), Vec::new(), None);
        for ((((partition, start), end), since), until) in
            chosen.into_iter().zip(starts).zip(ends).zip(since).zip(until)
        {
            let bounds = (|| {
                let end = end?.map_or(0, |end| end.offset);
                let start = start?.map_or(0, |start| start.offset);
                // No record is as late: there is nothing from then on, and nothing but what is before.
                let since = since?.map_or(end, |since| since.offset);
                let until = until?.map_or(end, |until| until.offset);
                Ok((start, end, since, until))
            })();
            match bounds {
                Ok((start, end, since_at, until_at)) => {
                    let start = if query.since.is_empty() { start } else { start.max(since_at) };
                    let end = if query.until.is_empty() { end } else { end.min(until_at) };
                    parts.push(Part { partition, start, end: end.max(start) });
                }
                Err(error) => {
                    let error: KafkaError = error;
                    away.push((partition, error.to_string()));
                    refusal = Some(Refusal::from(error));
                }
            }
        }
        match refusal {
            Some(refusal) if parts.is_empty() => Err(refusal),
            _ => Ok(Self { topic: topic.into(), parts, all, away }),
        }
    }

    /// Where `query` begins, and which way it goes.
    ///
    /// # Errors
    /// The place, the offset or the time is none.
    pub async fn way(&self, console: &Console, query: &Query) -> Result<Way, Refusal> {
        if let Some(cut) = cut("before", query.before.as_deref())? {
            return Ok(Way::Before(cut));
        }
        if let Some(cut) = cut("after", query.after.as_deref())? {
            return Ok(Way::After(cut));
        }
        match query.from {
            From::Newest => Ok(Way::Before(self.end())),
            From::Oldest => Ok(Way::After(self.start())),
            From::Offset => {
                let offset: i64 = match query.at.trim() {
                    "" => 0,
                    text => text
                        .parse()
                        .map_err(|_| Refusal::field("at", format!("at: expected an offset, not {text:?}")))?,
                };
                Ok(Way::After(Cut(self.parts.iter().map(|part| offset.clamp(part.start, part.end)).collect())))
            }
            From::Time => {
                let Some(time) = millis("at", &query.at)? else { return Ok(Way::After(self.start())) };
                let partitions: Vec<i32> = self.parts.iter().map(|part| part.partition).collect();
                let found =
                    found(&console.cluster, &self.topic, &partitions, Some(At::Time(time)), query.isolation()).await;
                let at = |(part, found): (&Part, Result<Option<Located>, KafkaError>)| {
                    found.map(|found| found.map_or(part.end, |found| found.offset.clamp(part.start, part.end)))
                };
                let offsets: Result<Vec<i64>, KafkaError> = self.parts.iter().zip(found).map(at).collect();
                Ok(Way::After(Cut(offsets?)))
            }
        }
    }

    /// Before everything.
    pub fn start(&self) -> Cut {
        Cut(self.parts.iter().map(|part| part.start).collect())
    }

    /// Behind everything.
    pub fn end(&self) -> Cut {
        Cut(self.parts.iter().map(|part| part.end).collect())
    }

    /// How many offsets there are, which is at least as many as records.
    pub fn span(&self) -> u64 {
        self.parts.iter().map(|part| (part.end - part.start).unsigned_abs()).sum()
    }
}

/// The partitions of `topic`, in order.
async fn partitions(console: &Console, topic: &str) -> Result<Vec<i32>, Refusal> {
    let failed = |error| Refusal::from(KafkaError::wire(format!("look up topic {topic:?}"))(error));
    let mut layouts = console.cluster.brokers().layouts(&[topic]).await.map_err(failed)?;
    match layouts.remove(topic) {
        Some(Ok(layout)) => Ok(layout.keys().copied().collect()),
        None | Some(Err(ResponseError::UnknownTopicOrPartition | ResponseError::InvalidTopicException)) => {
            let known: Vec<String> = console.watch.snapshot().topics.keys().cloned().collect();
            Err(lookup::unknown_topic(topic, &known).into())
        }
        Some(Err(error)) => Err(failed(WireError::Refused(error))),
    }
}

/// The offset of each partition; nothing when nothing is asked for.
async fn found(
    cluster: &Cluster,
    topic: &str,
    partitions: &[i32],
    at: Option<At>,
    isolation: Isolation,
) -> Vec<Result<Option<Located>, KafkaError>> {
    let Some(at) = at else { return partitions.iter().map(|_| Ok(None)).collect() };
    let partitions: Vec<(&str, i32)> = partitions.iter().map(|partition| (topic, *partition)).collect();
    offsets(cluster, &partitions, at, isolation).await
}
