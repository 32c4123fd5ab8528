//! The status as one page: no script, nothing from elsewhere, every text escaped in one place.

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use jiff::Timestamp;

use super::{Status, ago};

const STYLE: &str = include_str!("page.css");

/// Nothing but the page's own style may be used, and nobody may frame it.
pub(crate) fn policy() -> HeaderValue {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    crate::headers::from_ascii(policy)
}

/// The page.
pub(crate) fn page(status: &Status<'_>) -> String {
    let mut html = String::with_capacity(16 * 1024);
    // Writing to a String cannot fail.
    _ = write(status, &mut html);
    html
}

/// A text in HTML, in an element or between the quotes of an attribute.
struct Text<T>(T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.to_string().chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

fn write(status: &Status<'_>, to: &mut String) -> fmt::Result {
    let (word, class) = match (status.readiness.draining, status.readiness.ready) {
        (true, _) => ("stopping", "bad"),
        (false, true) => ("ready", "good"),
        (false, false) => ("not ready", "bad"),
    };
    write!(
        to,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Portcullis: {word}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\
         <style>{STYLE}</style></head><body><header><h1>Portcullis</h1><p class=\"word {class}\">{word}</p>\
         <p class=\"aside\">version {} · up {} · {} UTC</p></header><main>",
        Text(status.version),
        between(status.started, status.now),
        status.now.strftime("%Y-%m-%d %H:%M:%S"),
    )?;
    configuration(status, to)?;
    routes(status, to)?;
    issuers(status, to)?;
    refusals(status, to)?;
    caps(status, to)?;
    suspicious(status, to)?;
    to.push_str("</main></body></html>\n");
    Ok(())
}

fn configuration(status: &Status<'_>, to: &mut String) -> fmt::Result {
    let (config, listen) = (&status.config, &status.listen);
    to.push_str("<section><h2>Configuration</h2><dl>");
    let since = between(config.since, status.now);
    fact(to, "in force", &format!("{} (number {}), for {since}", config.digest, config.generation))?;
    fact(to, "reloads", &format!("{} taken, {} refused", config.taken, config.refused))?;
    let security = if listen.tls { "TLS" } else { "plain text" };
    fact(to, "listens on", &format!("{} ({security}), operations on {}", listen.address, listen.admin))?;
    if let Some(expires) = listen.certificate_expires {
        let left = if expires > status.now { between(status.now, expires) } else { "over".into() };
        fact(to, "certificate", &format!("until {} ({left})", expires.strftime("%Y-%m-%d %H:%M UTC")))?;
    }
    fact(to, "revocations", &status.revocations)?;
    if let Some(audit) = &status.audit {
        let state = if audit.failing { "takes no records" } else { "takes records" };
        let (written, lost, waiting) = (audit.written, audit.lost, audit.waiting);
        fact(to, "audit stream", &format!("{state}: {written} written, {waiting} waiting, {lost} lost"))?;
    }
    if status.log_lines_lost > 0 {
        fact(to, "log", &format!("{} lines lost: nobody reads it fast enough", status.log_lines_lost))?;
    }
    to.push_str("</dl>");
    if let Some(refusal) = &config.last_refusal {
        let at = between(refusal.at, status.now);
        write!(to, "<div class=\"note bad\"><p>A new configuration was refused {at} ago:</p><ul>")?;
        for mistake in &refusal.mistakes {
            write!(to, "<li>{}</li>", Text(mistake))?;
        }
        to.push_str("</ul></div>");
    }
    to.push_str("</section>");
    Ok(())
}

fn routes(status: &Status<'_>, to: &mut String) -> fmt::Result {
    let head = ["Route", "State", "Resource", "MCP server", "Issuers", "Event streams"];
    table(
        to,
        "Routes",
        &head,
        status.resources.iter().map(|route| {
            let readiness = status.readiness.routes.iter().find(|known| known.name == route.route);
            let waits = readiness.map(|known| known.waits_for.join(", ")).unwrap_or_default();
            let state = if waits.is_empty() { good("ready") } else { bad(&format!("waits for {waits}")) };
            vec![
                plain(route.route),
                state,
                plain(&route.resource),
                plain(&route.upstream),
                plain(&route.issuers.join(", ")),
                number(route.event_streams),
            ]
        }),
    )
}

fn issuers(status: &Status<'_>, to: &mut String) -> fmt::Result {
    let head = ["Issuer", "State", "Keys", "Confirmed", "Last error"];
    table(
        to,
        "Issuers",
        &head,
        status.readiness.issuers.iter().map(|issuer| {
            let age = issuer.key_age_seconds.map(|age| format!("{} ago", ago(Duration::from_secs(age))));
            vec![
                plain(issuer.name),
                if issuer.ready { good("ready") } else { bad(issuer.reason.unwrap_or("not ready")) },
                number(issuer.keys),
                plain(&age.unwrap_or_else(|| "never".into())),
                plain(issuer.last_error.unwrap_or("none")),
            ]
        }),
    )
}

fn refusals(status: &Status<'_>, to: &mut String) -> fmt::Result {
    let head = ["Reason", "Route", "Last 5 minutes", "Last hour"];
    table(
        to,
        "Refusals",
        &head,
        status.refusals.iter().map(|kind| {
            let route = kind.route.as_deref().unwrap_or("none");
            vec![plain(kind.reason), plain(route), number(kind.last_5_minutes), number(kind.last_hour)]
        }),
    )
}

fn caps(status: &Status<'_>, to: &mut String) -> fmt::Result {
    let head = ["Limit", "State", "Used", "Most"];
    table(
        to,
        "Limits",
        &head,
        status.caps.iter().map(|cap| {
            let state = if cap.at_edge { bad("at its edge") } else { good("has room") };
            vec![plain(cap.name), state, number(cap.used), number(cap.most)]
        }),
    )
}

fn suspicious(status: &Status<'_>, to: &mut String) -> fmt::Result {
    let blocked = &status.blocked;
    let title =
        format!("Suspicious behaviour ({} addresses and {} clients blocked)", blocked.addresses, blocked.clients);
    let head = ["When", "What", "Address", "Client"];
    table(
        to,
        &title,
        &head,
        status.suspicious.iter().map(|seen| {
            let at = format!("{} ago", between(seen.at, status.now));
            vec![plain(&at), plain(seen.reason), plain(&seen.address), plain(seen.client_id.as_deref().unwrap_or(""))]
        }),
    )
}

/// One cell: its class and its text.
type Cell = (&'static str, String);

fn plain(text: &str) -> Cell {
    ("", text.to_owned())
}

fn number(number: impl Display) -> Cell {
    ("number", number.to_string())
}

fn good(text: &str) -> Cell {
    ("good", text.to_owned())
}

fn bad(text: &str) -> Cell {
    ("bad", text.to_owned())
}

fn table(to: &mut String, title: &str, head: &[&str], rows: impl Iterator<Item = Vec<Cell>>) -> fmt::Result {
    write!(to, "<section><h2>{}</h2>", Text(title))?;
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        to.push_str("<p class=\"none\">none</p></section>");
        return Ok(());
    }
    to.push_str("<div class=\"scroll\"><table><thead><tr>");
    for name in head {
        write!(to, "<th>{}</th>", Text(name))?;
    }
    to.push_str("</tr></thead><tbody>");
    for row in rows {
        to.push_str("<tr>");
        for (class, text) in row {
            write!(to, "<td class=\"{class}\">{}</td>", Text(text))?;
        }
        to.push_str("</tr>");
    }
    to.push_str("</tbody></table></div></section>");
    Ok(())
}

fn fact(to: &mut String, name: &str, value: &dyn Display) -> fmt::Result {
    write!(to, "<dt>{}</dt><dd>{}</dd>", Text(name), Text(value))
}

fn between(from: Timestamp, to: Timestamp) -> String {
    ago(Duration::try_from(to.duration_since(from)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_become_elements_or_leave_their_attribute() {
        let text = Text("<script>alert('1')</script> & \" \u{fc}").to_string();
        assert_eq!(text, "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot; \u{fc}");
    }
}
