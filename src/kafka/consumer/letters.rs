//! Sends a round's dead letters.

use std::time::Instant;

use futures::{StreamExt, stream};
use krafka::consumer::TopicPartition;

use super::work::Plan;
use super::{ApplyError, Handler, Runtime};
use crate::kafka::event::work_on;
use crate::kafka::{Processing, dead_letter};

/// Dead letters on their way at once.
const LETTERS_AT_ONCE: usize = 64;

impl<H: Handler> Runtime<H> {
    /// Sends the plan's dead letters. A partition whose letters don't all arrive is withheld from the plan: it is tried
    /// again, while the others go on.
    pub(super) async fn send_dead_letters(&mut self, plan: &mut Plan<H::Effect>) -> Result<(), ApplyError> {
        let (producer, group, started) = (&self.producer, &self.group.id, Instant::now());
        let letters: Vec<_> = (plan.dead.iter())
            .map(async |dead| {
                let to = self.group.dead_letters_of(&dead.record.topic);
                let processing = Processing::of(&dead.record, group);
                let sent = dead_letter::send(producer, &to, group, &dead.record, &dead.reason, dead.attempts);
                let work = work_on(&dead.record.headers, processing.map(|processing| processing.context));
                (processing, work.scope(sent).await)
            })
            .collect();
        let results: Vec<_> = stream::iter(letters).buffered(LETTERS_AT_ONCE).collect().await;
        let mut failed = None;
        for (dead, (processing, result)) in std::mem::take(&mut plan.dead).into_iter().zip(results) {
            let (topic, partition, offset) = (&*dead.record.topic, dead.record.partition, dead.record.offset);
            let reason = dead_letter::brief(&dead.reason);
            match result {
                _ if plan.is_withheld(&dead.record) => {}
                Ok(()) => {
                    self.work.dead_lettered(&dead.record);
                    if let Some(standing) = self.assignment.lock().get(&TopicPartition::new(topic, partition)) {
                        standing.instruments.error("poison");
                    }
                    work_on(&dead.record.headers, None).within(|| {
                        tracing::warn!(group, topic, partition, offset, reason, "record sent to the dead-letter topic");
                    });
                    if let Some(processing) = processing {
                        let failed = Some(("dead_letter", reason.to_owned()));
                        processing.ended(group, (topic, partition, offset), 1, started.elapsed(), failed);
                    }
                }
                Err(error) => {
                    plan.withhold(&dead.record);
                    failed = Some(ApplyError::Unavailable(format!("{topic}[{partition}] at {offset}: {error}")));
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
