//! `kboard config`: the settings in force and who set each.

use serde::Serialize;

use super::{Status, output};
use crate::config::display_value;
use crate::config::sources::Resolved;

/// Print every setting, its value and where it came from; secrets are masked.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard config
  KBOARD_KAFKA=broker:9092 kboard config --output json")]
pub struct Args {
    /// How to print it.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: output::Format,
}

#[derive(Serialize)]
struct Row {
    key: &'static str,
    value: Option<String>,
    source: String,
    env: String,
}

/// Prints the settings.
pub fn run(args: &Args, resolved: &[Resolved]) -> anyhow::Result<Status> {
    let rows: Vec<Row> = resolved
        .iter()
        .map(|resolved| Row {
            key: resolved.setting.key,
            value: resolved.value.is_some().then(|| display_value(resolved)),
            source: resolved.source.to_string(),
            env: resolved.setting.env(),
        })
        .collect();
    output::print(args.output, &rows, |rows| {
        output::table(
            ["SETTING", "VALUE", "FROM", "VARIABLE"],
            &[],
            rows.iter().map(|row| {
                [
                    row.key.to_owned(),
                    row.value.clone().unwrap_or_else(|| "-".to_owned()),
                    row.source.clone(),
                    row.env.clone(),
                ]
            }),
        )
    })?;
    Ok(Status::Success)
}
