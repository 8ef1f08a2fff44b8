//! What metrics and traces cost, with them and without in turns: `cargo bench --bench telemetry -- --kafka … --redis …`.
//! `benches/README.md` has the figures and what they mean.
//!
//! The library records into whatever recorder the process has, and into none if it has none; and it tells of spans in a process
//! that was given an endpoint. So there is a process for each kind, and they load one after the other, again and again: what the
//! machine does meanwhile happens to all of them.

mod common;

use std::alloc::{GlobalAlloc, Layout};
use std::io::{BufRead, BufReader, Lines, Write};
use std::iter;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail, ensure};
use bytes::Bytes;
use clap::{Parser, ValueEnum};
use common::median;
use fred::interfaces::HashesInterface;
use futures::{FutureExt, StreamExt, stream};
use kboard::apps::{self, Prefix, Services, board};
use kboard::config::table::setting;
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
use tokio::io::AsyncBufReadExt;
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
/// How often a scrape is made, as in prometheus/prometheus.yml.
const SCRAPE: Duration = Duration::from_secs(5);
/// From the last record to when all is told of them.
const TOLD_LATER: Duration = Duration::from_millis(1_200);
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
    /// Records of a load
    #[arg(long, default_value_t = 150_000)]
    records: u64,
    /// How many loads each process has; the medians count
    #[arg(long, default_value_t = 16)]
    rounds: usize,
    /// What is set beside recording nothing
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Mode::Metrics, Mode::Usual, Mode::All])]
    beside: Vec<Mode>,
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
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Mode {
    /// Nothing.
    Off,
    /// Metrics.
    Metrics,
    /// These, and as many traces as kboard does unless told otherwise.
    Usual,
    /// These, and every trace.
    All,
}

impl Mode {
    /// As it is called on the command line.
    fn name(self) -> anyhow::Result<String> {
        Ok(self.to_possible_value().context("a mode without a name")?.get_name().to_owned())
    }

    /// Which traces it records, if it records any.
    fn sample(self) -> anyhow::Result<Option<Sample>> {
        let text = match self {
            Self::Off | Self::Metrics => return Ok(None),
            Self::Usual => setting("otlp-sample").and_then(|setting| setting.default).context("no default")?,
            Self::All => "1",
        };
        let sample = text.parse().map_err(|_| anyhow!("{text} is no sample"))?;
        Ok(Some(sample))
    }
}

/// What a process measured of a load.
#[derive(Clone, Copy, Deserialize, Serialize)]
struct Load {
    /// Records that were produced and projected a second.
    rate: f64,
    /// Processor time, µs a record: also of what was told of them later.
    micros: f64,
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
            Some(mode) => work(&args, mode).await?,
            None => report(&args).await?,
        }
        Ok(())
    })
}

/// One of the figures of a load.
type Figure = fn(&Load) -> f64;

async fn report(args: &Args) -> anyhow::Result<()> {
    let endpoint = collector().await?;
    let modes: Vec<Mode> = iter::once(Mode::Off).chain(args.beside.iter().copied()).collect();
    // Pipes are read and written in place.
    let loads = tokio::task::block_in_place(|| {
        let mut processes =
            modes.iter().map(|mode| Worker::start(args, *mode, &endpoint)).collect::<Result<Vec<_>, _>>()?;
        let mut loads = vec![Vec::new(); modes.len()];
        for round in 0..args.rounds {
            // Each comes after every other as often: what one leaves behind is worked off while the next one works.
            for turn in 0..modes.len() {
                let place = (round + turn) % modes.len();
                loads[place].push(processes[place].load(args.records)?);
            }
        }
        processes.into_iter().try_for_each(Worker::end)?;
        anyhow::Ok(loads)
    })?;
    let names: Vec<String> = modes.iter().map(|mode| mode.name()).collect::<Result<_, _>>()?;
    println!("| median of {}, beside the one of its round | {} |", args.rounds, names.join(" | "));
    println!("|---|{}", "--:|".repeat(modes.len()));
    let rows: [(&str, Figure); 2] = [
        ("records produced and projected a second", |load| load.rate),
        ("processor time, µs a record", |load| load.micros),
    ];
    for (what, figure) in rows {
        let off = &loads[0];
        let cells = loads.iter().map(|loads| {
            let ratios = loads.iter().zip(off).map(|(load, off)| figure(load) / figure(off));
            let (least, middle, most) = middle(ratios);
            format!("{:.2} ({middle:.3}, {least:.3} to {most:.3})", median(loads.iter().map(figure)))
        });
        println!("| {what} | {} |", cells.collect::<Vec<_>>().join(" | "));
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

/// A process that loads when it is told to.
struct Worker {
    process: Child,
    told: ChildStdin,
    says: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(args: &Args, mode: Mode, endpoint: &str) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--process", &mode.name()?, "--endpoint", endpoint, "--kafka", &args.kafka, "--redis", &args.redis])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (told, says) = (process.stdin.take().context("stdin")?, process.stdout.take().context("stdout")?);
        let mut worker = Self { process, told, says: BufReader::new(says).lines() };
        // The first goes with connections that are made and a group that is joined.
        let _ = worker.load(AT_ONCE as u64)?;
        Ok(worker)
    }

    fn load(&mut self, records: u64) -> anyhow::Result<Load> {
        writeln!(self.told, "{records}")?;
        let said = self.says.next().context("a process has ended")??;
        serde_json::from_str(&said).context("what the process said")
    }

    fn end(self) -> anyhow::Result<()> {
        let Self { mut process, told, .. } = self;
        drop(told);
        let status = process.wait()?;
        ensure!(status.success(), "a process ended with {status}");
        Ok(())
    }
}

/// Loads as often as it is told to.
async fn work(args: &Args, mode: Mode) -> anyhow::Result<()> {
    let sample = mode.sample()?;
    let endpoint = args.endpoint.clone().filter(|_| sample.is_some());
    let exporter = trace::start(&TraceSettings { endpoint, sample: sample.unwrap_or(Sample::Share(0.0)) })?;
    if mode != Mode::Off {
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
    let services = services(args, &mode.name()?).await?;
    let group = &board::APP.groups[0];
    let health = GroupHealth::new(&services.prefix.apply(group.name));
    let consuming = tokio::spawn((group.run)(services.clone(), health));
    let mut told = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    while let Some(records) = told.next_line().await? {
        let load = load(&services, records.parse()?).await?;
        println!("{}", serde_json::to_string(&load)?);
    }
    services.shutdown.cancel();
    consuming.await??;
    services.producer.close(Duration::from_secs(1)).await;
    if let Some(exporter) = exporter {
        exporter.finish().await;
    }
    Ok(())
}

/// Makes `count` of the board's messages, sends them and waits until they are projected.
async fn load(services: &Services, count: u64) -> anyhow::Result<Load> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let mut random = StdRng::seed_from_u64(7);
    let wanted = seq(services).await? + count;
    let (started, before) = (Instant::now(), processor()?);
    // Each is made where it is sent, as a request makes it, and begins a trace there: how many are recorded is a matter of time.
    let made = stream::iter(0..count).map(|_| {
        let apps::Generated { topic, key, value, mut headers } = (board::APP.generate)(&mut random);
        headers.retain(|(name, _)| name != TRACEPARENT);
        headers.push((TRACEPARENT.to_owned(), Some(trace::root().header().into())));
        let topic = services.prefix.apply(&topic);
        services.producer.send(Outgoing { topic, key, value: Some(value), headers, timestamp: now })
    });
    let mut sent = made.buffer_unordered(AT_ONCE);
    while let Some(sent) = sent.next().await {
        sent?;
    }
    while seq(services).await? < wanted {
        ensure!(started.elapsed() < PATIENCE, "the projection stands at {} of {wanted}", seq(services).await?);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = started.elapsed().as_secs_f64();
    // Spans are told of within a second, which is not to fall into the next one's time, nor to be forgotten.
    tokio::time::sleep(TOLD_LATER).await;
    Ok(Load { rate: count as f64 / took, micros: (processor()? - before) * 1e6 / count as f64 })
}

/// Each process has topics, a group and a projection of its own.
async fn services(args: &Args, mode: &str) -> anyhow::Result<Services> {
    let session_timeout = Duration::from_secs(10);
    let kafka = KafkaSettings { bootstrap: vec![args.kafka.clone()], tls: None, sasl: None, session_timeout };
    let (cluster, prefix) = (Cluster::new(kafka), Prefix(format!("bench-telemetry-{mode}.")));
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

/// The median of `values`, and between which of them that of many more would lie in 95 of 100 cases: by their ranks, whatever
/// they are distributed like (<https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval>, of one half).
fn middle(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (last, half_width) = (values.len() - 1, 0.98 * (values.len() as f64).sqrt());
    let least = ((values.len() as f64 / 2.0 - half_width).floor().max(0.0)) as usize;
    (values[least], values[values.len() / 2], values[last - least])
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
