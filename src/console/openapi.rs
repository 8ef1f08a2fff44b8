//! The document of the API, made of the table of addresses: <https://spec.openapis.org/oas/v3.1.0>.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use warp::http::Method;

use super::guard::TOKEN_HEADER;
use super::route::{Answer, Doc, Route};

/// Where the document keeps what it calls by name.
const DEFINITIONS: &str = "/components/schemas";

/// The address that serves the document of `table`.
pub fn route(table: &[Route]) -> Route {
    let template = "/api/console/openapi.json";
    let body = document(table).to_string().into_bytes();
    Route::fixed(template, "This document", "application/json", body)
}

/// The document of those addresses in `table` that belong to the API.
pub fn document(table: &[Route]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = DEFINITIONS.into());
    let mut generator = SchemaGenerator::new(settings);
    let mut paths: Map<String, Value> = Map::new();
    for route in table {
        let Some(doc) = &route.doc else { continue };
        let operation = operation(route, doc, &mut generator);
        let path = paths.entry(route.template).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation;
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "kboard console",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!(
                "What the console's pages show and do. Actions need the header {TOKEN_HEADER} with the token that \
                 /api/console/session answers."
            ),
        },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn operation(route: &Route, doc: &Doc, generator: &mut SchemaGenerator) -> Value {
    let mut parameters = path_parameters(route.template);
    if route.method != Method::GET {
        parameters.push(json!({
            "name": TOKEN_HEADER, "in": "header", "required": true, "schema": { "type": "string" },
        }));
    }
    parameters.extend(doc.query.map(|query| query_parameters(&query(generator).to_value())).unwrap_or_default());
    let content = match &doc.answer {
        Answer::Json(schema) => json!({ "application/json": { "schema": schema(generator) } }),
        Answer::Stream(types) => types.iter().map(|media_type| ((*media_type).to_owned(), json!({}))).collect(),
    };
    let error =
        json!({ "type": "object", "properties": { "error": { "type": "string" }, "field": { "type": "string" } } });
    let mut operation = json!({
        "summary": doc.summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": "Done", "content": content },
            "default": {
                "description": "Not done, and why",
                "content": { "application/json": { "schema": error } },
            },
        },
    });
    if let Some(body) = doc.body {
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": body(generator) } } });
    }
    operation
}

fn path_parameters(template: &str) -> Vec<Value> {
    let names = template.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })).collect()
}

fn query_parameters(schema: &Value) -> Vec<Value> {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|fields| fields.remove("description"));
        json!({
            "name": name, "in": "query", "required": required.contains(&json!(name)), "description": description,
            "schema": schema,
        })
    };
    properties.iter().map(parameter).collect()
}
