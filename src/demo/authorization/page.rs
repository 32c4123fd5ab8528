//! The two pages a person may see: the question whether to let a client in, and what went wrong.

use std::fmt;

use axum::response::{Html, IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

/// The pages' looks; a file of its own, so that the policy needs no `unsafe-inline`.
pub(super) const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}\
    input,button{font:inherit;padding:.4rem .8rem}button{margin-right:.5rem}.note{color:#666}.wrong{color:#b00}\
    dt{color:#666}dd{margin:0 0 .6rem}h1,dd{overflow-wrap:anywhere}";

/// What the consent page names.
pub(super) struct Consent<'a> {
    pub(super) client_name: &'a str,
    pub(super) client_id: &'a str,
    pub(super) destination: &'a str,
    pub(super) resource: &'a str,
    pub(super) scope: &'a str,
    /// Shown in the field for the name.
    pub(super) user: &'a str,
    /// What was wrong with the name typed before.
    pub(super) wrong: Option<&'a str>,
    /// The request that this page is about.
    pub(super) ticket: &'a str,
    /// Where the form may lead in the end.
    pub(super) form_action: &'a str,
}

impl Consent<'_> {
    pub(super) fn response(&self) -> Response {
        let wrong = self.wrong.map(|why| format!("<p class=wrong>{}</p>", Escaped(why)));
        let body = format!(
            "<h1>Let {name} in?</h1>{wrong}\
             <dl><dt>Application (it chose this name itself)<dd>{name}<dt>Its identifier<dd>{id}\
             <dt>You will be sent to<dd><strong>{destination}</strong><dt>It asks for<dd>{scope}<dt>At<dd>{resource}</dl>\
             <form method=post action=/authorize><input type=hidden name=ticket value=\"{ticket}\">\
             <p><label>Your name <input name=user value=\"{user}\" autocomplete=off autofocus></label>\
             <p class=note>Any name will do, name@tenant too: this is a development server and asks for no password.\
             <p><button name=decision value=approve>Approve</button><button name=decision value=deny>Deny</button></form>",
            name = Escaped(self.client_name),
            wrong = wrong.unwrap_or_default(),
            id = Escaped(self.client_id),
            destination = Escaped(self.destination),
            scope = Escaped(self.scope),
            resource = Escaped(self.resource),
            ticket = Escaped(self.ticket),
            user = Escaped(self.user),
        );
        page(StatusCode::OK, &body, self.form_action)
    }
}

/// RFC 6749 §4.1.2.1: with a client or redirect URI that is not known, the person is told and never sent on.
pub(super) fn problem(status: StatusCode, what: &str) -> Response {
    let body = format!("<h1>This request cannot be answered</h1><p>{}", Escaped(what));
    page(status, &body, "")
}

fn page(status: StatusCode, body: &str, form_action: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Portcullis demo</title>\
         <link rel=stylesheet href=/style.css>{body}</html>"
    );
    let mut response = (status, Html(html)).into_response();
    // No script and no frame (RFC 9700 §4.16); the form ends here or at the client.
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self' {form_action}; frame-ancestors 'none'; base-uri 'none'"
    );
    let headers = response.headers_mut();
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

const HEADERS: [(HeaderName, &str); 4] = [
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    // `no-referrer` would turn the form's own Origin into `null`.
    (header::REFERRER_POLICY, "same-origin"),
];

/// Text made safe for HTML content and quoted attributes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}
