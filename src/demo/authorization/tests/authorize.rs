//! The authorization endpoint and its pages.

use super::*;

#[tokio::test]
async fn an_unknown_client_or_redirect_sees_a_page_and_is_never_redirected() {
    let setup = Setup::start().await;
    let bad: [Changes<'_>; 9] = [
        &[("client_id", "")],
        &[("client_id", "nobody")],
        &[("client_id", "app"), ("client_id", "app")],
        &[("redirect_uri", "")],
        &[("redirect_uri", "https://evil.example/cb")],
        &[("redirect_uri", "https://app.example.com/cb")],
        &[("redirect_uri", "https://app.example.com/cb?x=1#y")],
        &[("redirect_uri", "http://127.0.0.1:7000/cb/"), ("error", "x")],
        &[("redirect_uri", REDIRECT), ("redirect_uri", REDIRECT)],
    ];
    for changes in bad {
        let page = setup.ask(changes).await;
        assert_eq!(page.status, 400, "{changes:?}");
        assert_eq!(page.header("location"), None, "{changes:?}");
        assert!(page.body.starts_with("<!doctype html>"), "{changes:?}");
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
    }
}

#[tokio::test]
async fn other_mistakes_go_back_with_error_state_and_iss() {
    let setup = Setup::start().await;
    let bad: [(Changes<'_>, &str); 13] = [
        (&[("response_type", "")], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("response_mode", "fragment")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("resource", "")], "invalid_target"),
        (&[("resource", "/mcp")], "invalid_target"),
        (&[("resource", "https://a.example/mcp#x")], "invalid_target"),
        (&[("resource", RESOURCE), ("resource", "https://a.example")], "invalid_target"),
        (&[("scope", "mcp:tools root")], "invalid_scope"),
        (&[("prompt", "none")], "interaction_required"),
    ];
    for (changes, code) in bad {
        let back = setup.ask(changes).await;
        assert!(back.header("location").unwrap().starts_with("http://127.0.0.1:7000/cb?"));
        assert_eq!(back.answered("error").as_deref(), Some(code), "{changes:?}");
        assert_eq!(back.answered("state").as_deref(), Some("st&te"));
        assert_eq!(back.answered("iss").as_deref(), Some(setup.server.issuer()));
        assert_eq!(back.answered("code"), None);
    }
    let twice = setup.ask(&[("state", "a"), ("state", "b")]).await;
    assert_eq!(twice.answered("error").as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn a_client_without_redirects_cannot_ask() {
    let setup = Setup::start().await;
    assert_eq!(setup.ask(&[("client_id", "svc")]).await.status, 400);
}

#[tokio::test]
async fn an_approval_goes_back_with_code_state_and_iss() {
    let setup = Setup::start().await;
    let page = setup.ask(&[]).await;
    let back = setup.press(&page, "alice", "approve").await;
    assert_eq!(back.answered("code").unwrap().len(), 43);
    assert_eq!(back.answered("state").as_deref(), Some("st&te"));
    assert_eq!(back.answered("iss").as_deref(), Some(setup.server.issuer()));
    assert_eq!(setup.press(&page, "alice", "approve").await.status, 400, "a page answers once");
}

#[tokio::test]
async fn a_registered_query_is_kept_and_a_state_is_not_invented() {
    let setup = Setup::start().await;
    let page = setup.ask(&[("redirect_uri", "https://app.example.com/cb?x=1"), ("state", "")]).await;
    let back = setup.press(&page, "alice", "approve").await;
    assert_eq!((back.answered("x").as_deref(), back.answered("state")), (Some("1"), None));
}

#[tokio::test]
async fn a_denial_goes_back_as_access_denied() {
    let setup = Setup::start().await;
    let page = setup.ask(&[]).await;
    let back = setup.press(&page, "alice", "deny").await;
    assert_eq!(back.answered("error").as_deref(), Some("access_denied"));
    assert_eq!(back.answered("iss").as_deref(), Some(setup.server.issuer()));
    assert_eq!(setup.press(&page, "alice", "approve").await.status, 400);
}

#[tokio::test]
async fn the_page_names_client_and_destination_and_cannot_be_scripted_or_framed() {
    let setup = Setup::start().await;
    let page = setup.ask(&[("login_hint", "\"><script>alert(1)</script>")]).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("127.0.0.1:7000") && page.body.contains("app") && page.body.contains(RESOURCE));
    assert!(page.body.contains("&quot;&gt;&lt;script&gt;") && !page.body.contains("<script"));
    let policy = page.header("content-security-policy").unwrap();
    assert_eq!(
        policy,
        "default-src 'none'; style-src 'self'; form-action 'self' http://127.0.0.1:7000; frame-ancestors 'none'; \
         base-uri 'none'"
    );
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("access-control-allow-origin"), None);
    let cookie = page.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict"), "{cookie}");
}

#[tokio::test]
async fn only_the_browser_that_was_asked_can_answer() {
    let setup = Setup::start().await;
    let (page, other) = (setup.ask(&[]).await, setup.ask(&[]).await);
    let form = [("ticket", page.ticket()), ("user", "alice"), ("decision", "approve")];
    let forged = format!("consent-{}={}", page.ticket(), "A".repeat(43));
    let good = page.cookie();
    let attempts: [Changes<'_>; 5] = [
        &[],
        &[("cookie", other.cookie())],
        &[("cookie", &forged)],
        &[("cookie", good), ("origin", "https://evil.example")],
        &[("cookie", good), ("origin", "null")],
    ];
    for headers in attempts {
        let refused = setup.post("/authorize", headers, &form).await;
        assert_eq!((refused.status.as_u16(), refused.header("location")), (400, None), "{headers:?}");
    }
    let own = [("cookie", good), ("origin", setup.server.issuer())];
    assert!(setup.post("/authorize", &own, &form).await.answered("code").is_some());
}

#[tokio::test]
async fn a_name_that_is_none_or_a_client_s_is_asked_again() {
    let setup = Setup::start().await;
    let page = setup.ask(&[]).await;
    for name in ["", "<b>", "svc", "alice@"] {
        let again = setup.press(&page, name, "approve").await;
        assert_eq!(again.status, 200, "{name}");
        assert!(again.body.contains("Not a name") && !again.body.contains("<b>"), "{name}");
    }
    assert!(setup.press(&page, "alice", "approve").await.answered("code").is_some());
}

#[tokio::test]
async fn another_host_name_is_not_this_server() {
    let setup = Setup::start().await;
    for path in ["/authorize", "/jwks", "/.well-known/oauth-authorization-server"] {
        let rebound = setup.send(Method::GET, path, &[("host", "evil.example")], String::new()).await;
        assert_eq!(rebound.status, 421, "{path}");
    }
}
