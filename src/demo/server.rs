//! The sample MCP server: a few notes, no OAuth anywhere. What it knows of its callers it reads from header fields.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::request::Parts;
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{Implementation, ProgressNotificationParam, ServerCapabilities, ServerConfig};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler, schemars, tool, tool_handler, tool_router};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::serving::Serving;

/// Where the server answers.
pub const PATH: &str = "/mcp";
/// Notes kept at the same time; the oldest makes room.
const MAX_NOTES: usize = 100;
/// Longest note.
const MAX_NOTE_CHARS: usize = 1000;
/// Most steps that `count` takes.
const MAX_STEPS: u32 = 100;
/// How long `count` takes for one step.
const STEP: Duration = Duration::from_millis(200);
/// The header fields that say who calls.
const IDENTITY_PREFIX: &str = "x-auth-";

/// A running sample server. Dropping it stops it.
#[derive(Debug)]
pub struct NotesServer {
    serving: Serving,
}

impl NotesServer {
    /// Serves Streamable HTTP, legacy and modern, on a bound listener.
    pub fn start(listener: TcpListener) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        let config = StreamableHttpServerConfig::default().with_cancellation_token(stop.child_token());
        let notes = Notes::default();
        let sessions = Arc::new(LocalSessionManager::default());
        let service = StreamableHttpService::new(move || Ok(notes.clone()), sessions, config);
        let router = axum::Router::new().route_service(PATH, service);
        let serving = Serving::start(listener, router, stop)?;
        Ok(Self { serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.serving.address()
    }

    /// Ends sessions and streams, then stops.
    pub async fn shut_down(self) {
        self.serving.shut_down().await;
    }
}

/// The notes, shared by all sessions.
#[derive(Debug, Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct NewNote {
    /// The text of the note.
    text: String,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Steps {
    /// How far to count, at most 100; a step takes a fifth of a second.
    steps: u32,
}

#[tool_router]
impl Notes {
    #[tool(description = "List all notes")]
    async fn list_notes(&self) -> String {
        let notes = self.lock();
        if notes.is_empty() {
            return "no notes yet".to_owned();
        }
        notes.join("\n")
    }

    #[tool(description = "Add a note")]
    async fn add_note(&self, Parameters(note): Parameters<NewNote>) -> Result<String, ErrorData> {
        if note.text.chars().count() > MAX_NOTE_CHARS {
            return Err(ErrorData::invalid_params("a note has at most 1000 characters", None));
        }
        let mut notes = self.lock();
        if notes.len() >= MAX_NOTES {
            notes.remove(0);
        }
        notes.push(note.text);
        Ok(format!("{} notes", notes.len()))
    }

    #[tool(description = "Say who calls: the x-auth-* header fields of this request")]
    async fn whoami(&self, Extension(parts): Extension<Parts>) -> String {
        let fields = parts.headers.iter().filter(|(name, _)| name.as_str().starts_with(IDENTITY_PREFIX));
        let lines: Vec<_> =
            fields.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))).collect();
        if lines.is_empty() {
            return "nobody: the request carried no x-auth-* header field".to_owned();
        }
        lines.join("\n")
    }

    #[tool(description = "Count slowly, reporting progress")]
    async fn count(
        &self,
        Parameters(Steps { steps }): Parameters<Steps>,
        context: RequestContext<RoleServer>,
    ) -> Result<String, ErrorData> {
        if steps > MAX_STEPS {
            return Err(ErrorData::invalid_params("at most 100 steps", None));
        }
        let token = context.meta.get_progress_token();
        for step in 1..=steps {
            tokio::select! {
                () = context.ct.cancelled() => return Ok(format!("stopped before {step}")),
                () = tokio::time::sleep(STEP) => {}
            }
            if let Some(token) = &token {
                let progress = ProgressNotificationParam::new(token.clone(), f64::from(step));
                let told = context.peer.notify_progress(progress.with_total(f64::from(steps))).await;
                // Nobody listens any more; the answer still may reach a client that resumes.
                tracing::debug!(?told, step, "progress");
            }
        }
        Ok(format!("counted to {steps}"))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tool_handler]
impl ServerHandler for Notes {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("notes", env!("CARGO_PKG_VERSION")))
    }
}
