//! Every setting of a topic that Kafka 4 knows, and what becomes of it here.

use Kind::{Boolean, Double, Int, List, Long};
use Rule::{AtLeast, OneOf, Only};

/// What values a setting has, with Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Kind {
    /// True or false.
    Boolean = 1,
    /// Text.
    String = 2,
    /// A number of 32 bits.
    Int = 3,
    /// A number of 64 bits.
    Long = 5,
    /// A fraction.
    Double = 6,
    /// Texts with commas between.
    List = 7,
}

/// Which values a setting may have.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// Numbers from this on.
    AtLeast(i64),
    /// One of these.
    OneOf(&'static [&'static str]),
    /// The default alone, for this reason.
    Only(&'static str),
}

/// A setting.
#[derive(Debug)]
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// What values it has.
    pub kind: Kind,
    /// Kafka's default, or the one possible value.
    pub default: &'static str,
    /// Which values it may have.
    pub rule: Rule,
    /// The broker's setting that is in force where a topic has none.
    pub of_broker: Option<&'static str>,
    /// What it does.
    pub documentation: &'static str,
}

/// The largest number of 64 bits: never.
const NEVER: &str = "9223372036854775807";

const SINGLE: &str = "this is a single node without replication";
const NO_COMPACTION: &str = "this broker doesn't compact";
const NO_TIERS: &str = "this broker has no tiered storage";
const AS_PRODUCED: &str = "batches are kept as producers compressed them";
const AN_HOUR: &str = "timestamps may be an hour ahead of this broker's clock, no more";
const ANY_AGE: &str = "timestamps may be of any age";
const OWN_FILES: &str = "this broker's log files have their own format";

const fn honoured(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    rule: Rule,
    of_broker: &'static str,
    documentation: &'static str,
) -> Definition {
    Definition { name, kind, default, rule, of_broker: Some(of_broker), documentation }
}

const fn fixed(name: &'static str, kind: Kind, default: &'static str, reason: &'static str) -> Definition {
    Definition { name, kind, default, rule: Rule::Only(reason), of_broker: None, documentation: reason }
}

/// All of them, in the order of their names.
pub const DEFINITIONS: &[Definition] = &[
    honoured(
        "cleanup.policy",
        List,
        "delete",
        Only("this broker doesn't compact, it only deletes what is old"),
        "log.cleanup.policy",
        "What becomes of old segments: they are deleted.",
    ),
    fixed("compression.gzip.level", Int, "-1", AS_PRODUCED),
    fixed("compression.lz4.level", Int, "9", AS_PRODUCED),
    honoured(
        "compression.type",
        Kind::String,
        "producer",
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "compression.type",
        "How batches are to be compressed; this broker keeps all of them as their producers did it.",
    ),
    fixed("compression.zstd.level", Int, "3", AS_PRODUCED),
    fixed("delete.retention.ms", Long, "86400000", NO_COMPACTION),
    fixed("file.delete.delay.ms", Long, "0", "files are deleted at once"),
    honoured(
        "flush.messages",
        Long,
        NEVER,
        AtLeast(1),
        "log.flush.interval.messages",
        "Records after which a partition is written to the disk for good.",
    ),
    honoured(
        "flush.ms",
        Long,
        NEVER,
        AtLeast(0),
        "log.flush.interval.ms",
        "Milliseconds after which a partition's new records are written to the disk for good.",
    ),
    fixed("follower.replication.throttled.replicas", List, "", SINGLE),
    fixed("index.interval.bytes", Int, "4096", OWN_FILES),
    fixed("leader.replication.throttled.replicas", List, "", SINGLE),
    fixed("local.retention.bytes", Long, "-2", NO_TIERS),
    fixed("local.retention.ms", Long, "-2", NO_TIERS),
    fixed("max.compaction.lag.ms", Long, NEVER, NO_COMPACTION),
    honoured("max.message.bytes", Int, "1048588", AtLeast(0), "message.max.bytes", "Bytes of a record batch at most."),
    fixed("message.timestamp.after.max.ms", Long, "3600000", AN_HOUR),
    fixed("message.timestamp.before.max.ms", Long, NEVER, ANY_AGE),
    honoured(
        "message.timestamp.type",
        Kind::String,
        "CreateTime",
        OneOf(&["CreateTime", "LogAppendTime"]),
        "log.message.timestamp.type",
        "Whether a record's timestamp is the producer's or that of its arrival.",
    ),
    fixed("min.cleanable.dirty.ratio", Double, "0.5", NO_COMPACTION),
    fixed("min.compaction.lag.ms", Long, "0", NO_COMPACTION),
    honoured(
        "min.insync.replicas",
        Int,
        "1",
        Only(SINGLE),
        "min.insync.replicas",
        "Replicas that must have a record before it is acknowledged with acks=all.",
    ),
    fixed("preallocate", Boolean, "false", OWN_FILES),
    fixed("remote.log.copy.disable", Boolean, "false", NO_TIERS),
    fixed("remote.log.delete.on.disable", Boolean, "false", NO_TIERS),
    fixed("remote.storage.enable", Boolean, "false", NO_TIERS),
    honoured(
        "retention.bytes",
        Long,
        "-1",
        AtLeast(i64::MIN),
        "log.retention.bytes",
        "Bytes of a partition above which its oldest segments are deleted; -1: no limit.",
    ),
    honoured(
        "retention.ms",
        Long,
        "604800000",
        AtLeast(-1),
        "log.retention.ms",
        "Milliseconds after which records are deleted; -1: never.",
    ),
    honoured(
        "segment.bytes",
        Int,
        "1073741824",
        AtLeast(1_048_576),
        "log.segment.bytes",
        "Bytes of a segment, after which the next one begins.",
    ),
    fixed("segment.index.bytes", Int, "10485760", OWN_FILES),
    fixed("segment.jitter.ms", Long, "0", OWN_FILES),
    honoured(
        "segment.ms",
        Long,
        "604800000",
        AtLeast(1),
        "log.roll.ms",
        "Milliseconds after which the next segment begins even if the last isn't full.",
    ),
    fixed("unclean.leader.election.enable", Boolean, "false", SINGLE),
];
