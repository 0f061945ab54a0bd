//! The command line of what works with any schema: `list`, `describe`, `call`.
//!
//! **Invariant**: nothing is done here; parsing has no effects but messages about wrong usage.

use std::path::PathBuf;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::Args;
use daemoneye_ipc::bytes::Bytes;

use super::Target;

pub(crate) const LIST_EXAMPLES: &str = "\
Examples:
  daemoneye-cli list                       the services of the default endpoint
  daemoneye-cli list ProcessMonitor        its methods; any unambiguous end of a name will do
  daemoneye-cli list --descriptors FILE    the services in a file of descriptors";

pub(crate) const DESCRIBE_EXAMPLES: &str = "\
Examples:
  daemoneye-cli describe ProcessMonitor              a service
  daemoneye-cli describe ProcessMonitor/GetProcess   a method with its messages
  daemoneye-cli describe ProcessRecord               a message
  daemoneye-cli describe ProcessRecord.pid           a field";

pub(crate) const CALL_HELP: &str = "\
Examples:
  daemoneye-cli call Health/Check
  daemoneye-cli call ProcessMonitor/GetProcess '{\"pid\": 1}'
  daemoneye-cli call ProcessMonitor/ListProcesses | jq -r '.processes[].name'
  daemoneye-cli call Conformance/Chat                  (type requests; Ctrl-D ends them)
  daemoneye-cli call Conformance/Collect - < requests.jsonl
  daemoneye-cli call -H 'trace-id: 4bf92f35' -H 'key:: AP8=' --timeout 500 Conformance/Echo

Each response is one line of JSON on standard output. Trailing metadata and everything that is not a
response goes to standard error.

Exit codes: 0 the call succeeded, 2 wrong usage or a request that does not fit the schema, 3 failed,
4 unreachable, 64 + N the call ended with status code N (for example 69 NOT_FOUND, 76 UNIMPLEMENTED,
and 68 DEADLINE_EXCEEDED if the time was over), 130 interrupted.";

/// Where descriptors come from.
#[derive(Debug, Clone, Args)]
pub(crate) struct Schemas {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Take the schema from this file, a serialized FileDescriptorSet, and ask no server for it
    ///
    /// Comments are shown if the file holds source information, which servers never send. One way to make
    /// such a file: protoc --include_imports --include_source_info --descriptor_set_out=FILE …
    #[arg(long, value_name = "FILE")]
    pub(crate) descriptors: Option<PathBuf>,
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Show the methods of this service
    pub(crate) service: Option<String>,
    #[command(flatten)]
    pub(crate) schemas: Schemas,
    /// Print one JSON object instead
    ///
    /// Keys: command, source and services. Each service has name, revision (0 if unreleased, null if not
    /// known), fingerprint and methods, the number of them; of the one that is asked for, a list in
    /// which each has name, path, kind (unary, server-streaming, client-streaming, bidirectional),
    /// request, response and idempotency, and compatible: the revisions (revision, fingerprint) that it is
    /// compatible with, null if not known.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `describe`.
#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// A service, method, message, field, enum or value: its full name, or any unambiguous end of it
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) schemas: Schemas,
    /// Print only a request to start from: the message in JSON with every field in it
    #[arg(long)]
    pub(crate) template: bool,
    /// Print one JSON object instead
    ///
    /// Keys: command, source, name, kind (service, method, message, field, oneof, enum, enum value),
    /// definition (the text) and, for methods and messages, template (the request to start from).
    #[arg(long, conflicts_with = "template")]
    pub(crate) json: bool,
}

/// Arguments of `call`.
#[derive(Debug, Args)]
pub(crate) struct Call {
    /// What to call; of the service, any unambiguous end of its name will do
    #[arg(value_name = "SERVICE/METHOD")]
    pub(crate) method: String,
    /// The request in JSON, or - to read requests from standard input
    ///
    /// Without it, a method that takes a stream of requests reads standard input, and any other is sent the
    /// empty message. Of a stream, each request is sent as soon as it is complete; the end of the
    /// input ends the requests. Field names may be written as in the schema or in lowerCamelCase; bytes
    /// are base64.
    #[arg(value_name = "JSON|-", allow_hyphen_values = true)]
    pub(crate) request: Option<String>,
    #[command(flatten)]
    pub(crate) schemas: Schemas,
    /// Send metadata: 'KEY: TEXT' or KEY=TEXT, and 'KEY:: BASE64' for other bytes (repeatable)
    #[arg(short = 'H', long, value_name = "KEY: VALUE", value_parser = metadata)]
    pub(crate) metadata: Vec<(String, Bytes)>,
    /// Show fields that have their default value, too
    #[arg(long)]
    pub(crate) emit_defaults: bool,
    /// Show the metadata that the server sends at the end, in the form of --metadata
    #[arg(long)]
    pub(crate) trailers: bool,
}

/// A pair of metadata. As in LDIF (RFC 2849), two colons announce base64.
fn metadata(text: &str) -> Result<(String, Bytes), String> {
    let separator = text.find([':', '=']).filter(|index| *index > 0);
    let separator = separator.ok_or("write 'KEY: VALUE' or KEY=VALUE")?;
    let (key, rest) = text.split_at(separator);
    let value = match rest.strip_prefix("::") {
        Some(encoded) => BASE64_STANDARD
            .decode(encoded.trim())
            .map_err(|error| format!("the value is no base64: {error}"))?,
        None => match rest.strip_prefix(':') {
            Some(text) => text.trim_start().as_bytes().to_vec(),
            None => rest.as_bytes()[1..].to_vec(),
        },
    };
    Ok((key.to_owned(), value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_text_or_base64() {
        for (text, key, value) in [
            ("a: b", "a", &b"b"[..]),
            ("a:b:c", "a", b"b:c"),
            ("a=b=c: d", "a", b"b=c: d"),
            ("a=", "a", b""),
            ("a: :b", "a", b":b"),
            ("a:: AP8=", "a", b"\x00\xff"),
            ("a::AP8=", "a", b"\x00\xff"),
        ] {
            assert_eq!(
                metadata(text),
                Ok((key.to_owned(), value.to_vec().into())),
                "{text}"
            );
        }
        for text in ["", "a", ":b", "=b", "a:: !"] {
            assert!(metadata(text).is_err(), "{text}");
        }
    }
}
