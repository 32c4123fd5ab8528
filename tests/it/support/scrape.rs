//! `/metrics` as a strict scraper reads it.

use std::collections::{BTreeMap, BTreeSet};

use super::Gateway;

/// One reading of all metrics.
#[derive(Debug)]
pub(crate) struct Scrape {
    pub(crate) text: String,
    /// The type of each metric by the name that its samples have.
    pub(crate) types: BTreeMap<String, String>,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(crate) struct Sample {
    /// The metric's, without `_bucket`, `_sum` and `_count`.
    pub(crate) metric: String,
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Gateway {
    /// Reads all metrics.
    pub(crate) async fn scrape(&self) -> Scrape {
        let reply = self.admin().get("/metrics").await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(reply.header("content-type"), Some(media_type));
        Scrape::parse(reply.text())
    }

    /// The value of one series, nothing when there is no such series.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.scrape().await.value(name, labels)
    }
}

impl Scrape {
    /// `OpenMetrics` 1.0: each metric once, with help and type before its samples; names end as types and units say; no series
    /// twice; `# EOF` at the end.
    fn parse(text: String) -> Self {
        let body = text.strip_suffix("# EOF\n").unwrap().to_owned();
        let (mut types, mut samples, mut seen) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
        let (mut family, mut helped) = ((String::new(), String::new()), String::new());
        for line in body.lines() {
            let words: Vec<_> = line.splitn(4, ' ').collect();
            match words[..] {
                ["#", "HELP", name, help] => {
                    assert!(help.ends_with('.') && help.len() > 10, "{line}");
                    name.clone_into(&mut helped);
                }
                ["#", "TYPE", name, kind] => {
                    assert_eq!(helped, name, "help comes first");
                    family = (name.to_owned(), kind.to_owned());
                    assert!(types.insert(full_name(name, kind), kind.to_owned()).is_none(), "{line} twice");
                }
                ["#", "UNIT", name, unit] => assert!(name == family.0 && name.ends_with(&format!("_{unit}")), "{line}"),
                _ => {
                    let (series, _) = line.rsplit_once(' ').unwrap();
                    assert!(seen.insert(series.to_owned()), "{series} twice");
                    samples.push(Sample::parse(line, &family));
                }
            }
        }
        Self { text, types, samples }
    }

    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let wanted = |sample: &&Sample| {
            sample.name == name && labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|v| v == value))
        };
        let found: Vec<_> = self.samples.iter().filter(wanted).collect();
        assert!(found.len() < 2, "{name} {labels:?} is not one series: {found:?}");
        found.first().map(|sample| sample.value)
    }
}

fn full_name(name: &str, kind: &str) -> String {
    match kind {
        "counter" => format!("{name}_total"),
        "info" => format!("{name}_info"),
        _ => name.to_owned(),
    }
}

impl Sample {
    fn parse(line: &str, (family, kind): &(String, String)) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let metric = full_name(family, kind);
        let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(suffixes.iter().any(|suffix| *name == format!("{metric}{suffix}")), "{line} in {family}");
        let labels = labels.strip_suffix('}').unwrap();
        let pairs = labels.split_terminator("\",").map(|pair| {
            let (key, value) = pair.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            (key.to_owned(), value.trim_end_matches('"').to_owned())
        });
        Self { metric, name: name.to_owned(), labels: pairs.collect(), value: value.parse().unwrap() }
    }
}
