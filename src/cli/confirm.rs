//! Asking before what can't be undone.

use std::io::{IsTerminal, Write};

/// Asks `question` on the terminal unless `yes`; `name` or `y` agrees.
///
/// # Errors
/// The answer is anything else, or there is no terminal to ask on.
pub fn confirm(question: &str, name: Option<&str>, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        anyhow::bail!("{question} There is no terminal to ask on; if you mean it, add --yes");
    }
    let mut stderr = std::io::stderr().lock();
    let accepted = name.map_or("[y/N]".to_owned(), |name| format!("Type y or {name} to go on:"));
    write!(stderr, "{question} {accepted} ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    let answer = answer.trim();
    if matches!(answer, "y" | "Y" | "yes") || name == Some(answer) {
        return Ok(());
    }
    anyhow::bail!("not confirmed; nothing was changed")
}
