//! `OpenMetrics` text as the older Prometheus text format 0.0.4, for scrapers that ask for that one. Pure.
//!
//! The two differ in the names of a counter's and an info's metadata, in `# UNIT` and in `# EOF`; samples are the same.

/// The media type of [`plain`].
pub(crate) const PLAIN_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Line by line.
pub(crate) fn plain(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut help = None;
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // Its type comes next, and says what it is called.
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                other => ("", other),
            };
            if let Some((_, help)) = help.take() {
                text.extend(["# HELP ", name, suffix, " ", help, "\n"]);
            }
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            text.extend([line, "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_named_as_the_samples_are() {
        let open = "# HELP a Requests.\n# TYPE a counter\na_total{b=\"c\"} 1\n# HELP d_seconds Time.\n# TYPE d_seconds histogram\n\
                    # UNIT d_seconds seconds\nd_seconds_bucket{le=\"+Inf\"} 2\n# HELP v Version.\n# TYPE v info\nv_info{version=\"1\"} 1\n# EOF\n";
        let wanted = "# HELP a_total Requests.\n# TYPE a_total counter\na_total{b=\"c\"} 1\n# HELP d_seconds Time.\n\
                      # TYPE d_seconds histogram\nd_seconds_bucket{le=\"+Inf\"} 2\n# HELP v_info Version.\n# TYPE v_info gauge\nv_info{version=\"1\"} 1\n";
        assert_eq!(plain(open), wanted);
    }
}
