//! What the clients that people use need of an authorization server (docs/clients): facts, one row each.

/// A client that the doctor can stand in for.
#[derive(Debug)]
pub struct Client {
    /// As on the command line.
    pub name: &'static str,
    pub(super) title: &'static str,
    /// By a client id metadata document (its id is a URL).
    pub(super) metadata_document: bool,
    /// The connection comes from the vendor's network, not from the user's machine.
    pub(super) hosted: bool,
    /// What a client that is registered by hand must be allowed.
    pub(super) redirect_uris: &'static str,
    /// Known to ask for more scope after a 403.
    pub(super) steps_up: bool,
}

/// All of them; every one can register itself dynamically (RFC 7591), and takes a client id by hand.
pub const CLIENTS: &[Client] = &[
    Client {
        name: "claude",
        title: "Claude",
        metadata_document: true,
        hosted: true,
        redirect_uris: "https://claude.ai/api/mcp/auth_callback and https://claude.com/api/mcp/auth_callback",
        steps_up: false,
    },
    Client {
        name: "vscode",
        title: "VS Code",
        metadata_document: true,
        hosted: false,
        redirect_uris: "http://127.0.0.1:33418/ and https://vscode.dev/redirect",
        steps_up: true,
    },
    Client {
        name: "cursor",
        title: "Cursor",
        metadata_document: false,
        hosted: false,
        redirect_uris: "cursor://anysphere.cursor-mcp/oauth/callback",
        steps_up: false,
    },
    Client {
        name: "chatgpt",
        title: "ChatGPT",
        metadata_document: true,
        hosted: true,
        redirect_uris: "https://chatgpt.com/connector/oauth/ and the id that the connector's settings show",
        steps_up: false,
    },
    Client {
        name: "inspector",
        title: "Inspector",
        metadata_document: true,
        hosted: false,
        redirect_uris: "http://localhost:6274/oauth/callback",
        steps_up: true,
    },
];
