//! Idempotent producers and consumer groups at work on a topic, who come back when their broker does, and what they
//! were told: a record whose producer got its acknowledgement, or that somebody has read, must be there for good.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    FetchRequest, GroupId, HeartbeatRequest, InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest,
    ListOffsetsRequest, OffsetCommitRequest, OffsetFetchRequest, ProduceRequest, SyncGroupRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{Compression, Record};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::clock::now_ms;
use super::eventually;
use super::wire::{Sender, Wire, batch, records, text};

/// Requests that a producer has under way at most: so many batches are remembered of it.
const IN_FLIGHT: usize = 5;
/// Between two tries to connect.
const KNOCK_EVERY: Duration = Duration::from_millis(5);
/// What a producer or a member rests after each answer, so that the log stays small.
const REST: Duration = Duration::from_millis(2);
/// How often a restless member comes and goes: after so many looks at the log.
const RESTLESS: usize = 25;
/// Who has no place in a group.
const NO_GENERATION: i32 = -1;
/// Members of a group.
const MEMBERS: usize = 2;

const PRODUCE: i16 = 9;
const FETCH: i16 = 11;
const LIST_OFFSETS: i16 = 7;
const JOIN: i16 = 3;
const SYNC: i16 = 2;
const HEARTBEAT: i16 = 2;
const LEAVE: i16 = 2;
const COMMIT: i16 = 6;
const COMMITTED: i16 = 5;

/// Everybody at work.
pub struct Traffic {
    place: Arc<Place>,
    producing: CancellationToken,
    reading: CancellationToken,
    producers: JoinSet<()>,
    members: JoinSet<()>,
}

/// Where they work, and what they were told.
struct Place {
    address: String,
    topic: String,
    partitions: i32,
    connected: AtomicUsize,
    told: Mutex<Told>,
}

/// What somebody was told.
#[derive(Default)]
struct Told {
    /// The value at a partition's offset.
    records: BTreeMap<(i32, i64), String>,
    /// How many records a producer sent to a partition.
    sent: HashMap<(i64, i32), i32>,
    /// What a group has committed for a partition.
    committed: HashMap<(String, i32), i64>,
    /// How often members of a group had to join.
    joins: HashMap<String, usize>,
    /// The generation in which each member of a group has its partitions.
    generations: HashMap<String, [Option<i32>; MEMBERS]>,
}

impl Told {
    fn record(&mut self, partition: i32, offset: i64, value: &str) {
        let known = self.records.entry((partition, offset)).or_insert_with(|| value.to_owned());
        assert_eq!(known, value, "partition {partition} offset {offset} was something else before");
    }

    fn batch(&mut self, batch: &Batch, base_offset: i64) {
        (base_offset..).zip(&batch.values).for_each(|(offset, value)| self.record(batch.partition, offset, value));
    }

    fn committed(&mut self, group: &str, partition: i32, offset: i64) {
        let known = self.committed.entry((group.to_owned(), partition)).or_insert(offset);
        assert!(*known <= offset, "{group} partition {partition} goes back from {known} to {offset}");
        *known = offset;
    }
}

impl Traffic {
    /// Starts `producers` that write to every partition of `topic` on the broker at `address`, and a group of two
    /// members for each of `groups`. The members of one whose name begins with "restless" come and go.
    pub async fn start(address: &str, topic: &str, partitions: i32, producers: usize, groups: &[&str]) -> Self {
        let place = Arc::new(Place {
            address: address.to_owned(),
            topic: topic.to_owned(),
            partitions,
            connected: AtomicUsize::new(0),
            told: Mutex::default(),
        });
        let (producing, reading) = (CancellationToken::new(), CancellationToken::new());
        let mut traffic = Self { place, producing, reading, producers: JoinSet::new(), members: JoinSet::new() };
        for _ in 0..producers {
            let producer = Producer::new(Arc::clone(&traffic.place)).await;
            traffic.producers.spawn(producer.work(traffic.producing.clone()));
        }
        for (group, number) in groups.iter().flat_map(|group| (0..MEMBERS).map(move |number| (group, number))) {
            let member = Member::new(Arc::clone(&traffic.place), group, number);
            traffic.members.spawn(member.work(traffic.reading.clone()));
        }
        traffic
    }

    /// Lets producers and readers be told of `more` further records.
    pub async fn goes_on(&mut self, more: usize, timeout: Duration) {
        let enough = self.place.told().records.len() + more;
        let failed = std::cell::RefCell::new((&mut self.producers, &mut self.members));
        eventually("records that are acknowledged or read", timeout, async || {
            let (producers, members) = &mut *failed.borrow_mut();
            for ended in [producers.try_join_next(), members.try_join_next()].into_iter().flatten() {
                ended.unwrap();
            }
            (self.place.told().records.len() >= enough).then_some(())
        })
        .await;
    }

    /// Waits until all members of the group have partitions in one generation: without a reason nobody has to join again.
    pub async fn is_at_rest(&self, group: &str, timeout: Duration) {
        eventually(&format!("{group} at rest"), timeout, async || {
            let [first, second] = *self.place.told().generations.get(group)?;
            (first.is_some() && first == second).then_some(())
        })
        .await;
    }

    /// Waits until everybody has noticed that the broker is gone, and read what it had sent them before.
    pub async fn all_are_cut_off(&self, timeout: Duration) {
        eventually("everybody to notice the end of the broker", timeout, async || {
            (self.place.connected.load(Ordering::SeqCst) == 0).then_some(())
        })
        .await;
    }

    /// The offset after the last one of a partition that anybody was told of.
    pub fn known_end(&self, partition: i32) -> i64 {
        let told = self.place.told();
        let known = told.records.range((partition, 0)..(partition + 1, 0)).next_back();
        known.map_or(0, |((_, offset), _)| offset + 1)
    }

    /// How often members of the group had to join.
    pub fn joins(&self, group: &str) -> usize {
        self.place.told().joins.get(group).copied().unwrap_or(0)
    }

    /// How many records are known.
    pub fn records(&self) -> usize {
        self.place.told().records.len()
    }

    /// Asserts that the log's ends and the groups' offsets are no less than what was told.
    pub async fn has_kept_its_place(&self) {
        let mut wire = Wire::connect(&self.place.address).await.unwrap();
        for partition in 0..self.place.partitions {
            let known = self.known_end(partition);
            let end = self.place.end(&mut wire, partition).await.unwrap();
            assert!(end >= known, "partition {partition} ends at {end}, and ended at {known}");
        }
        let committed = self.place.told().committed.clone();
        for ((group, partition), known) in committed {
            let offset = self.place.committed(&mut wire, &group, &[partition]).await.unwrap()[&partition];
            assert!(offset >= known, "{group} partition {partition} is at {offset}, and was at {known}");
        }
    }

    /// Ends it, and asserts that the log holds what was told, each record once, in the order of its producer; and that
    /// the groups have read all of it.
    pub async fn end(mut self, timeout: Duration) {
        self.producing.cancel();
        while let Some(ended) = self.producers.join_next().await {
            ended.unwrap();
        }
        let mut wire = Wire::connect(&self.place.address).await.unwrap();
        let mut counts = HashMap::new();
        for partition in 0..self.place.partitions {
            let end = self.place.end(&mut wire, partition).await.unwrap();
            let groups: Vec<String> = self.place.told().joins.keys().cloned().collect();
            for group in groups {
                eventually(&format!("{group} at the end of partition {partition}"), timeout, async || {
                    let mut wire = Wire::connect(&self.place.address).await.unwrap();
                    let committed = self.place.committed(&mut wire, &group, &[partition]).await.unwrap();
                    (committed[&partition] == end).then_some(())
                })
                .await;
            }
            let (mut position, mut told) = (0, HashMap::new());
            while position < end {
                for record in self.place.fetch(&mut wire, &[(partition, position)]).await.unwrap().remove(0).1 {
                    assert_eq!(record.offset, position);
                    position += 1;
                    let value = value(&record);
                    told.insert((partition, record.offset), value.clone());
                    let mut words = value.split(' ').map(|word| word.parse::<i64>());
                    let (producer, number) = (words.next().unwrap().unwrap(), words.next().unwrap().unwrap());
                    let next: &mut i32 = counts.entry((producer, partition)).or_default();
                    assert_eq!(i64::from(*next), number, "partition {partition} offset {}: {value}", record.offset);
                    *next += 1;
                }
            }
            let known = self.place.told();
            for (place, value) in known.records.range((partition, 0)..(partition + 1, 0)) {
                assert_eq!(told.get(place), Some(value), "partition and offset {place:?}");
            }
        }
        assert_eq!(counts, self.place.told().sent);
        self.reading.cancel();
        while let Some(ended) = self.members.join_next().await {
            ended.unwrap();
        }
    }
}

impl Place {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    fn topic(&self) -> TopicName {
        TopicName(text(&self.topic))
    }

    /// Connects, and counts as connected until what it does with the connection is over.
    async fn visit<T>(&self, act: impl AsyncFnOnce(&mut Wire) -> io::Result<T>) -> io::Result<T> {
        let mut wire = match Wire::connect(&self.address).await {
            Ok(wire) => wire,
            Err(error) => {
                tokio::time::sleep(KNOCK_EVERY).await;
                return Err(error);
            }
        };
        self.connected.fetch_add(1, Ordering::SeqCst);
        let result = act(&mut wire).await;
        self.connected.fetch_sub(1, Ordering::SeqCst);
        result
    }

    async fn end(&self, wire: &mut Wire, partition: i32) -> io::Result<i64> {
        let asked = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(-1);
        let topic = ListOffsetsTopic::default().with_name(self.topic()).with_partitions(vec![asked]);
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
        let response = wire.call(LIST_OFFSETS, &request).await?;
        let partition = &response.topics[0].partitions[0];
        assert_eq!(partition.error_code, 0);
        Ok(partition.offset)
    }

    /// What a group has committed; 0 where that is nothing.
    async fn committed(&self, wire: &mut Wire, group: &str, partitions: &[i32]) -> io::Result<HashMap<i32, i64>> {
        let topic = OffsetFetchRequestTopic::default().with_name(self.topic());
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(Some(vec![topic.with_partition_indexes(partitions.to_vec())]));
        let response = wire.call(COMMITTED, &request).await?;
        available(response.error_code)?;
        assert_eq!(response.error_code, 0);
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        Ok(partitions.map(|partition| (partition.partition_index, partition.committed_offset.max(0))).collect())
    }

    /// Records from these offsets on, by partition; those of the first batch may begin before.
    async fn fetch(&self, wire: &mut Wire, positions: &[(i32, i64)]) -> io::Result<Vec<(i32, Vec<Record>)>> {
        let asked = positions.iter().map(|&(partition, offset)| {
            FetchPartition::default()
                .with_partition(partition)
                .with_fetch_offset(offset)
                .with_partition_max_bytes(100_000)
        });
        let topic = FetchTopic::default().with_topic(self.topic()).with_partitions(asked.collect());
        let request = FetchRequest::default()
            .with_replica_id((-1).into())
            .with_max_wait_ms(20)
            .with_min_bytes(1)
            .with_max_bytes(1_000_000)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let response = wire.call(FETCH, &request).await?;
        let mut found = Vec::new();
        for partition in response.responses.into_iter().flat_map(|topic| topic.partitions) {
            let number = partition.partition_index;
            assert_eq!(partition.error_code, 0, "fetching partition {number} of {positions:?}");
            let from = positions.iter().find(|(asked, _)| *asked == number).unwrap().1;
            let mut records = records(partition.records.unwrap_or_default());
            records.retain(|record| record.offset >= from);
            found.push((number, records));
        }
        Ok(found)
    }
}

/// A broker that ends in order says so, and then closes the connection.
fn available(error_code: i16) -> io::Result<()> {
    let ends = error_code == ResponseError::CoordinatorNotAvailable.code();
    if ends { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
}

fn value(record: &Record) -> String {
    String::from_utf8(record.value.as_ref().unwrap().to_vec()).unwrap()
}

/// An idempotent producer.
struct Producer {
    place: Arc<Place>,
    id: i64,
    sent: usize,
    unacknowledged: VecDeque<Batch>,
}

struct Batch {
    partition: i32,
    values: Vec<String>,
    bytes: Bytes,
}

impl Producer {
    async fn new(place: Arc<Place>) -> Self {
        let request = InitProducerIdRequest::default().with_transactional_id(None);
        let mut wire = Wire::connect(&place.address).await.unwrap();
        let response = wire.call(2, &request).await.unwrap();
        assert_eq!(response.error_code, 0);
        Self { place, id: response.producer_id.0, sent: 0, unacknowledged: VecDeque::new() }
    }

    /// Works until `enough`, and then until everything is acknowledged.
    async fn work(mut self, enough: CancellationToken) {
        while !enough.is_cancelled() || !self.unacknowledged.is_empty() {
            let place = Arc::clone(&self.place);
            let _ = place.visit(async |wire: &mut Wire| self.converse(wire, &enough).await).await;
        }
    }

    async fn converse(&mut self, wire: &mut Wire, enough: &CancellationToken) -> io::Result<()> {
        for batch in &self.unacknowledged {
            self.send(wire, batch).await?;
        }
        loop {
            while self.unacknowledged.len() < IN_FLIGHT && !enough.is_cancelled() {
                let batch = self.next_batch();
                self.unacknowledged.push_back(batch);
                self.send(wire, &self.unacknowledged[self.unacknowledged.len() - 1]).await?;
            }
            let Some(batch) = self.unacknowledged.front() else { return Ok(()) };
            let response = wire.receive::<ProduceRequest>(PRODUCE).await?;
            let written = &response.responses[0].partition_responses[0];
            assert_eq!(written.error_code, 0, "producer {} partition {}", self.id, batch.partition);
            self.place.told().batch(batch, written.base_offset);
            self.unacknowledged.pop_front();
            tokio::time::sleep(REST).await;
        }
    }

    fn next_batch(&mut self) -> Batch {
        self.sent += 1;
        let partition = self.sent as i32 % self.place.partitions;
        let count = 1 + self.sent as i32 % 4;
        let mut told = self.place.told();
        let next = told.sent.entry((self.id, partition)).or_default();
        let sequence = *next;
        *next += count;
        let value = |number: i32| format!("{} {number} {}", self.id, "x".repeat(number as usize * 37 % 1_500));
        let values: Vec<_> = (sequence..sequence + count).map(value).collect();
        let compression = [Compression::None, Compression::Lz4, Compression::Zstd][self.sent % 3];
        let timestamp = now_ms();
        let bytes = batch(Sender { producer_id: self.id, sequence }, timestamp, &values, compression);
        Batch { partition, values, bytes }
    }

    async fn send(&self, wire: &mut Wire, batch: &Batch) -> io::Result<()> {
        let data = PartitionProduceData::default().with_index(batch.partition).with_records(Some(batch.bytes.clone()));
        let topic = TopicProduceData::default().with_name(self.place.topic()).with_partition_data(vec![data]);
        let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(vec![topic]);
        wire.send(PRODUCE, &request).await
    }
}

/// A member of a consumer group.
struct Member {
    place: Arc<Place>,
    group: String,
    /// Comes and goes.
    restless: bool,
    looks: usize,
    /// Which one of the group.
    number: usize,
    member_id: StrBytes,
    generation: i32,
    /// Where it goes on, by partition that it was given.
    positions: BTreeMap<i32, i64>,
}

/// What a member does next.
enum Next {
    ReadOn,
    Rejoin,
}

impl Member {
    fn new(place: Arc<Place>, group: &str, number: usize) -> Self {
        Self {
            place,
            group: group.to_owned(),
            restless: group.starts_with("restless"),
            // Not all at once.
            looks: number * RESTLESS / 2,
            number,
            member_id: StrBytes::default(),
            generation: NO_GENERATION,
            positions: BTreeMap::new(),
        }
    }

    /// Works until `enough`. Whoever loses its connection goes on as the member that it was.
    async fn work(mut self, enough: CancellationToken) {
        while !enough.is_cancelled() {
            let place = Arc::clone(&self.place);
            let _ = place.visit(async |wire: &mut Wire| self.converse(wire, &enough).await).await;
        }
    }

    async fn converse(&mut self, wire: &mut Wire, enough: &CancellationToken) -> io::Result<()> {
        while !enough.is_cancelled() {
            let next = match self.generation {
                NO_GENERATION => self.join(wire).await?,
                _ => self.read(wire).await?,
            };
            if matches!(next, Next::Rejoin) {
                self.has_partitions_in(NO_GENERATION);
            }
        }
        Ok(())
    }

    fn has_partitions_in(&mut self, generation: i32) {
        self.generation = generation;
        let known = Some(generation).filter(|generation| *generation != NO_GENERATION);
        self.place.told().generations.entry(self.group.clone()).or_default()[self.number] = known;
    }

    fn group_id(&self) -> GroupId {
        GroupId(text(&self.group))
    }

    /// Whether a member goes on with its work after an answer with this error.
    fn after(&mut self, error_code: i16) -> io::Result<Next> {
        available(error_code)?;
        match ResponseError::try_from_code(error_code) {
            None => return Ok(Next::ReadOn),
            Some(ResponseError::UnknownMemberId) => self.member_id = StrBytes::default(),
            Some(ResponseError::RebalanceInProgress | ResponseError::IllegalGeneration) => {}
            Some(error) => panic!("{}: {error}", self.group),
        }
        Ok(Next::Rejoin)
    }

    async fn join(&mut self, wire: &mut Wire) -> io::Result<Next> {
        *self.place.told().joins.entry(self.group.clone()).or_default() += 1;
        let protocol = JoinGroupRequestProtocol::default().with_name(text("in turn"));
        let request = JoinGroupRequest::default()
            .with_group_id(self.group_id())
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(500)
            .with_member_id(self.member_id.clone())
            .with_protocol_type(text("test"))
            .with_protocols(vec![protocol]);
        let joined = wire.call(JOIN, &request).await?;
        if let Next::Rejoin = self.after(joined.error_code)? {
            return Ok(Next::Rejoin);
        }
        self.member_id = joined.member_id;
        let members = joined.members.len() as i32;
        let assignments = joined.members.into_iter().zip(0..).map(|(member, place)| {
            let given = (0..self.place.partitions).filter(|partition| partition % members == place);
            SyncGroupRequestAssignment::default()
                .with_member_id(member.member_id)
                .with_assignment(given.map(|partition| partition as u8).collect())
        });
        let request = SyncGroupRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id(joined.generation_id)
            .with_member_id(self.member_id.clone())
            .with_assignments(assignments.collect());
        let synced = wire.call(SYNC, &request).await?;
        if let Next::Rejoin = self.after(synced.error_code)? {
            return Ok(Next::Rejoin);
        }
        let given: Vec<i32> = synced.assignment.iter().map(|&partition| i32::from(partition)).collect();
        let committed = self.place.committed(wire, &self.group, &given).await?;
        let told = self.place.told();
        for (&partition, &offset) in &committed {
            let known = told.committed.get(&(self.group.clone(), partition)).copied().unwrap_or(0);
            assert!(offset >= known, "{} partition {partition} begins at {offset} and not at {known}", self.group);
        }
        drop(told);
        self.positions = committed.into_iter().collect();
        self.has_partitions_in(joined.generation_id);
        Ok(Next::ReadOn)
    }

    /// A look at the log, a commit and a sign of life.
    async fn read(&mut self, wire: &mut Wire) -> io::Result<Next> {
        self.looks += 1;
        if self.restless && self.looks.is_multiple_of(RESTLESS) {
            let request =
                LeaveGroupRequest::default().with_group_id(self.group_id()).with_member_id(self.member_id.clone());
            wire.call(LEAVE, &request).await?;
            self.member_id = StrBytes::default();
            return Ok(Next::Rejoin);
        }
        if !self.positions.is_empty() {
            let positions: Vec<_> = self.positions.iter().map(|(&partition, &offset)| (partition, offset)).collect();
            for (partition, records) in self.place.fetch(wire, &positions).await? {
                let mut told = self.place.told();
                for record in records {
                    told.record(partition, record.offset, &value(&record));
                    self.positions.insert(partition, record.offset + 1);
                }
            }
            if let Next::Rejoin = self.commit(wire).await? {
                return Ok(Next::Rejoin);
            }
        }
        let request = HeartbeatRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id(self.generation)
            .with_member_id(self.member_id.clone());
        let heard = wire.call(HEARTBEAT, &request).await?;
        tokio::time::sleep(REST).await;
        self.after(heard.error_code)
    }

    async fn commit(&mut self, wire: &mut Wire) -> io::Result<Next> {
        let partitions = self.positions.iter().map(|(&partition, &offset)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(partition)
                .with_committed_offset(offset)
                .with_committed_metadata(Some(StrBytes::default()))
        });
        let topic =
            OffsetCommitRequestTopic::default().with_name(self.place.topic()).with_partitions(partitions.collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id_or_member_epoch(self.generation)
            .with_member_id(self.member_id.clone())
            .with_topics(vec![topic]);
        let response = wire.call(COMMIT, &request).await?;
        for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
            if let Next::Rejoin = self.after(partition.error_code)? {
                return Ok(Next::Rejoin);
            }
            let (number, group) = (partition.partition_index, self.group.clone());
            self.place.told().committed(&group, number, self.positions[&number]);
        }
        Ok(Next::ReadOn)
    }
}
