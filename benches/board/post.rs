//! `post`: how many messages a second a server accepts over so many connections, each waiting for its answer.

use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::http::Connection;
use crate::report::{Row, figure, histogram, latency};
use crate::sampler::Sampler;
use crate::server::Server;
use crate::stamp::Run;
use crate::targets::{Services, Target, TargetArgs};

/// Accepted messages a second, and how long each took
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    targets: TargetArgs,
    /// Keep-alive connections; several measure one after the other
    #[arg(long, short, value_delimiter = ',', default_values_t = [1, 128])]
    connections: Vec<usize>,
    /// Seconds to measure
    #[arg(long, short, default_value_t = 10)]
    seconds: u64,
    /// Seconds before that, for connections, caches and compilers to warm up
    #[arg(long, default_value_t = 2)]
    warmup: u64,
}

pub async fn run(args: &Args, services: &Services) -> anyhow::Result<Vec<Row>> {
    let targets = args.targets.up(services).await?;
    let mut rows = Vec::new();
    for &connections in &args.connections {
        for _ in 0..args.targets.rounds {
            for target in &targets {
                load(target, connections, Duration::from_secs(args.warmup)).await?;
                rows.push(measure(target, connections, Duration::from_secs(args.seconds)).await?);
            }
        }
    }
    Ok(rows)
}

async fn measure(target: &Target, connections: usize, time: Duration) -> anyhow::Result<Row> {
    let sampler = Sampler::start(target.processes.clone(), Duration::from_millis(200));
    let tally = load(target, connections, time).await?;
    let samples = sampler.finish()?;
    let mut figures = vec![figure("accepted", tally.latency.len() as f64 / time.as_secs_f64(), "/s")];
    figures.extend(latency(&tally.latency));
    figures.push(figure("errors", tally.errors as f64, ""));
    figures.push(figure("CPU", samples.cpu_percent(), "%"));
    figures.push(figure("memory", samples.peak_rss(), "MiB"));
    let case = format!("{connections} connections, {} s", time.as_secs());
    Ok(Row { program: "post", case, server: target.server.name.clone(), figures })
}

struct Tally {
    /// Of accepted messages, in microseconds.
    latency: Histogram<u64>,
    errors: u64,
}

async fn load(target: &Target, connections: usize, time: Duration) -> anyhow::Result<Tally> {
    let server = Rc::new(target.server.clone());
    let run = Rc::new(Run::new());
    let end = Instant::now() + time;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        tasks.spawn_local(post(server.clone(), run.clone(), end));
    }
    let mut total = Tally { latency: histogram()?, errors: 0 };
    while let Some(tally) = tasks.join_next().await {
        let tally = tally??;
        total.latency.add(&tally.latency)?;
        total.errors += tally.errors;
    }
    Ok(total)
}

async fn post(server: Rc<Server>, run: Rc<Run>, end: Instant) -> anyhow::Result<Tally> {
    let mut tally = Tally { latency: histogram()?, errors: 0 };
    let mut connection = None;
    for number in 0.. {
        let request = server.publish(&run, number);
        let mut open = match connection.take() {
            Some(open) => open,
            None => Connection::open(server.address).await?,
        };
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        match open.exchange(&request).await {
            Ok(answer) if (200..300).contains(&answer.status) => {
                tally.latency.saturating_record(u64::try_from(sent.elapsed().as_micros())?);
                connection = Some(open);
            }
            Ok(_) => {
                tally.errors += 1;
                connection = Some(open);
            }
            // A connection that broke is replaced, and counts.
            Err(_) => tally.errors += 1,
        }
    }
    Ok(tally)
}
