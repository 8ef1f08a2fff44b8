//! Printing records as they come, the raw mode of `kboard consume`.
//!
//! A thread of its own formats and writes, one write a batch: a tail appears at once, a bulk read keeps reading while
//! the last batch is written, and a reader that stands still (`| less`) never keeps Ctrl-C waiting.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use krafka::ConsumerRecord;
use krafka::consumer::TopicPartition;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::format::Format;
use crate::kafka::KafkaError;
use crate::kafka::reader::Reader;

/// Batches read ahead of the writer.
const AHEAD: usize = 2;
/// How often a member of a group commits what it has printed.
const COMMIT_EVERY: Duration = Duration::from_millis(200);
/// What is being written gets this long after Ctrl-C, and leaving the group as long again.
const LAST_CALL: Duration = Duration::from_secs(2);

/// Prints up to `count` records of `reader`; commits them, when `commits`, after they were printed.
pub async fn run(
    mut reader: Reader,
    format: Format,
    count: Option<u64>,
    commits: bool,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let printer = Printer::start(format);
    let mut progress = Progress::default();
    let mut left = count.unwrap_or(u64::MAX);
    let read = loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => break Ok(()),
            next = reader.next() => next,
        };
        let mut records = match next {
            Ok(Some(records)) => records,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        records.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= records.len() as u64;
        let after = commits.then(|| offsets_after(&records));
        let printed = tokio::select! {
            biased;
            printed = printer.print(records, commits) => printed,
            () = stop.cancelled() => break Ok(()),
        };
        if printed.is_err() {
            break Ok(());
        }
        if let Some(after) = after {
            progress.printed.extend(after);
            if let Err(error) = progress.commit(&reader, COMMIT_EVERY).await {
                break Err(error);
            }
        }
        if left == 0 {
            break Ok(());
        }
    };
    let written = tokio::select! {
        written = printer.finish() => written,
        () = async { stop.cancelled().await; tokio::time::sleep(LAST_CALL).await } => Ok(()),
    };
    let committed = progress.commit(&reader, Duration::ZERO).await;
    reader.close(LAST_CALL).await;
    // A reader of ours that went away comes first: what follows from it is no news.
    written?;
    read.and(committed).map_err(Into::into)
}

/// What was printed and not yet committed.
#[derive(Default)]
struct Progress {
    printed: HashMap<TopicPartition, i64>,
    committed: Option<Instant>,
}

impl Progress {
    async fn commit(&mut self, reader: &Reader, at_most_every: Duration) -> Result<(), KafkaError> {
        let recent = self.committed.is_some_and(|at| at.elapsed() < at_most_every);
        if self.printed.is_empty() || recent {
            return Ok(());
        }
        reader.commit(&self.printed).await?;
        self.printed.clear();
        self.committed = Some(Instant::now());
        Ok(())
    }
}

/// For each partition of the records, the offset after its last one.
fn offsets_after(records: &[ConsumerRecord]) -> HashMap<TopicPartition, i64> {
    let runs = records.chunk_by(|a, b| a.partition == b.partition && a.topic == b.topic);
    let last = runs.filter_map(|run| run.last());
    last.map(|record| (TopicPartition::new(&*record.topic, record.partition), record.offset + 1)).collect()
}

/// The writing thread has ended, because stdout failed; [`Printer::finish`] says why.
struct Gone;

struct Printer {
    batches: mpsc::Sender<(Vec<ConsumerRecord>, Option<oneshot::Sender<()>>)>,
    result: oneshot::Receiver<io::Result<()>>,
}

impl Printer {
    fn start(format: Format) -> Self {
        let (batches, mut receiver) = mpsc::channel::<(Vec<ConsumerRecord>, Option<oneshot::Sender<()>>)>(AHEAD);
        let (ended, result) = oneshot::channel();
        std::thread::spawn(move || {
            let mut print = || {
                let mut text = Vec::new();
                while let Some((records, printed)) = receiver.blocking_recv() {
                    text.clear();
                    for record in &records {
                        format.write(record, &mut text)?;
                    }
                    write(&text)?;
                    // The caller may have stopped waiting.
                    printed.map(|printed| printed.send(()));
                }
                Ok(())
            };
            // As above.
            let _ = ended.send(print());
        });
        Self { batches, result }
    }

    /// Hands over a batch, and waits until it was written if asked to.
    async fn print(&self, records: Vec<ConsumerRecord>, wait: bool) -> Result<(), Gone> {
        if records.is_empty() {
            return if self.batches.is_closed() { Err(Gone) } else { Ok(()) };
        }
        let (printed, written) = oneshot::channel();
        self.batches.send((records, wait.then_some(printed))).await.map_err(|_| Gone)?;
        if wait { written.await.map_err(|_| Gone) } else { Ok(()) }
    }

    /// Waits until everything is written.
    async fn finish(self) -> io::Result<()> {
        drop(self.batches);
        self.result.await.unwrap_or(Ok(()))
    }
}

fn write(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_offset_of_each_partition_is_after_its_last_record() {
        let record = |partition, offset| ConsumerRecord::new("t", partition, offset, None, None);
        let after = offsets_after(&[record(0, 5), record(0, 6), record(1, 9), record(0, 7)]);
        assert_eq!(after, HashMap::from([(TopicPartition::new("t", 0), 8), (TopicPartition::new("t", 1), 10)]));
    }
}
