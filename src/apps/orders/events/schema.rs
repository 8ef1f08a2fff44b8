//! The JSON Schemas of the events, made of the types: <https://json-schema.org/draft/2020-12>. They stand in `docs/schemas`.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::check::MAX_ID;
use super::envelope::VERSION;
use super::{EventType, Time};

/// The name of the schema's file.
pub fn file_name(event_type: EventType) -> String {
    format!("{}.v{VERSION}.json", event_type.name())
}

/// The schema of an event as a record of its topic holds it: the envelope and its payload.
pub fn schema(event_type: EventType) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let payload = event_type.payload_schema(&mut generator);
    let time = generator.subschema_for::<Time>();
    let definitions = generator.take_definitions(true);
    let id = json!({ "type": "string", "minLength": 1, "maxLength": MAX_ID, "pattern": "^[!-~]+$" });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": file_name(event_type),
        "title": event_type.name(),
        "description": definitions[event_type.name()]["description"],
        "type": "object",
        "required": ["eventId", "eventType", "eventVersion", "timestamp", "correlationId", "payload"],
        "properties": {
            "eventId": id,
            "eventType": { "const": event_type.name() },
            "eventVersion": { "const": VERSION },
            "timestamp": time,
            "correlationId": id,
            "payload": payload,
            "metadata": {
                "type": "object",
                "properties": { "source": { "type": "string" }, "traceId": { "type": "string" } },
            },
        },
        "$defs": definitions,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Set to write the files anew.
    const WRITE: &str = "KBOARD_WRITE_SCHEMAS";

    #[test]
    fn the_schemas_in_docs_are_those_of_the_types() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
        for event_type in EventType::ALL {
            let file = folder.join(file_name(*event_type));
            let current = serde_json::to_string_pretty(&schema(*event_type)).unwrap() + "\n";
            if std::env::var_os(WRITE).is_some() {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&file, &current).unwrap();
            }
            let kept = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(kept == current, "{} is out of date: run this test with {WRITE}=1", file.display());
        }
        let files = std::fs::read_dir(&folder).unwrap().count();
        assert_eq!(files, EventType::ALL.len(), "docs/schemas holds schemas of events that there aren't");
    }
}
