//! Servers that kboard brings itself. Nothing but `cli` uses them; everybody else is given addresses.

pub mod kafka;
