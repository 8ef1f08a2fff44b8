//! Where the records of `kboard produce` come from: one value over and over, the lines of stdin, or an app's generator.

use std::io::{self, Read};

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc;

use crate::apps::Generator;
use crate::kafka::bulk::BulkRecord;
use crate::kafka::record_json;

/// What is read at a time; also the unit handed over, so that a slow typist's line goes out as soon as it ends.
const CHUNK: usize = 256 * 1024;
/// Chunks that are read ahead of Kafka.
const AHEAD: usize = 4;
/// No broker takes a record this large, and without an end a "line" could fill the memory.
const MAX_LINE: usize = 100 * 1024 * 1024;

/// The next record, or why it could not be made; the others go on.
pub type Next = Result<BulkRecord, String>;

/// Records, one after another.
pub enum Source {
    /// The same record every time.
    Repeated(BulkRecord),
    /// The lines of a stream.
    Lines {
        /// Batches of lines, read ahead on a thread.
        batches: mpsc::Receiver<io::Result<Vec<Bytes>>>,
        /// The rest of the batch in hand.
        batch: std::vec::IntoIter<Bytes>,
        /// How a line becomes a record.
        line: Line,
    },
    /// Made up by an app.
    Generated {
        /// The app's.
        generator: Generator,
        /// Where its choices come from.
        random: Box<StdRng>,
    },
}

/// How a line becomes a record.
#[derive(Clone, Debug)]
pub enum Line {
    /// It is a value, maybe with a key before it.
    Value(Shape),
    /// It is a record in JSON; what it says of partition and time counts only if it is to be kept.
    Json {
        /// Whether its partition is.
        partitions: bool,
        /// Whether its time is.
        timestamps: bool,
    },
}

impl Line {
    /// The record of a line.
    fn read(&self, line: Bytes) -> Next {
        match self {
            Self::Value(shape) => shape.line(line),
            Self::Json { partitions, timestamps } => {
                let mut record = record_json::read(&line)?;
                record.partition = record.partition.filter(|_| *partitions);
                record.timestamp = record.timestamp.filter(|_| *timestamps);
                Ok(record)
            }
        }
    }
}

/// How a value, and a key when it has one, become a record.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// The key of every record that brings none.
    pub key: Option<Bytes>,
    /// Splits a line into key and value.
    pub separator: Option<Bytes>,
    /// The headers of every record.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// Whether an empty value or key means null.
    pub empty_is_null: bool,
}

impl Shape {
    /// The record of `value`.
    pub fn record(&self, key: Option<Bytes>, value: Bytes) -> BulkRecord {
        let filled = |bytes: &Bytes| !(self.empty_is_null && bytes.is_empty());
        BulkRecord {
            key: key.or_else(|| self.key.clone()).filter(filled),
            value: Some(value).filter(filled),
            headers: self.headers.clone(),
            ..BulkRecord::default()
        }
    }

    /// The record of a line.
    pub fn line(&self, line: Bytes) -> Next {
        let Some(separator) = &self.separator else { return Ok(self.record(None, line)) };
        let Some(at) = memchr::memmem::find(&line, separator) else {
            return Err(format!("no {:?} in it to end the key", String::from_utf8_lossy(separator)));
        };
        Ok(self.record(Some(line.slice(..at)), line.slice(at + separator.len()..)))
    }
}

impl Source {
    /// The lines of stdin.
    pub fn stdin(line: Line) -> Self {
        Self::lines(io::stdin(), line)
    }

    fn lines(input: impl Read + Send + 'static, line: Line) -> Self {
        let (sender, batches) = mpsc::channel(AHEAD);
        // A thread of its own, never joined: a read of a terminal or a pipe can't be called off.
        std::thread::spawn(move || read_lines(input, &sender));
        Self::Lines { batches, batch: Vec::new().into_iter(), line }
    }

    /// An app's made-up records; the same seed makes the same content.
    pub fn generated(generator: Generator, seed: Option<u64>) -> Self {
        let random = Box::new(seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64));
        Self::Generated { generator, random }
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// When the input can't be read.
    pub async fn next(&mut self) -> anyhow::Result<Option<Next>> {
        match self {
            Self::Repeated(record) => Ok(Some(Ok(record.clone()))),
            Self::Generated { generator, random } => {
                let made = generator(random.as_mut());
                let record = BulkRecord {
                    key: made.key,
                    value: Some(made.value),
                    headers: made.headers,
                    ..BulkRecord::default()
                };
                Ok(Some(Ok(record)))
            }
            Self::Lines { batches, batch, line } => loop {
                if let Some(text) = batch.next() {
                    return Ok(Some(line.read(text)));
                }
                match batches.recv().await {
                    Some(lines) => *batch = lines.context("read stdin")?.into_iter(),
                    None => return Ok(None),
                }
            },
        }
    }
}

/// Reads until the end, and hands over whole lines as they come, without their `\n` and otherwise as they are.
/// The lines share the memory they were read into.
fn read_lines(mut input: impl Read, batches: &mpsc::Sender<io::Result<Vec<Bytes>>>) {
    let mut buffer = BytesMut::new();
    loop {
        let filled = buffer.len();
        buffer.resize(filled + CHUNK, 0);
        let read = match input.read(&mut buffer[filled..]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                buffer.truncate(filled);
                continue;
            }
            Err(error) => return drop(batches.blocking_send(Err(error))),
        };
        buffer.truncate(filled + read);
        let lines = if read == 0 {
            split(buffer.split().freeze())
        } else if let Some(end) = memchr::memrchr(b'\n', &buffer[filled..]) {
            split(buffer.split_to(filled + end + 1).freeze())
        } else if buffer.len() > MAX_LINE {
            let message = format!("a line is longer than {} MB", MAX_LINE / 1024 / 1024);
            return drop(batches.blocking_send(Err(io::Error::new(io::ErrorKind::InvalidData, message))));
        } else {
            continue;
        };
        if batches.blocking_send(Ok(lines)).is_err() || read == 0 {
            return;
        }
    }
}

fn split(text: Bytes) -> Vec<Bytes> {
    let mut lines = Vec::with_capacity(text.len() / 64 + 1);
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', &text) {
        lines.push(text.slice(start..end));
        start = end + 1;
    }
    if start < text.len() {
        lines.push(text.slice(start..));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that gives `step` bytes at a time.
    struct Dribble(Vec<u8>, usize);

    impl Read for Dribble {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            Ok(count)
        }
    }

    async fn lines(text: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut source = Source::lines(Dribble(text.to_vec(), step), Line::Value(Shape::default()));
        let mut lines = Vec::new();
        while let Some(record) = source.next().await.unwrap() {
            lines.push(record.unwrap().value.unwrap().to_vec());
        }
        lines
    }

    #[tokio::test]
    async fn lines_are_exact_however_they_arrive() {
        for step in [1, 2, 3, 7, 1_000] {
            let expected: [&[u8]; 5] = [b"one", b"", b"two\r", b"\xff\x00", b"last"];
            assert_eq!(lines(b"one\n\ntwo\r\n\xff\x00\nlast", step).await, expected);
        }
        assert!(lines(b"", 10).await.is_empty());
        assert_eq!(lines(b"\n", 10).await, [b""]);
    }

    #[test]
    fn a_line_is_split_at_the_first_separator() {
        let shape = Shape { separator: Some("::".into()), ..Shape::default() };
        let record = shape.line("a::b::c".into()).unwrap();
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"a"[..]), Some(&b"b::c"[..])));
        assert_eq!(shape.line("abc".into()).unwrap_err(), "no \"::\" in it to end the key");
    }

    #[test]
    fn empty_is_null_only_when_asked() {
        let mut shape = Shape { separator: Some(":".into()), ..Shape::default() };
        let record = shape.line(":".into()).unwrap();
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b""[..]), Some(&b""[..])));
        shape.empty_is_null = true;
        let record = shape.line(":".into()).unwrap();
        assert_eq!((record.key, record.value), (None, None));
    }
}
