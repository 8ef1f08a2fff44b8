//! One request: the first byte chooses the API, the second the version, so that the rest is read as somebody's body.

use bytes::{BufMut, BytesMut};
use kboard::embedded::kafka::api::{APIS, check};

/// Decodes it.
pub fn run(data: &[u8]) {
    let [api, version, body @ ..] = data else { return };
    let api = &APIS[usize::from(*api) % APIS.len()];
    let versions = api.versions.max - api.versions.min + 1;
    let mut frame = BytesMut::new();
    frame.put_i16(api.key);
    frame.put_i16(api.versions.min + i16::from(*version) % versions);
    frame.put_i32(1);
    frame.put_i16(-1);
    frame.extend_from_slice(body);
    let _ = check(frame.freeze());
}

/// Every API in its oldest and newest version, with zeros and with counts.
pub fn seeds() -> Vec<Vec<u8>> {
    let bodies: [&[u8]; 4] = [&[0; 64], &[1; 64], &[0xff; 64], &[0, 0, 0, 1, 0, 1, b'a', 0, 0, 0, 1, 0, 0, 0, 0]];
    let every = (0..APIS.len() as u8).flat_map(|api| [0, 255].map(|version| [api, version]));
    every.flat_map(|head| bodies.map(|body| [&head, body].concat())).collect()
}
