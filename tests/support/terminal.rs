//! A terminal of a test's own: what a program draws is seen as on a screen, and keys are pressed.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use vt100::{Color, Parser};

use super::eventually;

/// A program on a terminal; it ends with its test.
pub struct Terminal {
    /// The program.
    child: Child,
    /// The side of the terminal where people sit.
    seat: File,
    screen: Arc<Mutex<Parser>>,
}

impl Terminal {
    /// Runs `command` on a terminal of so many columns and lines.
    pub fn run(command: &Command, (columns, lines): (u16, u16)) -> Self {
        let seat = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&seat).unwrap();
        unlockpt(&seat).unwrap();
        tcsetwinsize(&seat, size(columns, lines)).unwrap();
        let line = ioctl_tiocgptpeer(&seat, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        // It makes the terminal the one of a new session, as a login does, and becomes the program.
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        session.env("TERM", "xterm-256color");
        let stdio = || line.try_clone().unwrap();
        let child = session.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        let seat = File::from(seat);
        let parser = Parser::new(NonZeroU16::new(lines).unwrap(), NonZeroU16::new(columns).unwrap(), 0);
        let screen = Arc::new(Mutex::new(parser));
        let (mut output, drawn) = (seat.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading fails once the program is gone.
            while let Ok(count) = output.read(&mut bytes) {
                drawn.lock().unwrap().process(&bytes[..count]);
            }
        });
        Self { child, seat, screen }
    }

    /// The lines of the screen.
    pub fn lines(&self) -> Vec<String> {
        let parser = self.screen.lock().unwrap();
        let (_, columns) = parser.screen().size();
        parser.screen().rows(0, columns.get()).collect()
    }

    /// The screen once `holds`; fails the test, naming `what` and showing the screen, after `timeout`.
    pub async fn until(&self, what: &str, timeout: Duration, holds: impl Fn(&[String]) -> bool) -> Vec<String> {
        let shown = async || {
            let lines = self.lines();
            holds(&lines).then_some(lines)
        };
        let waited = tokio::time::timeout(timeout, eventually(what, timeout * 2, shown)).await;
        waited.unwrap_or_else(|_| panic!("waited {timeout:?} for: {what}; the screen:\n{}", self.lines().join("\n")))
    }

    /// Presses keys, given as the terminal sends them.
    pub fn press(&mut self, keys: &str) {
        self.seat.write_all(keys.as_bytes()).unwrap();
    }

    /// Changes its size, as somebody does who drags a window's corner.
    pub fn resize(&self, columns: u16, lines: u16) {
        let (rows, width) = (NonZeroU16::new(lines).unwrap(), NonZeroU16::new(columns).unwrap());
        self.screen.lock().unwrap().set_size(rows, width);
        tcsetwinsize(&self.seat, size(columns, lines)).unwrap();
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the program ended by itself.
    pub async fn ended(&mut self, timeout: Duration) -> ExitStatus {
        let child = std::cell::RefCell::new(&mut self.child);
        eventually("the end of the program", timeout, async || child.borrow_mut().try_wait().unwrap()).await
    }

    /// Whether a program has it for itself: keys are not echoed, the screen is another one.
    pub fn is_taken(&self) -> bool {
        let modes = tcgetattr(&self.seat).unwrap().local_modes;
        !modes.contains(LocalModes::ICANON) && self.screen.lock().unwrap().screen().alternate_screen()
    }

    /// Whether nothing is left of a program that had it: lines are edited and echoed, the screen and the cursor are back.
    pub fn is_given_back(&self) -> bool {
        let modes = tcgetattr(&self.seat).unwrap().local_modes;
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
            && !screen.alternate_screen()
            && !screen.hide_cursor()
    }

    /// Whether anything on the screen has a colour.
    pub fn has_colours(&self) -> bool {
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        let (lines, columns) = screen.size();
        let cells = (0..lines.get()).flat_map(|line| (0..columns.get()).map(move |column| (line, column)));
        let mut cells = cells.filter_map(|(line, column)| screen.cell(line, column));
        cells.any(|cell| cell.fgcolor() != Color::Default || cell.bgcolor() != Color::Default)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails only when it ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(columns: u16, lines: u16) -> Winsize {
    Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
