//! The reading client beside kcat on the same topics: `cargo bench --bench read -- --kafka 127.0.0.1:9092`.
//! `benches/README.md` has the figures and what they mean.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use kboard::config::KafkaSettings;
use kboard::kafka::Cluster;
use kboard::kafka::fetch::{At, FetchOptions, Isolation, Range, Scan, ScanOptions, fetch, offsets};
use krafka::Kafka;
use krafka::admin::NewTopic;

/// As in kboard itself, so that its memory is that of kboard.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Records of the newest page.
const PAGE: i64 = 50;
/// Pages that are opened one after the other.
const PAGES: usize = 50;
/// Bytes of a record's value.
const VALUE: usize = 100;

#[derive(Parser)]
#[command(name = "read", max_term_width = 120)]
struct Args {
    /// The broker, `host:port`
    #[arg(long, env = "KBOARD_TEST_KAFKA")]
    kafka: String,
    /// Records of each topic
    #[arg(long, default_value_t = 2_000_000)]
    records: u64,
    /// How often each topic is read by either; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Partitions of each topic
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// MiB that a scan may take
    #[arg(long, default_value_t = 32)]
    memory: usize,
    // `cargo bench` adds it to the arguments of every bench program.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    // `cargo test --all-targets` and a bare `cargo bench` run this with nothing to do: no load without being asked.
    if std::env::args().skip(1).all(|argument| argument == "--bench") {
        println!("it needs a broker: cargo bench --bench read -- --kafka 127.0.0.1:9092");
        return Ok(());
    }
    // As kboard does.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    tokio::runtime::Runtime::new()?.block_on(run(&Args::parse()))
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let before = memory("VmRSS:")?;
    println!("| {} records of {VALUE} B | kcat, records/s | scan, records/s | ratio |", args.records);
    println!("|---|--:|--:|--:|");
    for codec in ["none", "lz4", "zstd", "snappy", "gzip"] {
        let topic = format!("read-{codec}-{}", std::process::id());
        create(args, &topic).await?;
        produce(args, &topic, codec)?;
        let (mut kcat, mut scan) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            kcat.push(read_by_kcat(args, &topic)?);
            scan.push(read_by_scan(args, &topic).await?);
        }
        let (kcat, scan) = (median(&mut kcat), median(&mut scan));
        let rate = |elapsed: Duration| args.records as f64 / elapsed.as_secs_f64();
        println!("| {codec} | {:.0} | {:.0} | {:.2} |", rate(kcat), rate(scan), rate(scan) / rate(kcat));
        if codec == "none" || codec == "lz4" {
            let (first, page) = newest_page(args, &topic).await?;
            eprintln!("{codec}: newest page of {PAGE}: the first {first:.1?}, then {page:.1?} (median of {PAGES})");
        }
        delete(args, &topic).await?;
    }
    eprintln!("resident memory: {} MiB before all that, {} MiB at most", before / 1024, memory("VmHWM:")? / 1024);
    Ok(())
}

async fn create(args: &Args, topic: &str) -> anyhow::Result<()> {
    let client = Kafka::builder(&args.kafka).connect().await?;
    let made = client.admin().create_topics([NewTopic::new(topic, args.partitions, 1)?], Default::default()).await?;
    Ok(made.into_values().try_for_each(|outcome| outcome.map(drop))?)
}

async fn delete(args: &Args, topic: &str) -> anyhow::Result<()> {
    let client = Kafka::builder(&args.kafka).connect().await?;
    client.admin().delete_topics([topic], Default::default()).await?;
    Ok(())
}

fn produce(args: &Args, topic: &str, codec: &str) -> anyhow::Result<()> {
    let mut kcat = Command::new("kcat")
        .args(["-P", "-b", &args.kafka, "-t", topic, "-z", codec, "-X", "linger.ms=20", "-X", "batch.size=200000"])
        .stdin(Stdio::piped())
        .spawn()
        .context("kcat")?;
    let mut lines = std::io::BufWriter::new(kcat.stdin.take().context("a pipe")?);
    for number in 0..args.records {
        // About as repetitive as a log of events is.
        let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let start =
            format!(r#"{{"id":{number},"user":"{noise:016x}","level":"INFO","text":"an order was placed","amount":"#);
        writeln!(lines, "{start:<width$}}}", width = VALUE - 1)?;
    }
    lines.flush()?;
    drop(lines);
    ensure!(kcat.wait()?.success(), "kcat failed");
    Ok(())
}

fn read_by_kcat(args: &Args, topic: &str) -> anyhow::Result<Duration> {
    let count = args.records.to_string();
    let started = Instant::now();
    let status = Command::new("kcat")
        .args(["-C", "-b", &args.kafka, "-t", topic, "-o", "beginning", "-c", &count, "-q"])
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "kcat failed");
    Ok(started.elapsed())
}

async fn read_by_scan(args: &Args, topic: &str) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let cluster = cluster(args);
    let partitions: Vec<_> = (0..args.partitions).map(|partition| (topic, partition)).collect();
    let ends = offsets(&cluster, &partitions, At::Latest, Isolation::All).await;
    let mut ranges = Vec::new();
    for ((topic, partition), end) in partitions.iter().zip(ends) {
        let to = Some(end?.context("an end")?.offset);
        ranges.push(Range { topic: (*topic).into(), partition: *partition, from: 0, to });
    }
    let options = ScanOptions { memory: args.memory * 1024 * 1024, ..ScanOptions::default() };
    let mut scan = Scan::start(&cluster, ranges, &options);
    let (mut records, mut bytes) = (0, 0);
    while let Some(chunk) = scan.next().await {
        let chunk = chunk?;
        records += chunk.records.len() as u64;
        bytes += chunk.records.iter().map(|record| record.value.as_ref().map_or(0, bytes::Bytes::len)).sum::<usize>();
    }
    ensure!(records == args.records && bytes >= VALUE * records as usize, "{records} records with {bytes} bytes");
    Ok(started.elapsed())
}

/// How long the newest page takes with a cluster that nobody has asked anything yet, and after that.
async fn newest_page(args: &Args, topic: &str) -> anyhow::Result<(Duration, Duration)> {
    let cluster = cluster(args);
    let mut times = Vec::new();
    for _ in 0..=PAGES {
        let started = Instant::now();
        let end = offsets(&cluster, &[(topic, 0)], At::Latest, Isolation::All).await.remove(0)?.context("an end")?;
        let (mut from, mut seen) = ((end.offset - PAGE).max(0), 0);
        while from < end.offset {
            let fetched = fetch(&cluster, topic, 0, from, &FetchOptions::default()).await?;
            seen += fetched.records.len();
            from = fetched.next;
        }
        ensure!(seen as i64 == PAGE, "{seen} records");
        times.push(started.elapsed());
    }
    let first = times.remove(0);
    Ok((first, median(&mut times)))
}

fn cluster(args: &Args) -> Cluster {
    let session_timeout = Duration::from_secs(10);
    Cluster::new(KafkaSettings { bootstrap: vec![args.kafka.clone()], tls: None, sasl: None, session_timeout })
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Resident memory, in KiB.
fn memory(which: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(which)).context("no such figure")?;
    Ok(line.trim_end_matches("kB").trim().parse()?)
}
