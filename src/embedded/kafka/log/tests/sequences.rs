//! Idempotent producers against a model that remembers everything, over rolls and restarts.

use std::collections::HashMap;

use kafka_protocol::error::ResponseError;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// The batch that comes next, or one that is `skip` further.
    Next {
        id: i64,
        count: usize,
        skip: i32,
    },
    /// The batch that was sent so many before the last.
    Again {
        id: i64,
        back: usize,
    },
    /// A batch from another epoch.
    Epoch {
        id: i64,
        change: i16,
        sequence: i32,
    },
    /// A batch of nobody.
    Other,
    Restart {
        clean: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_i64, 1..4_usize, prop_oneof![6 => Just(0), 1 => -2..3_i32])
            .prop_map(|(id, count, skip)| Step::Next { id, count, skip }),
        4 => (0..3_i64, 0..8_usize).prop_map(|(id, back)| Step::Again { id, back }),
        2 => (0..3_i64, -1..3_i16, 0..2_i32).prop_map(|(id, change, sequence)| Step::Epoch { id, change, sequence }),
        2 => Just(Step::Other),
        1 => any::<bool>().prop_map(|clean| Step::Restart { clean }),
    ]
}

/// A batch that was acknowledged.
#[derive(Clone, Copy)]
struct Sent {
    epoch: i16,
    sequence: i32,
    count: usize,
    base_offset: i64,
}

/// Everything that every producer was acknowledged, oldest first.
#[derive(Default)]
struct Model(HashMap<i64, Vec<Sent>>);

impl Model {
    fn sent(&self, id: i64) -> &[Sent] {
        self.0.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The sequence that comes after the last batch.
    fn next(&self, id: i64) -> i32 {
        self.sent(id).last().map_or(START, |last| plus(last.sequence, last.count as i32))
    }

    /// What Kafka says to a batch: the offset it had if it is known, or the end.
    fn expected(
        &self,
        id: i64,
        epoch: i16,
        sequence: i32,
        count: usize,
        end: i64,
    ) -> Result<(i64, bool), ResponseError> {
        let Some(last) = self.sent(id).last() else { return Ok((end, false)) };
        if epoch < last.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        let known = self.sent(id).iter().rev().take(5);
        let same = known.clone().find(|sent| (sent.epoch, sent.sequence, sent.count) == (epoch, sequence, count));
        match same {
            Some(same) => Ok((same.base_offset, true)),
            None if epoch > last.epoch && sequence == 0 => Ok((end, false)),
            None if epoch == last.epoch && sequence == self.next(id) => Ok((end, false)),
            None => Err(ResponseError::OutOfOrderSequenceNumber),
        }
    }
}

/// Where producers start: the sequence wraps soon.
const START: i32 = i32::MAX - 12;

fn plus(sequence: i32, count: i32) -> i32 {
    ((i64::from(sequence) + i64::from(count)).rem_euclid(1 << 31)) as i32
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn they_are_told_what_kafka_tells_them(steps in prop::collection::vec(step(), 1..120)) {
        let dir = dir();
        let settings = LogSettings { segment_bytes: 700, ..settings() };
        let mut log = open(&dir, &settings, true);
        let mut model = Model::default();
        for step in steps {
            let (id, epoch, sequence, count) = match step {
                Step::Next { id, count, skip } => {
                    (id, model.sent(id).last().map_or(0, |last| last.epoch), plus(model.next(id), skip), count)
                }
                Step::Again { id, back } => {
                    let Some(sent) = model.sent(id).iter().rev().nth(back) else { continue };
                    (id, sent.epoch, sent.sequence, sent.count)
                }
                Step::Epoch { id, change, sequence } => {
                    let Some(last) = model.sent(id).last() else { continue };
                    if last.epoch + change < 0 {
                        continue;
                    }
                    (id, last.epoch + change, sequence, 1)
                }
                Step::Other => {
                    append(&mut log, &batch(&[(1, "other")]));
                    continue;
                }
                Step::Restart { clean } => {
                    if clean { log.close().unwrap() } else { drop(log) }
                    log = open(&dir, &settings, clean);
                    continue;
                }
            };
            let end = log.end_offset();
            let expected = model.expected(id, epoch, sequence, count, end);
            let values = vec![(1, "v"); count];
            let answer = log.append(produced(&values, 0, Some(Producer { id, epoch, sequence })), NOW);
            prop_assert_eq!(answer.map(|appended| (appended.base_offset, appended.duplicate)), expected);
            let written = if let Ok((base_offset, false)) = expected {
                model.0.entry(id).or_default().push(Sent { epoch, sequence, count, base_offset });
                count as i64
            } else {
                0
            };
            prop_assert_eq!(log.end_offset(), end + written);
            if let Ok(appended) = answer {
                prop_assert_eq!(appended.end_offset, appended.base_offset + count as i64);
            }
        }
        for info in log.producers() {
            let last = model.sent(info.producer_id).last().unwrap();
            let last_sequence = plus(last.sequence, last.count as i32 - 1);
            prop_assert_eq!((info.epoch, info.last_sequence, info.last_timestamp), (last.epoch, last_sequence, 1));
        }
    }
}
