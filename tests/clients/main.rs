//! Other people's clients on Apache Kafka and on `kboard broker`: one test a client, which puts the client through the
//! scenarios on both brokers at the same time, and compares what it saw with what it must have seen.
//!
//! - [`scenario`]: what is done, with which records, and what a client must tell of it
//! - [`client`]: a client as the tests see it, and how one is put through the scenarios
//! - [`cutting`]: a broker's address where connections break while records are under way
//! - [`java`], [`kcat`]: tools, which print what they see; [`brokers`]: the two brokers
//! - `python`, `node`, `go`, `rdkafka`: programs, one a client, that `tests/services.sh install` prepares
//!
//! # A program
//! `PROGRAM SCENARIO BOOTSTRAP NAME` reads the scenario's input from its stdin and prints what the client saw, both as
//! JSON; topics and groups it makes are called NAME. What varies from run to run by right it leaves out. Byte strings
//! are in hexadecimal. A client that can't do a part of a scenario leaves that out as well, and its test says so with
//! [`client::Client::without`].

mod brokers;
mod client;
mod cutting;
mod java;
mod kcat;
mod scenario;
#[path = "../support/mod.rs"]
mod support;

use brokers::both_show;
use client::{Client, krafka, program, rskafka};
use scenario::Scenario;

/// What every client can compress with that doesn't say otherwise.
const CODECS: &[&str] = &["none", "gzip", "snappy", "lz4", "zstd"];

#[tokio::test]
async fn kafka_python() {
    Client::new("kafka-python", program::python("kafka_python.py")).sees_kafka().await;
}

#[tokio::test]
async fn confluent_kafka() {
    Client::new("confluent-kafka", program::python("confluent.py")).sees_kafka().await;
}

#[tokio::test]
async fn kafkajs() {
    Client::new("kafkajs", program::node("kafkajs.mjs")).sees_kafka().await;
}

#[tokio::test]
async fn franz_go() {
    Client::new("franz-go", program::go("franz")).sees_kafka().await;
}

#[tokio::test]
async fn sarama() {
    Client::new("sarama", program::go("sarama")).sees_kafka().await;
}

#[tokio::test]
async fn rdkafka() {
    Client::new("rdkafka", program::rdkafka()).sees_kafka().await;
}

#[tokio::test]
async fn krafka_in_rust() {
    Client::new("krafka", krafka::krafka()).sees_kafka().await;
}

#[tokio::test]
async fn rskafka_in_rust() {
    Client::new("rskafka", rskafka::rskafka())
        .only(&[Scenario::Admin, Scenario::Codecs, Scenario::Times])
        .without(Scenario::Admin, &["unknown setting", "retention", "raised", "lowered", "deleted"])
        .sees_kafka()
        .await;
}

#[tokio::test]
async fn kcat_in_a_shell() {
    both_show(kcat::expected(), kcat::see).await;
}

#[tokio::test]
async fn kafkas_own_tools_administrate() {
    both_show(java::administration::expected(), java::administration::see).await;
}

#[tokio::test]
async fn kafkas_own_tools_write_and_read() {
    both_show(java::records::expected(), java::records::see).await;
}

#[tokio::test]
async fn kafkas_own_tools_form_a_group() {
    both_show(java::group::expected(), java::group::see).await;
}
