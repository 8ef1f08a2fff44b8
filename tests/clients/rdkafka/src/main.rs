//! rdkafka: librdkafka in Rust.

use std::error::Error;
use std::io::stdin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(180);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, scenario, bootstrap, name] = arguments.as_slice() else { return Err("SCENARIO BOOTSTRAP NAME".into()) };
    let input: Value = serde_json::from_reader(stdin())?;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    let (admin, reader) = (config.create()?, config.clone().set("group.id", name).create()?);
    let client = Client { config, admin, reader, name: name.clone() };
    let saw = match scenario.as_str() {
        "admin" => client.administrate()?,
        "codecs" => client.codecs(&input)?,
        "group" => client.group(&input)?,
        "times" => client.times(&input)?,
        "cut" => client.cut(&input)?,
        other => return Err(format!("no scenario {other}").into()),
    };
    println!("{saw}");
    Ok(())
}

struct Client {
    config: ClientConfig,
    admin: AdminClient<DefaultClientContext>,
    /// It reads no records, but can be asked for what consumers know.
    reader: BaseConsumer,
    name: String,
}

impl Client {
    fn administrate(&self) -> Outcome<Value> {
        let name = &self.name;
        let topic = NewTopic::new(name, 3, TopicReplication::Fixed(1));
        self.create(&topic.set("retention.ms", "3600000"))?;
        let partitions = self.settled(3)?;
        let listed = self.topics()?.contains(name);
        let again = number(self.create(&NewTopic::new(name, 3, TopicReplication::Fixed(1))));
        let unknown = format!("{name}-x");
        let unknown = NewTopic::new(&unknown, 1, TopicReplication::Fixed(1)).set("no.such.setting", "1");
        let unknown = number(self.create(&unknown));
        let before = self.retention()?;
        let change = AlterConfig::new(ResourceSpecifier::Topic(name)).set("retention.ms", "7200000");
        only(block_on(self.admin.alter_configs([&change], &AdminOptions::new()))?).map_err(|(_, code)| code)?;
        eventually("the setting is told", || Ok(self.retention()? != before))?;
        let after = self.retention()?;
        self.raise(5)?;
        let raised = self.settled(5)?;
        let lowered = number(self.raise(2));
        only(block_on(self.admin.delete_topics(&[name], &AdminOptions::new()))?).map_err(|(_, code)| code)?;
        eventually("the topic is gone", || Ok(!self.topics()?.contains(name)))?;
        Ok(json!({
            "partitions": partitions, "listed": [listed, false], "again": again, "unknown setting": unknown,
            "retention": [before, after], "raised": raised, "lowered": lowered,
            "deleted": number(self.partitions()),
        }))
    }

    fn codecs(&self, input: &Value) -> Outcome<Value> {
        let mut saw = json!({});
        for codec in input["codecs"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let topic = format!("{}-{codec}", self.name);
            self.create(&NewTopic::new(&topic, 1, TopicReplication::Fixed(1)))?;
            self.write(&topic, records(input), 1, &[("compression.type", codec)])?;
            saw[codec] = self.read(&topic)?.into();
        }
        Ok(saw)
    }

    fn group(&self, input: &Value) -> Outcome<Value> {
        let (name, records) = (&self.name, records(input));
        self.create(&NewTopic::new(name, 4, TopicReplication::Fixed(1)))?;
        self.write(name, &records[..40], 4, &[])?;
        let first = self.member()?;
        read_all(40, &[&first])?;
        let alone = json!({ "owned": first.owned(), "read": first.count() });

        let second = self.member()?;
        eventually("both own two", || Ok(first.owned().len() == 2 && second.owned().len() == 2))?;
        let mut all = [first.owned(), second.owned()].concat();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
        self.write(name, &records[40..80], 4, &[])?;
        read_all(80, &[&first, &second])?;
        let both = json!({ "owned": [2, 2], "read": [first.count() - 40, second.count()] });
        let (described, committed) = (self.described()?, self.committed()?);

        let mut values = first.leave();
        let before = second.count();
        eventually("the second owns all", || Ok(second.owned().len() == 4))?;
        self.write(name, &records[80..], 4, &[])?;
        read_all(before + 40, &[&second])?;
        let left = json!({ "owned": second.owned(), "read": second.count() - before });
        values.extend(second.leave());
        values.sort();
        eventually("the group is empty", || Ok(self.described()?["state"] == "Empty"))?;
        let empty = self.described()?;

        let mut offsets = TopicPartitionList::new();
        for partition in 0..4 {
            offsets.add_partition_offset(name, partition, Offset::Offset(7))?;
        }
        self.reader.commit(&offsets, CommitMode::Sync)?;
        let reset = self.committed()?;
        let third = self.member()?;
        read_all(92, &[&third])?;
        let again = third.leave().len();
        eventually("the group is empty", || Ok(self.described()?["state"] == "Empty"))?;
        let listed = self.listed()?;
        only(block_on(self.admin.delete_groups(&[name], &AdminOptions::new()))?).map_err(|(_, code)| code)?;
        Ok(json!({
            "alone": alone, "both": both, "described": described, "committed": committed, "left": left, "empty": empty,
            "values": values, "reset": reset, "again": again, "listed": [listed, self.listed()?],
        }))
    }

    fn times(&self, input: &Value) -> Outcome<Value> {
        self.create(&NewTopic::new(&self.name, 1, TopicReplication::Fixed(1)))?;
        self.write(&self.name, records(input), 1, &[])?;
        let at = |timestamp: i64| -> Outcome<Option<i64>> {
            let mut asked = TopicPartitionList::new();
            asked.add_partition_offset(&self.name, 0, Offset::Offset(timestamp))?;
            let found = self.reader.offsets_for_times(asked, LIMIT)?;
            Ok(found.elements()[0].offset().to_raw().filter(|offset| *offset >= 0))
        };
        let times = || records(input).iter().filter_map(|record| record["timestamp"].as_i64());
        let (earliest, latest) = self.reader.fetch_watermarks(&self.name, 0, LIMIT)?;
        Ok(json!({
            "at": times().map(at).collect::<Outcome<Vec<_>>>()?,
            "after": times().map(|time| at(time + 1)).collect::<Outcome<Vec<_>>>()?,
            "earliest": earliest,
            "latest": latest,
        }))
    }

    fn cut(&self, input: &Value) -> Outcome<Value> {
        self.create(&NewTopic::new(&self.name, 1, TopicReplication::Fixed(1)))?;
        let settings = [("enable.idempotence", "true"), ("batch.num.messages", "5"), ("reconnect.backoff.ms", "20")];
        self.write(&self.name, records(input), 1, &settings)?;
        let values: Vec<Value> = self.read(&self.name)?.into_iter().map(|mut record| record["value"].take()).collect();
        Ok(json!({ "values": values }))
    }

    fn create(&self, topic: &NewTopic) -> Outcome<()> {
        let made = block_on(self.admin.create_topics([topic], &AdminOptions::new()))?;
        Ok(only(made).map(drop).map_err(|(_, code)| code)?)
    }

    fn raise(&self, count: usize) -> Outcome<()> {
        let raised = NewPartitions::new(&self.name, count);
        let raised = block_on(self.admin.create_partitions([&raised], &AdminOptions::new()))?;
        Ok(only(raised).map(drop).map_err(|(_, code)| code)?)
    }

    fn topics(&self) -> Outcome<Vec<String>> {
        let metadata = self.reader.fetch_metadata(None, LIMIT)?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }

    fn partitions(&self) -> Outcome<Vec<i32>> {
        let metadata = self.reader.fetch_metadata(Some(&self.name), LIMIT)?;
        let topic = &metadata.topics()[0];
        match topic.error() {
            Some(error) => Err(RDKafkaErrorCode::from(error).into()),
            None => Ok(topic.partitions().iter().map(|partition| partition.id()).collect()),
        }
    }

    /// The partitions, once there are as many as were asked for: Kafka tells of changes a moment later.
    fn settled(&self, count: usize) -> Outcome<Vec<i32>> {
        eventually("the partitions are told", || Ok(self.partitions().is_ok_and(|all| all.len() == count)))?;
        let mut partitions = self.partitions()?;
        partitions.sort_unstable();
        Ok(partitions)
    }

    fn retention(&self) -> Outcome<Option<String>> {
        let resource = ResourceSpecifier::Topic(&self.name);
        let described = only(block_on(self.admin.describe_configs([&resource], &AdminOptions::new()))?)?;
        Ok(described.get("retention.ms").and_then(|entry| entry.value.clone()))
    }

    fn write(&self, topic: &str, records: &[Value], partitions: i32, settings: &[(&str, &str)]) -> Outcome<()> {
        let mut config = self.config.clone();
        for (name, value) in settings {
            config.set(*name, *value);
        }
        let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
        for (given, partition) in records.iter().zip((0..partitions).cycle()) {
            let (key, value) = (bytes(&given["key"]), bytes(&given["value"]));
            let mut record: BaseRecord<[u8], [u8]> = BaseRecord::to(topic).partition(partition);
            record = record.timestamp(given["timestamp"].as_i64().ok_or("no timestamp")?);
            record = key.iter().fold(record, |record, key| record.key(key));
            record = value.iter().fold(record, |record, value| record.payload(value));
            let mut headers = OwnedHeaders::new();
            for header in given["headers"].as_array().into_iter().flatten() {
                let value = bytes(&header[1]);
                headers = headers.insert(Header { key: header[0].as_str().unwrap_or_default(), value: value.as_ref() });
            }
            producer.send(record.headers(headers)).map_err(|(error, _)| error)?;
        }
        Ok(producer.flush(LIMIT)?)
    }

    /// All of partition 0.
    fn read(&self, topic: &str) -> Outcome<Vec<Value>> {
        let (_, end) = self.reader.fetch_watermarks(topic, 0, LIMIT)?;
        let consumer: BaseConsumer = self.config.clone().set("group.id", topic).create()?;
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(topic, 0, Offset::Beginning)?;
        consumer.assign(&all)?;
        let mut read = Vec::new();
        let mut next = 0;
        while next < end {
            let record = consumer.poll(LIMIT).ok_or("waited too long for a record")??;
            next = record.offset() + 1;
            let headers = record.headers().into_iter().flat_map(|headers| headers.iter());
            let headers: Vec<Value> =
                headers.map(|header| json!([header.key, header.value.map(hexadecimal)])).collect();
            read.push(json!({
                "timestamp": record.timestamp().to_millis(),
                "key": record.key().map(hexadecimal),
                "value": record.payload().map(hexadecimal),
                "headers": headers,
            }));
        }
        Ok(read)
    }

    fn member(&self) -> Outcome<Member> {
        let mut config = self.config.clone();
        config.set("group.id", &self.name).set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.set("heartbeat.interval.ms", "200").create()?;
        consumer.subscribe(&[&self.name])?;
        let (consumer, values, open) = (Arc::new(consumer), Arc::default(), Arc::new(AtomicBool::new(true)));
        let (reads, read, while_open) = (Arc::clone(&consumer), Arc::clone(&values), Arc::clone(&open));
        let reading = thread::spawn(move || {
            while while_open.load(Ordering::Relaxed) {
                if let Some(Ok(record)) = reads.poll(Duration::from_millis(100)) {
                    let read: &Mutex<Vec<String>> = &read;
                    read.lock().unwrap().push(hexadecimal(record.payload().unwrap_or_default()));
                }
            }
        });
        Ok(Member { consumer, values, open, reading })
    }

    fn described(&self) -> Outcome<Value> {
        let groups = self.reader.fetch_group_list(Some(&self.name), LIMIT)?;
        let group = groups.groups().first().ok_or("the group isn't told of")?;
        Ok(json!({ "state": group.state(), "members": group.members().len() }))
    }

    fn committed(&self) -> Outcome<Vec<Option<i64>>> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.name, 0, 3);
        let committed = self.reader.committed_offsets(asked, LIMIT)?;
        Ok(committed.elements().iter().map(|partition| partition.offset().to_raw()).collect())
    }

    fn listed(&self) -> Outcome<bool> {
        let groups = self.reader.fetch_group_list(None, LIMIT)?;
        Ok(groups.groups().iter().any(|group| group.name() == self.name))
    }
}

/// A member of the group that reads all the time.
struct Member {
    consumer: Arc<BaseConsumer>,
    values: Arc<Mutex<Vec<String>>>,
    open: Arc<AtomicBool>,
    reading: JoinHandle<()>,
}

impl Member {
    fn owned(&self) -> Vec<i32> {
        let assigned = self.consumer.assignment().map(|all| all.elements().iter().map(|one| one.partition()).collect());
        let mut owned: Vec<i32> = assigned.unwrap_or_default();
        owned.sort_unstable();
        owned
    }

    fn count(&self) -> usize {
        self.values.lock().unwrap().len()
    }

    /// Leaves the group, and gives what it read.
    fn leave(self) -> Vec<String> {
        self.open.store(false, Ordering::Relaxed);
        self.reading.join().unwrap();
        drop(self.consumer);
        std::mem::take(&mut self.values.lock().unwrap())
    }
}

/// Until they have read `count` records in all; then they commit.
fn read_all(count: usize, members: &[&Member]) -> Outcome<()> {
    eventually("all is read", || Ok(members.iter().map(|member| member.count()).sum::<usize>() >= count))?;
    for member in members {
        member.consumer.commit_consumer_state(CommitMode::Sync)?;
    }
    Ok(())
}

fn eventually(what: &str, mut condition: impl FnMut() -> Outcome<bool>) -> Outcome<()> {
    let deadline = Instant::now() + LIMIT;
    while !condition()? {
        if Instant::now() > deadline {
            return Err(format!("waited too long: {what}").into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The outcome of the one thing that was asked.
fn only<T>(outcomes: Vec<T>) -> T {
    outcomes.into_iter().next().expect("one thing was asked")
}

/// The number of the broker's error, or 0.
fn number<T>(outcome: Outcome<T>) -> i32 {
    match outcome {
        Ok(_) => 0,
        Err(error) => *error.downcast::<RDKafkaErrorCode>().expect("an error of the broker") as i32,
    }
}

fn records(input: &Value) -> &[Value] {
    input["records"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn bytes(text: &Value) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.as_str()?.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    Some(digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
