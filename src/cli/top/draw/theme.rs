//! What tones look like, with colours and without.

use ratatui::style::{Color, Modifier, Style};

use crate::cli::top::columns::Tone;

/// The colours of the screen. What they say, words say too.
pub struct Theme {
    has_colours: bool,
}

impl Theme {
    /// Colours unless NO_COLOR is set to something (<https://no-color.org>).
    pub fn from_environment() -> Self {
        Self::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    /// With colours or without.
    pub fn new(has_colours: bool) -> Self {
        Self { has_colours }
    }

    /// How a tone is written.
    pub fn tone(&self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new(),
            Tone::Faint => Style::new().add_modifier(Modifier::DIM),
            Tone::Good => self.coloured(Color::Green),
            Tone::Warn => self.coloured(Color::Yellow),
            Tone::Bad => self.coloured(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Course => self.coloured(Color::Cyan),
        }
    }

    /// What stands over something.
    pub fn title(&self) -> Style {
        self.coloured(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// What is chosen.
    pub fn chosen(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn coloured(&self, colour: Color) -> Style {
        if self.has_colours { Style::new().fg(colour) } else { Style::new() }
    }
}
