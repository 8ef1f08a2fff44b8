//! A till: the smallest service that does all that processors can, and a place to run it in.
//!
//! What is asked for on topic `asks` is paid on topic `paid`, once each: at once, after a while, after some failures, never.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use kboard::config::{KafkaSettings, RedisSettings};
use kboard::kafka::admin::{TopicSpec, ensure_topics};
use kboard::kafka::consumer::GroupHealth;
use kboard::kafka::event::{EVENT_ID, TIMESTAMP, header_str};
use kboard::kafka::log::{self, PartitionLog};
use kboard::kafka::replay::{Part, Progress, Range, Report};
use kboard::kafka::{Cluster, KafkaError, Outgoing, Producer};
use kboard::processor::retry::{Policy, Retry, Worker};
use kboard::processor::{self, Decision, Failure, Index, Moment, Processor, Setup, States, View};
use kboard::redis::{Redis, Window};
use krafka::ConsumerRecord;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{RedisServer, eventually, services, unique};

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Its id.
    pub id: String,
    /// The key it is about.
    pub key: String,
    /// How often it fails.
    #[serde(default)]
    pub fails: u32,
    /// Whether it fails for good.
    #[serde(default)]
    pub is_hopeless: bool,
    /// When it is paid, in milliseconds since the epoch.
    #[serde(default)]
    pub at: i64,
    /// Whether it is counted under the one key that everybody changes.
    #[serde(default)]
    pub is_hot: bool,
}

/// The key that everybody changes.
pub const HOT: &str = "hot";

/// What the till sees.
#[derive(Clone, Debug)]
pub enum Event {
    /// Asked for.
    Asked(Ask),
    /// Paid.
    Paid { id: String, key: String, at: i64 },
}

/// What it knows of a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// What was asked for, by id.
    pub asked: BTreeMap<String, Ask>,
    /// What of it was paid.
    pub paid: BTreeSet<String>,
}

/// The till.
#[derive(Clone)]
pub struct Till {
    /// The topic that it emits to.
    pub paid: String,
}

impl Processor for Till {
    type Event = Event;
    type State = Account;

    fn read(&self, record: &ConsumerRecord) -> Result<Option<Event>, String> {
        let value = record.value.as_deref().unwrap_or_default();
        if *record.topic == *self.paid {
            let (id, key) = std::str::from_utf8(value).unwrap().split_once(' ').ok_or("no pair")?;
            return Ok(Some(Event::Paid { id: id.to_owned(), key: key.to_owned(), at: record.timestamp }));
        }
        serde_json::from_slice(value).map(|ask| Some(Event::Asked(ask))).map_err(|error| error.to_string())
    }

    fn keys(&self, event: &Event) -> Vec<String> {
        match event {
            Event::Asked(Ask { key, is_hot: true, .. }) => vec![key.clone(), HOT.to_owned()],
            Event::Asked(Ask { key, .. }) | Event::Paid { key, .. } => vec![key.clone()],
        }
    }

    fn evolve(&self, event: &Event, states: &mut States<Account>) {
        match event {
            Event::Asked(ask) => {
                states.get_mut(&ask.key).asked.insert(ask.id.clone(), ask.clone());
                if ask.is_hot {
                    states.get_mut(HOT).paid.insert(ask.id.clone());
                }
            }
            Event::Paid { id, key, .. } => _ = states.get_mut(key).paid.insert(id.clone()),
        }
    }

    fn decide(&self, key: &str, states: &States<Account>, moment: &Moment) -> Result<Decision<Event>, Failure> {
        let account = states.get(key);
        let mut decision = Decision::default();
        for ask in account.asked.values().filter(|ask| !account.paid.contains(&ask.id)) {
            if ask.is_hopeless {
                return Err(Failure::Permanent("hopeless".to_owned()));
            }
            if moment.attempt <= ask.fails {
                return Err(Failure::Transient(format!("attempt {}", moment.attempt)));
            }
            if ask.at > moment.now_ms {
                decision.wake = Some(decision.wake.map_or(ask.at, |at| at.min(ask.at)));
            } else {
                decision.events.push(Event::Paid { id: ask.id.clone(), key: ask.key.clone(), at: moment.now_ms });
            }
        }
        Ok(decision)
    }

    fn write(&self, event: &Event) -> Outgoing {
        let Event::Paid { id, key, at } = event else { panic!("{event:?} is not emitted") };
        Outgoing {
            topic: self.paid.clone(),
            key: Some(Bytes::from(key.clone())),
            value: Some(Bytes::from(format!("{id} {key}"))),
            headers: vec![
                (EVENT_ID.to_owned(), Some(Bytes::from(format!("paid-{id}")))),
                (TIMESTAMP.to_owned(), Some(Bytes::from(at.to_string()))),
            ],
            timestamp: *at,
        }
    }

    fn indexes(&self, _: &str, account: &Account) -> Vec<Index> {
        let name = if account.asked.len() == account.paid.len() { "settled" } else { "open" };
        vec![Index { name: name.to_owned(), score: -(account.asked.len() as f64), limit: 1_000 }]
    }

    fn announce(&self, key: &str, account: &Account) -> Option<String> {
        Some(serde_json::json!({ "key": key, "paid": account.paid.len() }).to_string())
    }

    fn lifetime(&self, _: &str, _: &Account) -> Option<Duration> {
        Some(Duration::from_secs(3_600))
    }
}

/// Topics of its own, a Redis of its own, and tills that come and go.
pub struct Shop {
    /// Its Redis.
    pub redis: RedisServer,
    /// What its topics, groups and keys begin with.
    pub prefix: String,
    /// The cluster, for tests to look at it.
    pub cluster: Cluster,
    /// Whether tills keep the order of records that fail.
    pub keeps_order: bool,
    kafka: String,
    producer: Producer,
}

/// A member of the till's group, or of its retry worker's, in a runtime of its own, so that it can die at any instruction.
pub struct Member {
    runtime: Option<tokio::runtime::Runtime>,
    shutdown: CancellationToken,
    ended: Option<tokio::task::JoinHandle<()>>,
}

impl Member {
    /// It dies: nothing that it is at goes on.
    pub fn die(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    /// It ends in order.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        self.ended.take().unwrap().await.unwrap();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shop {
    /// Opens one on the shared broker.
    pub async fn open() -> Self {
        Self::open_on(&services::kafka()).await
    }

    /// Opens one on the broker at `kafka`.
    pub async fn open_on(kafka: &str) -> Self {
        let redis = RedisServer::start().await;
        let prefix = unique("till") + ".";
        let cluster = cluster(kafka);
        let name = |topic: &str| format!("{prefix}{topic}");
        let topics = [("asks", 3), ("paid", 3), ("retry", 1), ("dlq", 1)];
        let specs: Vec<_> = topics.iter().map(|(topic, partitions)| TopicSpec::new(name(topic), *partitions)).collect();
        ensure_topics(&cluster, &specs, &Default::default()).await.unwrap();
        let producer = Producer::start(&cluster, []).await.unwrap();
        Self { redis, prefix, cluster, keeps_order: false, kafka: kafka.to_owned(), producer }
    }

    /// A name of a topic, group or key.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The till's setup, for the runtime that this is called in.
    pub async fn setup(&self) -> Setup {
        setup(&self.kafka, &self.redis.url(), &self.prefix, self.keeps_order).await
    }

    /// Starts a till.
    pub fn till(&self) -> Member {
        let (kafka, url) = (self.kafka.clone(), self.redis.url());
        let (prefix, order) = (self.prefix.clone(), self.keeps_order);
        member(async move |shutdown| {
            let setup = setup(&kafka, &url, &prefix, order).await;
            let (till, group) = (Till { paid: setup.emits[0].clone() }, setup.group.clone());
            processor::run(setup, till, GroupHealth::new(&group), shutdown).await.unwrap();
        })
    }

    /// Starts a worker that brings back what failed.
    pub fn worker(&self) -> Member {
        let (kafka, url, prefix) = (self.kafka.clone(), self.redis.url(), self.prefix.clone());
        member(async move |shutdown| {
            let mut setup = setup(&kafka, &url, &prefix, false).await;
            (setup.group, setup.window) = ("worker".to_owned(), None);
            (setup.topics, setup.emits) = (vec![format!("{prefix}retry")], vec![format!("{prefix}asks")]);
            let (worker, group) = (Worker::new(format!("{prefix}retry")), setup.group.clone());
            processor::run(setup, worker, GroupHealth::new(&group), shutdown).await.unwrap();
        })
    }

    /// Asks.
    pub async fn ask(&self, asks: &[Ask]) {
        let mut sent = Vec::new();
        for ask in asks {
            let (topic, key) = (self.name("asks"), Some(Bytes::from(ask.key.clone())));
            let value = Some(Bytes::from(serde_json::to_vec(ask).unwrap()));
            let headers = vec![(EVENT_ID.to_owned(), Some(Bytes::from(format!("asked-{}", ask.id))))];
            sent.push(self.producer.enqueue(Outgoing { topic, key, value, headers, timestamp: now() }).await.unwrap());
        }
        for sent in sent {
            sent.await.unwrap();
        }
    }

    /// Writes any record.
    pub async fn write(&self, topic: &str, value: &'static str) {
        let record = Outgoing {
            topic: self.name(topic),
            key: None,
            value: Some(Bytes::from_static(value.as_bytes())),
            headers: Vec::new(),
            timestamp: now(),
        };
        self.producer.send(record).await.unwrap();
    }

    /// Every record of a topic, partition by partition.
    pub async fn log(&self, topic: &str) -> Vec<ConsumerRecord> {
        let topic = self.name(topic);
        // A broker that was away has no leaders for a moment.
        eventually("a log that can be read", Duration::from_secs(60), async || self.read(&topic).await.ok()).await
    }

    async fn read(&self, topic: &str) -> Result<Vec<ConsumerRecord>, KafkaError> {
        let mut records = Vec::new();
        for log in log::open(&self.cluster, topic).await? {
            let (mut next, end) = (log.start().await?, log.end().await?);
            while next < end {
                let chunk = log.read(next, end, 1 << 20).await?;
                next = chunk.next;
                records.extend(chunk.records);
            }
        }
        Ok(records)
    }

    /// The event ids on topic `paid`, partition by partition, without the word before them.
    pub async fn paid(&self) -> Vec<String> {
        let id = |record: &ConsumerRecord| {
            header_str(&record.headers, EVENT_ID).unwrap().strip_prefix("paid-").unwrap().to_owned()
        };
        self.log("paid").await.iter().map(id).collect()
    }

    /// Waits until so many payments stand in the log, and fails if one of them is there twice.
    pub async fn pays(&self, count: usize, timeout: Duration) -> Vec<String> {
        let paid = eventually(&format!("{count} payments"), timeout, async || {
            let paid = self.paid().await;
            (paid.len() >= count).then_some(paid)
        })
        .await;
        let different: BTreeSet<_> = paid.iter().collect();
        assert_eq!((different.len(), paid.len()), (count, count), "each is paid once");
        paid
    }

    /// Waits until a broker that is to stand still has kept everything waiting for longer than a record waits for its
    /// acknowledgement: until a record is given up that was sent when one before it had been, so that what a till had in hand
    /// meanwhile is, too.
    pub async fn is_kept_waiting(&self) {
        let send = async || {
            let (topic, value) = (self.name("dlq"), Some(Bytes::from_static(b"nobody reads it")));
            self.producer.send(Outgoing { topic, key: None, value, headers: Vec::new(), timestamp: now() }).await
        };
        // While it is being stopped it may still answer.
        let given_up = async || send().await.is_err().then_some(());
        eventually("a record that is given up", Duration::from_secs(60), given_up).await;
        assert!(send().await.is_err(), "the broker goes on");
    }

    /// Waits until nothing is left to send.
    pub async fn has_sent_all(&self) {
        eventually("empty outboxes", Duration::from_secs(60), async || {
            self.redis.cli(&["KEYS", "*:outbox:*"]).await.trim().is_empty().then_some(())
        })
        .await;
    }

    /// Every state of the till: the JSON as it stands in Redis.
    pub async fn states(&self) -> BTreeMap<String, String> {
        let root = self.name("kboard:till");
        let space = self.redis.cli(&["HGET", &root, "space"]).await;
        let space = format!("{root}:{}:s:", space.trim());
        let mut states = BTreeMap::new();
        for name in self.redis.cli(&["KEYS", &format!("{space}*")]).await.lines() {
            let value = self.redis.cli(&["GET", name]).await;
            let (_, state) = value.split_once('\n').unwrap();
            // What was removed leaves its version behind for a moment.
            if !state.trim_end().is_empty() {
                states.insert(name.strip_prefix(&space).unwrap().to_owned(), state.trim_end().to_owned());
            }
        }
        states
    }

    /// Rebuilds the states of the till as `kboard replay` does.
    pub async fn rebuild(&self) -> Report {
        let setup = self.setup().await;
        let mut parts = Vec::new();
        for topic in ["asks", "paid"] {
            for log in log::open(&self.cluster, &self.name(topic)).await.unwrap() {
                parts.push(part(log).await);
            }
        }
        let till = Till { paid: self.name("paid") };
        processor::rebuild(setup, till, Range { parts }, Progress::default()).await.unwrap()
    }

    /// The states as pages see them.
    pub async fn view(&self) -> View<Account> {
        View::new(self.setup().await.redis, &self.prefix, "till")
    }
}

async fn part(log: PartitionLog) -> Part {
    Part { from: log.start().await.unwrap(), to: log.end().await.unwrap(), seen: 0, log }
}

fn member<F>(work: impl FnOnce(CancellationToken) -> F + Send + 'static) -> Member
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let shutdown = CancellationToken::new();
    let ended = runtime.spawn(work(shutdown.clone()));
    Member { runtime: Some(runtime), shutdown, ended: Some(ended) }
}

async fn setup(kafka: &str, redis: &str, prefix: &str, keep_order: bool) -> Setup {
    let name = |name: &str| format!("{prefix}{name}");
    let cluster = cluster(kafka);
    let producer = Producer::start(&cluster, []).await.unwrap();
    let redis = Redis::connect(&RedisSettings { url: redis.parse().unwrap(), tls_ca: None }).await.unwrap();
    let policy = Policy { base: Duration::from_millis(100), cap: Duration::from_millis(400), ..Policy::default() };
    let retry = Retry { policy, topic: name("retry"), dead_letters: name("dlq"), keep_order };
    Setup {
        cluster,
        producer,
        window: Some(View::<Account>::window(redis.clone(), prefix, "till", 100)),
        redis,
        group: "till".to_owned(),
        prefix: prefix.to_owned(),
        topics: vec![name("asks")],
        emits: vec![name("paid")],
        retry,
    }
}

fn cluster(kafka: &str) -> Cluster {
    Cluster::new(KafkaSettings {
        bootstrap: vec![kafka.to_owned()],
        tls: None,
        sasl: None,
        session_timeout: Duration::from_secs(2),
    })
}

/// Milliseconds since the epoch, now.
pub fn now() -> i64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64
}
