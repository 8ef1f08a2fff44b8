//! What a topic may be called: Kafka's rules, and its words.

use kafka_protocol::error::ResponseError;

use super::Refused;

/// Bytes of a name at most: with a partition's number it is the name of a directory.
const MAX_LENGTH: usize = 249;

/// Checks that a topic may have this name.
///
/// # Errors
/// It may not.
pub fn check(name: &str) -> Result<(), Refused> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let reason = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." | ".." => format!("'{name}' is not allowed"),
        _ if name.len() > MAX_LENGTH => {
            format!("the length of '{name}' is longer than the max allowed length {MAX_LENGTH}")
        }
        _ if !name.bytes().all(allowed) => {
            format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
        }
        _ => return Ok(()),
    };
    Err(Refused::new(ResponseError::InvalidTopicException, format!("Topic name is invalid: {reason}")))
}

/// What names have in common that Kafka can't tell apart in the names of its metrics.
pub fn folded(name: &str) -> String {
    name.replace('.', "_")
}

/// A topic can't be called `name` beside one called `existing`.
pub fn collision(name: &str, existing: &str) -> Refused {
    let message = format!("Topic '{name}' collides with existing topic: {existing}");
    Refused::new(ResponseError::InvalidTopicException, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_kafka_refuses_are_refused_with_its_words() {
        for (name, words) in [
            ("", "Topic name is invalid: the empty string is not allowed"),
            (".", "Topic name is invalid: '.' is not allowed"),
            ("..", "Topic name is invalid: '..' is not allowed"),
            ("a b", "'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"),
            ("../etc", "other than ASCII alphanumerics"),
            ("caf\u{e9}", "other than ASCII alphanumerics"),
            (&"x".repeat(250), "is longer than the max allowed length 249"),
        ] {
            let refused = check(name).expect_err(name);
            assert_eq!(refused.error, ResponseError::InvalidTopicException);
            assert!(refused.message.contains(words), "{}", refused.message);
        }
        for name in ["a", "...", "A-b_c.9", &"x".repeat(249)] {
            check(name).expect(name);
        }
    }

    proptest! {
        #[test]
        fn a_name_that_is_allowed_is_one_path_component(name in ".{0,300}") {
            if check(&name).is_ok() {
                let path = std::path::Path::new("dir").join(&name);
                prop_assert_eq!(path.file_name().and_then(|file| file.to_str()), Some(name.as_str()));
                prop_assert_eq!(path.components().count(), 2);
            }
        }
    }
}
