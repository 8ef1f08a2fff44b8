//! `kboard health`: asks a running kboard whether it is ready; for containers, which have no curl.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Status, output};

/// Ask a running kboard whether it is ready.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard health
  kboard health --url http://127.0.0.1:9091/healthz

Exit code 0 when it answered 200, 1 when it answered something else or nothing at all.")]
pub struct Args {
    /// What to ask.
    #[arg(long, default_value = "http://127.0.0.1:3000/readyz")]
    url: url::Url,
    /// How long to wait for the answer.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = crate::config::parse_duration)]
    timeout: Duration,
}

/// Asks, and prints the answer.
pub async fn run(args: &Args) -> anyhow::Result<Status> {
    let answer = tokio::time::timeout(args.timeout, ask(&args.url));
    let answer = match answer.await {
        Ok(Ok(answer)) => answer,
        // Docker knows 0 and 1 of a health check; 2 it reserves.
        Ok(Err(error)) => return unhealthy(&format!("{error:#}")),
        Err(_) => return unhealthy(&format!("{} did not answer within {:?}", args.url, args.timeout)),
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    output::line(body)?;
    let healthy = head.split(' ').nth(1) == Some("200");
    Ok(if healthy { Status::Success } else { Status::Partial })
}

fn unhealthy(reason: &str) -> anyhow::Result<Status> {
    eprintln!("unhealthy: {reason}");
    Ok(Status::Partial)
}

/// One request needs no HTTP library: HTTP/1.0 answers and closes.
async fn ask(url: &url::Url) -> anyhow::Result<String> {
    let (Some(host), Some(port), "http") = (url.host_str(), url.port_or_known_default(), url.scheme()) else {
        bail!("{url}: expected http://host:port/path");
    };
    // A URL has brackets around an IPv6 address, a resolver wants none.
    let address = (host.trim_matches(['[', ']']), port);
    let mut stream = TcpStream::connect(address).await.with_context(|| format!("can't reach {url}"))?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let request = format!("GET {target} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
