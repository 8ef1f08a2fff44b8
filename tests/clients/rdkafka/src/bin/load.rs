//! rdkafka at full speed, for benches/broker.sh: `load produce|consume|latency BOOTSTRAP TOPIC COUNT`, in a topic of one
//! partition. Prints records per second; for `latency` the average, the median and the 99th percentile in milliseconds.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// For anything that is waited for.
const LIMIT: Duration = Duration::from_secs(60);
/// What a record has in it.
const PAYLOAD: [u8; 100] = [b'x'; 100];
/// One in so many rounds of `latency` comes before those that count.
const WARM_UP: usize = 10;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, what, bootstrap, topic, count] = arguments.as_slice() else {
        return Err("produce|consume|latency BOOTSTRAP TOPIC COUNT".into());
    };
    let (load, count) = (Load { bootstrap, topic }, count.parse()?);
    match what.as_str() {
        "produce" => println!("{:.0}", load.produce(count)?),
        "consume" => println!("{:.0}", load.consume(count)?),
        "latency" => {
            let [average, median, ninety_ninth] = load.latency(count)?;
            println!("{average:.3} {median:.3} {ninety_ninth:.3}");
        }
        other => return Err(format!("{other} is none of produce, consume and latency").into()),
    }
    Ok(())
}

struct Load<'a> {
    bootstrap: &'a str,
    topic: &'a str,
}

impl Load<'_> {
    fn produce(&self, count: usize) -> Outcome<f64> {
        let producer = self.producer(&[("queue.buffering.max.messages", "1000000")])?;
        let began = Instant::now();
        for _ in 0..count {
            self.send(&producer)?;
        }
        producer.flush(LIMIT)?;
        Ok(count as f64 / began.elapsed().as_secs_f64())
    }

    fn consume(&self, count: usize) -> Outcome<f64> {
        let began = Instant::now();
        let consumer = self.consumer(Offset::Beginning)?;
        for _ in 0..count {
            consumer.poll(LIMIT).ok_or("waited too long for a record")??;
        }
        Ok(count as f64 / began.elapsed().as_secs_f64())
    }

    /// From sending a record until the consumer has it, one record after the other.
    fn latency(&self, count: usize) -> Outcome<[f64; 3]> {
        let producer = self.producer(&[("linger.ms", "0"), ("socket.nagle.disable", "true")])?;
        let (_, end) = self.consumer(Offset::End)?.fetch_watermarks(self.topic, 0, LIMIT)?;
        let consumer = self.consumer(Offset::Offset(end))?;
        let mut took = Vec::with_capacity(count);
        for round in 0..count + count / WARM_UP {
            let began = Instant::now();
            self.send(&producer)?;
            let record = consumer.poll(LIMIT).ok_or("waited too long for a record")??;
            if record.offset() != end + round as i64 {
                return Err(format!("offset {} came in round {round}, from {end} on", record.offset()).into());
            }
            took.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        let mut took = took.split_off(count / WARM_UP);
        took.sort_by(f64::total_cmp);
        let average = took.iter().sum::<f64>() / took.len() as f64;
        Ok([average, took[took.len() / 2], took[took.len() * 99 / 100]])
    }

    fn producer(&self, settings: &[(&str, &str)]) -> Outcome<ThreadedProducer<DefaultProducerContext>> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap).set("acks", "all");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        Ok(config.create()?)
    }

    /// Waits while the producer has as much to send as it takes.
    fn send(&self, producer: &ThreadedProducer<DefaultProducerContext>) -> Outcome<()> {
        let mut record: BaseRecord<(), [u8]> = BaseRecord::to(self.topic).partition(0).payload(&PAYLOAD);
        loop {
            record = match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), record)) => record,
                Err((error, _)) => return Err(error.into()),
            };
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn consumer(&self, offset: Offset) -> Outcome<BaseConsumer> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap).set("group.id", self.topic).set("enable.auto.commit", "false");
        // With its queue full it would wait a second, and the faster broker would be the slower one.
        config.set("fetch.queue.backoff.ms", "1");
        let consumer: BaseConsumer = config.set("socket.nagle.disable", "true").create()?;
        let mut partition = TopicPartitionList::new();
        partition.add_partition_offset(self.topic, 0, offset)?;
        consumer.assign(&partition)?;
        Ok(consumer)
    }
}
