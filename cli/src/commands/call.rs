//! `call`: any method of any service, with requests and responses in JSON.
//!
//! **Invariant**: a request leaves as soon as it is complete, a response is printed as soon as it is
//! there, and neither waits for the other.

use std::{io::IsTerminal, path::Path, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use daemoneye_ipc::{
    CallError, Channel, IpcConfig, IpcError, Metadata, Streaming,
    bytes::Bytes,
    client::{RawMessage, Stub},
    descriptor::MethodKind,
    prost::Message,
    shutdown_signal,
};
use prost_reflect::{MessageDescriptor, MethodDescriptor};

use crate::{
    args::Call,
    connect,
    explain::Explanation,
    failure::Failure,
    output,
    printer::Printer,
    reflection::{self, Request, Requests, ServiceInfo, Source, Style},
};

/// How much longer the text of a request may be than the frame that it has to fit: names and spaces
/// are not sent.
const TEXT_TO_FRAME: usize = 32;

/// The longest wait for a server to hear that a call is cancelled.
const FAREWELL: Duration = Duration::from_millis(500);

/// Runs the command and returns the exit code. Ctrl-C cancels the call.
pub(crate) async fn run(file: Option<&Path>, args: Call) -> Result<u8, Failure> {
    let interrupted = shutdown_signal();
    tokio::pin!(interrupted);
    let dialogue = tokio::select! {
        dialogue = Dialogue::prepare(file, args) => dialogue?,
        () = &mut interrupted => return Err(Failure::Interrupted),
    };
    let ended = tokio::select! {
        ended = dialogue.hold() => ended,
        () = interrupted => Err(Failure::Interrupted),
    };
    if matches!(
        ended,
        Err(Failure::Interrupted | Failure::Usage { .. } | Failure::Output(_))
    ) {
        // What was dropped is cancelled; the answer to a ping shows that the server has heard it.
        let heard = tokio::time::timeout(FAREWELL, dialogue.stub.channel().ping());
        drop(heard.await);
    }
    ended.map(|()| 0)
}

/// A call that is about to be made.
struct Dialogue {
    args: Call,
    config: IpcConfig,
    stub: Stub,
    method: MethodDescriptor,
    /// Index of the method in its service.
    index: usize,
}

/// What every kind of call is made with.
macro_rules! prepared {
    ($call:expr, $args:expr) => {{
        let mut call = $call;
        for (key, value) in &$args.metadata {
            call = call.metadata(key.clone(), value.clone());
        }
        match $args.schemas.target.timeout {
            Some(timeout) => call.timeout(Duration::from_millis(timeout)),
            None => call,
        }
    }};
}

impl Dialogue {
    /// Learns of the method, and connects.
    async fn prepare(file: Option<&Path>, args: Call) -> Result<Self, Failure> {
        let (service, method) = reflection::split_method(&args.method)?;
        let config = connect::configuration(file, &args.schemas.target)?;
        let source = Source::open(file, &args.schemas).await?;
        let services = source.services().await?;
        let info = reflection::find_service(&services, service, &source.name())?;
        let descriptor = source.service(info).await?;
        let method = reflection::find_method(&descriptor, method)?;
        let (channel, info) = match source.channel() {
            Some(channel) => (channel.clone(), info.clone()),
            None => {
                let channel = connect::channel(&config).await?;
                let info = as_served(&channel, info);
                (channel, info)
            }
        };
        Ok(Self {
            stub: Stub::new(channel, reflection::descriptor(&descriptor, &info)),
            index: method.index(),
            method,
            config,
            args,
        })
    }

    /// Makes the call and prints what comes back.
    async fn hold(&self) -> Result<(), Failure> {
        let mut printer = Printer::new();
        let trailers = match reflection::kind(&self.method) {
            MethodKind::Unary => self.unary(&mut printer).await,
            MethodKind::ServerStreaming => self.server_streaming(&mut printer).await,
            MethodKind::ClientStreaming => self.client_streaming(&mut printer).await,
            MethodKind::BidiStreaming => self.bidi_streaming(&mut printer).await,
        };
        // What came before a failure is printed before the failure is.
        let printed = printer.finish().await;
        let trailers = trailers?;
        printed?;
        if self.args.trailers {
            for (key, value) in trailers.iter() {
                output::note(&pair(key, value));
            }
        }
        Ok(())
    }

    async fn unary(&self, printer: &mut Printer) -> Result<Metadata, Failure> {
        let request = self.only_request().await?;
        let call = self
            .stub
            .unary::<RawMessage, RawMessage>(self.index, request);
        let answer = prepared!(call, self.args).with_trailers().await;
        let (response, trailers) = answer.map_err(|error| self.failure(&error))?;
        self.print(printer, response).await?;
        Ok(trailers)
    }

    async fn server_streaming(&self, printer: &mut Printer) -> Result<Metadata, Failure> {
        let request = self.only_request().await?;
        let call = self
            .stub
            .server_streaming::<RawMessage, RawMessage>(self.index, request);
        let responses = prepared!(call, self.args).await;
        let responses = responses.map_err(|error| self.failure(&error))?;
        self.print_all(printer, responses).await
    }

    async fn client_streaming(&self, printer: &mut Printer) -> Result<Metadata, Failure> {
        let mut requests = self.requests();
        let call = self
            .stub
            .client_streaming::<RawMessage, RawMessage>(self.index);
        let call = prepared!(call, self.args).await;
        let mut call = call.map_err(|error| self.failure(&error))?;
        loop {
            let next = tokio::select! {
                next = requests.next() => next,
                // The server may end the call before the requests end.
                () = call.closed() => None,
            };
            let Some(request) = next else { break };
            match call.send(self.encode(&request?)?).await {
                Ok(()) => {}
                Err(error) if is_too_large(&error) => return Err(self.failure(&error)),
                // The call is over; how it ended is told at its end.
                Err(_) => break,
            }
        }
        let answer = call.finish_with_trailers().await;
        let (response, trailers) = answer.map_err(|error| self.failure(&error))?;
        self.print(printer, response).await?;
        Ok(trailers)
    }

    async fn bidi_streaming(&self, printer: &mut Printer) -> Result<Metadata, Failure> {
        let mut requests = self.requests();
        let call = self
            .stub
            .bidi_streaming::<RawMessage, RawMessage>(self.index);
        let call = prepared!(call, self.args).await;
        let (mut sender, responses) = call.map_err(|error| self.failure(&error))?.split();
        let send_all = async {
            while let Some(request) = requests.next().await {
                match sender.send(self.encode(&request?)?).await {
                    Ok(()) => {}
                    Err(error) if is_too_large(&error) => return Err(self.failure(&error)),
                    Err(_) => return Ok(()),
                }
            }
            sender.finish();
            Ok(())
        };
        let print_all = self.print_all(printer, responses);
        tokio::pin!(print_all);
        tokio::select! {
            // The server may end the call before the requests end.
            ended = &mut print_all => ended,
            sent = send_all => match sent {
                Ok(()) => print_all.await,
                Err(failure) => Err(failure),
            },
        }
    }

    /// Prints responses until there are no more.
    async fn print_all(
        &self,
        printer: &mut Printer,
        mut responses: Streaming<RawMessage>,
    ) -> Result<Metadata, Failure> {
        while let Some(response) = responses
            .message()
            .await
            .map_err(|error| self.failure(&error))?
        {
            self.print(printer, response).await?;
        }
        Ok(responses.trailers().clone())
    }

    async fn print(&self, printer: &mut Printer, response: RawMessage) -> Result<(), Failure> {
        let style = Style {
            defaults: self.args.emit_defaults,
        };
        let shown = reflection::show(response.into_bytes(), &self.method.output(), style);
        let line = shown.map_err(|error| self.undecodable(&error))?;
        Ok(printer.line(line).await?)
    }

    /// The requests of a method that takes a stream of them.
    fn requests(&self) -> Requests {
        match self.args.request.as_deref() {
            None | Some("-") => {
                if std::io::stdin().is_terminal() {
                    output::note("type requests in JSON; Ctrl-D ends them");
                }
                Requests::of_stdin(self.config.max_frame_bytes.saturating_mul(TEXT_TO_FRAME))
            }
            Some(json) => Requests::of_argument(json.to_owned()),
        }
    }

    /// The request of a method that takes one.
    async fn only_request(&self) -> Result<RawMessage, Failure> {
        match self.args.request {
            None => Ok(RawMessage::default()),
            Some(_) => self.encode(&self.requests().only().await?),
        }
    }

    fn encode(&self, request: &Request) -> Result<RawMessage, Failure> {
        let message = request.parse(&self.method.input())?;
        Ok(RawMessage::new(message.encode_to_vec()))
    }

    /// What a failed call means, with all that came with its status.
    fn failure(&self, error: &CallError) -> Failure {
        let mut parts = Vec::new();
        if let Some(status) = error.status() {
            let details = details(status.details(), &self.method.input());
            parts.extend(details.into_iter().map(|detail| ("detail", detail)));
            let pairs = status.metadata().iter().filter(|_| self.args.trailers);
            parts.extend(pairs.map(|(key, value)| ("meta", pair(key, value))));
        }
        Failure::status(error, parts, self.config.crc32_variant)
    }

    fn undecodable(&self, error: &str) -> Failure {
        let output = self.method.output();
        Failure::failed(
            format!("a response is no {}", output.full_name()),
            Explanation::new(
                error,
                "the server and its descriptors, or the file of --descriptors, are from different releases",
            ),
        )
    }
}

fn is_too_large(error: &CallError) -> bool {
    matches!(error.kind(), IpcError::TooLarge { .. })
}

/// What is known of a service from a file, with the revision and fingerprint that the server has: whoever
/// names a file has chosen the schema. A difference is said.
fn as_served(channel: &Channel, info: &ServiceInfo) -> ServiceInfo {
    let hello = channel.server_hello().unwrap_or_default();
    let served = hello.services.iter().find(|offer| offer.name == info.name);
    let Some(served) = served else {
        return info.clone();
    };
    if served.fingerprint != info.fingerprint {
        output::note(&format!(
            "note: the server's schema of {} is not that of the file: its fingerprint is {:016x}, the file's {:016x}",
            info.name, served.fingerprint, info.fingerprint
        ));
    }
    ServiceInfo {
        revision: Some(served.revision),
        fingerprint: served.fingerprint,
        ..info.clone()
    }
}

/// The details of a status: each on its own if they have the form of `google.rpc.Status`, else as they
/// are, in base64.
fn details(encoded: &Bytes, message: &MessageDescriptor) -> Vec<String> {
    if encoded.is_empty() {
        return Vec::new();
    }
    let status = reflection::RpcStatus::decode(encoded.clone()).unwrap_or_default();
    let shown = status.details.iter().map(|any| {
        reflection::show_any(&any.type_url, &any.value, message.parent_pool())
            .unwrap_or_else(|_| BASE64_STANDARD.encode(&any.value))
    });
    let shown: Vec<_> = shown.collect();
    match shown[..] {
        [] => vec![BASE64_STANDARD.encode(encoded)],
        _ => shown,
    }
}

/// A pair of metadata in the form that the command line takes.
fn pair(key: &str, value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if !text.starts_with([':', ' ']) => format!("{key}: {text}"),
        _ => format!("{key}:: {}", BASE64_STANDARD.encode(value)),
    }
}
