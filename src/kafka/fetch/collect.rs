//! Records out of a decoder, as many as may be held at once.

use super::{Record, Unreadable};
use crate::record_batch::{Decoder, Entry};

/// Bytes of a batch beyond which decoding it keeps a thread busy for longer than others should wait for it. Smaller ones
/// stay on the thread: what other threads free comes back to the system late (three times the memory, measured).
const LONG: usize = 1024 * 1024;

/// Some records.
#[derive(Debug, Default)]
pub struct Collected {
    /// The records.
    pub records: Vec<Record>,
    /// What couldn't be read between them.
    pub unreadable: Vec<Unreadable>,
    /// Memory that they take, about.
    pub memory: usize,
    /// Whether the decoder had no more below the end.
    pub is_all: bool,
    /// The offset at which it goes on.
    pub next: i64,
}

/// Takes records that are before `to` out of `decoder` until they take `memory` bytes, but at least one if there is one.
pub fn collect(decoder: &mut Decoder, to: i64, memory: usize) -> Collected {
    let mut collected = Collected::default();
    loop {
        collected.next = decoder.next_offset().min(to);
        if collected.memory >= memory {
            return collected;
        }
        match decoder.next() {
            Some(Entry::Record(record)) if record.offset < to => {
                collected.memory += size_of::<Record>() + record.size();
                collected.records.push(record);
            }
            Some(Entry::Unreadable(mut unreadable)) if unreadable.base_offset < to => {
                unreadable.last_offset = unreadable.last_offset.min(to - 1);
                collected.memory += size_of::<Unreadable>() + unreadable.reason.len();
                collected.unreadable.push(unreadable);
            }
            Some(_) => {
                return Collected { is_all: true, next: to, ..collected };
            }
            None => {
                return Collected { is_all: true, next: decoder.next_offset().min(to), ..collected };
            }
        }
    }
}

/// The same without keeping others waiting, with the decoder back.
pub async fn collect_kindly(mut decoder: Decoder, to: i64, memory: usize) -> (Collected, Decoder) {
    if decoder.largest_batch() < LONG {
        tokio::task::yield_now().await;
        return (collect(&mut decoder, to, memory), decoder);
    }
    let collecting = tokio::task::spawn_blocking(move || (collect(&mut decoder, to, memory), decoder));
    match collecting.await {
        Ok(collected) => collected,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
