//! A request that asks for several things, a batch or a listener: the audit stream names each of them before any goes upstream. The
//! record of the request itself names one, for an open stream keeps it.

use crate::mcp::{Message, Operation, Target};
use crate::policy::Decision;

use super::admit::Admission;
use super::audit::Audit;
use super::reject::Rejection;
use super::route::Route;

/// What one line names: so that it stays small, and a listener, which costs as little as a call, cannot fill the queue with its lines.
const NAMES_PER_LINE: usize = 16;

/// Does nothing for a request that asks for one thing. Fails where nothing may go unrecorded, and a line cannot be written.
pub(super) fn record_each(
    messages: &[Message],
    admission: &Admission,
    route: &Route,
    audit: &Audit,
) -> Result<(), Rejection> {
    let operations = messages.iter().filter_map(Message::operation);
    let count: usize = operations.clone().map(|operation| operation.targets.len().max(1)).sum();
    if count < 2 || !audit.has_stream() {
        return Ok(());
    }
    let decide = |method: &str, target: Option<&Target>| route.policy.decide_on(admission.identity(), method, target);
    let rule = |decision: Decision| route.rule_line(&decision);
    for operation in operations {
        let Operation { method, targets } = operation;
        let is_told = if targets.is_empty() {
            audit.allowed(method, &[(None, rule(decide(method, None)))])
        } else {
            targets.chunks(NAMES_PER_LINE).all(|targets| {
                let name = |target| (Some(target), rule(decide(method, Some(target))));
                audit.allowed(method, &targets.iter().map(name).collect::<Vec<_>>())
            })
        };
        if !is_told {
            return Err(Rejection::Unrecorded);
        }
    }
    Ok(())
}
