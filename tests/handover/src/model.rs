//! What the runtime's text names, made of loom.
//!
//! **Invariant**: no stronger than the real ones: a lock that is tried may seem taken when it was given back already, as
//! parking_lot's may, which looks before it tries.

use std::{
    ops::{Deref, DerefMut},
    task::Waker,
};

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::sync::{Mutex as Lock, MutexGuard as Held};

#[derive(Debug)]
pub(crate) struct AtomicWaker(loom::future::AtomicWaker);

impl AtomicWaker {
    pub(crate) fn new() -> Self {
        Self(loom::future::AtomicWaker::new())
    }

    pub(crate) fn register(&self, waker: &Waker) {
        self.0.register_by_ref(waker);
    }

    pub(crate) fn wake(&self) {
        self.0.wake();
    }
}

#[derive(Debug)]
pub(crate) struct Mutex<T> {
    taken: AtomicBool,
    lock: Lock<T>,
}

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    taken: &'a AtomicBool,
    held: Held<'a, T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            taken: AtomicBool::new(false),
            lock: Lock::new(value),
        }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        if self.taken.load(Ordering::Relaxed) {
            return None;
        }
        let held = self.lock.try_lock().ok()?;
        self.taken.store(true, Ordering::Relaxed);
        Some(MutexGuard {
            taken: &self.taken,
            held,
        })
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.taken.store(false, Ordering::Release);
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.held
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.held
    }
}
