//! The settings as flags of every subcommand, made from the table of `config`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, FromArgMatches};

use crate::config::ConfigError;
use crate::config::sources::{Resolved, Sources};
use crate::config::table::SETTINGS;

/// The settings file that is read when none is named.
const DEFAULT_FILE: &str = "kboard.toml";
const HEADING: &str = "Settings";

/// What was typed: one optional flag a setting, and `--config-file`.
#[derive(Debug, Default, Clone)]
pub struct SettingsFlags {
    flags: BTreeMap<String, String>,
    file: Option<PathBuf>,
}

impl SettingsFlags {
    /// Looks the settings up in the flags, the process's environment and the settings file.
    pub fn resolve(&self) -> Result<Vec<Resolved>, ConfigError> {
        let named = self.file.clone().or_else(|| std::env::var_os("KBOARD_CONFIG").map(PathBuf::from));
        let file = match named {
            Some(path) => (path, true),
            None => (PathBuf::from(DEFAULT_FILE), false),
        };
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Sources { flags: self.flags.clone(), environment, file: Some(file) }.resolve()
    }
}

impl clap::Args for SettingsFlags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config-file")
            .long("config-file")
            .value_name("FILE")
            .global(true)
            .help_heading(HEADING)
            .value_parser(clap::value_parser!(PathBuf))
            .help(format!("The settings file [env: KBOARD_CONFIG] [default: {DEFAULT_FILE}, if there]"));
        SETTINGS.iter().fold(command.arg(file), |command, setting| {
            let default = setting.default.filter(|text| !text.is_empty());
            let default = default.map(|text| format!(" [default: {text}]")).unwrap_or_default();
            command.arg(
                Arg::new(setting.key)
                    .long(setting.key)
                    .value_name(setting.value_name)
                    .global(true)
                    .help_heading(HEADING)
                    .hide_short_help(!setting.common)
                    .help(format!("{} [env: {}]{default}", setting.help, setting.env())),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingsFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in SETTINGS {
            if let Some(value) = matches.get_one::<String>(setting.key) {
                self.flags.insert(setting.key.to_owned(), value.clone());
            }
        }
        self.file = matches.get_one::<PathBuf>("config-file").cloned().or_else(|| self.file.take());
        Ok(())
    }
}
