//! Tokens → messages: where in a body the reader stands, and what of it decides.

use super::draft::Draft;
use super::json::{Sink, Token};
use super::member::{MAX_MEMBER_BYTES, Member, room_for};
use super::{Body, Fault};
use crate::mcp::message::{MAX_BATCH, MAX_NAME_BYTES, Message, RequestId, TargetKind};

/// The array or object that is being read. Each has only one that it can stand in, so no stack is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Root,
    Batch,
    Message,
    Params,
    Meta,
    Ref,
    Notifications,
    Subscriptions,
    Tasks,
}

/// Makes messages of tokens.
#[derive(Debug)]
pub(super) struct Collector {
    batches: bool,
    place: Place,
    /// How many arrays and objects are open in which nothing decides.
    skipped: u32,
    /// Whose value comes next.
    member: Option<Member>,
    draft: Draft,
    body: Option<Body>,
}

impl Collector {
    pub(super) fn new(batches: bool) -> Self {
        Self { batches, place: Place::Root, skipped: 0, member: None, draft: Draft::default(), body: None }
    }

    /// What has been read, once the body is complete.
    pub(super) fn body(self) -> Option<Body> {
        self.body
    }

    /// The id that a refusal now would have to repeat.
    pub(super) fn id(&self) -> Option<&RequestId> {
        match &self.body {
            Some(Body::One(message)) => message.id.as_ref(),
            Some(Body::Batch(_)) | None => self.draft.id(),
        }
    }

    fn value(&mut self, value: Token<'_>) -> Result<(), Fault> {
        let entered = match self.place {
            Place::Root => self.root(value)?,
            Place::Batch => self.item(value)?,
            Place::Subscriptions => {
                self.draft.subscribe(TargetKind::Resource, value);
                None
            }
            Place::Tasks => {
                self.draft.subscribe(TargetKind::Task, value);
                None
            }
            Place::Message | Place::Params | Place::Meta | Place::Ref | Place::Notifications => {
                match self.member.take() {
                    Some(member) => {
                        self.draft.set(member, value)?;
                        inside(member, value)
                    }
                    None => None,
                }
            }
        };
        match (entered, value) {
            (Some(place), _) => self.place = place,
            (None, Token::Open(_)) => self.skipped = 1,
            (None, _) => {}
        }
        Ok(())
    }

    fn root(&mut self, value: Token<'_>) -> Result<Option<Place>, Fault> {
        if value.is_object() {
            return Ok(Some(Place::Message));
        }
        if !value.is_array() {
            return Err(Fault::Shape);
        }
        if !self.batches {
            return Err(Fault::Batch);
        }
        self.body = Some(Body::Batch(Vec::new()));
        Ok(Some(Place::Batch))
    }

    fn item(&self, value: Token<'_>) -> Result<Option<Place>, Fault> {
        let taken = self.body.as_ref().map_or(0, |body| body.messages().len());
        if value.is_array() || taken == MAX_BATCH {
            return Err(Fault::Batch);
        }
        if value.is_object() { Ok(Some(Place::Message)) } else { Err(Fault::Shape) }
    }

    /// The array or object at hand is complete.
    fn leave(&mut self) -> Result<(), Fault> {
        self.place = match self.place {
            Place::Message => {
                let message = self.draft.settle()?;
                self.draft = Draft::default();
                self.add(message)
            }
            Place::Params => Place::Message,
            Place::Meta | Place::Ref | Place::Notifications => Place::Params,
            Place::Subscriptions | Place::Tasks => Place::Notifications,
            Place::Batch if self.body.as_ref().is_some_and(|body| body.messages().is_empty()) => {
                return Err(Fault::Batch);
            }
            Place::Batch | Place::Root => Place::Root,
        };
        Ok(())
    }

    fn add(&mut self, message: Message) -> Place {
        if let Some(Body::Batch(messages)) = &mut self.body {
            messages.push(message);
            return Place::Batch;
        }
        self.body = Some(Body::One(message));
        Place::Root
    }
}

impl Sink for Collector {
    fn room(&self, is_name: bool) -> usize {
        match (self.skipped, self.place) {
            (0, Place::Subscriptions | Place::Tasks) => room_for(MAX_NAME_BYTES),
            (0, _) if is_name => MAX_MEMBER_BYTES,
            (0, _) => self.member.map_or(0, Member::room),
            _ => 0,
        }
    }

    fn take(&mut self, token: Token<'_>) -> Result<(), Fault> {
        match (self.skipped, token) {
            (0, Token::Close) => self.leave()?,
            (0, Token::Name(written)) => {
                // A name too long to be one of ours could still be read as one by who stops at its first NUL.
                self.member = Member::read(self.place, written.ok_or(Fault::Bounds)?)?;
                if let Some(member) = self.member {
                    self.draft.see(member)?;
                }
            }
            (0, value) => self.value(value)?,
            (_, Token::Open(_)) => self.skipped += 1,
            (_, Token::Close) => self.skipped -= 1,
            _ => {}
        }
        Ok(())
    }
}

/// The place that a member's value opens, when something in there decides.
fn inside(member: Member, value: Token<'_>) -> Option<Place> {
    let (nest, place) = member.opens()?;
    (value == Token::Open(nest)).then_some(place)
}
