//! What becomes of records that fail, and in which order those about one key wait.

use std::time::Duration;

use krafka::ConsumerRecord;

use super::{Step, Waiting};
use crate::processor::contract::{Failure, Processor};
use crate::processor::retry::Attempt;

impl<P: Processor> Step<'_, P> {
    pub(super) fn fail(
        &mut self,
        key: &str,
        home: &str,
        prefix: &str,
        record: &ConsumerRecord,
        attempt: Attempt,
        failure: Failure,
    ) {
        let number = attempt.number();
        let (reason, is_permanent) = match failure {
            Failure::Transient(reason) => (reason, false),
            Failure::Permanent(reason) => (reason, true),
        };
        let id = attempt.id();
        let attempt = attempt.failed(self.now_ms, &reason);
        let is_over = is_permanent || number >= self.retry.policy.attempts;
        if let Some(told) = &mut self.told {
            told.fails(if is_over { "dead_letter" } else { "retry" }, &reason);
        }
        let outgoing = if is_over {
            let (permanent, exhausted) = self.failures.dead.entry(attempt.topic.clone()).or_default();
            *if is_permanent { permanent } else { exhausted } += 1;
            self.had_its_turn(key, &id);
            attempt.letter(record, &self.retry.dead_letters, self.group)
        } else {
            self.failures.retried += 1;
            let due = self.now_ms + self.delay(number, &id).as_millis() as i64;
            if self.retry.keep_order {
                self.put_first(key, id, due);
            }
            attempt.waiting(record, &self.retry.topic, self.group, due)
        };
        self.emit(home, prefix, [outgoing]);
    }

    /// The delay after attempt number `failed`. Where in the jitter it lies follows from what failed, so that the same batch
    /// always has the same outcome.
    pub(super) fn delay(&self, failed: u32, what: &str) -> Duration {
        let hash = crc32c::crc32c_append(failed, what.as_bytes());
        self.retry.policy.delay(failed, f64::from(hash) / f64::from(u32::MAX))
    }

    /// When the record `id` may have its turn, if others about its key come before it.
    pub(super) fn turn_after(&self, key: &str, id: &str) -> Option<i64> {
        let waiting = self.work.waiting.get(key)?;
        let before = waiting.iter().position(|waiting| waiting.id == id).unwrap_or(waiting.len());
        waiting[..before].iter().map(|waiting| waiting.due + 1).max()
    }

    pub(super) fn put_behind(&mut self, key: &str, attempt: &Attempt, due: i64) {
        let (id, waiting) = (attempt.id(), self.work.waiting.entry(key.to_owned()).or_default());
        match waiting.iter_mut().find(|waiting| waiting.id == id) {
            Some(known) => known.due = due,
            None => waiting.push(Waiting { id, due }),
        }
    }

    pub(super) fn put_first(&mut self, key: &str, id: String, due: i64) {
        let waiting = self.work.waiting.entry(key.to_owned()).or_default();
        waiting.retain(|waiting| waiting.id != id);
        waiting.insert(0, Waiting { id, due });
    }

    pub(super) fn had_its_turn(&mut self, key: &str, id: &str) {
        if let Some(waiting) = self.work.waiting.get_mut(key) {
            waiting.retain(|waiting| waiting.id != id);
        }
    }
}
