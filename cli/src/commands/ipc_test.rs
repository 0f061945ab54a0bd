//! `ipc test`: is the connection itself sound? Step by step, from the path to a damaged frame.
//!
//! **Invariant**: a live service is not disturbed: what breaks a connection is done on one that is thrown
//! away, and the server's connection limit is only filled on request.

use std::{
    io,
    time::{Duration, Instant},
};

use daemoneye_ipc::{
    Code, IpcConfig, IpcError, Status,
    bytes::Bytes,
    prost::Message,
    schema::health::v1::{HEALTH_SERVICE, PingRequest, PingResponse},
    wire::{Envelope, Head, Hello, Kind},
};

use crate::{
    args::IpcTest,
    examination::{Examination, Reached, hello},
    explain::{self, Explanation},
    failure::Failure,
    format,
    output::Output,
    probe::Refusal,
    report::{Check, Report},
    stats::Latencies,
};

/// The steps that need a server that was reached, in their order.
const LATER: [&str; 5] = [
    "limits",
    "round trips",
    "largest echo",
    "damaged frame",
    "undisturbed",
];
/// The step that is only made on request.
const STRESS: &str = "connection limit";
/// More connections than this are not opened, whatever the server would take.
const MOST_CONNECTIONS: usize = 4096;

/// Runs the command and returns the exit code.
pub(crate) async fn run(config: IpcConfig, args: IpcTest) -> Result<u8, Failure> {
    let mut out = Output::stdout(args.json);
    out.line(format_args!(
        "Connectivity of {}",
        config.endpoint_path.display()
    ))?;
    out.line("")?;
    let report = test(&config, &args, &mut out).await?;
    out.verdict(&report)?;
    Ok(report.verdict().exit_code())
}

async fn test(config: &IpcConfig, args: &IpcTest, out: &mut Output) -> io::Result<Report> {
    let mut examination = Examination::new("ipc test", config, out, args.verbose);
    let Some(mut reached) = examination.reach(&hello(config), &LATER).await? else {
        examination.skip(&[STRESS], "not connected")?;
        return Ok(examination.finish());
    };
    examination.record(limits(config, &reached.hello))?;
    let check = round_trips(&mut reached, &examination, args.pings).await;
    examination.record(check)?;
    let check = largest_echo(&mut reached, &examination).await;
    examination.record(check)?;
    let check = damaged_frame(&examination).await;
    examination.record(check)?;
    let check = undisturbed(&mut reached, &examination).await;
    examination.record(check)?;
    drop(reached);
    let check = if args.stress {
        connection_limit(&examination).await
    } else {
        Check::skipped(
            STRESS,
            "only with --stress: other clients may be turned away meanwhile",
        )
    };
    examination.record(check)?;
    Ok(examination.finish())
}

/// What the server's HELLO announces, next to what this side is set to.
fn limits(config: &IpcConfig, hello: &Hello) -> Check {
    const NAME: &str = "limits";
    let theirs = hello.max_frame_bytes as usize;
    let detail = format!(
        "frames up to {}, {} calls at once, {} of stream credit",
        format::bytes(u64::from(hello.max_frame_bytes)),
        format::count(u64::from(hello.max_calls)),
        format::bytes(u64::from(hello.stream_credit)),
    );
    let check = if theirs == config.max_frame_bytes {
        Check::passed(NAME, detail)
    } else {
        let why = Explanation::new(
            format!(
                "this side takes frames up to {}, so the smaller limit counts in each direction",
                format::bytes(config.max_frame_bytes as u64)
            ),
            "set max_frame_bytes alike on both sides",
        );
        Check::warned(NAME, detail, why)
    };
    check
        .fact("max_frame_bytes", hello.max_frame_bytes)
        .fact("max_calls", hello.max_calls)
        .fact("stream_credit", hello.stream_credit)
        .fact("own_max_frame_bytes", config.max_frame_bytes)
}

/// PING and PONG, one after the other.
async fn round_trips(reached: &mut Reached, examination: &Examination<'_>, pings: u32) -> Check {
    const NAME: &str = "round trips";
    let start = Instant::now();
    let mut latencies = Latencies::new();
    for number in 0..pings {
        match reached.probe.ping(&number.to_le_bytes()).await {
            Ok(time) => latencies.record(time),
            Err(refusal) => {
                let detail = format!("{refusal} after {number} of {pings}");
                let why = refusal.explain(examination.scene());
                return Check::failed(NAME, detail, why).took(start.elapsed());
            }
        }
    }
    let Some(summary) = latencies.summary() else {
        return Check::skipped(NAME, "none asked for");
    };
    let detail = format!(
        "{}: {}",
        format::plural(pings as usize, "ping", "pings"),
        summary.line()
    );
    Check::passed(NAME, detail)
        .took(start.elapsed())
        .fact("pings", pings)
        .fact("min_us", summary.min_us)
        .fact("median_us", summary.median_us)
        .fact("p99_us", summary.p99_us)
        .fact("max_us", summary.max_us)
}

/// Health.Ping with as many bytes as fit into a frame of either side, and back.
async fn largest_echo(reached: &mut Reached, examination: &Examination<'_>) -> Check {
    const NAME: &str = "largest echo";
    if !reached.serves(HEALTH_SERVICE.name) {
        return Check::skipped(
            NAME,
            "the server does not serve the health service, which echoes",
        );
    }
    let Some(method) = HEALTH_SERVICE
        .methods
        .iter()
        .find(|method| method.name == "Ping")
    else {
        return Check::skipped(NAME, "the health service has no Ping");
    };
    let frame = (reached.hello.max_frame_bytes as usize).min(examination.config().max_frame_bytes);
    let head = Head {
        kind: Kind::Call,
        call: Some(1),
        method: method.ordinal,
        last: true,
        ..Head::default()
    };
    let (size, message) = largest_ping(frame, &head);
    let limit = Duration::from_millis(examination.config().read_timeout_ms);
    let start = Instant::now();
    let answer = reached.probe.call(&head, &message, limit).await;
    let took = start.elapsed();
    let judged = match answer {
        Ok(envelope) => judge_echo(&envelope, &message),
        Err(refusal) => Err((refusal.to_string(), refusal.explain(examination.scene()))),
    };
    let check = match judged {
        Ok(()) => Check::passed(
            NAME,
            format!(
                "{} bytes there and back in one frame of {}",
                format::count(size as u64),
                format::bytes(frame as u64)
            ),
        ),
        Err((detail, why)) => Check::failed(NAME, detail, why),
    };
    check
        .took(took)
        .fact("payload_bytes", size)
        .fact("frame_bytes", frame)
}

/// The size of the largest payload of a PingRequest that fits `frame` under `head`, and the message.
fn largest_ping(frame: usize, head: &Head<'_>) -> (usize, Vec<u8>) {
    let filler = Bytes::from(vec![0xA5; frame]);
    let message = |size: usize| PingRequest {
        payload: filler.slice(..size),
    };
    let fits =
        |size: usize| size <= frame && head.encoded_len(Some(message(size).encoded_len())) <= frame;
    // Overhead is a few bytes for tags and lengths: start below and climb.
    let mut size = frame.saturating_sub(64);
    while fits(size + 1) {
        size += 1;
    }
    (size, message(size).encode_to_vec())
}

fn judge_echo(envelope: &Envelope, sent: &[u8]) -> Result<(), (String, Explanation)> {
    if envelope.kind == Kind::End as i32 {
        let status = Status::new(Code::from_number(envelope.code), envelope.reason.clone());
        return Err((status.code().to_string(), explain::explain_status(&status)));
    }
    let sent = PingRequest::decode(sent)
        .map(|request| request.payload)
        .unwrap_or_default();
    let payload = envelope.payload.clone().unwrap_or_default();
    match PingResponse::decode(payload) {
        Ok(reply) if reply.payload == sent => Ok(()),
        Ok(reply) => Err((
            "other bytes came back".to_owned(),
            Explanation::new(
                format!(
                    "{} bytes were sent and {} different ones came back",
                    sent.len(),
                    reply.payload.len()
                ),
                "the server's Health.Ping does not echo: compare its version with this program's",
            ),
        )),
        Err(error) => Err((
            "the answer does not decode".to_owned(),
            Explanation::new(
                error.to_string(),
                "compare the server's version with this program's",
            ),
        )),
    }
}

/// A frame with one flipped bit, on a connection of its own: the server has to refuse it.
async fn damaged_frame(examination: &Examination<'_>) -> Check {
    const NAME: &str = "damaged frame";
    let start = Instant::now();
    let failed = |refusal: &Refusal, what: &str| {
        let why = refusal.explain(examination.scene());
        Check::failed(NAME, format!("{what}: {refusal}"), why).took(start.elapsed())
    };
    let mut probe = match examination.another().await {
        Ok(probe) => probe,
        Err(error) => {
            let why = explain::explain(&error, examination.scene());
            let detail = format!("no second connection: {}", explain::headline(&error));
            return Check::failed(NAME, detail, why).took(start.elapsed());
        }
    };
    match probe.handshake(&hello(examination.config())).await {
        Ok(_) => {}
        Err(
            refusal @ Refusal::GoAway {
                code: Code::ResourceExhausted,
                ..
            },
        ) => {
            // The first connection stands, so that this is load and no fault.
            let why = refusal.explain(examination.scene());
            return Check::warned(NAME, "not sent: the server is full", why).took(start.elapsed());
        }
        Err(refusal) => return failed(&refusal, "no second connection"),
    }
    match probe.send_damaged().await {
        Err(Refusal::GoAway {
            code: Code::DataLoss,
            reason,
        }) => Check::passed(NAME, "refused, as it should be")
            .took(start.elapsed())
            .fact("server_says", reason),
        Err(Refusal::Closed) => {
            let why = Explanation::new(
                "the server closed the connection without saying why",
                "nothing is wrong with the data; a GOAWAY with DATA_LOSS would help whoever debugs",
            );
            Check::warned(NAME, "refused without a word", why).took(start.elapsed())
        }
        Err(refusal) => failed(&refusal, "not refused as damaged"),
        Ok(_) => {
            let why = Explanation::new(
                "the server took a frame whose checksum does not fit",
                "do not trust this server with data: update it",
            );
            Check::failed(NAME, "accepted", why).took(start.elapsed())
        }
    }
}

/// The first connection, after another one was broken on purpose.
async fn undisturbed(reached: &mut Reached, examination: &Examination<'_>) -> Check {
    const NAME: &str = "undisturbed";
    match reached.probe.ping(b"still there").await {
        Ok(time) => Check::passed(NAME, "the first connection lives on").took(time),
        Err(refusal) => {
            let why = refusal.explain(examination.scene());
            Check::failed(
                NAME,
                format!("the first connection was lost: {refusal}"),
                why,
            )
        }
    }
}

/// Opens connections until the server turns one away, lets go of them, and connects once more.
async fn connection_limit(examination: &Examination<'_>) -> Check {
    let start = Instant::now();
    let (count, refused) = match fill(examination).await {
        Ok(filled) => filled,
        Err((count, error)) => {
            let why = explain::explain(&error, examination.scene());
            let detail = format!("{} after {count} connections", explain::headline(&error));
            return Check::failed(STRESS, detail, why).took(start.elapsed());
        }
    };
    let check = match (refused, connects_again(examination).await) {
        (_, Err(refusal)) => {
            let why = refusal.explain(examination.scene());
            Check::failed(
                STRESS,
                format!("not served again after the limit: {refusal}"),
                why,
            )
        }
        (
            Some(Refusal::GoAway {
                code: Code::ResourceExhausted,
                reason,
            }),
            Ok(()),
        ) => {
            let detail = format!(
                "{count} more taken, the next turned away with the reason, and served again after"
            );
            Check::passed(STRESS, detail).fact("server_says", reason)
        }
        (Some(refusal), Ok(())) => {
            let why = refusal.explain(examination.scene());
            Check::warned(
                STRESS,
                format!("{count} more taken, the next ended with: {refusal}"),
                why,
            )
        }
        (None, Ok(())) => Check::passed(STRESS, format!("{count} taken, and no end in sight")),
    };
    check.took(start.elapsed()).fact("connections", count)
}

/// How many connections were taken, and how the server turned the next one away, if it did.
async fn fill(
    examination: &Examination<'_>,
) -> Result<(usize, Option<Refusal>), (usize, IpcError)> {
    let mut held = Vec::new();
    while held.len() < MOST_CONNECTIONS {
        let mut probe = examination
            .another()
            .await
            .map_err(|error| (held.len(), error))?;
        match probe.handshake(&hello(examination.config())).await {
            Ok(_) => held.push(probe),
            Err(refusal) => return Ok((held.len(), Some(refusal))),
        }
    }
    Ok((held.len(), None))
}

/// Whether a new connection is served once the others are gone; the server may need a moment to see
/// that they are.
async fn connects_again(examination: &Examination<'_>) -> Result<(), Refusal> {
    let deadline = Instant::now() + Duration::from_millis(examination.config().read_timeout_ms);
    loop {
        let mut probe = match examination.another().await {
            Ok(probe) => probe,
            Err(error) => return Err(Refusal::Foreign(explain::headline(&error))),
        };
        match probe.handshake(&hello(examination.config())).await {
            Ok(_) => return Ok(()),
            Err(Refusal::GoAway {
                code: Code::ResourceExhausted,
                ..
            }) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(refusal) => return Err(refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_ping_fills_the_frame_to_the_byte() {
        let head = Head {
            kind: Kind::Call,
            call: Some(1),
            method: 7,
            last: true,
            ..Head::default()
        };
        for frame in [128, 1 << 16, 1 << 20] {
            let (size, message) = largest_ping(frame, &head);
            let len = head.encoded_len(Some(message.len()));
            // A length that needs one more byte can make the last byte unreachable.
            assert!(
                len <= frame && len + 2 >= frame,
                "{frame}: {size} bytes make {len}"
            );
        }
    }
}
