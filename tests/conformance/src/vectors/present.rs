//! An envelope as JSON: its fields that are present, under their names.
//!
//! **Invariant**: a field that is absent on the wire is absent here.

use daemoneye_ipc::{schema::ipc::v1::ServiceOffer, wire::Envelope};
use serde::{Serialize, Serializer};

use super::{data::Data, script::name_of};

/// An envelope as its present fields.
#[derive(Debug)]
pub struct Fields(Envelope);

impl Fields {
    pub(super) fn new(envelope: &Envelope) -> Self {
        Self(envelope.clone())
    }
}

#[derive(Serialize)]
struct Present<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_us: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    last: bool,
    #[serde(skip_serializing_if = "is_default")]
    credit: u32,
    #[serde(skip_serializing_if = "is_default")]
    code: u32,
    #[serde(skip_serializing_if = "is_default")]
    reason: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metadata: Vec<PresentPair<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hello: Option<PresentHello<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_call: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Data>,
    #[serde(skip_serializing_if = "is_default")]
    unrun: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Data>,
}

#[derive(Serialize)]
struct PresentPair<'a> {
    key: &'a str,
    value: Data,
}

#[derive(Serialize)]
struct PresentHello<'a> {
    protocol: u32,
    agent: &'a str,
    max_frame_bytes: u32,
    max_calls: u32,
    stream_credit: u32,
    services: Vec<PresentService<'a>>,
}

#[derive(Serialize)]
struct PresentService<'a> {
    name: &'a str,
    revision: u32,
    fingerprint: String,
    compatible: Vec<String>,
    require: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn digits(number: u64) -> String {
    format!("{number:016x}")
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let envelope = &self.0;
        let metadata = envelope.metadata.iter().map(|pair| PresentPair {
            key: &pair.key,
            value: Data::from(&pair.value),
        });
        let hello = envelope.hello.as_ref().map(|hello| PresentHello {
            protocol: hello.protocol,
            agent: &hello.agent,
            max_frame_bytes: hello.max_frame_bytes,
            max_calls: hello.max_calls,
            stream_credit: hello.stream_credit,
            services: hello.services.iter().map(present_service).collect(),
        });
        Present {
            kind: name_of(envelope.kind()),
            call: envelope.call,
            method: (envelope.method != 0).then(|| digits(envelope.method)),
            timeout_us: envelope.timeout_us,
            last: envelope.last,
            credit: envelope.credit,
            code: envelope.code,
            reason: &envelope.reason,
            metadata: metadata.collect(),
            hello,
            last_call: envelope.last_call,
            details: (!envelope.details.is_empty()).then(|| Data::from(&envelope.details)),
            unrun: envelope.unrun,
            payload: envelope.payload.as_ref().map(Data::from),
        }
        .serialize(serializer)
    }
}

fn present_service(offer: &ServiceOffer) -> PresentService<'_> {
    PresentService {
        name: &offer.name,
        revision: offer.revision,
        fingerprint: digits(offer.fingerprint),
        compatible: offer
            .compatible
            .iter()
            .map(|number| digits(*number))
            .collect(),
        require: offer.require,
    }
}
