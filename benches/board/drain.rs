//! `drain`: how fast the projection works off a backlog, and how fast `replay` rebuilds it from the log.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::backlog::Backlog;
use crate::child::Managed;
use crate::process::Processes;
use crate::report::{Row, figure};
use crate::sampler::Sampler;
use crate::targets::Services;

/// Messages a second of `kboard consume` on a backlog, and of `kboard replay` on the whole log
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Records of the backlog
    #[arg(long, short, default_value_t = 1_000_000)]
    records: u64,
    /// Leave `kboard replay` out
    #[arg(long)]
    no_replay: bool,
}

const GROUP: &str = "message-board";
const PATIENCE: Duration = Duration::from_secs(120);

pub async fn run(args: &Args, services: &Services) -> anyhow::Result<Vec<Row>> {
    let files = tempfile::tempdir()?;
    let backlog = Backlog::open(services).await?;
    let mut rows = vec![drain(args.records, services, &backlog, files.path()).await?];
    if !args.no_replay {
        rows.push(replay(services, &backlog, files.path()).await?);
    }
    Ok(rows)
}

async fn drain(records: u64, services: &Services, backlog: &Backlog, files: &Path) -> anyhow::Result<Row> {
    // One message through, so that whatever was on the topic before is behind us and the count starts at a known seq.
    let consumer = consume(services, &files.join("before"))?;
    let marker = backlog.produce(1).await?;
    let before = backlog.until_newest(&marker, PATIENCE).await?;
    consumer.stop()?;

    backlog.produce(records).await?;

    let executed = Instant::now();
    let mut consumer = consume(services, &files.join("consume"))?;
    let sampler = Sampler::start(Processes::one(consumer.pid()), Duration::from_millis(100));
    let target = before + records;
    let mut first = None;
    loop {
        let shown = backlog.shown().await?;
        if shown > before && first.is_none() {
            first = Some((Instant::now(), shown));
        }
        if shown >= target {
            break;
        }
        if let Some(status) = consumer.ended()? {
            bail!("kboard consume ended: {status}\n{}", std::fs::read_to_string(files.join("consume"))?);
        }
        if executed.elapsed() > PATIENCE {
            bail!("{} of {records} messages drained within {PATIENCE:?}", shown - before);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let done = Instant::now();
    let samples = sampler.finish()?;
    consumer.stop()?;
    let shown = backlog.shown().await?;
    let (first, first_shown) = first.context("the first message")?;
    // What was shown when the first look saw anything took an unknown time and is left out of the rate.
    let steady = (target - first_shown) as f64 / (done - first).as_secs_f64().max(f64::EPSILON);
    let figures = vec![
        figure("steady", steady, "/s"),
        figure("from exec", records as f64 / (done - executed).as_secs_f64(), "/s"),
        figure("first shown after", (first - executed).as_secs_f64() * 1000.0, "ms"),
        figure("seq too many", shown as f64 - target as f64, ""),
        figure("CPU", samples.cpu_percent(), "%"),
        figure("memory", samples.peak_rss(), "MiB"),
    ];
    Ok(Row { program: "drain", case: format!("a backlog of {records}"), server: "kboard consume".into(), figures })
}

async fn replay(services: &Services, backlog: &Backlog, files: &Path) -> anyhow::Result<Row> {
    let records = backlog.records().await?;
    let before = backlog.window().await?;
    let executed = Instant::now();
    let mut command = services.kboard();
    command.args(["replay", "--from-earliest", "--group", GROUP]);
    let mut child = Managed::start("kboard replay", &mut command, &files.join("replay"))?;
    let sampler = Sampler::start(Processes::one(child.pid()), Duration::from_millis(100));
    let status = loop {
        if let Some(status) = child.ended()? {
            break status;
        }
        if executed.elapsed() > PATIENCE {
            bail!("kboard replay did not end within {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let took = executed.elapsed();
    let samples = sampler.finish()?;
    if !status.success() {
        bail!("kboard replay: {status}\n{}", std::fs::read_to_string(files.join("replay"))?);
    }
    let after = backlog.window().await?;
    let figures = vec![
        figure("from exec", records as f64 / took.as_secs_f64(), "/s"),
        figure("took", took.as_secs_f64() * 1000.0, "ms"),
        figure("window before", before.len() as f64, ""),
        figure("window after", after.len() as f64, ""),
        figure("CPU", samples.cpu_percent(), "%"),
        figure("memory", samples.peak_rss(), "MiB"),
    ];
    Ok(Row { program: "replay", case: format!("a log of {records}"), server: "kboard replay".into(), figures })
}

fn consume(services: &Services, log: &Path) -> anyhow::Result<Managed> {
    let mut command = services.kboard();
    let metrics = crate::child::free_address()?.to_string();
    command.args(["consume", "--group", GROUP, "--metrics-listen", &metrics]);
    Managed::start("kboard consume", &mut command, log)
}
