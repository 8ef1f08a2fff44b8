//! What apps hand to the server.

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

/// Filters, and the templates of the paths they answer: metrics are labelled with the template, so that a request's
/// raw path never becomes a label.
#[derive(Clone)]
pub struct Routes {
    /// Answers requests.
    pub filter: BoxedFilter<(Response,)>,
    /// E.g. `/api/messages` or `/static/{name}`; a segment in braces stands for any one.
    pub templates: Vec<&'static str>,
}

/// The template of requests that no route answers.
pub const UNMATCHED: &str = "unmatched";

impl Routes {
    /// Routes from a filter and its templates.
    pub fn new(filter: BoxedFilter<(Response,)>, templates: &[&'static str]) -> Self {
        Self { filter, templates: templates.to_vec() }
    }

    /// These routes, then those.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.templates.extend(other.templates);
        Self { filter: self.filter.or(other.filter).unify().boxed(), templates: self.templates }
    }
}

/// The template that `path` belongs to.
pub fn template_of(templates: &[&'static str], path: &str) -> &'static str {
    let matches = |template: &&&'static str| {
        if !template.contains('{') {
            return **template == path;
        }
        let (mut ours, mut theirs) = (template.split('/'), path.split('/'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(ours), Some(theirs)) if ours == theirs || (ours.starts_with('{') && !theirs.is_empty()) => {}
                _ => return false,
            }
        }
    };
    templates.iter().find(matches).copied().unwrap_or(UNMATCHED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_template() {
        let templates = ["/", "/api/messages", "/static/{name}"];
        for (path, template) in [
            ("/", "/"),
            ("/api/messages", "/api/messages"),
            ("/static/a.css", "/static/{name}"),
            ("/static/", UNMATCHED),
            ("/static/a/b", UNMATCHED),
            ("/api", UNMATCHED),
        ] {
            assert_eq!(template_of(&templates, path), template, "{path}");
        }
    }
}
