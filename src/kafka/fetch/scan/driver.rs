//! What asks the leaders, and decodes what they answer.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::FetchRequest;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::turn::{Outcome, Turn};
use super::{Chunk, News, Range, ScanOptions};
use crate::kafka::fetch::collect::collect_kindly;
use crate::kafka::fetch::leaders::{leader_in, reading};
use crate::kafka::fetch::partition::bounds;
use crate::kafka::fetch::request::{Amount, Piece, Position, VERSIONS, pieces, request};
use crate::kafka::fetch::{Cluster, Isolation, KafkaError};
use crate::kafka::wire::{REQUEST_PATIENCE, WireError};

/// Ranges that are asked for in one request: a few, so that each gets a good piece.
const AT_ONCE: usize = 8;
/// How long a leader waits for something new, if all that it is asked for goes on for ever.
const FOLLOW_WAIT: Duration = Duration::from_millis(500);
/// Bytes of one answer: enough to make little of the way, and no more.
const ANSWER: std::ops::RangeInclusive<usize> = 64 * 1024..=2 * 1024 * 1024;
/// Memory of a chunk.
const CHUNK: usize = 512 * 1024;
/// What memory is counted in.
const UNIT: usize = 1024;

/// Reads the ranges of one scan.
#[derive(Debug)]
pub struct Driver {
    cluster: Cluster,
    options: ScanOptions,
    turns: Vec<Turn>,
    /// Ranges that nobody was asked for, the next first.
    waiting: VecDeque<usize>,
    asked: JoinSet<Asked>,
    /// Leaders that have a request, by what they were asked for.
    busy: HashSet<(Arc<str>, Isolation)>,
    /// Half of the memory: for what was decoded.
    memory: Arc<Semaphore>,
    news: mpsc::UnboundedSender<News>,
}

/// An answered request.
#[derive(Debug)]
struct Asked {
    leader: (Arc<str>, Isolation),
    places: Vec<usize>,
    pieces: Result<Vec<Result<Piece, ResponseError>>, WireError>,
}

/// That nobody listens any more.
struct Dropped;

impl Driver {
    pub fn new(cluster: Cluster, ranges: Vec<Range>, options: ScanOptions, news: mpsc::UnboundedSender<News>) -> Self {
        let memory = Arc::new(Semaphore::new((options.memory / 2).div_ceil(UNIT).max(1)));
        let waiting = (0..ranges.len()).collect();
        let turns = ranges.into_iter().map(Turn::new).collect();
        Self { cluster, options, turns, waiting, asked: JoinSet::new(), busy: HashSet::new(), memory, news }
    }

    /// Reads until all is read, or nobody listens.
    pub async fn run(mut self) {
        // That nobody listens ends it, and needs no words.
        let _ = self.drive().await;
    }

    async fn drive(&mut self) -> Result<(), Dropped> {
        for place in 0..self.turns.len() {
            self.finish_if_done(place)?;
        }
        loop {
            let now = Instant::now();
            self.ask(now).await?;
            if self.asked.is_empty() && self.waiting.is_empty() {
                return Ok(());
            }
            // What was due is asked for, or waits for its leader.
            let due = self.waiting.iter().map(|&place| self.turns[place].due()).filter(|due| *due > now).min();
            tokio::select! {
                Some(asked) = self.asked.join_next() => match asked {
                    Ok(asked) => self.take(asked).await?,
                    Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
                },
                () = sleep_until(due) => {}
            }
        }
    }

    /// Asks every leader that isn't busy for the ranges that wait for it.
    async fn ask(&mut self, now: Instant) -> Result<(), Dropped> {
        let due: Vec<usize> = self.waiting.iter().copied().filter(|&place| self.turns[place].is_due(now)).collect();
        if due.is_empty() {
            return Ok(());
        }
        let brokers = Arc::clone(self.cluster.brokers());
        let layouts = {
            let topics: Vec<&str> = due.iter().map(|&place| &**self.turns[place].topic()).collect();
            brokers.layouts(&topics).await
        };
        let mut groups: HashMap<(Arc<str>, Isolation), Vec<usize>> = HashMap::new();
        let mut leaders = HashSet::new();
        for place in due {
            let turn = &self.turns[place];
            let leader = match &layouts {
                Ok(layouts) => leader_in(&brokers, layouts, turn.topic(), turn.partition()),
                Err(error) => Err(self.failed(place, error.clone())),
            };
            match leader {
                Ok(address) => {
                    leaders.insert(Arc::clone(&address));
                    let at_once = if turn.follows() { usize::MAX } else { AT_ONCE };
                    let key = (address, turn.asks_for(self.options.isolation));
                    if !self.busy.contains(&key) {
                        let group = groups.entry(key).or_default();
                        if group.len() < at_once {
                            group.push(place);
                        }
                    }
                }
                Err(error) => {
                    self.waiting.retain(|&waiting| waiting != place);
                    self.stall(place, error)?;
                }
            }
        }
        leaders.extend(self.busy.iter().map(|(address, _)| Arc::clone(address)));
        for (key, places) in groups {
            self.ask_leader(key, places, leaders.len());
        }
        Ok(())
    }

    fn ask_leader(&mut self, key: (Arc<str>, Isolation), places: Vec<usize>, leaders: usize) {
        let chosen: HashSet<usize> = places.iter().copied().collect();
        self.waiting.retain(|place| !chosen.contains(place));
        let positions: Vec<Position> = places.iter().map(|&place| self.turns[place].position()).collect();
        // Of the half that isn't for what was decoded, one part is on its way while the other is being decoded.
        let bytes = (self.options.memory / 4 / leaders).clamp(*ANSWER.start(), *ANSWER.end());
        let follow = places.iter().all(|&place| self.turns[place].follows());
        let amount = Amount {
            isolation: key.1,
            bytes,
            partition_bytes: (bytes / places.len().min(AT_ONCE)).max(*ANSWER.start()),
            max_wait: if follow { FOLLOW_WAIT } else { Duration::ZERO },
        };
        let brokers = Arc::clone(self.cluster.brokers());
        self.busy.insert(key.clone());
        self.asked.spawn(async move {
            let patience = REQUEST_PATIENCE + amount.max_wait;
            let request = |_| -> FetchRequest { request(&positions, &amount) };
            let response = brokers.ask(&key.0, VERSIONS, patience, request).await;
            Asked { leader: key, places, pieces: response.map(|response| pieces(&positions, response)) }
        });
    }

    /// Takes an answer, asks for what comes next, and hands out what there is.
    async fn take(&mut self, asked: Asked) -> Result<(), Dropped> {
        let Asked { leader, places, pieces } = asked;
        self.busy.remove(&leader);
        let pieces = match pieces {
            Ok(pieces) => pieces,
            Err(error) => {
                for place in places {
                    self.stall(place, self.failed(place, error.clone()))?;
                }
                return Ok(());
            }
        };
        let mut found = Vec::new();
        for (place, piece) in places.into_iter().zip(pieces) {
            match piece {
                Ok(piece) => match self.turns[place].judge(piece, leader.1, self.options.isolation) {
                    Ok(Outcome::Found(piece)) => found.push((place, piece)),
                    Ok(Outcome::Again) => self.waiting.push_back(place),
                    Ok(Outcome::Done) => self.tell(News::Done(place))?,
                    Err(error) => self.tell(News::Failed(place, error))?,
                },
                Err(ResponseError::OffsetOutOfRange) => self.go_to_start(place).await?,
                Err(error) => self.stall(place, self.failed(place, WireError::Refused(error)))?,
            }
        }
        self.hand_out(found).await
    }

    async fn hand_out(&mut self, found: Vec<(usize, Piece)>) -> Result<(), Dropped> {
        let mut decoders = Vec::with_capacity(found.len());
        for (place, piece) in found {
            let (high_watermark, bytes) = (piece.high_watermark, piece.batches.len());
            let decoder = piece.decoder(self.options.isolation);
            let to = self.turns[place].to();
            let ahead = decoder.end_offset();
            if ahead == Some(decoder.next_offset()) {
                self.stall_at_end(place)?;
                continue;
            }
            if let Some(next) = ahead {
                self.go_on_at(place, next);
            }
            decoders.push((place, decoder, to, high_watermark, bytes, ahead.is_some()));
        }
        self.ask(Instant::now()).await?;
        for (place, mut decoder, to, high_watermark, bytes, went_on) in decoders {
            loop {
                let (collected, rest) = collect_kindly(decoder, to, CHUNK).await;
                decoder = rest;
                let (is_all, next) = (collected.is_all, collected.next);
                let chunk = Chunk {
                    range: place,
                    records: collected.records,
                    unreadable: collected.unreadable,
                    next,
                    high_watermark,
                    bytes: if is_all { bytes as u64 } else { 0 },
                };
                self.hand_out_chunk(chunk, collected.memory).await?;
                if is_all {
                    if !went_on {
                        self.go_on_at(place, next);
                    }
                    break;
                }
            }
            self.finish_if_done(place)?;
        }
        Ok(())
    }

    async fn hand_out_chunk(&self, chunk: Chunk, memory: usize) -> Result<(), Dropped> {
        let all = (self.options.memory / 2).div_ceil(UNIT).max(1);
        let units = u32::try_from(memory.div_ceil(UNIT).clamp(1, all)).unwrap_or(u32::MAX);
        // It is never closed.
        let memory = Arc::clone(&self.memory).acquire_many_owned(units).await.map_err(|_| Dropped)?;
        self.tell(News::Chunk(chunk, memory))
    }

    /// Goes on with a range at `next`, or has it wait for more if that is where it is.
    fn go_on_at(&mut self, place: usize, next: i64) {
        self.turns[place].advance(next);
        if !self.turns[place].is_done() {
            self.waiting.push_back(place);
        }
    }

    /// Passes over what retention has removed.
    async fn go_to_start(&mut self, place: usize) -> Result<(), Dropped> {
        let position = self.turns[place].position();
        match bounds(&self.cluster, &position).await {
            Ok((start, _)) if start > position.offset => {
                let to = self.turns[place].to();
                self.go_on_at(place, start);
                let chunk = Chunk {
                    range: place,
                    records: Vec::new(),
                    unreadable: Vec::new(),
                    next: start.min(to),
                    high_watermark: start,
                    bytes: 0,
                };
                self.hand_out_chunk(chunk, 0).await?;
                self.finish_if_done(place)
            }
            Ok(_) => {
                let topic = position.topic.to_string();
                let error = KafkaError::LogEndsEarly { topic, partition: position.partition, offset: position.offset };
                self.stall(place, error)
            }
            Err(error) => self.stall(place, error),
        }
    }

    fn finish_if_done(&mut self, place: usize) -> Result<(), Dropped> {
        if !self.turns[place].is_done() {
            return Ok(());
        }
        self.waiting.retain(|&waiting| waiting != place);
        self.tell(News::Done(place))
    }

    /// Has a range wait since its leader has nothing where something should be.
    fn stall_at_end(&mut self, place: usize) -> Result<(), Dropped> {
        self.stall(place, self.turns[place].ends_early())
    }

    /// Has a range wait since `error` is in the way, or ends it.
    fn stall(&mut self, place: usize, error: KafkaError) -> Result<(), Dropped> {
        self.cluster.brokers().forget(self.turns[place].topic());
        match self.turns[place].stall(error) {
            Ok(()) => {
                self.waiting.push_back(place);
                Ok(())
            }
            Err(error) => self.tell(News::Failed(place, error)),
        }
    }

    fn failed(&self, place: usize, source: WireError) -> KafkaError {
        let turn = &self.turns[place];
        KafkaError::Wire { what: reading(turn.topic(), turn.partition()), source }
    }

    fn tell(&self, news: News) -> Result<(), Dropped> {
        self.news.send(news).map_err(|_| Dropped)
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
