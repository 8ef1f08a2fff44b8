//! What metrics and traces cost, with them and without in turns: `cargo bench --bench telemetry -- --kafka … --redis …`.
//! `benches/README.md` has the figures and what they mean.
//!
//! The library records into whatever recorder the process has, and into none if it has none; and it tells of spans in a process
//! that was given an endpoint. So the load runs in processes of its own.

mod common;

use std::alloc::{GlobalAlloc, Layout};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use clap::{Parser, ValueEnum};
use common::median;
use fred::interfaces::HashesInterface;
use futures::{FutureExt, StreamExt, stream};
use kboard::apps::{self, Prefix, Services, board};
use kboard::config::{KafkaSettings, RedisSettings, Sample, TopicDefaults, TraceSettings};
use kboard::kafka::admin::ensure_topics;
use kboard::kafka::consumer::GroupHealth;
use kboard::kafka::event::TRACEPARENT;
use kboard::kafka::{Cluster, Outgoing, Producer};
use kboard::live::feed::{Event, Subscription};
use kboard::live::sse::SseStream;
use kboard::redis::Redis;
use kboard::telemetry::instruments::{PartitionInstruments, StreamInstruments};
use kboard::telemetry::metrics as declared;
use kboard::telemetry::process::ProcessFacts;
use kboard::telemetry::trace;
use kboard::web::{self, Routes};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use url::Url;
use warp::Filter;
use warp::http::StatusCode;

/// How long a load may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(300);
/// Records that are produced at once.
const AT_ONCE: usize = 1_000;
/// How often a scrape is made of a process under load; Prometheus makes one every 15 s.
const SCRAPE: Duration = Duration::from_secs(1);
/// Samples of the scrape that is timed.
const SAMPLES: usize = 10_000;
/// Viewers of the fan-out, and what each is written.
const VIEWERS: usize = 1_000;
const FRAMES: u64 = 200;

/// As in `kboard` itself, and counted.
#[global_allocator]
static ALLOCATOR: Counting = Counting(mimalloc::MiMalloc);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting(mimalloc::MiMalloc);

// SAFETY: each call is passed on as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps to the same contract.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { self.0.realloc(pointer, layout, size) }
    }
}

/// What metrics and traces cost.
#[derive(Parser)]
#[command(name = "telemetry", max_term_width = 120)]
struct Args {
    /// The broker, `host:port`, with nothing else on it
    #[arg(long, env = "KBOARD_TEST_KAFKA")]
    kafka: String,
    /// The Redis that holds the projection
    #[arg(long, env = "KBOARD_TEST_REDIS")]
    redis: String,
    /// Records that are produced and projected by each process
    #[arg(long, default_value_t = 300_000)]
    records: u64,
    /// How many processes there are of each kind; the medians count
    #[arg(long, default_value_t = 8)]
    rounds: usize,
    /// Be one of these processes
    #[arg(long, hide = true)]
    process: Option<Mode>,
    /// Where it tells of spans
    #[arg(long, hide = true)]
    endpoint: Option<Url>,
    // `cargo bench` adds it to the arguments of every bench program.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What a process records.
#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// Nothing.
    Off,
    /// Metrics.
    Metrics,
    /// These, and one trace in a hundred.
    Some,
    /// These, and every trace.
    All,
}

impl Mode {
    /// Which traces it records, if it records any.
    fn sample(self) -> Option<Sample> {
        match self {
            Self::Off | Self::Metrics => None,
            Self::Some => Some(Sample::Share(0.01)),
            Self::All => Some(Sample::Share(1.0)),
        }
    }
}

/// What a process measured.
#[derive(Clone, Copy, Deserialize, Serialize)]
struct Load {
    /// Records a second.
    produced: f64,
    projected: f64,
    /// Processor time, µs a record.
    produced_micros: f64,
    projected_micros: f64,
}

fn main() -> anyhow::Result<()> {
    // `cargo test --all-targets` and a bare `cargo bench` run this with nothing to do: no load without being asked.
    if std::env::args().skip(1).all(|argument| argument == "--bench") {
        println!("it needs a broker and a Redis: cargo bench --bench telemetry -- --kafka 127.0.0.1:9092 --redis …");
        return Ok(());
    }
    let args = Args::parse();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        match args.process {
            Some(mode) => println!("{}", serde_json::to_string(&load(&args, mode).await?)?),
            None => report(&args).await?,
        }
        Ok(())
    })
}

/// One of the figures of a load.
type Figure = fn(&Load) -> f64;

async fn report(args: &Args) -> anyhow::Result<()> {
    let endpoint = collector().await?;
    let mut loads: [Vec<Load>; 4] = Default::default();
    for round in 0..args.rounds {
        // Each comes after every other as often: what one leaves behind is worked off while the next one runs.
        for turn in 0..loads.len() {
            let place = (round + turn) % loads.len();
            let load = tokio::task::block_in_place(|| process(args, Mode::value_variants()[place], &endpoint))?;
            loads[place].push(load);
        }
    }
    println!("| median of {} | nothing | metrics | and 1 % of the traces | and all traces |", args.rounds);
    println!("|---|--:|--:|--:|--:|");
    let rows: [(&str, Figure); 4] = [
        ("records produced, acks=all, a second", |load| load.produced),
        ("processor time, µs a record", |load| load.produced_micros),
        ("records projected into Redis, a second", |load| load.projected),
        ("processor time, µs a record", |load| load.projected_micros),
    ];
    for (what, figure) in rows {
        let medians = loads.each_ref().map(|loads| median(loads.iter().map(figure)));
        let cells = medians.map(|median| format!("{median:.2} ({:.3})", median / medians[0]));
        println!("| {what} | {} |", cells.join(" | "));
    }
    let recorder = declared::builder()?.build_recorder();
    // A task may not read more than a few channels in a row.
    let fan_out = |instruments| tokio::task::block_in_place(|| fan_out(instruments));
    let off = fan_out(StreamInstruments::default());
    let on = fan_out(metrics::with_local_recorder(&recorder, StreamInstruments::default));
    println!("\n| a frame to {VIEWERS} viewers | without metrics | with them |\n|---|--:|--:|");
    println!("| allocations | {} | {} |", off.0, on.0);
    println!("| nanoseconds a viewer | {:.0} | {:.0} ({:.3}) |", off.1, on.1, on.1 / off.1);
    let (samples, took) = scrape()?;
    println!("\nA scrape of {samples} samples: {:.1} ms.", took.as_secs_f64() * 1000.0);
    Ok(())
}

/// Something that takes spans and forgets them.
async fn collector() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let takes = warp::post().and(warp::body::bytes()).map(|_| StatusCode::OK);
    let routes = Routes::new(takes.map(warp::reply::Reply::into_response).boxed(), &[]);
    tokio::spawn(web::server::serve(listener, routes, CancellationToken::new()));
    Ok(format!("http://{address}"))
}

fn process(args: &Args, mode: Mode, endpoint: &str) -> anyhow::Result<Load> {
    let mode = mode.to_possible_value().context("a mode without a name")?;
    let output = Command::new(std::env::current_exe()?)
        .args(["--process", mode.get_name(), "--endpoint", endpoint, "--kafka", &args.kafka, "--redis", &args.redis])
        .args(["--records", &args.records.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the process ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("what the process said")
}

/// Produces the board's messages, then projects them.
async fn load(args: &Args, mode: Mode) -> anyhow::Result<Load> {
    let endpoint = args.endpoint.clone().filter(|_| mode.sample().is_some());
    let sample = mode.sample().unwrap_or(Sample::Share(0.0));
    let exporter = trace::start(&TraceSettings { endpoint, sample })?;
    if !matches!(mode, Mode::Off) {
        let (handle, mut facts) = (declared::install()?, ProcessFacts::new());
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(SCRAPE);
            loop {
                interval.tick().await;
                facts.look();
                handle.run_upkeep();
                std::hint::black_box(handle.render());
            }
        });
    }
    let services = services(args).await?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let mut random = StdRng::seed_from_u64(7);
    let records: Vec<Outgoing> = (0..args.records)
        .map(|_| {
            let apps::Generated { topic, key, value, mut headers } = (board::APP.generate)(&mut random);
            headers.retain(|(name, _)| name != TRACEPARENT);
            headers.push((TRACEPARENT.to_owned(), Some(trace::root().header().into())));
            Outgoing { topic: services.prefix.apply(&topic), key, value: Some(value), headers, timestamp: now }
        })
        .collect();
    let ((), produced, produced_micros) = timed(args.records, async {
        let mut sent = stream::iter(records).map(|record| services.producer.send(record)).buffer_unordered(AT_ONCE);
        while let Some(sent) = sent.next().await {
            sent?;
        }
        Ok(())
    })
    .await?;

    let before = seq(&services).await?;
    let consuming = tokio::spawn((board::APP.groups[0].run)(services.clone(), GroupHealth::default()));
    let wait = async |upto: u64| {
        let started = Instant::now();
        while seq(&services).await? < upto {
            ensure!(started.elapsed() < PATIENCE, "the projection stands at {} of {upto}", seq(&services).await?);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        anyhow::Ok(())
    };
    // Not before it has joined its group.
    wait(before + 1).await?;
    let first = seq(&services).await?;
    let rest = (before + args.records).saturating_sub(first);
    let ((), projected, projected_micros) = timed(rest, wait(before + args.records)).await?;
    services.shutdown.cancel();
    consuming.await??;
    services.producer.close(Duration::from_secs(1)).await;
    if let Some(exporter) = exporter {
        exporter.finish().await;
    }
    Ok(Load { produced, projected, produced_micros, projected_micros })
}

async fn services(args: &Args) -> anyhow::Result<Services> {
    let session_timeout = Duration::from_secs(10);
    let kafka = KafkaSettings { bootstrap: vec![args.kafka.clone()], tls: None, sasl: None, session_timeout };
    let (cluster, prefix) = (Cluster::new(kafka), Prefix("bench-telemetry.".to_owned()));
    let topics = (board::APP.topics)(&prefix);
    ensure_topics(&cluster, &topics, &TopicDefaults { replication_factor: None, min_insync_replicas: None }).await?;
    let producer = Producer::start(&cluster, topics.iter().map(|topic| topic.name.clone())).await?;
    let redis = Redis::connect(&RedisSettings { url: args.redis.parse()?, tls_ca: None }).await?;
    let (site, shutdown) = (Arc::default(), CancellationToken::new());
    Ok(Services { cluster, producer, redis, prefix, state_retention: Duration::from_secs(7 * 86_400), site, shutdown })
}

/// How many messages were projected.
async fn seq(services: &Services) -> anyhow::Result<u64> {
    let state = services.prefix.apply("kboard:message-board");
    Ok(services.redis.client().hget::<Option<u64>, _, _>(state, "seq").await?.unwrap_or_default())
}

/// What `work` answers, how many of `count` it did in a second, and the processor time for each in µs.
async fn timed<T>(count: u64, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<(T, f64, f64)> {
    let (started, before) = (Instant::now(), processor()?);
    let answer = work.await?;
    let (took, used) = (started.elapsed().as_secs_f64(), processor()? - before);
    Ok((answer, count as f64 / took, used * 1e6 / count as f64))
}

/// Seconds of processor time of this process.
fn processor() -> anyhow::Result<f64> {
    let schedstat = std::fs::read_dir("/proc/self/task")?.map(|task| {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        anyhow::Ok(text.split(' ').next().context("schedstat")?.parse::<f64>()?)
    });
    Ok(schedstat.sum::<anyhow::Result<f64>>()? / 1e9)
}

/// Allocations for one frame, and nanoseconds for a frame and viewer.
fn fan_out(instruments: StreamInstruments) -> (u64, f64) {
    let (instruments, sender) = (Arc::new(instruments), broadcast::Sender::new(16));
    let subscription = || Subscription { backlog: Bytes::new(), messages: 0, reset: false, events: sender.subscribe() };
    let mut viewers: Vec<_> = (0..VIEWERS).map(|_| SseStream::new(subscription(), Arc::clone(&instruments))).collect();
    let mut write_all = || viewers.iter_mut().filter_map(|viewer| viewer.next().now_or_never()).count();
    let frame = Bytes::from_static(b"id: 1-1\ndata: {\"content\":\"hello\"}\n\n");
    let written = write_all(); // what each is told first
    let (allocations, started) = (ALLOCATIONS.load(Ordering::Relaxed), Instant::now());
    for _ in 0..FRAMES {
        assert!(sender.send(Event::Message(frame.clone())).is_ok(), "there are viewers");
        assert_eq!(write_all(), written, "every viewer is written every frame");
    }
    let took = started.elapsed().as_nanos() as f64 / (FRAMES * VIEWERS as u64) as f64;
    ((ALLOCATIONS.load(Ordering::Relaxed) - allocations) / FRAMES, took)
}

/// How many samples a scrape had, and how long it took: the median of 101.
fn scrape() -> anyhow::Result<(usize, Duration)> {
    let recorder = declared::builder()?.build_recorder();
    let handle = recorder.handle();
    let samples = |text: &str| text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    let mut partition = 0;
    while samples(&handle.render()) < SAMPLES {
        metrics::with_local_recorder(&recorder, || {
            let instruments = PartitionInstruments::new("group", &format!("topic-{}", partition / 12), partition);
            instruments.batch(1, 0, 0, Duration::from_millis(1));
            instruments.position(1, Some(2), None);
        });
        partition += 1;
        if partition > 10_000 {
            bail!("a partition has no samples");
        }
    }
    let mut took: Vec<Duration> = (0..101)
        .map(|_| {
            let started = Instant::now();
            std::hint::black_box(handle.render());
            started.elapsed()
        })
        .collect();
    took.sort();
    Ok((samples(&handle.render()), took[took.len() / 2]))
}
