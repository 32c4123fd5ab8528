//! Rates, open streams and failures: what a caller may use, and that nobody pays for another (threats D6, D7, D20).

use std::time::Duration;

use crate::support::{Gateway, Issuer, Mint, PATH, Reply, Upstream, start_with};

/// A route with one limit.
fn limit(text: &str) -> String {
    format!("routes = [{{ name = \"notes\", limits = [{{ {text} }}] }}]")
}

/// Two requests, then none for half an hour.
fn two_per(what: &str) -> String {
    limit(&format!(r#"per = {what}, requests = 2, window = "1h", burst = 2"#))
}

/// Asserts a 429 and gives back the seconds to wait.
async fn assert_limited(reply: &Reply, name: &str) -> u64 {
    reply.assert_refused(429, "too_many_requests", "limit.rate").await;
    let wait = reply.header("retry-after").unwrap().parse().unwrap();
    assert!(wait > 0);
    assert_eq!(reply.header("ratelimit"), Some(format!("\"{name}\";r=0;t={wait}").as_str()));
    wait
}

/// Two requests of `first` are served and a third is not; one of each of `others` is still served.
async fn isolated(per: &str, name: &str, first: impl Fn(&Issuer) -> Mint, others: &[fn(&Issuer) -> Mint]) {
    let (issuer, _upstream, gateway) = start_with(&two_per(per)).await;
    for _ in 0..2 {
        gateway.accepts("within", first(&issuer)).await;
    }
    let reply = gateway.client().bearer(first(&issuer)).post(PATH).await;
    assert_limited(&reply, name).await;
    for other in others {
        gateway.accepts("another", other(&issuer)).await;
    }
}

#[tokio::test]
async fn d20_what_a_narrow_limit_refuses_is_not_taken_from_those_who_share_a_wide_one() {
    let wide = r#"{ per = ["tenant"], requests = 5, window = "1h", burst = 5 }"#;
    let narrow = r#"{ per = ["tenant", "client"], requests = 2, window = "1h", burst = 2 }"#;
    let streams = r#"{ per = ["client"], streams = 9 }"#;
    for limits in [[wide, narrow, streams], [streams, narrow, wide]] {
        let limits = format!("routes = [{{ name = \"notes\", limits = [{}] }}]", limits.join(", "));
        let (issuer, _upstream, gateway) = start_with(&limits).await;
        let of = |client: &str| issuer.mint().claim("tenant", "acme").claim("client_id", client);
        for _ in 0..2 {
            gateway.accepts("within", of("one")).await;
        }
        for _ in 0..10 {
            let reply = gateway.client().bearer(of("one")).post(PATH).await;
            assert_limited(&reply, "tenant-client").await;
        }
        for _ in 0..2 {
            gateway.accepts("another client", of("two")).await;
        }
        gateway.accepts("the last of the tenant's", of("three")).await;
        assert_limited(&gateway.client().bearer(of("three")).post(PATH).await, "tenant").await;
    }
}

#[tokio::test]
async fn d20_rate_limit_gets_429_that_says_when_to_come_back() {
    let (issuer, upstream, gateway) = start_with(&two_per(r#"["client"]"#)).await;
    for left in ["\"client\";r=1", "\"client\";r=0"] {
        let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
        reply.assert_served();
        assert_eq!(reply.header("ratelimit"), Some(left));
        assert_eq!(reply.header("ratelimit-policy"), Some("\"client\";q=2;w=3600"));
    }
    for _ in 0..3 {
        let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
        let wait = assert_limited(&reply, "client").await;
        assert!((1700..=1800).contains(&wait), "{wait}");
        assert_eq!(reply.header("ratelimit-policy"), Some("\"client\";q=2;w=3600"));
    }
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn d20_limited_caller_is_served_again_after_the_told_time() {
    let (issuer, _upstream, gateway) =
        start_with(&limit(r#"per = ["client"], requests = 2, window = "2s", burst = 1"#)).await;
    gateway.accepts("the first", issuer.mint()).await;
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    let wait = assert_limited(&reply, "client").await;
    assert_eq!(wait, 1);
    tokio::time::sleep(Duration::from_secs(wait)).await;
    gateway.accepts("after the wait", issuer.mint()).await;
}

#[tokio::test]
async fn limit_by_client_counts_each_client() {
    let other: fn(&Issuer) -> Mint = |issuer| issuer.mint().claim("client_id", "client-2");
    isolated(r#"["client"]"#, "client", Issuer::mint, &[other]).await;
}

#[tokio::test]
async fn limit_by_client_counts_all_subjects_of_a_client_together() {
    let (issuer, _upstream, gateway) = start_with(&two_per(r#"["client"]"#)).await;
    gateway.accepts("alice", issuer.mint()).await;
    gateway.accepts("bob", issuer.mint().claim("sub", "bob")).await;
    let reply = gateway.client().bearer(issuer.mint().claim("sub", "carol")).post(PATH).await;
    assert_limited(&reply, "client").await;
}

#[tokio::test]
async fn limit_by_subject_counts_each_subject() {
    let other: fn(&Issuer) -> Mint = |issuer| issuer.mint().claim("sub", "bob");
    isolated(r#"["subject"]"#, "subject", Issuer::mint, &[other]).await;
}

#[tokio::test]
async fn limit_by_subject_tells_users_from_services() {
    // A program that acts for itself has its client as its subject; a user of the same name is somebody else.
    let user: fn(&Issuer) -> Mint = |issuer| issuer.mint().claim("sub", "client-9");
    let service = |issuer: &Issuer| issuer.mint().claim("sub", "client-9").claim("client_id", "client-9");
    isolated(r#"["subject"]"#, "subject", service, &[user]).await;
}

#[tokio::test]
async fn limit_by_tenant_counts_each_tenant() {
    let other: fn(&Issuer) -> Mint = |issuer| issuer.mint().claim("tenant", "umbrella");
    let none: fn(&Issuer) -> Mint = |issuer| issuer.mint().without("tenant");
    isolated(r#"["tenant"]"#, "tenant", Issuer::mint, &[other, none]).await;
}

#[tokio::test]
async fn limit_by_tenant_and_client_counts_each_pair() {
    let other_tenant: fn(&Issuer) -> Mint = |issuer| issuer.mint().claim("tenant", "umbrella");
    let other_client: fn(&Issuer) -> Mint = |issuer| issuer.mint().claim("client_id", "client-2");
    let joined: fn(&Issuer) -> Mint = |issuer| issuer.mint().claim("tenant", "acmeclient-1").claim("client_id", "x");
    isolated(r#"["tenant", "client"]"#, "tenant-client", Issuer::mint, &[other_tenant, other_client, joined]).await;
}

#[tokio::test]
async fn limit_by_route_counts_everybody() {
    let (issuer, _upstream, gateway) = start_with(&two_per(r#"["route"]"#)).await;
    gateway.accepts("alice", issuer.mint()).await;
    gateway.accepts("bob", issuer.mint().claim("sub", "bob").claim("client_id", "client-2")).await;
    let reply = gateway.client().bearer(issuer.mint().claim("sub", "carol")).post(PATH).await;
    assert_limited(&reply, "route").await;
}

#[tokio::test]
async fn same_names_of_two_issuers_are_two_callers() {
    let (corp, other, upstream) = (Issuer::start().await, Issuer::start().await, Upstream::start().await);
    let changes = format!(
        r#"
        issuers = [{{ name = "other", issuer = "{}", insecure_http = true }}]
        routes = [{{ name = "notes", issuers = ["corp", "other"], limits = [
            {{ per = ["client"], requests = 1, window = "1h" }},
            {{ per = ["subject"], requests = 1, window = "1h" }},
        ] }}]
        "#,
        other.url()
    );
    let gateway = Gateway::start_with(&corp, &upstream, &changes).await;
    gateway.accepts("corp's alice", corp.mint()).await;
    gateway.accepts("other's alice", other.mint()).await;
    let reply = gateway.client().bearer(corp.mint()).post(PATH).await;
    reply.assert_refused(429, "too_many_requests", "limit.rate").await;
}

#[tokio::test]
async fn what_a_request_says_of_itself_does_not_count() {
    let (issuer, _upstream, gateway) = start_with(&two_per(r#"["client", "subject"]"#)).await;
    gateway.accepts("1", issuer.mint()).await;
    gateway.accepts("2", issuer.mint()).await;
    let fields = [("x-forwarded-for", "203.0.113.9"), ("mcp-param-client", "new"), ("x-auth-client", "client-9")];
    let client = fields.iter().fold(gateway.client(), |client, (name, value)| client.header(name, value));
    let reply = client.bearer(issuer.mint()).post(&format!("{PATH}?client=new")).await;
    assert_limited(&reply, "client-subject").await;
}

#[tokio::test]
async fn refused_requests_are_not_charged() {
    let (issuer, _upstream, gateway) = start_with(&two_per(r#"["client"]"#)).await;
    for _ in 0..3 {
        gateway.refuses("expired", issuer.mint().expired(), "token.exp").await;
        let no_scope = gateway.client().bearer(issuer.mint().claim("scope", "x")).post(PATH).await;
        no_scope.assert_refused(403, "insufficient_scope", "authz.scope").await;
    }
    gateway.accepts("1", issuer.mint()).await;
    gateway.accepts("2", issuer.mint()).await;
}

#[tokio::test]
async fn the_strictest_of_several_limits_decides() {
    let changes = r#"routes = [{ name = "notes", limits = [
        { per = ["route"], requests = 100, window = "1h", burst = 100 },
        { per = ["client"], requests = 1, window = "1h" },
    ] }]"#;
    let (issuer, _upstream, gateway) = start_with(changes).await;
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    assert_eq!(reply.header("ratelimit-policy"), Some("\"route\";q=100;w=3600, \"client\";q=1;w=3600"));
    assert_eq!(reply.header("ratelimit"), Some("\"client\";r=0, \"route\";r=99"));
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_refused(429, "too_many_requests", "limit.rate").await;
}

#[tokio::test]
async fn fields_of_an_upstreams_own_limits_are_kept() {
    let (issuer, upstream, gateway) = start_with(&two_per(r#"["client"]"#)).await;
    upstream.answers_with(200, &[("ratelimit", "\"theirs\";r=7"), ("ratelimit-policy", "\"theirs\";q=9")], "{}");
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    assert_eq!(reply.fields().all("ratelimit").join(", "), "\"theirs\";r=7, \"client\";r=1");
    assert_eq!(reply.fields().all("ratelimit-policy").join(", "), "\"theirs\";q=9, \"client\";q=2;w=3600");
}

#[tokio::test]
async fn d7_streams_over_the_limit_get_429_until_one_ends() {
    let (issuer, mut upstream, gateway) = start_with(&limit(r#"per = ["client"], streams = 2"#)).await;
    upstream.streams();
    let open = || gateway.client().bearer(issuer.mint()).open("GET", PATH);
    let (mut first, _second) = (open().await, open().await);
    let (stream, _other) = (upstream.stream().await, upstream.stream().await);
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_refused(429, "too_many_requests", "limit.streams").await;
    assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    stream.end().await;
    assert_eq!(first.next().await, None);
    upstream.answers(200, crate::support::upstream::ANSWER);
    served_soon(&gateway, &issuer).await;
}

/// The place of an ended stream is free once its body is gone, a moment after the client saw its end.
async fn served_soon(gateway: &Gateway, issuer: &Issuer) {
    let start = std::time::Instant::now();
    while gateway.client().bearer(issuer.mint()).post(PATH).await.status() != 200 {
        assert!(start.elapsed() < Duration::from_secs(5), "the place is not free again");
    }
}

#[tokio::test]
async fn d7_place_of_a_client_that_left_is_free_again() {
    let (issuer, mut upstream, gateway) = start_with(&limit(r#"per = ["client"], streams = 1"#)).await;
    upstream.streams();
    let streaming = gateway.client().http2().bearer(issuer.mint()).open("GET", PATH).await;
    let stream = upstream.stream().await;
    drop(streaming);
    stream.gone().await;
    upstream.answers(200, crate::support::upstream::ANSWER);
    served_soon(&gateway, &issuer).await;
}

#[tokio::test]
async fn d7_request_that_waits_for_its_answer_counts_as_open() {
    let (issuer, upstream, gateway) = start_with(&limit(r#"per = ["client"], streams = 1"#)).await;
    upstream.never_answers();
    let mut waiting = gateway.connect().await;
    waiting.write(gateway.client().bearer(issuer.mint()).text("POST", PATH)).await;
    upstream.until("the request is there", |request| request.complete).await;
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_refused(429, "too_many_requests", "limit.streams").await;
    drop(waiting);
    upstream.answers(200, crate::support::upstream::ANSWER);
    served_soon(&gateway, &issuer).await;
}

#[tokio::test]
async fn d7_streams_of_one_caller_do_not_count_for_another() {
    let (issuer, mut upstream, gateway) = start_with(&limit(r#"per = ["subject"], streams = 1"#)).await;
    upstream.streams();
    let _alice = gateway.client().bearer(issuer.mint()).open("GET", PATH).await;
    let _stream = upstream.stream().await;
    let bob = gateway.client().bearer(issuer.mint().claim("sub", "bob")).open("GET", PATH).await;
    assert_eq!(bob.head.status(), 200);
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_refused(429, "too_many_requests", "limit.streams").await;
}

const THREE_FAILURES: &str = r#"listen.limits = { failures_per_address = 3, failure_window = "1h" }"#;

/// Three bad tokens.
async fn spend_failures(gateway: &Gateway, issuer: &Issuer) {
    for _ in 0..3 {
        gateway.refuses("bad", issuer.mint().expired(), "token.exp").await;
    }
}

#[tokio::test]
async fn d20_address_over_its_failure_budget_gets_429() {
    let (issuer, _upstream, gateway) = start_with(THREE_FAILURES).await;
    let known = issuer.mint().to_string();
    gateway.accepts("before", &known).await;
    spend_failures(&gateway, &issuer).await;
    for mint in [issuer.mint().expired(), issuer.mint()] {
        let reply = gateway.client().bearer(mint).post(PATH).await;
        reply.assert_refused(429, "too_many_requests", "auth.failures").await;
        assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    }
    // Nobody is locked out by a neighbour: what was verified before still passes.
    gateway.accepts("known before", &known).await;
}

#[tokio::test]
async fn d20_requests_without_a_token_spend_no_failures() {
    let (issuer, _upstream, gateway) = start_with(THREE_FAILURES).await;
    for _ in 0..5 {
        gateway.client().post(PATH).await.assert_refused(401, "unauthorized", "auth.missing").await;
        let reply = gateway.client().bearer(issuer.mint().claim("scope", "x")).post(PATH).await;
        reply.assert_refused(403, "insufficient_scope", "authz.scope").await;
    }
    gateway.accepts("still within", issuer.mint()).await;
}

#[tokio::test]
async fn d20_failure_budget_fills_up_again() {
    let changes = r#"listen.limits = { failures_per_address = 1, failure_window = "500ms" }"#;
    let (issuer, _upstream, gateway) = start_with(changes).await;
    gateway.refuses("bad", issuer.mint().expired(), "token.exp").await;
    served_soon(&gateway, &issuer).await;
}

#[tokio::test]
async fn d20_claimed_addresses_do_not_change_the_budget() {
    let (issuer, _upstream, gateway) = start_with(THREE_FAILURES).await;
    spend_failures(&gateway, &issuer).await;
    let client = gateway.client().header("x-forwarded-for", "203.0.113.9").header("forwarded", "for=203.0.113.9");
    let reply = client.bearer(issuer.mint()).post(PATH).await;
    reply.assert_refused(429, "too_many_requests", "auth.failures").await;
}

#[tokio::test]
async fn d20_clients_behind_a_trusted_proxy_have_budgets_of_their_own() {
    let changes = format!("listen.trusted_proxies = [\"127.0.0.1\"]\n{THREE_FAILURES}");
    let (issuer, _upstream, gateway) = start_with(&changes).await;
    let from = |address: &str| gateway.client().header("x-forwarded-for", address);
    for _ in 0..3 {
        let reply = from("203.0.113.9").bearer(issuer.mint().expired()).post(PATH).await;
        reply.assert_refused(401, "invalid_token", "token.exp").await;
    }
    let reply = from("203.0.113.9").bearer(issuer.mint()).post(PATH).await;
    reply.assert_refused(429, "too_many_requests", "auth.failures").await;
    from("203.0.113.10").bearer(issuer.mint()).post(PATH).await.assert_served();
}

#[tokio::test]
async fn d6_connections_over_the_limit_are_refused_and_old_ones_work() {
    let changes = "listen.limits = { connections = 4, connections_per_address = 2 }";
    let (issuer, _upstream, gateway) = start_with(changes).await;
    let (mut first, mut second) = (gateway.connect().await, gateway.connect().await);
    let handshake = crate::support::client::Handshake::default();
    assert!(gateway.handshake(handshake.clone()).await.is_err());
    let client = gateway.client().bearer(issuer.mint());
    first.send(&client, "POST", PATH).await.assert_served();
    second.send(&client, "POST", PATH).await.assert_served();
    assert_eq!(gateway.admin().get("/healthz").await.status(), 200);
    drop(first);
    let start = std::time::Instant::now();
    while gateway.handshake(handshake.clone()).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(5), "the place is not free again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A handshake from this address of our own; whether it came to its end.
async fn shakes_hands_from(
    gateway: &Gateway,
    address: &str,
) -> Option<tokio_rustls::client::TlsStream<tokio::net::TcpStream>> {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    let stream = socket.connect(gateway.address()).await.unwrap();
    let config = std::sync::Arc::new(crate::support::client::Handshake::default().config());
    let name = "mcp.example.com".try_into().unwrap();
    crate::support::within("a handshake", tokio_rustls::TlsConnector::from(config).connect(name, stream)).await.ok()
}

#[tokio::test]
async fn d6_connections_are_counted_for_each_address_and_in_all() {
    let changes = "listen.limits = { connections = 3, connections_per_address = 2 }";
    let (_issuer, _upstream, gateway) = start_with(changes).await;
    let (one, other, third) = ("127.0.0.11", "127.0.0.12", "127.0.0.13");
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(shakes_hands_from(&gateway, one).await.unwrap());
    }
    assert!(shakes_hands_from(&gateway, one).await.is_none(), "two of one address");
    open.push(shakes_hands_from(&gateway, other).await.unwrap());
    assert!(shakes_hands_from(&gateway, third).await.is_none(), "three in all");
    for address in [one, third] {
        let of_address = |line: &crate::support::log::Line| line.text("peer").starts_with(address);
        let line = crate::support::log::first("a refused connection", of_address).await;
        assert_eq!((line.text("event"), line.text("reason")), ("refused".to_owned(), "conn.limit".to_owned()));
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(gateway.admin().get(path).await.status(), 200, "{path}");
    }
    let refused = gateway.metric("portcullis_connections_refused_total", &[("reason", "conn.limit")]).await;
    assert!(refused >= Some(2.0), "{refused:?}");
    // Those that were there are served.
    for mut stream in open {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        stream.write_all(b"GET /x HTTP/1.1\r\nHost: mcp.example.com\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        crate::support::within("an answer", stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 404");
    }
}
