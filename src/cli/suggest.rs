//! Names near the one that was typed.

/// How alike two names must be, from 0 to 1, for one to be meant by the other.
const ALIKE: f64 = 0.8;
const MOST: usize = 3;

/// The error for a `kind` of thing (topic, group) named `name` that is not among `known`.
pub fn unknown(kind: &str, name: &str, known: &[String], else_hint: &str) -> anyhow::Error {
    let near: Vec<String> = near(name, known).into_iter().map(|name| format!("{name:?}")).collect();
    match near.as_slice() {
        [] => anyhow::anyhow!("{kind} {name:?} does not exist; {else_hint}"),
        near => anyhow::anyhow!("{kind} {name:?} does not exist; did you mean {}?", near.join(" or ")),
    }
}

/// The likest first.
fn near<'a>(name: &str, known: &'a [String]) -> Vec<&'a str> {
    let likeness = |known: &&'a String| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase());
    let mut near: Vec<(f64, &str)> =
        known.iter().map(|known| (likeness(&known), known.as_str())).filter(|(alike, _)| *alike >= ALIKE).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().take(MOST).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_anything_else_is_not() {
        let known = ["message-board", "orders.placed.v1", "orders.outcome.v1", "x"].map(str::to_owned);
        assert_eq!(near("mesage-board", &known), ["message-board"]);
        assert_eq!(near("Orders.placed.v1", &known)[0], "orders.placed.v1");
        assert!(near("telemetry", &known).is_empty());
        let error = unknown("topic", "telemetry", &known, "`list` shows them").to_string();
        assert_eq!(error, "topic \"telemetry\" does not exist; `list` shows them");
    }
}
