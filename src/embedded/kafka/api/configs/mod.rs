//! DescribeConfigs, AlterConfigs and IncrementalAlterConfigs: the settings of topics, and those of the node to look at.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;

use super::off_thread;
use crate::embedded::kafka::broker::{Broker, NODE_ID};
use crate::embedded::kafka::topics::Refused;

mod alter;
mod broker;
mod describe;
mod incremental;

pub use alter::Alter;
pub use describe::Describe;
pub use incremental::IncrementalAlter;

/// What settings belong to.
enum Resource<'a> {
    /// The topic of this name.
    Topic(&'a str),
    /// The node.
    Node,
    /// What is common to all nodes of the cluster and can be changed while they run: nothing here.
    AllNodes,
}

/// Kafka's numbers of topics and nodes among the types of resources.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

impl<'a> Resource<'a> {
    /// Finds out what is meant.
    ///
    /// # Errors
    /// There is no such thing here.
    fn new(kind: i8, name: &'a str) -> Result<Self, Refused> {
        let message = match kind {
            TOPIC => return Ok(Self::Topic(name)),
            BROKER if name.is_empty() => return Ok(Self::AllNodes),
            BROKER if name == NODE_ID.to_string() => return Ok(Self::Node),
            BROKER => format!("Unexpected broker id, expected {NODE_ID} or empty string, but received {name}"),
            8 => "loggers can't be seen or changed this way; set KBOARD_LOG and restart".to_owned(),
            16 => "this broker collects no metrics of clients".to_owned(),
            32 => "groups have no settings here; their members say what they need".to_owned(),
            _ => format!("there are no resources of type {kind}"),
        };
        Err(Refused::new(ResponseError::InvalidRequest, message))
    }

    /// The topic whose settings are to be changed.
    ///
    /// # Errors
    /// It is no topic.
    fn topic(&self) -> Result<&'a str, Refused> {
        let message = "a broker's settings are given when it is started and can't be changed while it runs";
        match self {
            Self::Topic(name) => Ok(name),
            Self::Node | Self::AllNodes => Err(Refused::new(ResponseError::InvalidRequest, message)),
        }
    }
}

/// Makes a change to a topic's settings.
async fn change(
    broker: &Arc<Broker>,
    work: impl FnOnce(&Broker) -> Result<(), Refused> + Send + 'static,
) -> Result<(), Refused> {
    off_thread(broker, work).await.map_err(|error| Refused::new(error, "the settings could not be changed"))?
}
