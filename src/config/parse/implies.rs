//! `implies` of `[routes.policy]`: which scopes grant which; without cycles.

use std::collections::BTreeSet;

use super::super::read::item::Item;
use super::super::read::table::Table;
use super::route;
use crate::names::Scope;

/// A scope, those that it grants as well, and the line that says so.
type Entry<'a> = (Scope, Vec<Scope>, Item<'a>);

/// More than any provider lets one API have.
const MAX_SCOPES: usize = 1000;

pub(super) fn read(table: &Table<'_>) -> Vec<(Scope, Vec<Scope>)> {
    let Some(item) = table.get("implies") else { return Vec::new() };
    let Some(implies) = item.free_table() else { return Vec::new() };
    let entries: Vec<Entry<'_>> = implies.items().filter_map(entry).collect();
    if entries.len() > MAX_SCOPES {
        item.error::<()>(&format!("must hold at most {MAX_SCOPES} scopes"));
    } else {
        refuse_cycles(&entries);
    }
    entries.into_iter().map(|(scope, granted, _)| (scope, granted)).collect()
}

fn entry<'a>((name, item): (&str, Item<'a>)) -> Option<Entry<'a>> {
    let scope = match Scope::parse(name) {
        Ok(scope) => scope,
        Err(why) => return item.error(&why.to_string()),
    };
    match item.value.as_array().map(|array| array.len()) {
        Some(0) => return item.error("must name at least one scope"),
        Some(count) if count > MAX_SCOPES => return item.error(&format!("must hold at most {MAX_SCOPES} scopes")),
        _ => {}
    }
    let granted = route::scopes(&item)?;
    Some((scope, granted, item))
}

/// Scopes that grant each other are one scope with several names, which nobody means.
fn refuse_cycles(entries: &[Entry<'_>]) {
    let mut open: Vec<&Entry<'_>> = entries.iter().collect();
    loop {
        let before = open.len();
        // Who grants nothing that is still open is in no cycle.
        let names: BTreeSet<Scope> = open.iter().map(|(scope, ..)| scope.clone()).collect();
        open.retain(|(_, granted, _)| granted.iter().any(|scope| names.contains(scope)));
        if open.is_empty() {
            return;
        }
        if open.len() == before {
            let cycle = cycle(&open);
            let names: Vec<&str> = cycle.iter().chain(cycle.first()).map(|(scope, ..)| scope.as_str()).collect();
            if let Some((_, _, item)) = cycle.first() {
                item.error::<()>(&format!("goes round in a circle: {}", names.join(" -> ")));
            }
            open.retain(|(scope, ..)| !cycle.iter().any(|(other, ..)| scope == other));
        }
    }
}

/// Follows the first open grant from scope to scope until one comes again. Every entry has one, so it ends.
fn cycle<'e, 'a>(open: &[&'e Entry<'a>]) -> Vec<&'e Entry<'a>> {
    let next = |(_, granted, _): &Entry<'a>| open.iter().find(|(scope, ..)| granted.contains(scope)).copied();
    let mut path: Vec<&Entry<'_>> = Vec::new();
    let mut at = open.first().copied();
    while let Some(entry) = at {
        if let Some(start) = path.iter().position(|(scope, ..)| *scope == entry.0) {
            return path.split_off(start);
        }
        path.push(entry);
        at = next(entry);
    }
    path
}
