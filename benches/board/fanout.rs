//! `fanout`: from a POST to every viewer's screen, and what so many viewers cost.

use std::time::Duration;

use crate::pacer;
use crate::report::{Row, figure, latency};
use crate::sampler::Sampler;
use crate::stamp::Run;
use crate::targets::{Services, Target, TargetArgs};
use crate::viewers::Viewers;

/// From POST to Server-Sent Event, with so many viewers
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    targets: TargetArgs,
    /// Viewers; several measure one after the other
    #[arg(long, short, value_delimiter = ',', default_values_t = [1, 1_000, 5_000, 10_000])]
    viewers: Vec<usize>,
    /// Messages a second
    #[arg(long, short, default_value_t = 20.0)]
    rate: f64,
    /// Seconds to send
    #[arg(long, short, default_value_t = 10)]
    seconds: u64,
}

pub async fn run(args: &Args, services: &Services) -> anyhow::Result<Vec<Row>> {
    let targets = args.targets.up(services).await?;
    let mut rows = Vec::new();
    for &viewers in &args.viewers {
        for _ in 0..args.targets.rounds {
            for target in &targets {
                rows.push(measure(target, viewers, args.rate, args.seconds).await?);
            }
        }
    }
    Ok(rows)
}

async fn measure(target: &Target, viewers: usize, rate: f64, seconds: u64) -> anyhow::Result<Row> {
    // What a connection, a cache or a compiler does the first time belongs to no figure.
    pacer::send(&target.server, &Run::new(), rate.max(50.0), 100).await?;
    let run = Run::new();
    let messages = (rate * seconds as f64) as u64;
    let watching = Viewers::connect(&target.server, viewers, &run, messages)?;
    let sampler = Sampler::start(target.processes.clone(), Duration::from_millis(200));
    let sent = pacer::send(&target.server, &run, rate, messages).await?;
    let expected = sent.accepted.get() * viewers as u64;
    let seen = watching.finish(expected, Duration::from_secs(5))?;
    let samples = sampler.finish()?;
    let mut figures = latency(&seen.latency);
    figures.push(figure("delivered", seen.delivered as f64, ""));
    figures.push(figure("lost", expected.saturating_sub(seen.delivered) as f64, ""));
    figures.push(figure("repeated", seen.repeated as f64, ""));
    figures.push(figure("cut off", seen.ended as f64, ""));
    figures.push(figure("refused", sent.failed.get() as f64, ""));
    figures.push(figure("CPU", samples.cpu_percent(), "%"));
    figures.push(figure("memory", samples.peak_rss(), "MiB"));
    let case = format!("{viewers} viewers, {rate} messages/s, {seconds} s");
    Ok(Row { program: "fanout", case, server: target.server.name.clone(), figures })
}
