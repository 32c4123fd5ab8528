//! `[[routes.limits]]`: what is counted, and by what.

use std::num::NonZeroU32;
use std::time::Duration;

use super::super::read::item::{Item, Seen, Text};
use super::super::read::shape::{Key, Shape, words};
use super::super::read::table::Table;
use super::super::read::units::Bound;
use super::super::{Limit, LimitKey, Quota};
use super::bounds;

pub(super) const KEYS: &[Key] = &[
    Key::of("per", Shape::Words(|| words(PER))).required(),
    Key::of("requests", Shape::Count(&bounds::REQUESTS)).without_default(),
    Key::of("window", Shape::Wait(&bounds::WINDOW)).without_default(),
    Key::of("burst", Shape::Count(&bounds::REQUESTS)).without_default(),
    Key::of("streams", Shape::Count(&bounds::STREAMS)).without_default(),
];
const PER: &[(&str, LimitKey)] = &[
    ("tenant", LimitKey::Tenant),
    ("client", LimitKey::Client),
    ("subject", LimitKey::Subject),
    ("tool", LimitKey::Tool),
    ("route", LimitKey::Route),
];

/// A burst that is not written down is this part of the requests: a tenth of a minute's worth may come at once.
const BURST_PART: u32 = 10;

pub(super) fn read_all(table: &Table<'_>) -> Vec<Limit> {
    let items = table.get("limits").and_then(|item| item.array()).unwrap_or_default();
    items.iter().filter_map(read).collect()
}

fn read(item: &Item<'_>) -> Option<Limit> {
    let table = item.table(KEYS)?;
    let per = table.need("per").and_then(|item| per(&item));
    if table.get("streams").is_some() && per.as_ref().is_some_and(|per| per.contains(&LimitKey::Tool)) {
        table.error("per", "must not name tool with streams: those are counted before the body says which tool it is");
    }
    let rate = ["requests", "window", "burst"].iter().any(|key| table.get(key).is_some());
    let quota = match (rate, table.get("streams")) {
        (true, None) => rate_quota(&table),
        (false, Some(streams)) => streams.count(&bounds::STREAMS).and_then(NonZeroU32::new).map(Quota::Streams),
        (true, Some(_)) => item.error("must have either requests and window, or streams; write two tables for both"),
        (false, None) => item.error("must have requests and window, or streams"),
    };
    Some(Limit { per: per?, quota: quota? })
}

fn per(item: &Item<'_>) -> Option<Vec<LimitKey>> {
    let texts = item.texts()?;
    if item.value.as_array().is_some_and(|array| array.is_empty()) {
        return item.error("must name at least one of tenant, client, subject, tool, route");
    }
    let mut seen = Seen::default();
    let key = |text: &Text<'_>| text.choose(PER).filter(|_| text.is_new(&mut seen));
    Some(texts.iter().filter_map(key).collect())
}

fn rate_quota(table: &Table<'_>) -> Option<Quota> {
    let requests = table.need("requests").and_then(|item| item.count(&bounds::REQUESTS));
    let window = table.need("window").and_then(|item| item.duration(&bounds::WINDOW));
    let (requests, window) = (NonZeroU32::new(requests?)?, window?);
    if Duration::from_micros(requests.get().into()) > window {
        table.error("requests", "must not be more than a million a second, which limits nothing");
    }
    let burst =
        table.count("burst", &Bound { default: (requests.get() / BURST_PART).max(1), least: 1, most: requests.get() });
    Some(Quota::Rate { requests, window, burst: NonZeroU32::new(burst)? })
}
