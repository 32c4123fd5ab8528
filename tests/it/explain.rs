//! `portcullis explain`: what it says of a caller, its exit codes, and what it keeps to itself.

use std::fs;

use assert_cmd::Command;
use tempfile::TempDir;

use crate::support::Mint;

const CONFIG: &str = r#"
[listen]
address = "127.0.0.1:0"
insecure_plaintext = true

[[issuers]]
name = "corp"
issuer = "https://login.example.com"

[[issuers]]
name = "partner"
issuer = "https://partner.example.com"

[[routes]]
name = "notes"
resource = "https://mcp.example.com/mcp"
upstream = "http://127.0.0.1:3000/mcp"
issuers = ["corp"]
scopes = ["mcp:tools"]
tenant = { allow = ["acme", "globex"] }
[routes.policy]
default = "deny"
implies = { "mcp:admin" = ["mcp:write"], "mcp:write" = ["mcp:tools"] }
rules = [
  { tools = ["delete_*"], scopes = ["mcp:admin"], cost = 5 },
  { tools = ["add_*"], scopes = ["mcp:write"], tenants = ["globex"],
    claims = { team = "ops" } },
  { methods = ["resources/*"], subjects = ["alice"], deny = true },
  { prompts = ["*"], resources = ["note://*"] },
  { methods = ["subscriptions/listen"] },
]

[[routes]]
name = "tickets"
resource = "https://mcp.example.com/{tenant}/tickets"
upstream = "http://127.0.0.1:3000/mcp"
issuers = ["corp", "partner"]
scopes = []
tenant = { from = "resource" }
"#;

/// A folder with the configuration and a file of claims.
struct World(TempDir);

struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl World {
    fn new(claims: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("gateway.toml"), CONFIG).unwrap();
        fs::write(folder.path().join("claims.json"), claims).unwrap();
        Self(folder)
    }

    fn run(&self, arguments: &[&str], stdin: &str) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.current_dir(self.0.path()).env_remove("PORTCULLIS_CONFIG").arg("explain").args(arguments);
        let output = command.write_stdin(stdin).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The claims of the file ask for this on the route `notes`.
    fn ask(&self, method: &str, name: Option<&str>) -> Outcome {
        let mut arguments = vec!["--claims", "claims.json", "--route", "notes", "--method", method];
        arguments.extend(name.map(|name| ["--name", name]).iter().flatten());
        self.run(&arguments, "")
    }
}

impl Outcome {
    #[track_caller]
    fn says(&self, code: i32, lines: &[&str]) {
        assert_eq!((self.code, self.stderr.as_str()), (Some(code), ""), "{}", self.stdout);
        for line in lines {
            assert!(self.stdout.contains(line), "{line:?} in\n{}", self.stdout);
        }
    }

    #[track_caller]
    fn is_usage(&self, message: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(2), ""));
        assert_eq!(self.stderr, format!("portcullis: {message}\n"));
    }
}

const ALICE: &str = r#"{ "sub": "alice", "client_id": "editor", "tenant": "acme", "scope": "mcp:write" }"#;

#[test]
fn a_missing_scope_is_named_with_the_rule_that_needs_it() {
    let outcome = World::new(ALICE).ask("tools/call", Some("delete_note"));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""));
    assert_eq!(
        outcome.stdout,
        "route      notes (https://mcp.example.com/mcp)\n\
         caller     subject alice, client editor, tenant acme\n\
         issuer     https://login.example.com (corp)\n\
         scopes     mcp:write; by implication mcp:tools\n\
         unproven   claims as they were written down; a token with them, its times and its audience were assumed; \
         issuer corp was assumed, the route's only one\n\
         operation  \"tools/call\" of tool \"delete_note\"\n\
         needed     by the route for any operation mcp:tools: has them\n\
         \n\
         decision   needs scopes mcp:tools mcp:admin (403 insufficient_scope)\n\
         rule       gateway.toml:25, cost 5\n             { tools = [\"delete_*\"], scopes = [\"mcp:admin\"], cost = 5 },\n\
         lacks      scope mcp:admin\n\
         would help a token that also has scope mcp:admin\n"
    );
}

#[test]
fn what_is_allowed_exits_0() {
    let world = World::new(&ALICE.replace("mcp:write", "mcp:admin"));
    world
        .ask("tools/call", Some("delete_note"))
        .says(0, &["decision   allowed\n", "rule       gateway.toml:25, cost 5\n"]);
    let listening = world.ask("subscriptions/listen", None);
    listening.says(0, &["operation  \"subscriptions/listen\"\n", "gateway.toml:30"]);
    world.ask("subscriptions/listen", Some("note://a")).says(0, &["of resource \"note://a\"", "gateway.toml:29"]);
    world.ask("completion/complete", Some("a:b")).says(0, &["of prompt \"a:b\""]);
    world.ask("completion/complete", Some("note://{id}")).says(0, &["of resource \"note://{id}\""]);
}

#[test]
fn a_failed_condition_says_what_would_do() {
    let outcome = World::new(ALICE).ask("tools/call", Some("add_note"));
    outcome.says(
        1,
        &[
            "decision   denied (403 forbidden)\n",
            "rule       gateway.toml:26, cost 1\n",
            "{ tools = [\"add_*\"], scopes = [\"mcp:write\"], tenants = [\"globex\"],\n",
            "    claims = { team = \"ops\" } },\n",
            "lacks      tenant globex; claim team with ops\n",
            "would help a token that also has tenant globex, and claim team with ops\n",
        ],
    );
    assert!(!outcome.stdout.contains("delete_*"), "only the rule that decides is shown");
}

#[test]
fn a_denial_says_that_nothing_helps() {
    let world = World::new(ALICE);
    let denied = world.ask("resources/read", Some("note://a"));
    denied.says(1, &["denied", "would help nothing that this caller can do: the rule at gateway.toml:28 denies\n"]);
    assert!(!denied.stdout.contains("lacks"));
    world.ask("ping", None).says(
        1,
        &[
            "rule       none matches; default is deny, cost 1\n",
            "would help nothing that this caller can do: no rule matches",
        ],
    );
    let bob = World::new(&ALICE.replace("alice", "bob"));
    bob.ask("resources/read", Some("note://a")).says(0, &["decision   allowed\n"]);
    bob.ask("resources/read", Some("note://a/../b"))
        .says(1, &["more than one reading", "none was asked", "plain spelling"]);
}

#[test]
fn the_routes_own_scopes_come_first() {
    let world = World::new(&ALICE.replace("alice", "bob").replace("mcp:write", "other"));
    world.ask("prompts/get", Some("p")).says(
        1,
        &[
            "needed     by the route for any operation mcp:tools: lacks some\n",
            "decision   needs scopes mcp:tools (403 insufficient_scope)\n",
            "lacks      scope mcp:tools (the route's)\n",
            "would help a token that also has scope mcp:tools (the route's)\n",
        ],
    );
}

/// A token that the route `notes` takes.
fn good() -> Mint {
    Mint::new("https://login.example.com", "https://mcp.example.com/mcp")
}

#[test]
fn a_token_is_judged_and_never_printed() {
    let world = World::new("");
    let ask = |token: &str, stdin: &str| {
        let question = ["--route", "notes", "--method", "tools/call", "--name", "delete_note", "--token", token];
        world.run(&question, stdin)
    };
    let token = good().claim("scope", "mcp:admin").to_string();
    let (by_argument, by_stdin) = (ask(&token, ""), ask("-", &format!("{token}\n")));
    by_argument.says(0, &["subject alice, client client-1, tenant acme", "the signature was NOT checked", "allowed"]);
    assert_eq!(by_argument.stdout, by_stdin.stdout);

    let unsigned = good().signed_by(|_| b"nonsense".to_vec());
    let refused = |mint: &Mint| mint.to_string();
    for (token, lines) in [
        (refused(&good().expired()), &["token.exp: the access token expired\n"][..]),
        (
            refused(&good().claim("aud", "https://other.example.com/")),
            &["token.aud", "aud https://mcp.example.com/mcp\n"],
        ),
        (
            refused(&good().claim("iss", "https://partner.example.com")),
            &["token.iss", "iss https://login.example.com\n"],
        ),
        (refused(&good().header("typ", "JWT")), &["token.typ", "typ [\"at+jwt\"]\n"]),
        (refused(&good().without("sub")), &["token.sub", "a subject in sub\n"]),
        (
            refused(&good().claim("tenant", "evil")),
            &["authz.tenant", "403 forbidden", "acme or globex, named by tenant\n"],
        ),
        (
            "a.b".to_owned(),
            &["token.shape", "accepted   a JWT in compact form: three parts in base64url, with dots between\n"],
        ),
        (refused(&good().without("jti")), &["token.jti", "accepted   a text in jti\n"]),
        (unsigned, &["decision   needs scopes"]),
    ] {
        let outcome = ask(&token, "");
        outcome.says(1, lines);
        for part in token.split('.').filter(|part| part.len() > 3) {
            assert!(!outcome.stdout.contains(part), "{}", outcome.stdout);
        }
    }
}

#[test]
fn a_tenant_in_the_url_is_asked_for_and_held_against_the_token() {
    let world = World::new(r#"{ "iss": "https://partner.example.com", "sub": "alice", "tenant": "acme" }"#);
    let ask = |more: &[&str]| {
        world.run(&[&["--claims", "claims.json", "--route", "tickets", "--method", "ping"], more].concat(), "")
    };
    ask(&["--tenant", "acme"]).says(0, &["https://mcp.example.com/acme/tickets", "(partner)", "the route has none"]);
    ask(&["--tenant", "globex"]).says(1, &["authz.tenant", "accepted   tenant globex, named by tenant\n"]);
    ask(&[]).is_usage("--tenant: the route's resource holds {tenant}: say which one");
    ask(&["--tenant", ".."]).is_usage("--tenant: cannot stand in a URL: 1 to 63 of a-z, A-Z, 0-9, -, _ and .");
    let anonymous = World::new(r#"{ "sub": "alice", "tenant": "acme" }"#);
    let question = ["--claims", "claims.json", "--route", "tickets", "--method", "ping", "--tenant", "acme"];
    anonymous
        .run(&question, "")
        .is_usage("--claims: needs iss: the route has https://login.example.com and https://partner.example.com");
}

#[test]
fn wrong_questions_exit_2() {
    let world = World::new(ALICE);
    let with = |route, method, more: &[&str]| {
        world.run(&[&["--claims", "claims.json", "--route", route, "--method", method], more].concat(), "")
    };
    with("nots", "ping", &[]).is_usage("no route is called \"nots\"; the configuration has notes, tickets");
    with("notes", "tools/call", &[]).is_usage("--name: tools/call names a tool: say which one");
    with("notes", "ping", &["--name", "x"]).is_usage("--name: ping names nothing");
    with("notes", "tools/call", &["--name", ""]).is_usage("--name: must be 1 to 4096 bytes");
    with("notes", "", &[]).is_usage("--method: must be 1 to 128 bytes");
    with("notes", "ping", &["--tenant", "acme"])
        .is_usage("--tenant: the route's resource holds no {tenant}: the token names it");
    for arguments in [
        &["--route", "notes", "--method", "ping"][..],
        &["--route", "notes", "--method", "ping", "--token", "x", "--claims", "claims.json"],
        &["--token", "x"],
    ] {
        assert_eq!(world.run(arguments, "").code, Some(2), "{arguments:?}");
    }
    for claims in ["", "[]", "{", r#"{ "sub": "a", "sub": "b" }"#] {
        World::new(claims)
            .ask("ping", None)
            .is_usage("--claims: claims.json: must be a JSON object in which no member stands twice");
    }
    fs::write(world.0.path().join("gateway.toml"), "").unwrap();
    assert_eq!(world.ask("ping", None).code, Some(2));
}
