//! `history`: paging back through the board, as far as a million messages.

use std::time::Instant;

use anyhow::Context;
use serde::Deserialize;

use crate::http::Connection;
use crate::report::{Row, figure, histogram, latency};
use crate::targets::{Services, TargetArgs, body};

/// The time of one page of history, by how far back it is
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    targets: TargetArgs,
    /// How many messages back to page
    #[arg(long, default_value_t = 1_000_000)]
    depth: u64,
    /// Messages a page
    #[arg(long, default_value_t = 100)]
    limit: u64,
    /// The last pages before the depth that count as being there
    #[arg(long, default_value_t = 200)]
    window: u64,
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<serde::de::IgnoredAny>,
    next: Option<String>,
}

pub async fn run(args: &Args, services: &Services) -> anyhow::Result<Vec<Row>> {
    let targets = args.targets.up(services).await?;
    let server = &targets[0].server;
    let mut connection = Connection::open(server.address).await?;
    let mut near = histogram()?;
    let mut far = histogram()?;
    let mut first_beyond = 0.0;
    let (mut back, mut cursor) = (0, None);
    while back < args.depth {
        let path = match &cursor {
            Some(cursor) => format!("/api/messages?limit={}&before={cursor}", args.limit),
            None => format!("/api/messages?limit={}", args.limit),
        };
        let asked = Instant::now();
        let page = body(&mut connection, server, &path).await?;
        let took = u64::try_from(asked.elapsed().as_micros())?;
        let page: Page = serde_json::from_slice(page).with_context(|| format!("GET {path}: not a page"))?;
        if back + args.limit * args.window >= args.depth {
            far.saturating_record(took);
        } else if cursor.is_none() {
            near.saturating_record(took);
        } else if first_beyond == 0.0 {
            first_beyond = took as f64 / 1000.0;
        }
        back += page.messages.len() as u64;
        let Some(next) = page.next else { break };
        cursor = Some(url::form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>());
    }
    let mut figures = vec![
        figure("newest page", near.max() as f64 / 1000.0, "ms"),
        figure("first page of the log", first_beyond, "ms"),
        figure("messages back", back as f64, ""),
    ];
    figures.extend(latency(&far));
    let case = format!("pages of {}, the last {} of them", args.limit, far.len());
    Ok(vec![Row { program: "history", case, server: server.name.clone(), figures }])
}
