//! All that a connection sends: requests with their lengths before them.

use std::time::Duration;

use kboard::embedded::kafka::api::{APIS, check};
use kboard::embedded::kafka::memory::Memory;
use kboard::embedded::kafka::server::frames::Frames;

const LIMIT: usize = 1 << 20;

/// Cuts it into requests and decodes them.
pub fn run(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let memory = Memory::new(LIMIT);
    runtime.block_on(async {
        let mut frames = Frames::new(data, LIMIT, Duration::from_secs(60), memory.clone());
        let mut taken = 0;
        while let Ok(Some((frame, reserved))) = frames.next().await {
            taken += 4 + frame.len();
            let _ = check(frame);
            drop(reserved);
        }
        assert!(taken <= data.len());
    });
    assert_eq!(memory.free(), LIMIT);
}

/// A few empty requests; one that is large.
pub fn seeds() -> Vec<Vec<u8>> {
    let framed = |body: &[u8]| [&(body.len() as i32).to_be_bytes(), body].concat();
    let request = |key: i16, padding: usize| {
        framed(&[&key.to_be_bytes()[..], &[0, 3, 0, 0, 0, 1, 0xff, 0xff], &vec![0; padding]].concat())
    };
    vec![APIS.iter().flat_map(|api| request(api.key, 20)).collect(), request(0, 200_000), request(1, 70_000)]
}
