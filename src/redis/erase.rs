//! Removing keys by their names, a page at a time: neither Redis nor this process stops for millions of them.

use fred::interfaces::KeysInterface;
use fred::types::Key;

use super::client::{Redis, RedisError, run};

/// Keys that Redis looks at, and that are removed, at once.
const PAGE: u32 = 1_000;
/// Where a scan begins, and what says that it has ended.
const START: &str = "0";

/// Counts the keys that `names` mean: a name that ends in `*` means every key that begins with the rest, any other itself.
///
/// # Errors
/// When Redis is away.
pub async fn count(redis: &Redis, names: &[String]) -> Result<u64, RedisError> {
    let (mut cursor, mut count) = (START.to_owned(), 0);
    loop {
        let (next, found) = page(redis, names, cursor).await?;
        count += found.len() as u64;
        if next == START {
            return Ok(count);
        }
        cursor = next;
    }
}

/// Removes them; how many there were. Keys that are written meanwhile may be left.
///
/// # Errors
/// When Redis is away; what was removed stays so.
pub async fn erase(redis: &Redis, names: &[String]) -> Result<u64, RedisError> {
    let (mut cursor, mut count) = (START.to_owned(), 0);
    loop {
        let (next, found) = page(redis, names, cursor).await?;
        // A Redis may answer with more at once than it was asked for.
        for keys in found.chunks(PAGE as usize) {
            let removed: u64 = run("unlink", redis.client().unlink(keys.to_vec())).await?;
            count += removed;
        }
        if next == START {
            return Ok(count);
        }
        cursor = next;
    }
}

/// Those keys of the page at `cursor` that are meant, and where the next page begins.
async fn page(redis: &Redis, names: &[String], cursor: String) -> Result<(String, Vec<Key>), RedisError> {
    let common = format!("{}*", escaped(common_beginning(names)));
    let page = redis.client().scan_page(cursor, common, Some(PAGE), None);
    let (next, mut keys): (String, Vec<Key>) = run("scan", page).await?;
    keys.retain(|key| names.iter().any(|name| means(name, key.as_bytes())));
    Ok((next, keys))
}

fn means(name: &str, key: &[u8]) -> bool {
    match name.strip_suffix('*') {
        Some(beginning) => key.starts_with(beginning.as_bytes()),
        None => key == name.as_bytes(),
    }
}

/// What all the names begin with: Redis leaves out what doesn't.
fn common_beginning(names: &[String]) -> &str {
    let Some((first, others)) = names.split_first() else { return "" };
    let first = first.trim_end_matches('*');
    let shared =
        |other: &String| first.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum();
    &first[..others.iter().map(shared).min().unwrap_or(first.len())]
}

/// `text` as a pattern of Redis that means just that.
fn escaped(text: &str) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '\\' | '^');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_itself_or_all_that_begin_so() {
        assert!(means("t.messages", b"t.messages") && !means("t.messages", b"t.messages2"));
        assert!(means("t.orders:*", b"t.orders:1") && means("t.orders:*", b"t.orders:"));
        assert!(!means("t.orders:*", b"t.orders") && !means("t.orders:*", b"orders:1"));
    }

    #[test]
    fn only_what_all_names_begin_with_is_left_to_redis() {
        let common = |names: &[&str]| {
            common_beginning(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).to_owned()
        };
        assert_eq!(common(&["t.orders:*", "t.kboard:a", "t.kboard:b:*"]), "t.");
        assert_eq!(common(&["ä:1", "ä:*"]), "ä:");
        assert_eq!((common(&["orders:*"]), common(&["a", "b"]), common(&[])), ("orders:".into(), "".into(), "".into()));
        assert_eq!(escaped("a*[b]?"), "a\\*\\[b\\]\\?");
    }
}
