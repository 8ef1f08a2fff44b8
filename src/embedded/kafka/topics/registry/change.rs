//! Making, changing and deleting topics: first it is checked, then it is on the disk, then everybody sees it.

use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};

use kafka_protocol::error::ResponseError;
use uuid::Uuid;

use super::super::settings::{Change, Settings, changed, checked};
use super::super::{Partition, Refused, name};
use super::{Registry, Shared, Topic, logs, new_id};

/// A topic to be made.
#[derive(Clone, Debug, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1: as many as the broker's default says.
    pub partitions: i32,
    /// What is set on it; checked, see [`checked`].
    pub settings: Settings,
}

/// A topic that was made, or would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its id; nil if it was not made.
    pub id: Uuid,
    /// How many partitions it has.
    pub partitions: i32,
}

impl Registry {
    /// Makes a topic, on the disk too; or with `validate_only` says what it would make.
    ///
    /// # Errors
    /// There can't be such a topic beside the others, or it can't be written.
    pub fn create(&self, new: NewTopic, validate_only: bool) -> Result<Created, Refused> {
        let shared = &self.shared;
        let _changing = shared.begin()?;
        let partitions = if new.partitions == -1 { self.defaults().partitions } else { new.partitions };
        shared.may_create(&new.name, partitions)?;
        if validate_only {
            return Ok(Created { id: Uuid::nil(), partitions });
        }
        let id = new_id();
        let effective = self.defaults().with(&new.settings);
        let made =
            logs::make(&shared.folder, &new.name, 0..partitions, &effective).map_err(storage("create", &new.name))?;
        let topic = Topic { name: new.name.clone(), id, partitions: made, settings: new.settings };
        let saved = shared.save(|listed| listed.push(topic.listed()));
        if let Err(error) = saved {
            shared.discard(&topic.partitions, id);
            return Err(storage("create", &new.name)(error));
        }
        shared.write(|topics| topics.put(topic));
        Ok(Created { id, partitions })
    }

    /// Adds partitions to a topic, so that it has `count`.
    ///
    /// # Errors
    /// It doesn't exist, has as many or more, would have too many, or they can't be written.
    pub fn add_partitions(&self, name: &str, count: i32, validate_only: bool) -> Result<(), Refused> {
        let shared = &self.shared;
        let _changing = shared.begin()?;
        let topic = self.get(name).ok_or_else(|| Refused::unknown_topic(name))?;
        let present = topic.partitions.len() as i32;
        let invalid = |message| Err(Refused::new(ResponseError::InvalidPartitions, message));
        if count == present {
            return invalid(format!("Topic already has {present} partition(s)."));
        }
        if count < present {
            let message =
                format!("The topic {name} currently has {present} partition(s); {count} would not be an increase.");
            return invalid(message);
        }
        shared.may_have_partitions((count - present) as usize)?;
        if validate_only {
            return Ok(());
        }
        let effective = self.defaults().with(&topic.settings);
        let added =
            logs::make(&shared.folder, name, present..count, &effective).map_err(storage("add partitions to", name))?;
        let saved = shared.save(|listed| {
            listed.iter_mut().filter(|listed| listed.name == name).for_each(|listed| listed.partitions = count);
        });
        if let Err(error) = saved {
            shared.discard(&added, Uuid::new_v4());
            return Err(storage("add partitions to", name)(error));
        }
        let partitions = topic.partitions.iter().cloned().chain(added).collect();
        let topic = Topic { name: topic.name.clone(), id: topic.id, partitions, settings: topic.settings.clone() };
        shared.write(|topics| topics.put(topic));
        Ok(())
    }

    /// Changes what is set on a topic: all of `changes` or none.
    ///
    /// # Errors
    /// It doesn't exist, a setting can't have the value, or they can't be written.
    pub fn change(&self, name: &str, changes: Vec<(String, Change)>, validate_only: bool) -> Result<(), Refused> {
        self.set(name, validate_only, |settings| {
            changed(settings, changes.iter().map(|(name, change)| (name.as_str(), change.clone())))
        })
    }

    /// Replaces everything that is set on a topic.
    ///
    /// # Errors
    /// As for [`change`](Self::change).
    pub fn replace(
        &self,
        name: &str,
        settings: Vec<(String, Option<String>)>,
        validate_only: bool,
    ) -> Result<(), Refused> {
        self.set(name, validate_only, |_| {
            checked(settings.iter().map(|(name, value)| (name.as_str(), value.as_deref())))
        })
    }

    fn set(
        &self,
        name: &str,
        validate_only: bool,
        change: impl FnOnce(&Settings) -> Result<Settings, Refused>,
    ) -> Result<(), Refused> {
        let shared = &self.shared;
        let _changing = shared.begin()?;
        let topic = self.get(name).ok_or_else(|| Refused::unknown_topic(name))?;
        let settings = change(&topic.settings)?;
        if validate_only {
            return Ok(());
        }
        let saved = shared.save(|listed| {
            listed
                .iter_mut()
                .filter(|listed| listed.name == name)
                .for_each(|listed| listed.settings = settings.clone());
        });
        saved.map_err(storage("change the settings of", name))?;
        let effective = self.defaults().with(&settings);
        topic.partitions.iter().for_each(|partition| partition.configure(&effective));
        let topic = Topic { name: topic.name.clone(), id: topic.id, partitions: topic.partitions.clone(), settings };
        shared.write(|topics| topics.put(topic));
        Ok(())
    }

    /// Deletes a topic: at once for everybody, and from the disk before this returns.
    ///
    /// # Errors
    /// It doesn't exist, or the disk can't be told that it is deleted.
    pub fn delete(&self, name: &str) -> Result<Uuid, Refused> {
        let shared = &self.shared;
        let _changing = shared.begin()?;
        let topic = self.get(name).ok_or_else(|| Refused::unknown_topic(name))?;
        shared.write(|topics| {
            topics.by_name.remove(name);
            topics.by_id.remove(&topic.id);
        });
        topic.partitions.iter().for_each(|partition| partition.delete());
        // Once the first directory is moved, a start after a crash finds that the topic was being deleted.
        let moved = (0..topic.partitions.len() as i32)
            .try_for_each(|index| shared.folder.set_deleted(name, topic.id, index))
            .and_then(|()| shared.save(|_| {}));
        moved.map_err(storage("delete", name))?;
        shared.folder.remove_deleted();
        Ok(topic.id)
    }
}

impl Shared {
    /// Waits for its turn to change something.
    fn begin(&self) -> Result<MutexGuard<'_, bool>, Refused> {
        let closed = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // What is made after the logs were closed would be taken for closed at the next start.
        if *closed { Err(Refused::new(ResponseError::NotController, "the broker is ending")) } else { Ok(closed) }
    }

    fn may_create(&self, name: &str, partitions: i32) -> Result<(), Refused> {
        name::check(name)?;
        let topics = self.read();
        if topics.by_name.contains_key(name) {
            return Err(Refused::new(ResponseError::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
        }
        let folded = name::folded(name);
        if let Some(existing) = topics.by_name.keys().find(|existing| name::folded(existing) == folded) {
            return Err(name::collision(name, existing));
        }
        if partitions < 1 {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(Refused::new(ResponseError::InvalidPartitions, message));
        }
        if topics.by_name.len() >= self.options.max_topics {
            let message = format!("there are {} topics already, which is this broker's limit", topics.by_name.len());
            return Err(Refused::new(ResponseError::PolicyViolation, message));
        }
        drop(topics);
        self.may_have_partitions(partitions as usize)
    }

    fn may_have_partitions(&self, more: usize) -> Result<(), Refused> {
        let present: usize = self.read().by_name.values().map(|topic| topic.partitions.len()).sum();
        let limit = self.options.max_partitions;
        if present.saturating_add(more) <= limit {
            return Ok(());
        }
        let message = format!(
            "{more} partitions more than the {present} there are would be above this broker's limit of {limit}"
        );
        Err(Refused::new(ResponseError::PolicyViolation, message))
    }

    /// Gives up partitions that nobody has heard of.
    fn discard(&self, partitions: &[Arc<Partition>], id: Uuid) {
        for partition in partitions {
            partition.delete();
            // What stays behind is moved aside at the next start.
            let _ = self.folder.set_deleted(partition.topic(), id, partition.index());
        }
        self.folder.remove_deleted();
    }
}

fn storage(what: &'static str, topic: &str) -> impl Fn(io::Error) -> Refused {
    move |error| {
        tracing::error!(topic, %error, "can't {what} a topic");
        let message = format!("can't {what} topic '{topic}': {error}");
        Refused::new(ResponseError::KafkaStorageError, message)
    }
}
