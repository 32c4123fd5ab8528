//! The server as its clients and people meet it: over HTTP.

mod authorize;
mod documents;
mod registration;
mod token;

use reqwest::header::{HeaderMap, SET_COOKIE};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

use super::*;

/// The pair of RFC 7636 Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const RESOURCE: &str = "https://127.0.0.1:8443/mcp";
const REDIRECT: &str = "http://127.0.0.1:7000/cb";

/// Parameters of a good request that a test changes.
type Changes<'a> = &'a [(&'a str, &'a str)];

/// A running server, with a public client `app` and a confidential one `svc`.
struct Setup {
    server: AuthorizationServer,
    http: reqwest::Client,
}

/// An answer, read whole.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// A parameter of the redirect back to the client.
    fn answered(&self, name: &str) -> Option<String> {
        assert_eq!(self.status, 303, "{}", self.body);
        let location = Url::parse(self.header("location").unwrap()).unwrap();
        let mut values = location.query_pairs().filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.into_owned());
        assert_eq!(values.next(), None, "{name} came twice");
        value
    }

    fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), &self.json()["error"]), (status, &code.into()), "{}", self.body);
        assert_eq!(self.header("cache-control"), Some("no-store"));
    }

    /// The page's hidden field.
    fn ticket(&self) -> &str {
        let (_, rest) = self.body.split_once("name=ticket value=\"").unwrap();
        rest.split_once('"').unwrap().0
    }

    fn cookie(&self) -> &str {
        let cookie = self.headers.get(SET_COOKIE).unwrap().to_str().unwrap();
        cookie.split_once(';').unwrap().0
    }
}

impl Setup {
    async fn start() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(mut options: Options) -> Self {
        options.clients.push(PreRegistered {
            id: "app".into(),
            secret: None,
            redirect_uris: vec!["http://127.0.0.1/cb".into(), "https://app.example.com/cb?x=1".into()],
            tenant: None,
        });
        options.clients.push(PreRegistered {
            id: "svc".into(),
            secret: Some("s3cret:+ %".into()),
            redirect_uris: vec![],
            tenant: TenantId::parse("acme").ok(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = AuthorizationServer::start(listener, options).unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
        Self { server, http: http.unwrap() }
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Reply {
        let url = format!("{}{path}", self.server.issuer());
        let mut request = self.http.request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        Reply { status: response.status(), headers: response.headers().clone(), body: response.text().await.unwrap() }
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], String::new()).await
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Reply {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        self.send(Method::POST, path, &all, encode(form)).await
    }

    /// A good authorization request, changed: an empty value drops the parameter.
    async fn ask(&self, changes: Changes<'_>) -> Reply {
        let good = [
            ("client_id", "app"),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", RESOURCE),
            ("state", "st&te"),
        ];
        self.get(&format!("/authorize?{}", encode(&changed(&good, changes)))).await
    }

    /// Presses a button on a consent page.
    async fn press(&self, page: &Reply, user: &str, decision: &str) -> Reply {
        let form = [("ticket", page.ticket()), ("user", user), ("decision", decision)];
        self.post("/authorize", &[("cookie", page.cookie())], &form).await
    }

    /// A code, all the way through the page.
    async fn code(&self, user: &str, changes: Changes<'_>) -> String {
        let page = self.ask(changes).await;
        self.press(&page, user, "approve").await.answered("code").unwrap()
    }

    /// A good token request for a code, changed.
    async fn redeem(&self, code: &str, changes: Changes<'_>) -> Reply {
        let good = [
            ("grant_type", "authorization_code"),
            ("client_id", "app"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
            ("resource", RESOURCE),
        ];
        self.post("/token", &[], &changed(&good, changes)).await
    }

    async fn refresh(&self, token: &str, changes: Changes<'_>) -> Reply {
        let good =
            [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", token), ("resource", RESOURCE)];
        self.post("/token", &[], &changed(&good, changes)).await
    }

    async fn key_ids(&self) -> Vec<Value> {
        let set = self.get("/jwks").await.json();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
    }
}

fn encode(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Changed or dropped in place; what was not there is added, what is named twice comes twice.
fn changed<'a>(good: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = good.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    kept.chain(changes.iter().filter(|(_, value)| !value.is_empty())).copied().collect()
}
