//! Settings as they are shown: the value in force, and where it comes from.

use super::definitions::DEFINITIONS;
use super::{Defaults, Definition, Settings};

/// Where a value comes from, with Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    /// It is set on the topic.
    Topic = 1,
    /// The broker was started with it.
    Broker = 4,
    /// Nobody said anything else.
    Default = 5,
}

/// A setting with its value.
#[derive(Debug)]
pub struct Described {
    /// What it is.
    pub definition: &'static Definition,
    /// The value in force.
    pub value: String,
    /// Where that comes from.
    pub source: Source,
    /// All values there are for it, the one in force first.
    pub synonyms: Vec<Synonym>,
}

/// One of the values for a setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The name under which it is set.
    pub name: &'static str,
    /// The value.
    pub value: String,
    /// Where it is set.
    pub source: Source,
}

impl Defaults {
    /// Every setting of a topic that has `settings` of its own.
    pub fn describe(&self, settings: &Settings) -> Vec<Described> {
        DEFINITIONS.iter().map(|definition| self.describe_one(definition, settings)).collect()
    }

    fn describe_one(&self, definition: &'static Definition, settings: &Settings) -> Described {
        let value = self.value(definition);
        let source = if value == definition.default { Source::Default } else { Source::Broker };
        let default = Synonym { name: definition.of_broker.unwrap_or(definition.name), value, source };
        let own = settings.get(definition.name);
        let own = own.map(|value| Synonym { name: definition.name, value: value.clone(), source: Source::Topic });
        let synonyms: Vec<Synonym> = own.into_iter().chain([default]).collect();
        Described { definition, value: synonyms[0].value.clone(), source: synonyms[0].source, synonyms }
    }
}
