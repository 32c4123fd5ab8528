//! Rule 2: one verdict for each request, on that request alone.

use std::sync::Arc;

use rustls::HandshakeKind;
use rustls::client::Resumption;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::http2::{PSEUDO, request};
use crate::support::client::{CALL, Handshake};
use crate::support::gateway::route;
use crate::support::http2::{Outcome, RawHttp2};
use crate::support::raw::post_head;
use crate::support::{Gateway, Issuer, PATH, Upstream, start, within};

/// A refused request's body is read on so that its answer arrives. It is a body all the same: never the next request.
#[tokio::test]
async fn x2a_body_of_a_refused_request_is_never_read_as_the_next_one() {
    let (issuer, upstream, gateway) = start().await;
    let hidden = post_head(&issuer, &format!("Content-Length: {}\r\n", CALL.len())) + CALL;
    let length = format!("Content-Length: {}\r\n", hidden.len());
    let chunked = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    let good = post_head(&issuer, "");
    for (what, head) in [
        ("no token", good.replace("Authorization", "X-Authorization")),
        ("bad token", good.replace("Bearer ", "Bearer x")),
        ("no route", good.replacen(PATH, "/other", 1)),
        ("unknown host", good.replace("mcp.example.com", "evil.example")),
        ("another method", good.replacen("POST", "PUT", 1)),
        ("a body on a GET", good.replacen("POST", "GET", 1)),
        ("another media type", good.replace("application/json", "text/plain")),
        ("foreign origin", good.replace("Content-Type", "Origin: https://evil.example\r\nContent-Type")),
        ("waits for 100", good.replace("Authorization", "Expect: 100-continue\r\nX-Authorization")),
    ] {
        println!("case: {what}");
        let head = head.strip_suffix("\r\n").unwrap();
        for request in
            [format!("{head}{length}\r\n{hidden}"), format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunked}")]
        {
            let mut connection = gateway.connect().await;
            let reply = connection.exchange(request + "GET /end HTTP/1.1\r\nHost: mcp.example.com\r\n\r\n").await;
            assert!((400..500).contains(&reply.status()), "{}", reply.status());
            // Either nothing more is answered on this connection, or it is what stands behind the body.
            let rest = String::from_utf8(connection.until_answered_or_closed().await).unwrap();
            assert!(["", "HTTP/1.1 404"].contains(&&*rest), "{rest}");
        }
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
}

/// A TLS session that is resumed brings back nothing but keys.
#[tokio::test]
async fn x2b_resumed_handshake_brings_no_token_back() {
    let (issuer, upstream, gateway) = start().await;
    let mut config = Handshake::default().config();
    config.resumption = Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    let mut answers = Vec::new();
    for client in [gateway.client().bearer(issuer.mint()), gateway.client()] {
        let mut stream = gateway.client().tls(config.clone(), "mcp.example.com").await.unwrap();
        stream.write_all(&client.text("POST", PATH)).await.unwrap();
        let mut answer = [0; 12];
        within("an answer", stream.read_exact(&mut answer)).await.unwrap();
        answers.push((String::from_utf8(answer.to_vec()).unwrap(), stream.get_ref().1.handshake_kind().unwrap()));
    }
    assert_eq!(answers[0].0, "HTTP/1.1 200");
    assert_eq!(answers[1], ("HTTP/1.1 401".to_owned(), HandshakeKind::Resumed));
    assert_eq!(upstream.received().len(), 1);
}

/// One certificate covers both names, so a browser may send requests for both over one connection: the handshake was for one.
#[tokio::test]
async fn x2c_connection_of_one_authority_carries_no_request_for_another() {
    let (issuer, notes, mail) = (Issuer::start().await, Upstream::start().await, Upstream::start().await);
    let changes = route("mail", "https://mail.example.com/notes/mcp", &mail, &[]);
    let gateway = Gateway::start_with(&issuer, &notes, &changes).await;
    let other = PSEUDO.map(|field| if field.0 == ":authority" { (":authority", "mail.example.com") } else { field });
    let token = format!("Bearer {}", issuer.mint_for("https://mail.example.com/notes/mcp"));
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    let fields: Vec<_> = other.into_iter().chain([("authorization", token.as_str())]).collect();
    assert_eq!(connection.request(&fields).await, Outcome::Answered(421));
    assert!(mail.received().is_empty());
    assert_eq!(request(&gateway, &issuer, &PSEUDO, &[]).await, Outcome::Answered(200));
    let proper = gateway.client().host("mail.example.com").server_name("mail.example.com").http2();
    let reply = proper.bearer(issuer.mint_for("https://mail.example.com/notes/mcp")).post(PATH).await;
    assert_eq!((reply.status(), mail.received().len()), (200, 1));
}
