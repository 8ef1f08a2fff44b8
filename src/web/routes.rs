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
    /// E.g. `/api/messages` or `/static/{name}` (a segment in braces stands for any one), each with its methods, as the
    /// header `Allow` names them.
    pub templates: Vec<(&'static str, &'static str)>,
}

/// The methods of what can only be read. HEAD is answered like GET, without the body.
pub const READ: &str = "GET, HEAD";

/// The template of requests that no route answers.
pub const UNMATCHED: (&str, &str) = ("unmatched", READ);

impl Routes {
    /// Routes from a filter and its templates.
    pub fn new(filter: BoxedFilter<(Response,)>, templates: &[(&'static str, &'static str)]) -> Self {
        Self { filter, templates: templates.to_vec() }
    }

    /// These routes, then those.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.templates.extend(other.templates);
        Self { filter: self.filter.or(other.filter).unify().boxed(), templates: self.templates }
    }
}

/// The template that `path` belongs to, and its methods.
pub fn template_of(templates: &[(&'static str, &'static str)], path: &str) -> (&'static str, &'static str) {
    let matches = |(template, _): &&(&'static str, &'static str)| {
        if !template.contains('{') {
            return *template == path;
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
        let templates = ["/", "/api/messages", "/static/{name}"].map(|path| (path, READ));
        for (path, template) in [
            ("/", "/"),
            ("/api/messages", "/api/messages"),
            ("/static/a.css", "/static/{name}"),
            ("/static/", UNMATCHED.0),
            ("/static/a/b", UNMATCHED.0),
            ("/api", UNMATCHED.0),
        ] {
            assert_eq!(template_of(&templates, path).0, template, "{path}");
        }
    }
}
