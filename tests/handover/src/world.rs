//! A client's connection as far as threads share it, around the steps of `handover.rs`, beside which `build.rs` puts it.
//!
//! What is left out: the session's decisions (a call is open until its answer is read; whether callers look, and whether looks
//! that find something are followed by quiet, is the scenario's), and time (the pause after which the driver looks after
//! callers by itself never ends).
//!
//! **Invariant**: `with`, `send`, `watch` and `turn` take the steps of `client/connection.rs`, `client/reader.rs` and
//! `client/driver.rs`, in their order.

use std::{
    convert::Infallible,
    future::poll_fn,
    task::{Context, Poll},
};

use loom::{
    future::block_on,
    sync::{Arc, Mutex as Lock},
    thread,
};

/// What is decided under the session's lock.
#[derive(Default)]
struct Session {
    /// Calls that were opened and are not with the writer yet.
    queued: Vec<usize>,
    open: usize,
    answered: Vec<usize>,
    wakers: Vec<(usize, Waker)>,
    /// Whether the one call that is open is a stream, how many of its messages are there, and whether whoever takes them reads them.
    streams: bool,
    messages: usize,
    watched: bool,
    over: bool,
}

impl Session {
    /// As the session has it: the connection waits for more than one answer.
    fn needs_reader(&self) -> bool {
        self.open > 1 || self.streams && !self.watched
    }

    /// What is read for a call: its answer, or a message.
    fn handle(&mut self, call: usize) {
        if self.streams {
            self.messages += 1;
        } else {
            self.open -= 1;
            self.answered.push(call);
        }
    }

    /// Whether nothing is there for the call.
    fn is_waiting(&self, call: usize) -> bool {
        self.messages == 0 && !self.answered.contains(&call)
    }

    fn take_waker(&mut self, call: usize) -> Option<Waker> {
        let at = self.wakers.iter().position(|(id, _)| *id == call)?;
        Some(self.wakers.remove(at).1)
    }
}

/// A socket whose other end answers at once.
#[derive(Default)]
struct Socket {
    arrived: Vec<usize>,
    /// Who is woken when something arrives.
    waits: Option<Waker>,
    written: usize,
}

struct Connection {
    session: Lock<Session>,
    socket: Lock<Socket>,
    writer: Mutex<Vec<usize>>,
    driver: Bell,
    reading: Reading<()>,
    /// Looks that find something are followed by quiet.
    quiet: bool,
    /// When so many calls are written, the driver is told.
    until: usize,
}

impl Connection {
    fn new(quiet: bool, until: usize) -> Arc<Self> {
        Arc::new(Self {
            session: Lock::default(),
            socket: Lock::default(),
            writer: Mutex::new(Vec::new()),
            driver: Bell::new(),
            reading: Reading::new(()),
            quiet,
            until,
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut Session) -> R) -> R {
        let (result, writes, reader) = {
            let mut session = self.session.lock().unwrap();
            let queued = !session.queued.is_empty();
            let result = work(&mut session);
            let prompt = session.open <= 1;
            (
                result,
                (!session.queued.is_empty() && (!queued || prompt)).then_some(prompt),
                session.needs_reader(),
            )
        };
        if reader {
            self.read_by_driver();
        }
        if let Some(prompt) = writes {
            self.send(prompt);
        }
        result
    }

    fn send(&self, prompt: bool) {
        if self.driver.is_awake() {
            return;
        }
        if !(prompt && self.flush() == Flush::Done) {
            self.driver.wake();
        }
    }

    fn flush(&self) -> Flush {
        let write = |queue: &mut Vec<usize>| {
            queue.append(&mut self.session.lock().unwrap().queued);
            while let Some(call) = queue.pop() {
                self.write(call);
                queue.append(&mut self.session.lock().unwrap().queued);
            }
            Ok::<bool, Infallible>(true)
        };
        let has_more = || !self.session.lock().unwrap().queued.is_empty();
        in_turns(&self.writer, write, has_more).unwrap()
    }

    /// The socket takes a call, and has the answer.
    fn write(&self, call: usize) {
        let mut socket = self.socket.lock().unwrap();
        socket.written += 1;
        socket.arrived.push(call);
        let waits = socket.waits.take();
        let all = socket.written == self.until;
        drop(socket);
        waits.into_iter().for_each(Waker::wake);
        if all {
            self.driver.wake();
        }
    }

    /// Reads all that has arrived. The caller has the reader.
    fn read(&self) -> bool {
        let arrived = std::mem::take(&mut self.socket.lock().unwrap().arrived);
        let came = !arrived.is_empty();
        for call in arrived {
            let mut session = self.session.lock().unwrap();
            session.handle(call);
            let waker = session.take_waker(call);
            drop(session);
            waker.into_iter().for_each(Waker::wake);
        }
        came
    }

    fn watch(&self, call: usize) {
        let Some(reader) = self.reading.borrow() else {
            return;
        };
        let hit = self.read() && !self.session.lock().unwrap().is_waiting(call);
        self.reading.give_back(reader, &self.driver);
        let (begins, writes) = {
            let mut session = self.session.lock().unwrap();
            session.watched = hit && self.quiet && session.streams && session.open == 1;
            let lasts = hit && self.quiet && (session.open == 0 || session.watched);
            (
                lasts && self.reading.begin_quiet(),
                !session.queued.is_empty(),
            )
        };
        if begins {
            self.socket.lock().unwrap().waits = None;
        }
        if begins || writes {
            self.driver.wake();
        }
    }

    fn read_by_driver(&self) {
        if self.reading.end_quiet() {
            self.driver.wake();
        }
    }

    /// A turn of the driver.
    fn turn(&self, cx: &Context<'_>) -> Poll<()> {
        self.driver.register(cx.waker());
        self.driver.set_awake(true);
        if let Some(_reader) = self.reading.take() {
            while self.read() || !self.waits(cx) {}
        }
        self.driver.set_awake(false);
        match self.write_turn() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Writes what was queued. `true` when the connection is over.
    fn write_turn(&self) -> bool {
        let (queued, over) = {
            let session = self.session.lock().unwrap();
            (!session.queued.is_empty(), session.over)
        };
        if queued {
            self.flush();
        }
        over
    }

    /// Whether whoever waits for the socket is woken by what arrives; or leaves that to callers.
    fn waits(&self, cx: &Context<'_>) -> bool {
        if self.reading.is_quiet() {
            return true;
        }
        let mut socket = self.socket.lock().unwrap();
        if socket.arrived.is_empty() {
            socket.waits = Some(cx.waker().clone());
        }
        socket.arrived.is_empty()
    }

    /// A call, whose caller looks at the socket or does not.
    fn call(&self, call: usize, looks: bool) {
        let mut opened = false;
        block_on(poll_fn(|cx| {
            if !std::mem::replace(&mut opened, true) && !self.open(call, cx) {
                return Poll::Pending;
            }
            let alone = {
                let session = self.session.lock().unwrap();
                let idle = session.queued.is_empty() && !session.answered.contains(&call);
                session.open == 1 && idle
            };
            if looks && alone {
                self.watch(call);
            }
            let mut session = self.session.lock().unwrap();
            if session.answered.contains(&call) {
                return Poll::Ready(());
            }
            session.take_waker(call);
            session.wakers.push((call, cx.waker().clone()));
            drop(session);
            self.read_by_driver();
            Poll::Pending
        }));
    }

    /// A stream of `messages`, each of which comes once it is said that the one before it was taken. Whoever takes them looks at
    /// the socket.
    fn stream(&self, call: usize, messages: usize) {
        let mut taken = 0;
        self.with(|session| {
            session.streams = true;
            session.open += 1;
            session.queued.push(call);
        });
        while taken < messages {
            block_on(poll_fn(|cx| self.poll_message(call, cx)));
            taken += 1;
            if taken < messages {
                self.with(|session| session.queued.push(call));
            }
        }
        self.with(|session| {
            session.streams = false;
            session.open -= 1;
        });
    }

    fn poll_message(&self, call: usize, cx: &Context<'_>) -> Poll<()> {
        let looks = self.with(|session| session.open == 1 && session.messages == 0);
        if looks {
            self.watch(call);
        }
        let came = self.with(|session| match session.messages.checked_sub(1) {
            Some(left) => {
                session.messages = left;
                Poll::Ready(())
            }
            None => {
                session.take_waker(call);
                session.wakers.push((call, cx.waker().clone()));
                Poll::Pending
            }
        });
        if came.is_pending() {
            self.read_by_driver();
        }
        came
    }

    /// Whether the call is alone.
    fn open(&self, call: usize, cx: &Context<'_>) -> bool {
        self.with(|session| {
            session.queued.push(call);
            session.open += 1;
            session.wakers.push((call, cx.waker().clone()));
            !session.needs_reader()
        })
    }

    fn end(&self) {
        self.session.lock().unwrap().over = true;
        self.driver.wake();
    }
}

/// Every order with so many changes of threads that no thread asked for, unless `LOOM_MAX_PREEMPTIONS` says how many.
fn explore(changes: usize, scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(changes));
    builder.check(scenario);
}

/// Has the driver run beside `callers`, until they are done.
fn run<const N: usize>(conn: &Arc<Connection>, callers: [fn(&Connection); N]) {
    let callers = callers.map(|caller| {
        let conn = Arc::clone(conn);
        thread::spawn(move || caller(&conn))
    });
    let driver = {
        let conn = Arc::clone(conn);
        thread::spawn(move || block_on(poll_fn(|cx| conn.turn(cx))))
    };
    for caller in callers {
        caller.join().unwrap();
    }
    conn.end();
    driver.join().unwrap();
}

/// A call whose caller looks, then one whose caller does not.
pub fn a_look_and_none() {
    explore(2, || {
        run(
            &Connection::new(false, 0),
            [|conn| {
                conn.call(0, true);
                conn.call(1, false);
            }],
        );
    });
}

/// The same, where the driver leaves reading to callers after the first.
pub fn quiet_and_no_look() {
    explore(2, || {
        run(
            &Connection::new(true, 0),
            [|conn| {
                conn.call(0, true);
                conn.call(1, false);
            }],
        );
    });
}

/// A stream whose messages are read by whoever takes them, and a call that sleeps after it.
pub fn a_stream_and_no_look() {
    explore(2, || {
        run(
            &Connection::new(true, 0),
            [|conn| {
                conn.stream(0, 2);
                conn.call(1, false);
            }],
        );
    });
}

/// Two calls at once, and a driver that does nothing but write, until both are written.
pub fn two_who_write() {
    explore(2, || {
        let conn = Connection::new(false, 2);
        let callers = [0, 1].map(|call| {
            let conn = Arc::clone(&conn);
            thread::spawn(move || conn.open(call, &Context::from_waker(Waker::noop())))
        });
        block_on(poll_fn(|cx| {
            conn.driver.register(cx.waker());
            conn.driver.set_awake(true);
            conn.driver.set_awake(false);
            conn.write_turn();
            match conn.socket.lock().unwrap().written {
                2 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        }));
        for caller in callers {
            caller.join().unwrap();
        }
    });
}

/// A caller who looks beside one who sleeps.
pub fn one_looks_and_one_sleeps() {
    explore(1, || {
        run(
            &Connection::new(true, 0),
            [|conn| conn.call(0, true), |conn| conn.call(1, false)],
        );
    });
}
