//! Clients that are programs of their own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures::FutureExt;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{Doer, Task};
use crate::support::services;

/// A program in Python.
pub fn python(file: &str) -> Doer {
    program(vec![services::clients().join("python/bin/python"), sources().join("python").join(file)])
}

/// A program in JavaScript.
pub fn node(file: &str) -> Doer {
    program(vec!["node".into(), sources().join("node").join(file)])
}

/// The program on rdkafka.
pub fn rdkafka() -> Doer {
    program(vec![services::clients().join("rdkafka/debug/rdkafka-client")])
}

/// A program in Go.
pub fn go(name: &str) -> Doer {
    program(vec![services::clients().join("go").join(name)])
}

fn program(command: Vec<PathBuf>) -> Doer {
    Box::new(move |task| run(command.clone(), task).boxed_local())
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

async fn run(program: Vec<PathBuf>, task: Task) -> Result<Value, String> {
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]).args([task.scenario.name(), &task.bootstrap, &task.name]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", program[0].display()))?;
    let mut stdin = child.stdin.take().unwrap();
    let input = task.input.to_string();
    let write = async {
        // One that needs no input may not read it.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), write);
    let output = output.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    match serde_json::from_str(&stdout) {
        Ok(saw) if output.status.success() => Ok(saw),
        _ => Err(format!("{}\n{stdout}\n{}", output.status, end_of(&String::from_utf8_lossy(&output.stderr)))),
    }
}

/// The end of what a program complained about.
fn end_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
