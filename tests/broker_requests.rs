//! Whatever bytes come, decoding them ends, without a panic and without room for more than came.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut, Bytes, BytesMut};

use kboard::embedded::kafka::api::{APIS, check};
use proptest::prelude::*;

/// The system's allocator, and the largest piece that it was asked for.
struct Measuring;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed on as it is.
unsafe impl GlobalAlloc for Measuring {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as for this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as for this function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Measuring = Measuring;

/// Room for as many items as the guard lets through, of the largest kind there is.
const AT_MOST: usize = 100_001 * 400;

/// Bytes that are more likely than others to be taken for a count.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => any::<u8>().prop_map(|byte| vec![byte]),
        2 => Just(vec![0x7f, 0xff, 0xff, 0xff]),
        2 => Just(vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
        1 => Just(vec![0x00, 0x01, 0x86, 0x9f]),
        1 => Just(vec![0x80, 0x80, 0x80, 0x80, 0x80]),
        1 => Just(vec![0; 16]),
        1 => Just(vec![0, 1, b'a']),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn decoding_takes_no_more_room_than_a_request_may_need(
        body in body(),
        index in any::<prop::sample::Index>(),
        version in any::<prop::sample::Index>(),
        padding in prop_oneof![9 => Just(0_usize), 1 => 100_000_usize..400_000],
    ) {
        let api = index.get(APIS);
        let versions: Vec<i16> = (api.versions.min..=api.versions.max).collect();
        let mut frame = BytesMut::new();
        frame.put_i16(api.key);
        frame.put_i16(*version.get(&versions));
        frame.put_i32(1);
        frame.put_i16(-1);
        // Read as an empty list of tagged fields where the header has some.
        frame.put_u8(0);
        frame.extend_from_slice(&body);
        frame.put_bytes(0, padding);
        let frame = frame.freeze();
        LARGEST.store(0, Ordering::Relaxed);
        let _ = check(frame);
        prop_assert!(LARGEST.load(Ordering::Relaxed) <= AT_MOST, "{}", LARGEST.load(Ordering::Relaxed));
    }
}

#[test]
fn every_count_there_is_may_be_the_largest() {
    for api in APIS {
        for version in api.versions.min..=api.versions.max {
            for count in [&[0x7f, 0xff, 0xff, 0xff][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]] {
                for before in 0..40 {
                    for fill in [0, 1] {
                        let head =
                            [&api.key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 1, 0xff, 0xff]].concat();
                        let frame = [&head[..], &vec![fill; before], count, &[0; 64]].concat();
                        let _ = check(Bytes::from(frame));
                    }
                }
            }
        }
    }
}
