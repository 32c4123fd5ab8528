//! A request that asks for several things, a batch or a listener: the audit stream names each of them before any goes upstream. The
//! record of the request itself names one, for an open stream keeps it.

use crate::mcp::{Message, Operation, Target};

use super::admit::Admission;
use super::audit::Audit;
use super::reject::Rejection;
use super::route::Route;

/// Does nothing for a request that asks for one thing. Fails where nothing may go unrecorded, and a line cannot be written.
pub(super) fn record_each(
    messages: &[Message],
    admission: &Admission,
    route: &Route,
    audit: &Audit,
) -> Result<(), Rejection> {
    let things = messages.iter().filter_map(Message::operation).flat_map(things_of);
    if things.clone().nth(1).is_none() {
        return Ok(());
    }
    for (method, target) in things {
        let rule = || route.rule_line(&route.policy.decide_on(admission.identity(), method, target));
        if !audit.allowed(method, target, rule) {
            return Err(Rejection::Unrecorded);
        }
    }
    Ok(())
}

/// Each thing that it names, or the method alone.
fn things_of(operation: &Operation) -> impl Iterator<Item = (&str, Option<&Target>)> + Clone {
    let alone = operation.targets.is_empty().then_some(None);
    alone.into_iter().chain(operation.targets.iter().map(Some)).map(|target| (&*operation.method, target))
}
