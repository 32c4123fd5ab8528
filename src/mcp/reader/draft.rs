//! One message in the making: what its members said so far, in any order, and the verdict once it is complete.

use super::Fault;
use super::json::{Token, inner, unescaped};
use super::member::{MAX_VERSION_BYTES, Member};
use crate::mcp::message::{
    COMPLETE, Content, LISTEN, MAX_METHOD_BYTES, MAX_NAME_BYTES, MAX_TARGETS, Message, Operation, RequestId, Target,
    TargetKind, naming_of,
};

/// What has been read of a message. `params` may stand before `method`, so what any method might name is remembered, each text
/// within its bound.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// A bit for each member.
    seen: u32,
    id: Option<RequestId>,
    method: Option<Box<str>>,
    claim: Option<Box<str>>,
    /// What is named; or why it cannot be told, should the method need it.
    names: Vec<(Member, Result<Box<str>, Fault>)>,
    subscriptions: Vec<Target>,
    /// Why the subscriptions cannot be told, should the method need them.
    unclear: Option<Fault>,
}

impl Draft {
    /// The id, when it has been read.
    pub(super) fn id(&self) -> Option<&RequestId> {
        self.id.as_ref()
    }

    /// Notes that a member stands here; an error when it stood before.
    pub(super) fn see(&mut self, member: Member) -> Result<(), Fault> {
        if self.has(member) {
            return Err(Fault::Duplicate);
        }
        self.seen |= bit(member);
        Ok(())
    }

    fn has(&self, member: Member) -> bool {
        self.seen & bit(member) != 0
    }

    /// Takes the value of a member, or of an array or object its beginning.
    pub(super) fn set(&mut self, member: Member, value: Token<'_>) -> Result<(), Fault> {
        match member {
            Member::Jsonrpc if is_text(value, "2.0") => {}
            Member::Jsonrpc => return Err(Fault::Shape),
            Member::Id => self.id = id(value)?,
            Member::Method => self.method = Some(method(value)?),
            Member::Version => self.claim = Some(text(value, MAX_VERSION_BYTES)?),
            Member::Params | Member::Meta if !value.is_object() => return Err(Fault::Shape),
            Member::Notifications if !value.is_object() => self.unclear = Some(Fault::Shape),
            Member::Subscriptions | Member::Tasks if !value.is_array() => self.unclear = Some(Fault::Shape),
            Member::Name | Member::Uri | Member::TaskId | Member::RefType | Member::RefName | Member::RefUri => {
                self.names.push((member, name(value)));
            }
            // What is in them is read member by member. A `ref` that is no object names nothing: judged with the method.
            Member::Params | Member::Meta | Member::Ref | Member::Notifications | Member::Subscriptions | Member::Tasks
            // Not read at all.
            | Member::Result | Member::Error => {}
        }
        Ok(())
    }

    /// Takes an item of `resourceSubscriptions` or `taskIds`.
    pub(super) fn subscribe(&mut self, kind: TargetKind, value: Token<'_>) {
        if self.unclear.is_some() {
            return;
        }
        match name(value) {
            Ok(_) if self.subscriptions.len() == MAX_TARGETS => self.unclear = Some(Fault::Bounds),
            Ok(name) => self.subscriptions.push(Target { kind, name }),
            Err(fault) => self.unclear = Some(fault),
        }
    }

    /// The message, once all of it has been read. After an error the id is still there.
    pub(super) fn settle(&mut self) -> Result<Message, Fault> {
        let (is_result, is_error) = (self.has(Member::Result), self.has(Member::Error));
        let has_id = self.has(Member::Id);
        let content = match self.method.take() {
            Some(method) if !is_result && !is_error => {
                let operation = Operation { targets: self.targets(&method)?, method };
                match (&self.id, has_id) {
                    (Some(_), _) => Content::Request(operation),
                    (None, false) => Content::Notification(operation),
                    // MCP: the id of a request must not be null.
                    (None, true) => return Err(Fault::Shape),
                }
            }
            None if is_result != is_error && has_id => Content::Response,
            _ => return Err(Fault::Shape),
        };
        if !self.has(Member::Jsonrpc) {
            return Err(Fault::Shape);
        }
        Ok(Message { id: self.id.take(), content, claim: self.claim.take() })
    }

    /// What a method names.
    fn targets(&mut self, method: &str) -> Result<Vec<Target>, Fault> {
        match method {
            COMPLETE => self.reference().map(|target| vec![target]),
            LISTEN => match self.unclear {
                Some(fault) => Err(fault),
                None => Ok(std::mem::take(&mut self.subscriptions)),
            },
            _ => {
                let Some(naming) = naming_of(method) else { return Ok(Vec::new()) };
                let member = Member::of_params(naming.member).ok_or(Fault::Shape)?;
                if !naming.mirrored && !self.has(member) {
                    return Ok(Vec::new());
                }
                Ok(vec![Target { kind: naming.kind, name: self.name(member)? }])
            }
        }
    }

    /// What `params.ref` of [`COMPLETE`] names.
    fn reference(&mut self) -> Result<Target, Fault> {
        let (kind, member) = match &*self.name(Member::RefType)? {
            "ref/prompt" => (TargetKind::Prompt, Member::RefName),
            "ref/resource" => (TargetKind::Resource, Member::RefUri),
            _ => return Err(Fault::Shape),
        };
        Ok(Target { kind, name: self.name(member)? })
    }

    fn name(&mut self, member: Member) -> Result<Box<str>, Fault> {
        let at = self.names.iter().position(|(at, _)| *at == member).ok_or(Fault::Shape)?;
        self.names.swap_remove(at).1
    }
}

fn bit(member: Member) -> u32 {
    1 << member as u32
}

fn is_text(value: Token<'_>, wanted: &str) -> bool {
    let Token::Text(Some(written)) = value else { return false };
    inner(written) == Some(wanted.as_bytes()) || unescaped(written).is_ok_and(|text| *text == *wanted)
}

/// Repeated as written, so never unescaped.
fn id(value: Token<'_>) -> Result<Option<RequestId>, Fault> {
    match value {
        Token::Null => Ok(None),
        Token::Text(Some(written)) | Token::Number(Some(written)) => {
            let written = std::str::from_utf8(written).map_err(|_| Fault::Encoding)?;
            RequestId::from_json(written).map(Some).ok_or(Fault::Shape)
        }
        Token::Text(None) | Token::Number(None) | Token::Bool | Token::Open(_) | Token::Close | Token::Name(_) => {
            Err(Fault::Shape)
        }
    }
}

fn method(value: Token<'_>) -> Result<Box<str>, Fault> {
    let method = text(value, MAX_METHOD_BYTES)?;
    if method.is_empty() || method.contains(char::is_control) { Err(Fault::Shape) } else { Ok(method) }
}

/// No name holds a NUL: a server written in C would read the part before it, which is another name than the one judged.
fn name(value: Token<'_>) -> Result<Box<str>, Fault> {
    let name = text(value, MAX_NAME_BYTES)?;
    if name.is_empty() || name.contains('\0') { Err(Fault::Shape) } else { Ok(name) }
}

/// A text of at most `most` bytes.
fn text(value: Token<'_>, most: usize) -> Result<Box<str>, Fault> {
    let Token::Text(written) = value else { return Err(Fault::Shape) };
    let text = unescaped(written.ok_or(Fault::Bounds)?)?;
    if text.len() > most { Err(Fault::Bounds) } else { Ok(text) }
}
