//! The terminal, and what wakes it: keys, looks at the cluster, and time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use crossterm::event::{Event, EventStream, KeyEventKind};
use futures::StreamExt;
use ratatui::DefaultTerminal;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::draw::{self, Theme};
use super::model::{Model, Next};
use crate::clock::now_ms;
use crate::kafka::watch::Watch;

/// How often what is told in seconds is told anew.
const CLOCK: Duration = Duration::from_secs(1);

/// Draws until somebody quits or `shutdown`. The terminal is as it was before afterwards, also after a failure or a panic.
///
/// # Errors
/// The terminal is gone, or can't be drawn on.
pub async fn run(watch: &Watch, mut model: Model, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let theme = Theme::from_environment();
    let mut screen = Screen::open().context("can't draw on this terminal")?;
    model.resize(screen.0.size()?.height);
    let mut keys = EventStream::new();
    let mut looks = watch.looks();
    // What was seen since the watch began counts, too.
    looks.mark_changed();
    let mut clock = tokio::time::interval(CLOCK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        model.tick(now_ms());
        screen.0.draw(|frame| draw::draw(frame, &model, &theme))?;
        tokio::select! {
            // The watch ends at a shutdown, too, and that is no failure.
            biased;
            () = shutdown.cancelled() => return Ok(()),
            event = keys.next() => match event {
                None => return Ok(()),
                Some(event) => {
                    if wake(&mut model, event?) == Next::Quit {
                        return Ok(());
                    }
                }
            },
            look = looks.changed() => {
                look.context("nobody looks at the cluster any more")?;
                let snapshot = Arc::clone(&looks.borrow_and_update());
                model.tick(now_ms());
                model.look(&snapshot, &watch.past());
            }
            _ = clock.tick() => {}
        }
    }
}

fn wake(model: &mut Model, event: Event) -> Next {
    match event {
        // Some terminals tell of keys that are let go.
        Event::Key(key) if key.kind != KeyEventKind::Release => model.key(key),
        Event::Resize(_, lines) => {
            model.resize(lines);
            Next::Draw
        }
        _ => Next::Draw,
    }
}

/// The terminal while it is drawn on.
struct Screen(DefaultTerminal);

impl Screen {
    /// Takes it: raw, on the alternate screen, given back by a panic before it is told.
    fn open() -> std::io::Result<Self> {
        ratatui::try_init().map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Fails only if the terminal is gone.
        let _ = ratatui::try_restore();
    }
}
