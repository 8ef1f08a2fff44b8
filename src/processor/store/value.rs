//! How a state is written: a line about it, and the JSON of the state alone.
//!
//! `VERSION EXPIRES WAKE HOME WAITING`, separated by spaces, `-` where there is none. What is removed leaves its version
//! behind for a moment, and no state: who has seen it before must not bring it back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::processor::step::{Stored, Waiting, Wake};

/// The JSON of the state in `value`; `None` when it was removed, or has expired at `now_ms`.
pub fn state(value: &[u8], now_ms: i64) -> Option<&[u8]> {
    let line = memchr::memchr(b'\n', value)?;
    let expires = value[..line].split(|byte| *byte == b' ').nth(1)?;
    let expires = std::str::from_utf8(expires).ok().and_then(|expires| expires.parse::<i64>().ok());
    let is_in_force = expires.is_none_or(|expires| expires > now_ms);
    Some(&value[line + 1..]).filter(|state| is_in_force && !state.is_empty())
}

/// Writes `stored` for the version that it has, to expire at a time (ms).
pub fn write<S: Serialize + Default + PartialEq>(
    stored: &Stored<S>,
    expires: Option<i64>,
) -> serde_json::Result<Vec<u8>> {
    use std::io::Write;

    let mut value = Vec::with_capacity(256);
    let to_string = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
    let (at, home) = stored.wake.as_ref().map_or((None, "-"), |wake| (Some(wake.at), &wake.home));
    // Writing to memory does not fail.
    let _ = write!(value, "{} {} {} {home} ", stored.version, to_string(expires), to_string(at));
    if stored.waiting.is_empty() {
        value.push(b'-');
    } else {
        serde_json::to_writer(&mut value, &stored.waiting)?;
    }
    value.push(b'\n');
    if stored.state != S::default() {
        serde_json::to_writer(&mut value, &stored.state)?;
    }
    Ok(value)
}

/// Reads what [`write`] wrote; nothing, but for its version, when it has expired at `now_ms`.
///
/// # Errors
/// What can't be understood in it.
pub fn read<S: DeserializeOwned + Default>(value: &[u8], now_ms: i64) -> Result<Stored<S>, String> {
    let end = memchr::memchr(b'\n', value).ok_or("no line")?;
    let line = std::str::from_utf8(&value[..end]).map_err(|error| error.to_string())?;
    let mut words = line.splitn(5, ' ').map(|word| Some(word).filter(|word| *word != "-"));
    let mut word = || words.next().ok_or("the line is too short");
    let (version, expires, at, home, waiting) = (word()?, word()?, word()?, word()?, word()?);
    let number = |word: &str| word.parse::<i64>().map_err(|error| error.to_string());
    let version = version.map(number).transpose()?.unwrap_or(0).unsigned_abs();
    if let Some(expires) = expires
        && number(expires)? <= now_ms
    {
        return Ok(Stored::default());
    }
    let wake = match (at, home) {
        (Some(at), Some(home)) => Some(Wake { at: number(at)?, home: home.to_owned() }),
        _ => None,
    };
    let json = |error: serde_json::Error| error.to_string();
    let waiting = waiting.map(serde_json::from_str::<Vec<Waiting>>).transpose().map_err(json)?.unwrap_or_default();
    let state = match &value[end + 1..] {
        [] => S::default(),
        state => serde_json::from_slice(state).map_err(json)?,
    };
    Ok(Stored { state, version, wake, waiting })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_state_stands_alone() {
        let wake = Some(Wake { at: 70, home: "t.v1:3".to_owned() });
        let waiting = vec![Waiting { id: "t.v1:3:9".to_owned(), due: 80 }];
        let full = Stored { state: "a\nb".to_owned(), version: 12, wake, waiting };
        let bare = Stored { state: "x".to_owned(), version: 1, ..Stored::default() };
        for (stored, expires) in [(full, Some(100)), (bare, None)] {
            let value = write(&stored, expires).unwrap();
            assert_eq!(read::<String>(&value, 99).unwrap(), stored);
            assert_eq!(state(&value, 99), Some(serde_json::to_string(&stored.state).unwrap().as_bytes()));
        }
    }

    #[test]
    fn what_has_expired_or_was_removed_is_nothing() {
        let stored = Stored { state: 7_u32, version: 3, ..Stored::default() };
        let value = write(&stored, Some(100)).unwrap();
        assert_eq!(read::<u32>(&value, 100).unwrap(), Stored::default());
        assert_eq!(state(&value, 100), None);
        let removed = write(&Stored::<u32> { version: 4, ..Stored::default() }, None).unwrap();
        assert_eq!(state(&removed, 0), None);
        assert_eq!(read::<u32>(&removed, 0).unwrap().version, 4, "who has seen version 3 is told that it is gone");
    }

    #[test]
    fn what_is_no_value_is_said() {
        for value in [&b""[..], b"1 - - -", b"1\n{}", b"x - - - -\n1", b"1 - - - -\n{", b"1 - 5 t:0 {}\n1"] {
            assert!(read::<u32>(value, 0).is_err(), "{}", String::from_utf8_lossy(value));
        }
    }
}
