//! Other people's tools, to see kboard as they see it: Kafka's own (Java), kcat, redis-cli.

use std::ffi::OsString;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::services;

/// Kafka's `kafka-topics.sh`.
pub async fn kafka_topics(bootstrap: &str, arguments: &[&str]) -> String {
    kafka_tool("org.apache.kafka.tools.TopicCommand", bootstrap, arguments).await
}

/// Kafka's `kafka-consumer-groups.sh`.
pub async fn kafka_consumer_groups(bootstrap: &str, arguments: &[&str]) -> String {
    kafka_tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", bootstrap, arguments).await
}

/// What a Java tool of Kafka's prints.
pub async fn kafka_tool(class: &str, bootstrap: &str, arguments: &[&str]) -> String {
    let mut command = java(class);
    command.args(["--bootstrap-server", bootstrap]).args(arguments);
    output(command, "").await
}

/// Has Kafka's own producer, the one in Java, send lines of key, tab and value.
pub async fn java_produce(bootstrap: &str, topic: &str, lines: &str) {
    let mut command = java("org.apache.kafka.tools.ConsoleProducer");
    command.args(["--bootstrap-server", bootstrap, "--topic", topic, "--reader-property", "parse.key=true"]);
    output(command, lines).await;
}

/// A Java tool of Kafka's, in a JVM that starts quickly.
pub fn java(class: &str) -> Command {
    let mut archive = OsString::from("-XX:SharedArchiveFile=");
    archive.push(services::kafka_tools_archive());
    let mut command = Command::new("java");
    // What the JVM has to say of itself, such as of an archive that doesn't fit, would stand in the tool's output.
    command.arg(archive).args(["-Xlog:disable", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]);
    command.arg(services::kafka_libs().join("*")).arg(class);
    command
}

/// What kcat prints, `input` being its stdin.
pub async fn kcat(bootstrap: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("kcat");
    command.args(["-b", bootstrap]).args(arguments);
    output(command, input).await
}

/// What redis-cli prints for a command.
pub async fn redis_cli(url: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("redis-cli");
    // -e: an error reply is a failure.
    command.args(["-e", "-u", url]).args(arguments);
    output(command, "").await.trim_end().to_owned()
}

/// Whether a broker answers metadata requests.
pub async fn kafka_answers(bootstrap: &str) -> bool {
    succeeds(Command::new("kcat").args(["-b", bootstrap, "-L", "-m", "2"])).await
}

/// Whether a Redis answers, and has read its data.
pub async fn redis_answers(url: &str) -> bool {
    succeeds(Command::new("redis-cli").args(["-e", "-u", url, "PING"])).await
}

async fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().await.is_ok_and(|output| output.status.success())
}

async fn output(mut command: Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    // Beside reading the output: a tool that echoes more than a pipe holds would wait for us, and we for it.
    let write = async {
        // A tool that had enough may close its end early.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), write);
    let output = output.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}
