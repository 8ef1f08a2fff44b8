//! `soak`: a steady load for minutes, with the server's memory and CPU each second, to see whether they grow.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::pacer;
use crate::report::{Row, figure, latency};
use crate::sampler::{Sampler, Samples};
use crate::stamp::Run;
use crate::targets::{Services, Target, TargetArgs};
use crate::viewers::Viewers;

/// Memory and CPU of a server under a steady load, each second
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    targets: TargetArgs,
    /// Messages a second
    #[arg(long, short, default_value_t = 1_000.0)]
    rate: f64,
    /// Seconds of load
    #[arg(long, short, default_value_t = 600)]
    seconds: u64,
    /// Viewers that watch meanwhile
    #[arg(long, short, default_value_t = 10)]
    viewers: usize,
    /// Where the curve goes, with the server's name before the extension
    #[arg(long, default_value = "target/bench/soak.csv", value_name = "FILE")]
    csv: PathBuf,
}

pub async fn run(args: &Args, services: &Services) -> anyhow::Result<Vec<Row>> {
    let targets = args.targets.up(services).await?;
    let mut rows = Vec::new();
    for target in &targets {
        rows.push(measure(args, target).await?);
    }
    Ok(rows)
}

async fn measure(args: &Args, target: &Target) -> anyhow::Result<Row> {
    let run = Run::new();
    let messages = (args.rate * args.seconds as f64) as u64;
    let watching = Viewers::connect(&target.server, args.viewers, &run, messages)?;
    let sampler = Sampler::start(target.processes.clone(), Duration::from_secs(1));
    let sent = pacer::send(&target.server, &run, args.rate, messages).await?;
    let expected = sent.accepted.get() * args.viewers as u64;
    let seen = watching.finish(expected, Duration::from_secs(5))?;
    let samples = sampler.finish()?;
    write_curve(&args.csv.with_extension(format!("{}.csv", target.server.name)), &samples)?;

    let [least, median, most] = samples.spread(|sample| sample.rss_mib);
    let mut figures = vec![
        figure("memory min", least, "MiB"),
        figure("median", median, "MiB"),
        figure("max", most, "MiB"),
        figure("CPU", samples.cpu_percent(), "%"),
    ];
    figures.extend(latency(&seen.latency));
    figures.push(figure("refused", sent.failed.get() as f64, ""));
    figures.push(figure("lost", expected.saturating_sub(seen.delivered) as f64, ""));
    let case = format!("{} messages/s, {} viewers, {} s", args.rate, args.viewers, args.seconds);
    Ok(Row { program: "soak", case, server: target.server.name.clone(), figures })
}

fn write_curve(path: &std::path::Path, samples: &Samples) -> anyhow::Result<()> {
    let mut csv = String::from("seconds,rss_mib,cpu_percent\n");
    for sample in &samples.0 {
        writeln!(csv, "{:.1},{:.1},{:.1}", sample.at.as_secs_f64(), sample.rss_mib, sample.cpu_percent)?;
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(path, csv)?;
    eprintln!("curve: {}", path.display());
    Ok(())
}
