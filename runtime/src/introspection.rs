//! `daemoneye.introspection.v1.Introspection`: what a server is doing, for its operator.
//!
//! **Invariant**: tells of methods, peers, ages and sizes; never what is in a message or in metadata.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use futures_core::Stream;

use crate::{
    driver::now,
    schema::introspection::v1::{
        Call, CodeCount, Connection, FaultCount, GetStatsRequest, GetStatsResponse, Introspection,
        ListCallsRequest, ListCallsResponse, ListConnectionsRequest, ListConnectionsResponse, Peer,
        Stats, WatchStatsRequest, WatchStatsResponse,
    },
    server::{CallContext, ServerConnection, ServerCore, ServerStats},
    session::CallReport,
    status::Status,
    transport::PeerPolicy,
};

/// Time between two messages of WatchStats, if the request does not say.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// The handler behind [`ServerBuilder::introspection`](crate::ServerBuilder::introspection).
#[derive(Debug)]
pub(crate) struct IntrospectionService {
    stats: ServerStats,
    policy: PeerPolicy,
}

impl IntrospectionService {
    pub(crate) const fn new(stats: ServerStats, policy: PeerPolicy) -> Self {
        Self { stats, policy }
    }

    /// The server, for those who may look at it.
    async fn core(&self, ctx: &CallContext) -> Result<Arc<ServerCore>, Status> {
        self.policy.evaluate(ctx.peer()).await?;
        running(&self.stats)
    }
}

fn running(stats: &ServerStats) -> Result<Arc<ServerCore>, Status> {
    stats
        .core()
        .ok_or_else(|| Status::unavailable("the server has ended"))
}

impl Introspection for IntrospectionService {
    async fn list_connections(
        &self,
        ctx: &CallContext,
        _: ListConnectionsRequest,
    ) -> Result<ListConnectionsResponse, Status> {
        let now = now();
        let connections = self.core(ctx).await?.connections();
        let mut connections: Vec<_> = connections
            .iter()
            .map(|conn| describe_connection(conn, now))
            .collect();
        connections.sort_unstable_by_key(|conn| conn.id);
        Ok(ListConnectionsResponse { connections })
    }

    async fn list_calls(
        &self,
        ctx: &CallContext,
        request: ListCallsRequest,
    ) -> Result<ListCallsResponse, Status> {
        let now = now();
        let mut connections = self.core(ctx).await?.connections();
        if let Some(id) = request.connection {
            connections.retain(|conn| conn.id == id);
            if connections.is_empty() {
                return Err(Status::not_found(format!("no connection has number {id}")));
            }
        }
        connections.sort_unstable_by_key(|conn| conn.id);
        let mut calls = Vec::new();
        for conn in connections {
            let reports = conn.session.lock().report_calls();
            calls.extend(reports.iter().map(|call| describe_call(conn.id, call, now)));
        }
        Ok(ListCallsResponse { calls })
    }

    async fn get_stats(
        &self,
        ctx: &CallContext,
        _: GetStatsRequest,
    ) -> Result<GetStatsResponse, Status> {
        let stats = Some(describe_stats(&*self.core(ctx).await?));
        Ok(GetStatsResponse { stats })
    }

    async fn watch_stats(
        &self,
        ctx: &CallContext,
        request: WatchStatsRequest,
    ) -> Result<impl Stream<Item = Result<WatchStatsResponse, Status>> + Send, Status> {
        self.core(ctx).await?;
        // The schema bounds it, so that it always fits.
        let interval = request.interval.and_then(|given| given.try_into().ok());
        let interval = interval.unwrap_or(DEFAULT_INTERVAL);
        Ok(Watch {
            draining: Box::pin(ctx.draining()),
            interval: tokio::time::interval(interval),
            stats: self.stats.clone(),
        })
    }
}

/// The counters at once, and again after each interval.
struct Watch {
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
    interval: tokio::time::Interval,
    stats: ServerStats,
}

impl Stream for Watch {
    type Item = Result<WatchStatsResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.draining.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        ready!(self.interval.poll_tick(cx));
        let stats = running(&self.stats).map(|core| Some(describe_stats(&core)));
        Poll::Ready(Some(stats.map(|stats| WatchStatsResponse { stats })))
    }
}

fn describe_connection(conn: &ServerConnection, now: Instant) -> Connection {
    let peer = conn.peer();
    let session = conn.session.lock();
    let hello = session.client_hello();
    Connection {
        id: conn.id,
        peer: Some(Peer {
            uid: peer.user().number(),
            gid: peer.group_number(),
            pid: peer.pid,
        }),
        agent: hello.map(|hello| hello.agent.clone()).unwrap_or_default(),
        age: duration(now.saturating_duration_since(conn.since)),
        calls_open: number(session.calls_open()),
        calls_in_flight: number(session.calls_in_flight()),
        queued_bytes: session.queued_bytes() as u64,
        bytes_read: conn.bytes_read(),
        bytes_written: session.bytes_written(),
    }
}

fn describe_call(connection: u64, call: &CallReport, now: Instant) -> Call {
    let time_left = call
        .deadline
        .and_then(|deadline| duration(deadline.saturating_duration_since(now)));
    Call {
        connection,
        id: call.call,
        method: call.method.path.to_owned(),
        age: duration(now.saturating_duration_since(call.since)),
        time_left,
        ended: call.ended,
        inbound_bytes: call.inbound_bytes as u64,
        outbound_bytes: call.outbound_bytes as u64,
    }
}

fn describe_stats(core: &ServerCore) -> Stats {
    let (counters, snapshot) = (&core.counters, core.snapshot());
    let codes = (0_u32..).zip(snapshot.tally.ended);
    let faults = snapshot.faults.into_iter();
    Stats {
        uptime: duration(now().saturating_duration_since(counters.since)),
        connections: number(counters.connections.now()),
        connections_accepted: counters.accepted.load(Ordering::Relaxed),
        connections_denied: counters.denied.load(Ordering::Relaxed),
        connections_over_limit: counters.over_limit.load(Ordering::Relaxed),
        calls_in_flight: number(snapshot.calls_in_flight),
        handlers: number(counters.handlers.now() as usize),
        calls_started: counters.calls_started.now(),
        calls_ended: codes
            .filter(|(_, count)| *count > 0)
            .map(|(code, count)| CodeCount { code, count })
            .collect(),
        calls_refused: snapshot.tally.refused,
        calls_abandoned: snapshot.tally.abandoned,
        faults: faults
            .map(|(cause, count)| FaultCount {
                cause: cause.to_owned(),
                count,
            })
            .collect(),
        queued_bytes: snapshot.queued_bytes as u64,
        bytes_read: snapshot.bytes_read,
        bytes_written: snapshot.bytes_written,
    }
}

fn duration(time: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(time).ok()
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
