//! The task that keeps a channel connected: attempts, backoff with full jitter, the circuit breaker.
//!
//! **Invariant**: attempts to a server that is not there become rarer up to `max_backoff_ms`, differ
//! between clients, and end after `max_attempts`, or at once where one side does not want the other, until somebody
//! wants the connection again.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::{Duration, Instant},
};

use super::{
    builder::Dial,
    channel::{ChannelState, Shared},
    connection::Connection,
    driver::Driver,
};
use crate::{
    config::{CircuitBreakerConfig, ReconnectConfig},
    driver::now,
    error::IpcError,
    transport::{self, Link},
};

/// Keeps `shared` connected until it is closed, or nobody wants a connection that cannot be had.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(&shared.config.reconnect);
    let mut attempts_left = shared.config.reconnect.max_attempts;
    while !shared.is_closed() {
        let pause = shared.breaker.lock().admit(now());
        if let Some(pause) = pause {
            shared.set_state(ChannelState::CircuitOpen);
            wait_or_close(&shared, pause).await;
            continue;
        }
        let half_open = shared.breaker.lock().is_half_open();
        shared.set_state(if half_open {
            ChannelState::CircuitHalfOpen
        } else {
            ChannelState::Connecting
        });
        match attempt(&shared).await {
            Ok(driver) => {
                attempts_left = shared.config.reconnect.max_attempts;
                watch_over(&shared, driver, &mut backoff).await;
            }
            Err(error) => {
                let is_verdict = error.is_verdict();
                attempts_left = attempts_left.saturating_sub(1);
                note_failure(&shared, error);
                if attempts_left == 0 || is_verdict {
                    rest(&shared).await;
                    attempts_left = shared.config.reconnect.max_attempts;
                } else {
                    wait_or_close(&shared, backoff.next_pause()).await;
                }
            }
        }
    }
    shared.keeper_ended();
}

/// One attempt, up to and including the handshake. Calls may use the connection before that.
async fn attempt(shared: &Arc<Shared>) -> Result<Driver, IpcError> {
    let link = dial(shared).await?;
    let conn = Arc::new(Connection::new(
        link,
        Arc::clone(&shared.endpoint),
        shared.session.clone(),
        shared.policy,
        &shared.services(),
        now(),
    ));
    let mut driver = Driver::new(Arc::clone(&conn));
    shared.publish(Some(Arc::clone(&conn)));
    // Those who wait for a connection look again.
    shared.progress.send_modify(|_| {});
    if shared.is_closed() {
        conn.shutdown();
    }
    // Who made the attempt on the way to a call goes on with that first, and the task with this.
    turn_over().await;
    match driver.greeted().await {
        Ok(()) => Ok(driver),
        Err(fault) => Err(conn.error(&fault)),
    }
}

/// A connection to a server that is trusted.
async fn dial(shared: &Shared) -> Result<Link, IpcError> {
    match &shared.dial {
        Dial::Within(dial) => dial(),
        Dial::Endpoint => {
            let timeout = Duration::from_millis(shared.config.reconnect.connect_timeout_ms);
            let link = transport::connect(&shared.config.endpoint_path, timeout).await?;
            let trusted =
                transport::check_server(&shared.config.endpoint_path, link.peer(), &shared.trust);
            match tokio::time::timeout(timeout, trusted).await {
                Ok(trusted) => trusted.map(|()| link),
                Err(_) => Err(IpcError::ConnectionTimeout {
                    endpoint: shared.endpoint.to_string(),
                }),
            }
        }
    }
}

/// Ends this turn of the task, which has another at once. (tokio's `yield_now` would have it look for events first.)
async fn turn_over() {
    let mut over = false;
    poll_fn(|cx| match std::mem::replace(&mut over, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// The connection stands: drives it until it takes no more calls.
async fn watch_over(shared: &Shared, mut driver: Driver, backoff: &mut Backoff) {
    let since = now();
    shared.breaker.lock().succeeded();
    shared.counters.connects.fetch_add(1, Ordering::Relaxed);
    shared.set_state(ChannelState::Ready);
    let goes_on = driver.leaves().await;
    shared.publish(None);
    if shared.is_closed() {
        return driver.await;
    }
    let conn = Arc::clone(driver.connection());
    if goes_on {
        driver.for_another_task();
        tokio::spawn(driver);
    }
    let was_sound = now().saturating_duration_since(since) >= backoff.max;
    if was_sound {
        // Calls wait for the attempt. It is not made at once, lest all clients of a server that is replaced come back in
        // the same moment.
        backoff.reset();
        shared.set_state(ChannelState::Connecting);
    } else {
        // A server that ends connections as soon as they stand is not asked in a tight loop.
        let fault = conn.session.lock().fault().map(|fault| conn.error(fault));
        *shared.last_failure.lock() = fault;
        shared.set_state(ChannelState::Backoff);
    }
    wait_or_close(shared, backoff.next_pause()).await;
}

fn note_failure(shared: &Shared, error: IpcError) {
    tracing::debug!(endpoint = %shared.endpoint, %error, "an attempt to connect failed");
    shared.publish(None);
    *shared.last_failure.lock() = Some(error);
    let open = shared.breaker.lock().failed(now());
    shared.progress.send_modify(|progress| {
        progress.failures += 1;
        if progress.state != ChannelState::Closed {
            progress.state = if open {
                ChannelState::CircuitOpen
            } else {
                ChannelState::Backoff
            };
        }
    });
}

/// Waits until somebody wants a connection.
async fn rest(shared: &Shared) {
    shared.set_state(ChannelState::Idle);
    shared.wanted.notified().await;
}

async fn wait_or_close(shared: &Shared, pause: Duration) {
    let mut progress = shared.progress.subscribe();
    let closed = progress.wait_for(|progress| progress.state == ChannelState::Closed);
    let _ = tokio::time::timeout(pause, closed).await;
}

/// Exponential backoff with full jitter: each pause is drawn evenly from zero to a ceiling that grows.
#[derive(Debug)]
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
    multiplier: f64,
    failures: i32,
}

impl Backoff {
    pub(crate) fn new(config: &ReconnectConfig) -> Self {
        Self {
            initial: Duration::from_millis(config.initial_backoff_ms),
            max: Duration::from_millis(config.max_backoff_ms),
            multiplier: config.multiplier,
            failures: 0,
        }
    }

    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    pub(crate) fn next_pause(&mut self) -> Duration {
        self.ceiling().mul_f64(fastrand::f64())
    }

    fn ceiling(&mut self) -> Duration {
        let ceiling = self.initial.as_secs_f64() * self.multiplier.powi(self.failures);
        self.failures = self.failures.saturating_add(1);
        Duration::try_from_secs_f64(ceiling)
            .unwrap_or(self.max)
            .min(self.max)
    }
}

/// Stops attempts for a while after several failed in a row; then one attempt decides.
#[derive(Debug)]
pub(crate) struct Breaker {
    threshold: u32,
    pause: Duration,
    failures: u32,
    opened: Option<Instant>,
}

impl Breaker {
    pub(crate) fn new(config: &CircuitBreakerConfig) -> Self {
        Self {
            threshold: config.failure_threshold,
            pause: Duration::from_millis(config.open_ms),
            failures: 0,
            opened: None,
        }
    }

    /// `None` if an attempt may be made, else the time until it may.
    fn admit(&self, now: Instant) -> Option<Duration> {
        Some(self.retry_in(now)).filter(|left| !left.is_zero())
    }

    /// Whether the next attempt is the one that decides.
    const fn is_half_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Time until the next attempt may be made.
    pub(crate) fn retry_in(&self, now: Instant) -> Duration {
        self.opened.map_or(Duration::ZERO, |at| {
            self.pause.saturating_sub(now.saturating_duration_since(at))
        })
    }

    const fn succeeded(&mut self) {
        self.failures = 0;
        self.opened = None;
    }

    /// Counts a failure; `true` if the circuit is open now.
    const fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let open = self.threshold > 0 && self.failures >= self.threshold;
        if open {
            self.opened = Some(now);
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_and_no_further() {
        let mut backoff = Backoff {
            initial: Duration::from_millis(20),
            max: Duration::from_millis(500),
            multiplier: 2.0,
            failures: 0,
        };
        let ceilings: Vec<u128> = (0..7).map(|_| backoff.ceiling().as_millis()).collect();
        assert_eq!(ceilings, [20, 40, 80, 160, 320, 500, 500]);
        backoff.failures = i32::MAX;
        assert_eq!(backoff.ceiling(), Duration::from_millis(500));
        assert!((0..100).all(|_| backoff.next_pause() <= Duration::from_millis(500)));
    }

    #[test]
    fn the_circuit_opens_lets_one_through_and_closes_on_success() {
        let config = CircuitBreakerConfig {
            failure_threshold: 2,
            open_ms: 100,
        };
        let (mut breaker, start) = (Breaker::new(&config), Instant::now());
        assert!(!breaker.failed(start));
        assert_eq!(breaker.admit(start), None);
        assert!(breaker.failed(start));
        assert_eq!(breaker.admit(start), Some(Duration::from_millis(100)));
        let later = start + Duration::from_millis(100);
        assert_eq!(breaker.admit(later), None);
        assert!(breaker.is_half_open());
        assert!(
            breaker.failed(later),
            "a failed probe opens it again at once"
        );
        assert!(breaker.admit(later).is_some());
        breaker.succeeded();
        assert!(!breaker.is_half_open() && breaker.admit(later).is_none());
    }
}
