//! Requests in JSON: cut out of what comes in, and turned into messages.
//!
//! **Invariant**: a request is handed on as soon as its last character has come, and none grows beyond
//! its limit in memory.

use std::{
    cell::Cell,
    io::{self, BufReader, Cursor, Read},
    rc::Rc,
    thread,
};

use prost_reflect::{DynamicMessage, Kind, MessageDescriptor};
use serde_json::{Deserializer, Value, value::RawValue};
use tokio::sync::mpsc;

use super::{names::suggestion, template::is_well_known};
use crate::{failure::Failure, format};

/// Where in a text something is; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
}

/// One request as text, and where it came from.
#[derive(Debug)]
pub(crate) struct Request {
    json: Box<RawValue>,
    source: &'static str,
    start: Place,
}

/// Requests one after the other, read by a thread of its own: reading may block for ever, and the
/// program has to be able to end meanwhile.
pub(crate) struct Requests {
    source: &'static str,
    incoming: mpsc::Receiver<Result<Request, serde_json::Error>>,
}

impl Requests {
    /// Requests from standard input, of at most `limit` bytes each.
    pub(crate) fn of_stdin(limit: usize) -> Self {
        // One more buffer than the handle's own, so that it is not locked for each byte.
        Self::read("standard input", BufReader::new(io::stdin()), limit)
    }

    /// Requests from a text that the command line holds.
    pub(crate) fn of_argument(json: String) -> Self {
        let limit = json.len();
        Self::read("the argument", Cursor::new(json.into_bytes()), limit)
    }

    fn read(source: &'static str, reader: impl Read + Send + 'static, limit: usize) -> Self {
        let (out, incoming) = mpsc::channel(1);
        thread::spawn(move || pump(source, reader, limit, &out));
        Self { source, incoming }
    }

    /// The next request, or `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<Result<Request, Failure>> {
        let next = self.incoming.recv().await?;
        Some(next.map_err(|error| {
            let place = Place {
                line: error.line(),
                column: error.column(),
            };
            let hint = "requests are JSON objects, one after the other";
            let hint = match error.is_eof() {
                true => "the last request is not complete",
                false => hint,
            };
            refused(self.source, place, &without_place(&error), hint)
        }))
    }

    /// The one request that there has to be.
    pub(crate) async fn only(&mut self) -> Result<Request, Failure> {
        let Some(request) = self.next().await else {
            return Err(Failure::Usage {
                message: format!("{} holds no request", self.source),
                hint: "give one in JSON; {} is the empty message".to_owned(),
            });
        };
        let request = request?;
        match self.next().await {
            None => Ok(request),
            Some(second) => {
                let (what, hint) = ("a second request", "this method takes one request per call");
                Err(refused(self.source, second?.start, what, hint))
            }
        }
    }
}

/// Cuts `reader` into requests until it ends, is wrong, or nobody wants more.
fn pump(
    source: &'static str,
    reader: impl Read,
    limit: usize,
    out: &mpsc::Sender<Result<Request, serde_json::Error>>,
) {
    let progress = Rc::new(Progress::new(limit));
    let tracked = Tracked {
        reader,
        progress: Rc::clone(&progress),
    };
    let values = Deserializer::from_reader(tracked).into_iter::<Box<RawValue>>();
    for value in values {
        let is_last = value.is_err();
        let start = progress.begin_next();
        let request = value.map(|json| Request {
            json,
            source,
            start,
        });
        if out.blocking_send(request).is_err() || is_last {
            return;
        }
    }
}

/// How far a text was read.
struct Progress {
    /// Of the next byte.
    next: Cell<Place>,
    /// Of the first byte of the value that is being read, once it was read.
    start: Cell<Option<Place>>,
    /// Bytes that this value may still have.
    left: Cell<usize>,
    limit: usize,
}

impl Progress {
    fn new(limit: usize) -> Self {
        let next = Place { line: 1, column: 1 };
        Self {
            next: Cell::new(next),
            start: Cell::new(None),
            left: Cell::new(limit),
            limit,
        }
    }

    /// The value ends here; where it began.
    fn begin_next(&self) -> Place {
        self.left.set(self.limit);
        self.start.take().unwrap_or(self.next.get())
    }

    fn see(&self, byte: u8) -> io::Result<()> {
        let Place { line, column } = self.next.get();
        if self.start.get().is_none() && !byte.is_ascii_whitespace() {
            self.start.set(Some(Place { line, column }));
        }
        self.next.set(match byte {
            b'\n' => Place {
                line: line + 1,
                column: 1,
            },
            _ => Place {
                line,
                column: column + 1,
            },
        });
        if self.start.get().is_none() {
            return Ok(());
        }
        let Some(left) = self.left.get().checked_sub(1) else {
            let limit = format::bytes(self.limit as u64);
            return Err(io::Error::other(format!(
                "a request is longer than {limit}, far more than fits a frame"
            )));
        };
        self.left.set(left);
        Ok(())
    }
}

/// A reader that keeps account. It is read byte by byte, so that it is never ahead of its user.
struct Tracked<R> {
    reader: R,
    progress: Rc<Progress>,
}

impl<R: Read> Read for Tracked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        for byte in buffer.iter().take(count) {
            self.progress.see(*byte)?;
        }
        Ok(count)
    }
}

impl Request {
    /// The request as a message of that type.
    pub(crate) fn parse(&self, message: &MessageDescriptor) -> Result<DynamicMessage, Failure> {
        let mut json = Deserializer::from_str(self.json.get());
        DynamicMessage::deserialize(message.clone(), &mut json)
            .map_err(|error| self.explain(&error, message))
    }

    fn explain(&self, error: &serde_json::Error, message: &MessageDescriptor) -> Failure {
        let place = Place {
            line: self.start.line + error.line().saturating_sub(1),
            column: match error.line() {
                0 | 1 => self.start.column + error.column().saturating_sub(1),
                _ => error.column(),
            },
        };
        let text = without_place(error);
        let mut unknown = Vec::new();
        // It was read before; what is nested too deeply for this has its error already.
        if let Ok(value) = serde_json::from_str(self.json.get()) {
            find_unknown(&value, message, "", &mut unknown);
        }
        let quoted = |name: &str| text.contains(&format!("'{name}'"));
        match unknown.iter().find(|unknown| quoted(&unknown.name)) {
            Some(unknown) => refused(self.source, place, &unknown.what, &unknown.hint),
            None => {
                let name = message.full_name();
                let hint =
                    format!("`daemoneye-cli describe {name} --template` shows one to start from");
                refused(self.source, place, &text, &hint)
            }
        }
    }
}

/// A name in a request that the schema does not have.
struct Unknown {
    name: String,
    what: String,
    hint: String,
}

fn find_unknown(value: &Value, message: &MessageDescriptor, path: &str, found: &mut Vec<Unknown>) {
    let Value::Object(entries) = value else {
        return;
    };
    if message.full_name() == "google.protobuf.Any" {
        let inner = entries.get("@type").and_then(Value::as_str);
        let inner = inner.and_then(|url| url.rsplit('/').next());
        let inner = inner.and_then(|name| message.parent_pool().get_message_by_name(name));
        if let Some(inner) = inner.filter(|inner| !is_well_known(inner.full_name())) {
            let entries = entries.iter().filter(|(name, _)| *name != "@type");
            fields(entries, &inner, path, found);
        }
        return;
    }
    if !is_well_known(message.full_name()) {
        fields(entries.iter(), message, path, found);
    }
}

fn fields<'a>(
    entries: impl Iterator<Item = (&'a String, &'a Value)>,
    message: &MessageDescriptor,
    path: &str,
    found: &mut Vec<Unknown>,
) {
    for (name, value) in entries {
        let path = match path {
            "" => name.clone(),
            above => format!("{above}.{name}"),
        };
        let field = message.get_field_by_json_name(name);
        let Some(field) = field.or_else(|| message.get_field_by_name(name)) else {
            let names: Vec<_> = message.fields().map(|f| f.json_name().to_owned()).collect();
            found.push(Unknown {
                name: name.clone(),
                what: format!(
                    "{} has no field `{name}` (at `{path}`)",
                    message.full_name()
                ),
                hint: nearest_or_all(name, &names, "it has no fields at all"),
            });
            continue;
        };
        let entry = field.kind();
        let value_of_map = entry.as_message().and_then(|entry| entry.get_field(2));
        let (kind, values): (_, Vec<_>) = match (value, value_of_map) {
            (Value::Object(values), Some(inner)) if field.is_map() => {
                (inner.kind(), values.values().collect())
            }
            (Value::Array(values), _) if field.is_list() => (entry, values.iter().collect()),
            _ => (entry, vec![value]),
        };
        for value in values {
            match (&kind, value) {
                (Kind::Message(inner), value) => find_unknown(value, inner, &path, found),
                (Kind::Enum(all), Value::String(name)) if all.get_value_by_name(name).is_none() => {
                    let names: Vec<_> = all.values().map(|v| v.name().to_owned()).collect();
                    found.push(Unknown {
                        name: name.clone(),
                        what: format!("{} has no value `{name}` (at `{path}`)", all.full_name()),
                        hint: nearest_or_all(name, &names, "it has no values at all"),
                    });
                }
                _ => {}
            }
        }
    }
}

fn nearest_or_all(name: &str, names: &[String], nothing: &str) -> String {
    suggestion(name, names.iter().map(String::as_str)).unwrap_or_else(|| match names {
        [] => nothing.to_owned(),
        _ => format!("it has {}", super::names::listed(names.iter().cloned())),
    })
}

fn refused(source: &str, place: Place, what: &str, hint: &str) -> Failure {
    let Place { line, column } = place;
    let at = match line {
        // What failed was reading, not what was read.
        0 => String::new(),
        _ => format!(", line {line} column {column}"),
    };
    Failure::Usage {
        message: format!("{source}{at}: {what}"),
        hint: hint.to_owned(),
    }
}

/// The error's own words; its place in the text is told apart.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost_reflect::ReflectMessage;

    use super::*;
    use crate::reflection::samples;

    fn collect(mut requests: Requests) -> (Vec<Request>, Option<String>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(async {
            let mut all = Vec::new();
            while let Some(request) = requests.next().await {
                match request {
                    Ok(request) => all.push(request),
                    Err(failure) => return (all, failure.message().map(plain)),
                }
            }
            (all, None)
        })
    }

    fn plain(text: String) -> String {
        anstream::adapter::strip_str(&text).to_string()
    }

    /// Gives its bytes in pieces of that size.
    struct Pieces(Vec<u8>, usize);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let rest = self.0.split_off(count);
            buffer[..count].copy_from_slice(&std::mem::replace(&mut self.0, rest));
            Ok(count)
        }
    }

    fn explained(json: &str, message: &str) -> String {
        let (requests, error) = collect(Requests::of_argument(json.to_owned()));
        assert_eq!(error, None, "{json}");
        let message = samples::shop().get_message_by_name(message).expect(message);
        let failure = requests[0].parse(&message).expect_err(json);
        assert_eq!(failure.exit_code(), 2);
        plain(failure.message().expect("words"))
    }

    proptest! {
        #[test]
        fn requests_are_the_same_however_they_come(
            numbers in prop::collection::vec(any::<u32>(), 0..6),
            gaps in prop::collection::vec("[ \n\t\r]{0,3}", 6),
            piece in 1_usize..40,
        ) {
            let mut text = String::new();
            for (number, gap) in numbers.iter().zip(&gaps) {
                text.push_str(&format!("{gap}{{\"coins\": {number}, \"buyer\": \"}}\\\"{{\"}}{gap}"));
            }
            let pieces = Pieces(text.into_bytes(), piece);
            let (requests, error) = collect(Requests::read("a test", pieces, 1_000));
            prop_assert_eq!(error, None);
            let order = samples::shop().get_message_by_name("shop.v1.Order").expect("there");
            let coins = requests.iter().map(|request| {
                let order = request.parse(&order).expect("an order");
                order.get_field_by_name("coins").expect("there").as_u32().expect("a number")
            });
            prop_assert_eq!(coins.collect::<Vec<_>>(), numbers);
        }

        #[test]
        fn no_text_is_a_panic(text in "[\\[\\]{}:,\"0-9a-z\\\\ \n.@-]{0,40}") {
            let order = samples::shop().get_message_by_name("shop.v1.Order").expect("there");
            let (requests, _) = collect(Requests::of_argument(text));
            for request in requests {
                let message = request.parse(&order).map(|message| message.descriptor());
                prop_assert!(message.is_err() || message.is_ok_and(|found| found == order));
            }
        }
    }

    #[test]
    fn a_request_is_there_before_the_next_one_has_come() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let mut requests = Requests::read("a pipe", reader, 1_000);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(async {
            for _ in 0..3 {
                io::Write::write_all(&mut writer, b"{ }").expect("room");
                assert!(requests.next().await.is_some_and(|request| request.is_ok()));
            }
            drop(writer);
            assert!(requests.next().await.is_none());
        });
    }

    #[test]
    fn what_never_ends_is_not_kept() {
        let endless = io::repeat(b'[').take(10_000_000_000);
        let (requests, error) = collect(Requests::read("a test", endless, 100));
        assert!(requests.is_empty());
        assert!(error.is_some());
        let endless = b"{\"a\": \"".chain(io::repeat(b'x'));
        let (_, error) = collect(Requests::read("a test", endless, 100));
        let error = error.expect("too long");
        assert!(error.contains("a request is longer than 100 B"), "{error}");
        let spaces = io::repeat(b' ').take(100_000).chain(&b"{}"[..]);
        let (requests, error) = collect(Requests::read("a test", spaces, 100));
        assert_eq!((requests.len(), error), (1, None));
    }

    #[test]
    fn wrong_json_is_shown_by_line_and_column() {
        let text = "{}\n{\"a\": 1,\n  \"b\" 2}";
        let (requests, error) = collect(Requests::of_argument(text.to_owned()));
        assert_eq!(requests.len(), 1);
        let error = error.expect("a colon is missing");
        assert!(
            error.contains("the argument, line 3 column 7: expected `:`"),
            "{error}"
        );
    }

    #[test]
    fn unknown_names_are_shown_with_their_path_and_what_they_may_be() {
        let mut text = String::new();
        for (json, message) in [
            (r#"{"byer": "x"}"#, "shop.v1.Order"),
            (
                "\n  {\"items\": [{}, {\"refund_of\":\n {\"coin\": 1}}]}",
                "shop.v1.Order",
            ),
            (r#"{"extras": {"a": {"zzz": 1}}}"#, "shop.v1.Order"),
            (r#"{"color": "COLOR_BLU"}"#, "shop.v1.Order"),
            (r#"{"colors": {"1": "RED"}}"#, "shop.v1.Receipt"),
            (
                r#"{"note": {"@type": "a/shop.v1.Order", "buyers": 1}}"#,
                "shop.v1.Receipt",
            ),
            (
                r#"{"note": {"@type": "a/shop.v1.None"}}"#,
                "shop.v1.Receipt",
            ),
            (r#"{"x": 1}"#, "shop.v1.Empty"),
            (r#"{"coins": -1}"#, "shop.v1.Order"),
            (r#"{"coins": 1, "cardNumber": "1"}"#, "shop.v1.Order"),
            (r#"{"time": "yesterday"}"#, "shop.v1.Receipt"),
            ("[]", "shop.v1.Order"),
        ] {
            text.push_str(&format!("{json}\n{}\n\n", explained(json, message)));
        }
        insta::assert_snapshot!(text);
    }
}
