//! The console under load: how long its pages take on a large cluster, and how fast it searches, beside kcat reading the
//! same. `benches/README.md` says how to run it and what its figures mean.
//!
//! - [`fixture`]: topics, groups and records by the thousand, made through the library.
//! - [`server`]: the console as a process, and what is asked of it.

mod fixture;
mod server;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::server::Console;

/// How often each page is asked for; the first time is counted like the others.
const TIMES: usize = 21;

/// The console under load.
#[derive(Parser)]
#[command(name = "console", max_term_width = 120)]
struct Cli {
    /// Kafka, real or embedded, with nothing else on it
    #[arg(long, env = "KBOARD_TEST_KAFKA", default_value = "127.0.0.1:9092", global = true)]
    kafka: String,
    // `cargo bench` adds it to the arguments of every bench program.
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand)]
enum Program {
    /// Lists of topics and groups
    Lists {
        #[arg(long, default_value_t = 1_000)]
        topics: usize,
        /// Of each topic
        #[arg(long, default_value_t = 10)]
        partitions: i32,
        #[arg(long, default_value_t = 500)]
        groups: usize,
    },
    /// Pages, search and export of one large topic
    Messages {
        #[arg(long, default_value_t = 10_000_000)]
        records: u64,
    },
}

fn main() -> ExitCode {
    // `cargo test --all-targets` and a bare `cargo bench` run this with nothing to do: no load without being asked.
    if std::env::args().skip(1).all(|argument| argument == "--bench") {
        println!("a load program is named: cargo bench --bench console -- lists (--help lists all)");
        return ExitCode::SUCCESS;
    }
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            match cli.program {
                Program::Lists { topics, partitions, groups } => lists(&cli.kafka, topics, partitions, groups).await,
                Program::Messages { records } => messages(&cli.kafka, records).await,
            }
        })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn lists(kafka: &str, topics: usize, partitions: i32, groups: usize) -> anyhow::Result<()> {
    fixture::topics_and_groups(kafka, topics, partitions, groups).await?;
    let console = Console::start(kafka).await?;
    console.until_watched(topics, groups).await?;
    println!("{topics} topics of {partitions} partitions, {groups} groups:\n");
    println!("| | median ms | most ms | KiB |\n|---|--:|--:|--:|");
    for path in [
        "/console",
        "/console/topics",
        "/console/topics?sort=messages",
        "/console/topics?q=topic-0999",
        "/console/groups",
        "/console/groups?sort=lag",
        "/console/groups?q=group-0499",
        "/api/console/topics",
        "/api/console/groups",
        "/console/topics/topic-0999",
        "/console/groups/group-0499",
        "/metrics",
    ] {
        console.time(path, TIMES).await?;
    }
    println!("\nMemory: {:.0} MiB; processor at rest: {:.1} % of a core", console.memory(), console.at_rest().await?);
    Ok(())
}

async fn messages(kafka: &str, records: u64) -> anyhow::Result<()> {
    let topic = fixture::records(kafka, records).await?;
    let console = Console::start(kafka).await?;
    let before = console.memory();
    println!("{records} records of about 130 bytes in 4 partitions:\n");
    println!("| | median ms | most ms | KiB |\n|---|--:|--:|--:|");
    let messages = format!("/console/topics/{topic}/messages");
    let middle = fixture::START_MS + i64::try_from(records / 2).unwrap_or_default();
    for query in ["", "?from=oldest", "?from=offset&at=1000000", &format!("?from=time&at={middle}")] {
        console.time(&format!("{messages}{query}"), TIMES).await?;
    }
    println!("\n| | seconds | records/s | most MiB more |\n|---|--:|--:|--:|");
    let api = format!("/api/console/topics/{topic}");
    let needle = fixture::needle(records - 1);
    for (name, query) in [("search for a text", needle.clone()), ("search by $.id", format!("$.id == \"{needle}\""))] {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let path = format!("{api}/search?from=oldest&q={query}");
        console.stream(name, &path, records, before, &needle).await?;
    }
    console.stream("export as JSON lines", &format!("{api}/export?format=ndjson"), records, before, &needle).await?;
    console.stream("export as CSV", &format!("{api}/export?format=csv"), records, before, &needle).await?;
    let kcat = server::kcat_reads(kafka, &topic)?;
    println!("| kcat reads them | {:.1} | {:.0} | |", kcat.as_secs_f64(), rate(records, kcat));
    Ok(())
}

fn rate(records: u64, elapsed: Duration) -> f64 {
    records as f64 / elapsed.as_secs_f64()
}
