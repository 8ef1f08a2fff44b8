//! Where the state stands, and whether the log is still the one it was built from.
//!
//! The state may lose its last writes, or all of them; the log may lose its tail, or be deleted and made anew. Whatever
//! happened to either, the two are brought together again, and nothing is skipped in silence.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use krafka::KrafkaError;
use krafka::consumer::TopicPartition;

use super::handler::{ApplyError, Handler, Position};
use super::{CHECK_INTERVAL, Runtime};
use crate::clock::now_ms;

/// How long a watermark is waited for that only a gauge wants.
const GAUGE_TIMEOUT: Duration = Duration::from_secs(1);

impl<H: Handler> Runtime<H> {
    /// Asks the state where it stands in new partitions, and goes there.
    pub(super) async fn position_new(&mut self) -> Result<(), ApplyError> {
        let (mut logs, mut failed) = (HashMap::new(), None);
        for partition in self.assignment.unpositioned() {
            let positioned = match self.log_of(partition.topic(), &mut logs).await {
                Ok(log) => self.position(partition, log).await,
                Err(error) => Err(error),
            };
            failed = positioned.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn position(&self, partition: TopicPartition, log: String) -> Result<(), ApplyError> {
        let (topic, number) = (partition.topic(), partition.partition());
        self.handler.assigned(&partition).await?;
        // The state first: it may move on while the log is asked, but never beyond what the log then says.
        let stands = self.handler.position(&partition, &log).await?;
        let (start, end) = self.consumer.fetch_watermarks(topic, number).await.map_err(unavailable)?;
        let next = match stands {
            Position::Nowhere => None,
            Position::At(offset) if offset <= end => Some(offset),
            Position::At(_) | Position::OtherLog => {
                tracing::warn!(group = %self.group.id, topic, partition = number, ?stands, end, "the log lost records that the state has, or was made anew; building the state again");
                self.handler.restart(&partition, &log, end).await?;
                None
            }
        };
        if let Some(offset) = next.filter(|&offset| offset < start) {
            self.tell_of_lost_records(&partition, offset, start);
        }
        let seek = next.unwrap_or(start).max(start);
        self.consumer.seek(topic, number, seek).await.map_err(unavailable)?;
        self.consumer.resume(topic, &[number]).await;
        tracing::debug!(group = %self.group.id, topic, partition = number, offset = seek, "positioned");
        if let Some(standing) = self.assignment.lock().get_mut(&partition) {
            standing.next = next;
            standing.start = seek;
            standing.log = log;
            standing.positioned = true;
        }
        Ok(())
    }

    /// What tells a topic from another that has the same name; asked for once a topic.
    async fn log_of(&self, topic: &str, logs: &mut HashMap<String, String>) -> Result<String, ApplyError> {
        if let Some(log) = logs.get(topic) {
            return Ok(log.clone());
        }
        let metadata = self.consumer.fetch_metadata(Some(topic)).await.map_err(unavailable)?;
        let found = metadata.topics.iter().find(|found| found.name == topic);
        let found = found.ok_or_else(|| ApplyError::Unavailable(format!("topic {topic} does not exist")))?;
        let log = uuid::Uuid::from_bytes(found.topic_id).to_string();
        logs.insert(topic.to_owned(), log.clone());
        Ok(log)
    }

    /// Asks, now and then, whether the topics are still the same, and the state still stands where this member left it.
    pub(super) async fn check(&mut self) -> Result<(), ApplyError> {
        if self.last_check.elapsed() < CHECK_INTERVAL {
            return Ok(());
        }
        self.check_topics().await?;
        self.check_state().await
    }

    /// A topic that was made anew may hold nothing that a fetch would bring.
    async fn check_topics(&mut self) -> Result<(), ApplyError> {
        let mut logs = HashMap::new();
        for (partition, _, known) in self.assignment.handled() {
            let topic = partition.topic();
            let log = self.log_of(topic, &mut logs).await?;
            if log != known {
                tracing::warn!(group = %self.group.id, topic, "the topic was made anew; building the state again");
                self.handler.restart(&partition, &log, i64::MAX).await?;
                self.read_again();
                return Ok(());
            }
        }
        Ok(())
    }

    async fn check_state(&mut self) -> Result<(), ApplyError> {
        let handled = self.assignment.handled();
        let known = handled.iter().filter_map(|(partition, next, log)| Some((partition, (*next)?, log)));
        let asked = known.map(async |(partition, next, log)| {
            let stands = self.handler.position(partition, log).await?;
            let is_there = matches!(stands, Position::At(offset) if offset >= next);
            Ok((!is_there).then(|| partition.clone()))
        });
        // All at once: the store wakes once for them. Each to its end: it may be building the state anew.
        let behind: Result<Vec<_>, ApplyError> =
            join_all(asked).await.into_iter().filter_map(Result::transpose).collect();
        let behind = behind?;
        self.last_check = Instant::now();
        if behind.is_empty() { Ok(()) } else { Err(ApplyError::RolledBack(behind)) }
    }

    /// Looks at where the records in hand begin. Below what was applied: the topic was made anew or truncated, and the
    /// state would take its records for ones that it has seen. Above: there are offsets without a record, or retention
    /// was faster than this group.
    pub(super) async fn check_log(&mut self) -> Result<(), ApplyError> {
        for (partition, first, next, log) in self.misfits() {
            if first < next {
                tracing::warn!(group = %self.group.id, topic = partition.topic(), partition = partition.partition(), offset = first, expected = next, "the log was truncated or made anew; building the state again");
                self.handler.restart(&partition, &log, first).await?;
                self.read_again();
                return Ok(());
            }
            let watermarks = self.consumer.fetch_watermarks(partition.topic(), partition.partition()).await;
            let (start, _) = watermarks.map_err(unavailable)?;
            if start > next {
                self.tell_of_lost_records(&partition, next, start);
            }
        }
        Ok(())
    }

    /// Partitions whose records in hand don't begin where the last ones ended: the offset at which they do, the one that
    /// was expected, and the topic's id.
    fn misfits(&self) -> Vec<(TopicPartition, i64, i64, String)> {
        let standings = self.assignment.lock();
        let misfit = |(partition, first): (TopicPartition, i64)| {
            let standing = standings.get(&partition)?;
            let next = standing.next.filter(|&next| next != first)?;
            Some((partition, first, next, standing.log.clone()))
        };
        self.work.first_offsets().filter_map(misfit).collect()
    }

    fn tell_of_lost_records(&self, partition: &TopicPartition, next: i64, start: i64) {
        tracing::error!(group = %self.group.id, topic = partition.topic(), partition = partition.partition(), offset = next, start, lost = start - next, "retention removed records before they were handled");
        if let Some(standing) = self.assignment.lock().get(partition) {
            standing.instruments.error("lost");
        }
    }

    /// Follows a state that lost what this member had applied.
    pub(super) async fn go_back(&mut self, partitions: &[TopicPartition]) -> Result<(), ApplyError> {
        tracing::warn!(group = %self.group.id, partitions = partitions.len(), "the state was lost or rolled back; going back in the log");
        self.handler.rewound().await?;
        self.read_again();
        Ok(())
    }

    /// What happened to one partition has most likely happened to all: each asks the state anew.
    fn read_again(&mut self) {
        self.work.retain(|_| false);
        self.assignment.unposition();
    }

    /// Up to which time (ms) everything that was written to this member's partitions has been applied: now, if it stands at
    /// the end of each.
    pub(super) async fn applied_until(&self) -> i64 {
        let asked = now_ms();
        let ends = self.ends().await;
        let mut until = asked;
        for partition in self.assignment.positioned() {
            // What is not in hand was applied, or there is no record at it.
            let passed = match self.work.has(&partition) {
                true => None,
                false => self.consumer.position(partition.topic(), partition.partition()).await,
            };
            let standings = self.assignment.lock();
            let Some(standing) = standings.get(&partition) else { continue };
            let at = standing.offset().max(passed.unwrap_or(0));
            if ends.get(&partition).is_none_or(|end| at < *end) {
                until = until.min(standing.last_timestamp.unwrap_or(0));
            }
        }
        until
    }

    /// The end of each partition's log, of those whose leaders answer soon.
    pub(super) async fn ends(&self) -> HashMap<TopicPartition, i64> {
        let asked = self.assignment.positioned().into_iter().map(|partition| async {
            let watermarks = self.consumer.fetch_watermarks(partition.topic(), partition.partition());
            let (_, end) = tokio::time::timeout(GAUGE_TIMEOUT, watermarks).await.ok()?.ok()?;
            Some((partition, end))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }
}

fn unavailable(error: KrafkaError) -> ApplyError {
    ApplyError::Unavailable(error.to_string())
}
