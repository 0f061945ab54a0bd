//! The service whose methods are not for everybody: answers what it is sent.
//!
//! **Invariant**: counts the calls that reached it; what was refused never does.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use daemoneye_ipc::{CallContext, Inbound, Status, Stream};

use super::schema::golden::access::v1::{Item, Vault};

/// The handler.
#[derive(Debug, Default, Clone)]
pub(crate) struct Holder {
    reached: Arc<AtomicUsize>,
}

impl Holder {
    /// How many calls have reached a handler.
    pub(crate) fn reached(&self) -> usize {
        self.reached.load(Ordering::SeqCst)
    }

    fn count(&self) {
        self.reached.fetch_add(1, Ordering::SeqCst);
    }
}

/// An item.
pub(crate) fn item(text: impl Into<String>) -> Item {
    Item { text: text.into() }
}

impl Vault for Holder {
    async fn open(&self, _: &CallContext, request: Item) -> Result<Item, Status> {
        self.count();
        Ok(request)
    }

    /// Says as whom the caller is let in.
    async fn look(&self, ctx: &CallContext, _: Item) -> Result<Item, Status> {
        self.count();
        let allowed = ctx.allowed_as().map(|allowed| allowed.to_string());
        Ok(item(allowed.unwrap_or_default()))
    }

    async fn fill(&self, ctx: &CallContext, mut items: Inbound<Item>) -> Result<Item, Status> {
        self.count();
        while items.message().await?.is_some() {}
        let allowed = ctx.allowed_as().map(|allowed| allowed.to_string());
        Ok(item(allowed.unwrap_or_default()))
    }

    async fn list(
        &self,
        _: &CallContext,
        request: Item,
    ) -> Result<impl Stream<Item = Result<Item, Status>>, Status> {
        self.count();
        Ok(One(Some(request)))
    }

    async fn swap(
        &self,
        _: &CallContext,
        mut items: Inbound<Item>,
    ) -> Result<impl Stream<Item = Result<Item, Status>>, Status> {
        self.count();
        let first = items.message().await?.unwrap_or_default();
        Ok(One(Some(first)))
    }
}

/// A stream of one item.
struct One(Option<Item>);

impl Stream for One {
    type Item = Result<Item, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}
