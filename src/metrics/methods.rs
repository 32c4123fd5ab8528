//! The methods that become labels: those that clients of some revision of MCP send. Pure.

/// What every other method is.
const OTHER: &str = "other";

const METHODS: [&str; 28] = [
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/directory/read",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "server/discover",
    "skills/get",
    "skills/list",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/update",
    "tools/call",
    "tools/list",
];

/// The method, or `other`. The result is never the caller's own text.
pub(crate) fn known(method: &str) -> &'static str {
    let found = METHODS.binary_search(&method).ok().and_then(|at| METHODS.get(at));
    found.copied().unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::message::{COMPLETE, LISTEN, NAMINGS};

    #[test]
    fn every_known_method_is_found_and_nothing_else() {
        for method in METHODS {
            assert_eq!(known(method), method);
        }
        for method in ["", "Tools/call", "tools/call ", "tools/calls", "other", "a\"} 1\n"] {
            assert_eq!(known(method), OTHER, "{method}");
        }
    }

    #[test]
    fn every_method_that_the_gateway_reads_is_known() {
        let read = NAMINGS.iter().map(|naming| naming.method).chain([COMPLETE, LISTEN]);
        for method in read {
            assert_eq!(known(method), method);
        }
    }
}
