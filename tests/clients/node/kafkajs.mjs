// kafkajs. It brings gzip; the other codecs are packages that it is given.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { text } from "node:stream/consumers";
import * as zstd from "@bokuweb/zstd-wasm";

const require = createRequire(import.meta.url);
const { CompressionTypes, CompressionCodecs, ConfigResourceTypes, Kafka, logLevel } = require("kafkajs");
const lz4 = require("lz4-napi");

const LIMIT_MS = 180_000;

const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
};
CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: async (bytes) => lz4.decompressFrame(bytes),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: async (bytes) => Buffer.from(zstd.decompress(bytes)),
});

const [scenario, bootstrap, name] = process.argv.slice(2);
const given = JSON.parse(await text(process.stdin));
await zstd.init();
const retry = { initialRetryTime: 50, maxRetryTime: 200, retries: 30 };
const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING, retry });
const admin = kafka.admin();
await admin.connect();
const scenarios = { admin: administrate, codecs, group, times, cut };
const saw = await scenarios[scenario]();
await admin.disconnect();
process.stdout.write(JSON.stringify(saw), () => process.exit(0));

async function administrate() {
  const saw = {};
  const configEntries = [{ name: "retention.ms", value: "3600000" }];
  await create(name, 3, configEntries);
  saw.partitions = await settled(partitions, [0, 1, 2]);
  const listed = (await admin.listTopics()).includes(name);
  saw.again = await error(() => create(name, 3));
  saw["unknown setting"] = await error(() => create(`${name}-x`, 1, [{ name: "no.such.setting", value: "1" }]));
  const topic = { type: ConfigResourceTypes.TOPIC, name };
  const retention = async () => {
    const { resources } = await admin.describeConfigs({ resources: [{ ...topic, configNames: ["retention.ms"] }] });
    return resources[0].configEntries[0].configValue;
  };
  saw.retention = [await retention()];
  const changed = [{ name: "retention.ms", value: "7200000" }];
  await admin.alterConfigs({ validateOnly: false, resources: [{ ...topic, configEntries: changed }] });
  saw.retention.push(await settled(retention, "7200000"));
  await raise(5);
  saw.raised = await settled(partitions, [0, 1, 2, 3, 4]);
  saw.lowered = await error(() => raise(2));
  await admin.deleteTopics({ topics: [name] });
  await eventually(async () => !(await admin.listTopics()).includes(name));
  saw.listed = [listed, false];
  saw.deleted = await error(partitions);
  return saw;
}

async function codecs() {
  const saw = {};
  for (const codec of given.codecs) {
    const topic = `${name}-${codec}`;
    await create(topic, 1);
    await produce(topic, given.records, codec);
    saw[codec] = (await read(topic)).map(encoded);
  }
  return saw;
}

async function group() {
  const saw = {};
  const records = given.records.map((record, i) => ({ ...record, partition: i % 4 }));
  await create(name, 4);

  await produce(name, records.slice(0, 40));
  const first = await member();
  await readAll([first], 40);
  saw.alone = { owned: first.owned, read: first.values.length };

  const second = await member();
  await eventually(() => first.owned.length === 2 && second.owned.length === 2);
  assert.deepEqual([...first.owned, ...second.owned].sort(), [0, 1, 2, 3]);
  await produce(name, records.slice(40, 80));
  await readAll([first, second], 80);
  saw.both = { owned: [2, 2], read: [first.values.length - 40, second.values.length] };
  saw.described = await described();
  saw.committed = await committed();

  await first.leave();
  await eventually(() => second.owned.length === 4);
  await produce(name, records.slice(80));
  await readAll([second], 60);
  saw.left = { owned: second.owned, read: second.values.length - 20 };
  await second.leave();
  await eventually(async () => (await described()).state === "Empty");
  saw.empty = await described();
  saw.values = [...first.values, ...second.values].sort();

  const offsets = [0, 1, 2, 3].map((partition) => ({ partition, offset: "7" }));
  await admin.setOffsets({ groupId: name, topic: name, partitions: offsets });
  saw.reset = await committed();
  const third = await member();
  await readAll([third], 92);
  saw.again = third.values.length;
  await third.leave();
  await eventually(async () => (await described()).state === "Empty");
  saw.listed = [await listed()];
  await admin.deleteGroups([name]);
  saw.listed.push(await listed());
  return saw;
}

async function times() {
  await create(name, 1);
  await produce(name, given.records);
  const [{ low, high }] = await admin.fetchTopicOffsets(name);
  const at = async (timestamp) => {
    const [{ offset }] = await admin.fetchTopicOffsetsByTimestamp(name, timestamp);
    // Where there is nothing, kafkajs gives the end.
    return offset === high ? null : Number(offset);
  };
  const saw = { at: [], after: [], earliest: Number(low), latest: Number(high) };
  for (const { timestamp } of given.records) {
    saw.at.push(await at(timestamp));
    saw.after.push(await at(timestamp + 1));
  }
  return saw;
}

async function cut() {
  await create(name, 1);
  const producer = kafka.producer({ idempotent: true, createPartitioner: () => () => 0 });
  await producer.connect();
  // An idempotent producer of kafkajs has one request under way, and keeps the order of sends that are awaited.
  for (let i = 0; i < given.records.length; i += 5) {
    await producer.send({ topic: name, messages: given.records.slice(i, i + 5).map(decoded) });
  }
  await producer.disconnect();
  return { values: (await read(name)).map((message) => hex(message.value)) };
}

async function create(topic, numPartitions, configEntries) {
  const made = await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }] });
  // kafkajs swallows this error, and no other.
  if (!made) {
    throw Object.assign(new Error("the topic exists"), { code: 36 });
  }
}

async function partitions() {
  const { topics } = await admin.fetchTopicMetadata({ topics: [name] });
  return topics[0].partitions.map((partition) => partition.partitionId).sort();
}

function raise(count) {
  return admin.createPartitions({ topicPartitions: [{ topic: name, count }] });
}

async function produce(topic, records, codec = "none") {
  const producer = kafka.producer({ createPartitioner: () => ({ message }) => message.partition });
  await producer.connect();
  await producer.send({ topic, compression: CODECS[codec], messages: records.map(decoded) });
  await producer.disconnect();
}

/** All records of partition 0. kafkajs reads in groups only. */
async function read(topic) {
  const [{ high }] = await admin.fetchTopicOffsets(topic);
  const reader = await member(topic, `${topic}-reader`);
  await eventually(() => reader.messages.length >= Number(high));
  await reader.leave();
  return reader.messages;
}

/** A member of a group: what it owns, and what it has read. */
async function member(topic = name, groupId = name) {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 200, maxWaitTimeInMs: 200, rebalanceTimeout: 10_000 });
  const self = { owned: [], messages: [], values: [], positions: {} };
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    self.owned = [...(payload.memberAssignment[topic] ?? [])].sort();
  });
  consumer.on(consumer.events.REBALANCING, () => {
    self.owned = [];
  });
  self.commit = () =>
    consumer.commitOffsets(
      self.owned
        .filter((partition) => partition in self.positions)
        .map((partition) => ({ topic, partition, offset: self.positions[partition] })),
    );
  self.leave = () => consumer.disconnect();
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      self.messages.push(message);
      self.values.push(hex(message.value));
      self.positions[partition] = (BigInt(message.offset) + 1n).toString();
    },
  });
  return self;
}

/** Until `members` have read `count` records in all; then they commit. */
async function readAll(members, count) {
  await eventually(() => members.reduce((sum, member) => sum + member.values.length, 0) >= count);
  for (const member of members) {
    await member.commit();
  }
}

async function described() {
  const { groups } = await admin.describeGroups([name]);
  return { state: groups[0].state, members: groups[0].members.length };
}

async function committed() {
  const [{ partitions }] = await admin.fetchOffsets({ groupId: name, topics: [name] });
  return partitions.sort((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset));
}

async function listed() {
  const { groups } = await admin.listGroups();
  return groups.some(({ groupId }) => groupId === name);
}

/** The number of the error that `action` ends with; kafkajs may wrap it. */
async function error(action) {
  try {
    await action();
    return 0;
  } catch (error) {
    const { code } = error.errors?.[0] ?? error;
    assert(code !== undefined, error);
    return code;
  }
}

/** What `read` gives once it is what was asked for: Kafka tells of changes a moment later. */
async function settled(read, expected) {
  await eventually(async () => isDeepStrictEqual(await read().catch(() => undefined), expected));
  return expected;
}

async function eventually(condition) {
  const deadline = Date.now() + LIMIT_MS;
  while (!(await condition())) {
    assert(Date.now() < deadline, "waited too long");
    await sleep(10);
  }
}

function decoded({ timestamp, key, value, headers, partition = 0 }) {
  const values = {};
  for (const [name, value] of headers) {
    (values[name] ??= []).push(unhex(value));
  }
  return { timestamp: String(timestamp), key: unhex(key), value: unhex(value), headers: values, partition };
}

function encoded({ timestamp, key, value, headers }) {
  const pairs = Object.entries(headers ?? {}).flatMap(([name, values]) => [values].flat().map((one) => [name, hex(one)]));
  return { timestamp: Number(timestamp), key: hex(key), value: hex(value), headers: pairs };
}

function hex(bytes) {
  return bytes === null ? null : Buffer.from(bytes).toString("hex");
}

function unhex(text) {
  return text === null ? null : Buffer.from(text, "hex");
}
