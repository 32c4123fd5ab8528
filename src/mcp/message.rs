//! One JSON-RPC message as the gateway knows it: its id, what it asks for, what it names.

use std::fmt;

/// Longest id that is read and repeated in a refusal, as JSON text.
pub const MAX_ID_BYTES: usize = 256;
/// Longest method.
pub const MAX_METHOD_BYTES: usize = 128;
/// Longest name of a tool, prompt, resource or task.
pub const MAX_NAME_BYTES: usize = 4 * 1024;
/// Targets of one operation: resources and tasks that one `subscriptions/listen` asks about.
pub const MAX_TARGETS: usize = 256;
/// Messages of one batch.
pub const MAX_BATCH: usize = 100;

/// A JSON-RPC id as it was written: a string with its quotes, or a number; MCP allows no `null` (JSON-RPC 2.0 §4, §5). Repeated
/// byte for byte in answers.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// From JSON text that has been read as a string or a number; `None` when it is too long to repeat.
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        (text.len() <= MAX_ID_BYTES).then(|| Self(text.into()))
    }

    /// The JSON text.
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The two kinds of protocol revisions, decided per request (MCP 2026-07-28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// 2024-11-05 to 2025-11-25: a handshake, sessions, `GET` streams.
    Legacy,
    /// 2026-07-28 and later: each request stands for itself.
    Modern,
}

impl Era {
    /// For logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// One message of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `None` for notifications, and for responses whose id is `null`.
    pub id: Option<RequestId>,
    /// What it is.
    pub content: Content,
    /// `params._meta["io.modelcontextprotocol/protocolVersion"]` (MCP 2026-07-28).
    pub claim: Option<Box<str>>,
}

/// The three kinds of JSON-RPC messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Wants an answer. The message has an id (JSON-RPC 2.0 §4).
    Request(Operation),
    /// Wants none (JSON-RPC 2.0 §4.1). Judged like a request: a careless server may act on it all the same.
    Notification(Operation),
    /// A client's answer to a request of the server (JSON-RPC 2.0 §5; legacy eras).
    Response,
}

/// What a request or notification asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The JSON-RPC method.
    pub method: Box<str>,
    /// What it names: nothing, one thing, or the resources and tasks that a listener asks about.
    pub targets: Vec<Target>,
}

/// Something that an operation names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What kind of thing.
    pub kind: TargetKind,
    /// Its name, or a resource's URI, unescaped.
    pub name: Box<str>,
}

/// The kinds of things that operations name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// `tools/call`.
    Tool,
    /// `prompts/get`, `completion/complete`.
    Prompt,
    /// `resources/read`, `resources/subscribe`, `completion/complete`, `subscriptions/listen`.
    Resource,
    /// `tasks/get` and the like, `subscriptions/listen`.
    Task,
}

/// Where a method's params say what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Naming {
    /// The method.
    pub method: &'static str,
    /// The member of `params`.
    pub member: &'static str,
    /// What is named there.
    pub kind: TargetKind,
    /// `Mcp-Name` repeats it in modern requests (SEP-2243, SEP-2663). Without it such a request is none; other methods may come
    /// without what they name, for the server to answer: not every revision knows them.
    pub mirrored: bool,
}

const fn naming(method: &'static str, member: &'static str, kind: TargetKind, mirrored: bool) -> Naming {
    Naming { method, member, kind, mirrored }
}

/// The methods whose params hold one name as a string. Two more are read by shape: `completion/complete` (`params.ref`) and
/// `subscriptions/listen` (`params.notifications.resourceSubscriptions`, and `taskIds` of SEP-2663).
pub const NAMINGS: [Naming; 11] = [
    naming("tools/call", "name", TargetKind::Tool, true),
    naming("prompts/get", "name", TargetKind::Prompt, true),
    naming("resources/read", "uri", TargetKind::Resource, true),
    naming("resources/subscribe", "uri", TargetKind::Resource, false),
    naming("resources/unsubscribe", "uri", TargetKind::Resource, false),
    naming(DIRECTORY_READ, "uri", TargetKind::Resource, false),
    // SEP-2640: a skill is a resource too.
    naming(SKILL_GET, "uri", TargetKind::Resource, false),
    naming(TASK_GET, "taskId", TargetKind::Task, true),
    naming("tasks/update", "taskId", TargetKind::Task, true),
    naming("tasks/cancel", "taskId", TargetKind::Task, true),
    naming("tasks/result", "taskId", TargetKind::Task, false),
];

/// Its `params.ref` names a prompt or a resource (template) (MCP, Completion).
pub const COMPLETE: &str = "completion/complete";
/// SEP-2640: what is in a folder of resources.
pub const DIRECTORY_READ: &str = "resources/directory/read";
/// SEP-2640: a skill, with the files that it brings.
pub const SKILL_GET: &str = "skills/get";
/// The methods that ask for a task and what it has brought begin so.
pub const TASKS: &str = "tasks/";
/// Tells the state of a task, and its result.
pub const TASK_GET: &str = "tasks/get";
/// The modern stream of notifications (MCP 2026-07-28).
pub const LISTEN: &str = "subscriptions/listen";

/// How a method names what it is about, when it does so by one member.
pub fn naming_of(method: &str) -> Option<&'static Naming> {
    NAMINGS.iter().find(|naming| naming.method == method)
}

impl Message {
    /// What is asked for; `None` for a response.
    pub fn operation(&self) -> Option<&Operation> {
        match &self.content {
            Content::Request(operation) | Content::Notification(operation) => Some(operation),
            Content::Response => None,
        }
    }
}
