//! ApiVersions: which APIs there are, and in which versions.
//!
//! No features are named: there is no controller quorum, and there are no transactions or groups of the newer protocol
//! whose versions they would tell.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::VersionRange;

use super::{APIS, Answer, Api, Call};
use crate::embedded::kafka::broker::Broker;

/// The API.
pub struct ApiVersions;

impl Api for ApiVersions {
    type Request = ApiVersionsRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 4 };

    async fn answer(_: &Arc<Broker>, _: &Call, _: ApiVersionsRequest) -> Answer<ApiVersionsResponse> {
        list().into()
    }

    /// Every client understands version 0, and asks again with one that is in the list.
    fn refuse(_: i16) -> Option<(i16, ApiVersionsResponse)> {
        Some((0, list().with_error_code(ResponseError::UnsupportedVersion.code())))
    }
}

fn list() -> ApiVersionsResponse {
    let apis = APIS.iter().map(|entry| {
        ApiVersion::default()
            .with_api_key(entry.key)
            .with_min_version(entry.advertised_from)
            .with_max_version(entry.versions.max)
    });
    ApiVersionsResponse::default().with_api_keys(apis.collect())
}
