//! An answer that breaks off on an HTTP/2 stream: what came before the fault goes out first.
//!
//! HTTP/1 needs none of this: there one task writes what it has, then closes. Here the connection's own task writes, and the library
//! forgets what waits on a stream that is reset.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};

/// Turns between a fault and its telling: the connection's task takes two before it writes (it steps back behind all that are
/// [ready](super::gathered)), and others may have more to do than this one.
const TURNS: u8 = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct BrokenLast<B: Body> {
    body: B,
    /// To be told after so many turns.
    fault: Option<(B::Error, u8)>,
}

impl<B: Body> BrokenLast<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body, fault: None }
    }
}

impl<B: Body + Unpin> Body for BrokenLast<B>
where
    B::Error: Unpin,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let (fault, turns) = match self.fault.take() {
            None => match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Err(fault))) => (fault, TURNS),
                polled @ (Poll::Ready(_) | Poll::Pending) => return polled,
            },
            Some((fault, 0)) => return Poll::Ready(Some(Err(fault))),
            Some((fault, turns)) => (fault, turns - 1),
        };
        self.fault = Some((fault, turns));
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.fault.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use bytes::Bytes;

    use super::*;

    /// Ends, to look at, with its last part.
    struct Parts(VecDeque<Result<&'static str, &'static str>>);

    impl Body for Parts {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            Poll::Ready(self.0.pop_front().map(|part| part.map(|text| Frame::data(text.into()))))
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_empty()
        }
    }

    fn poll(body: &mut BrokenLast<Parts>) -> Poll<Option<Result<Bytes, &'static str>>> {
        let polled = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
        polled.map_ok(|frame| frame.into_data().unwrap())
    }

    #[test]
    fn a_whole_body_comes_at_once() {
        let mut body = BrokenLast::new(Parts([Ok("a"), Ok("b")].into()));
        assert_eq!([poll(&mut body), poll(&mut body)], ["a", "b"].map(|text| Poll::Ready(Some(Ok(text.into())))));
        assert!(body.is_end_stream());
        assert_eq!(poll(&mut body), Poll::Ready(None));
    }

    #[test]
    fn a_fault_comes_turns_later_and_nobody_takes_the_body_for_whole_before() {
        let mut body = BrokenLast::new(Parts([Ok("a"), Err("cut")].into()));
        assert_eq!(poll(&mut body), Poll::Ready(Some(Ok("a".into()))));
        for _ in 0..=TURNS {
            assert!(poll(&mut body).is_pending());
            assert!(!body.is_end_stream());
        }
        assert_eq!(poll(&mut body), Poll::Ready(Some(Err("cut"))));
    }
}
