//! `start`: from executing `kboard serve` to its first page, and from SIGTERM to its end.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::child::{Managed, free_address};
use crate::process::Processes;
use crate::report::{Row, figure, histogram, latency};
use crate::server::{Api, Server};
use crate::targets::{Services, status};

/// From executing `kboard serve` to its first page
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How many times
    #[arg(long, default_value_t = 10)]
    times: usize,
    /// Seconds to leave the last one idle, for its CPU and memory at rest
    #[arg(long, default_value_t = 10)]
    idle: u64,
}

const DEADLINE: Duration = Duration::from_secs(30);

pub async fn run(args: &Args, services: &Services) -> anyhow::Result<Vec<Row>> {
    let mut first_page = histogram()?;
    let mut ready = histogram()?;
    let mut ending = histogram()?;
    let mut figures = Vec::new();
    let files = tempfile::tempdir()?;
    for time in 1..=args.times {
        let address = free_address()?;
        let server = Server { name: "kboard".into(), api: Api::Board, address };
        let mut command = services.kboard();
        command.args(["serve", "--listen", &address.to_string()]);
        let executed = Instant::now();
        let child = Managed::start("kboard serve", &mut command, &files.path().join("log"))?;
        until_200(&server, "/", executed).await?;
        first_page.saturating_record(u64::try_from(executed.elapsed().as_micros())?);
        until_200(&server, "/readyz", executed).await?;
        ready.saturating_record(u64::try_from(executed.elapsed().as_micros())?);
        if time == args.times {
            let processes = Processes::one(child.pid());
            tokio::time::sleep(Duration::from_secs(2)).await;
            let before = processes.usage();
            tokio::time::sleep(Duration::from_secs(args.idle)).await;
            let after = processes.usage();
            let cpu = (after.cpu_seconds - before.cpu_seconds) / args.idle as f64 * 100.0;
            figures.extend([figure("idle CPU", cpu, "%"), figure("idle memory", after.rss_mib, "MiB")]);
        }
        ending.saturating_record(u64::try_from(child.stop()?.as_micros())?);
    }
    let mut all = latency(&first_page);
    all.push(figure("ready p50", ready.value_at_quantile(0.5) as f64 / 1000.0, "ms"));
    all.push(figure("end max", ending.max() as f64 / 1000.0, "ms"));
    all.extend(figures);
    Ok(vec![Row { program: "start", case: format!("{} times", args.times), server: "kboard".into(), figures: all }])
}

async fn until_200(server: &Server, path: &str, since: Instant) -> anyhow::Result<()> {
    while status(server, path).await != Some(200) {
        if since.elapsed() > DEADLINE {
            bail!("no 200 at {path} within {DEADLINE:?}");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
