//! The query of a request.

use std::collections::HashMap;
use std::convert::Infallible;

use warp::Filter;

/// The values by name; of a name that comes twice, the last one holds.
#[derive(Clone, Debug, Default)]
pub struct Query(HashMap<String, String>);

impl Query {
    fn parse(raw: &str) -> Self {
        Self(url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect())
    }

    /// The value of `name`, if it was given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Reads the query; it never refuses a request.
pub fn query() -> impl Filter<Extract = (Query,), Error = Infallible> + Clone {
    let raw = warp::query::raw().or(warp::any().map(String::new)).unify();
    raw.map(|raw: String| Query::parse(&raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_holds() {
        let twice = Query::parse("a=1&b=%20x&a=2");
        assert_eq!((twice.get("a"), twice.get("b"), twice.get("c")), (Some("2"), Some(" x"), None));
        assert_eq!(Query::parse("").get("a"), None);
    }
}
