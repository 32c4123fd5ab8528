//! Which fields pass, which end here, and that no spelling of a name changes that.

use http::HeaderMap;
use proptest::prelude::*;

use super::*;

/// Every name of a request that ends at the gateway, written out once more: the code's own lists are what is under test.
/// A trailing `-` means a whole namespace.
const ENDS_BEFORE_THE_UPSTREAM: &str = "connection proxy-connection keep-alive te trailer transfer-encoding upgrade \
     proxy-authorization proxy-authenticate authorization dpop cookie client-cert client-cert-chain origin x-auth- \
     x-portcullis- remote- x-remote- ssl-client- x-ssl-client- forwarded forwarded-for x-forwarded x-forwarded- x-real-ip \
     x-client-ip x-cluster-client-ip true-client-ip cf-connecting-ip fastly-client-ip x-request-id baggage mcp-session-id \
     last-event-id x-original- x-envoy- x-rewrite-url x-http-method x-http-method-override x-method-override proxy host \
     content-length expect";

/// The same of a response.
const ENDS_BEFORE_THE_CLIENT: &str = "connection proxy-connection keep-alive te trailer transfer-encoding upgrade \
     proxy-authorization proxy-authenticate content-length mcp-session-id last-event-id set-cookie access-control- alt-svc x-request-id www-authenticate \
     proxy-authentication-info strict-transport-security clear-site-data nel report-to accept-ch origin-agent-cluster \
     service-worker-allowed";

/// What is judged in its proper spelling, and must not come in another one.
const JUDGED_AS_SPELLED: &str =
    "mcp-protocol-version mcp-method mcp-name mcp-param-region content-type content-encoding mcp-later";

/// Names that look like those and are none: they pass in both directions.
const HARMLESS: &str = "accept accept-encoding user-agent traceparent x-api-key x_api_key x-author x-auth x-authority \
     xforwarded-for x-forwardedfor x-originals x-remote remotes cookies set-cookie2 hosts x-host tea upgrades connections x-connection \
     access-control alt-svcs content-types x-content-type content-language mcp mcpsession mcp-param-a_b mcp-param-x.y \
     mcp-later x-mcp-session-id proxys x-proxy expected via link etag";

const EVERYTHING: Passing = Passing { mirrors: true, codings: true };

fn up(headers: &HeaderMap, stated: &[HeaderName], passing: Passing) -> HeaderMap {
    let mut lines = Lines::default();
    super::for_upstream(&Fields::from(headers), &Stated::new(stated.iter()), passing, &mut lines);
    lines.into_map()
}

fn for_upstream(headers: &HeaderMap) -> HeaderMap {
    up(headers, &[], EVERYTHING)
}

fn down(headers: &HeaderMap, bytes: Bytes) -> HeaderMap {
    let mut lines = Lines::default();
    super::for_client(&Fields::from(headers), bytes, &mut lines);
    lines.into_map()
}

fn for_client(headers: &HeaderMap) -> HeaderMap {
    down(headers, Bytes::Same)
}

type Way = fn(&HeaderMap) -> HeaderMap;

const DIRECTIONS: [(Way, &str); 2] = [(for_upstream, ENDS_BEFORE_THE_UPSTREAM), (for_client, ENDS_BEFORE_THE_CLIENT)];

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let mut map = HeaderMap::new();
    fields.iter().map(pair).for_each(|(name, value)| {
        map.append(name, value);
    });
    map
}

#[test]
fn identity_fields_end_here_in_every_spelling() {
    for name in ["x-auth-subject", "X-Auth-Subject", "x_auth_subject", "x-auth_subject", "x.auth.subject", "X_AUTH-x"] {
        assert!(for_upstream(&map(&[(name, "mallory")])).is_empty(), "{name}");
    }
}

#[test]
fn nominated_and_repeated_fields_go_and_the_rest_stays() {
    let headers = map(&[
        ("connection", "close, X-Secret"),
        ("connection", "x-other"),
        ("x-secret", "1"),
        ("x-other", "1"),
        ("accept", "a"),
        ("accept", "b"),
        ("mcp-param-a_b", "kept"),
    ]);
    let kept = for_upstream(&headers);
    assert_eq!(kept.get_all("accept").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((kept.len(), &kept["mcp-param-a_b"]), (3, &HeaderValue::from_static("kept")));
}

#[test]
fn what_was_judged_is_not_nominated_away() {
    let headers = map(&[
        ("connection", "Mcp-Method, content-type, x-a"),
        ("mcp-method", "1"),
        ("content-type", "2"),
        ("x-a", "3"),
    ]);
    let judged = map(&[("mcp-method", "1"), ("content-type", "2")]);
    assert_eq!((for_upstream(&headers), for_client(&headers)), (judged.clone(), judged));
}

#[test]
fn a_field_that_is_stated_ends_here_in_every_spelling_and_nothing_else() {
    let headers = map(&[("x-api-key", "1"), ("x_api_key", "2"), ("X.Api-Key", "3"), ("x-api-key-id", "4")]);
    for stated in ["x-api-key", "x_api.key"] {
        let left = up(&headers, &[HeaderName::from_static(stated)], EVERYTHING);
        assert_eq!(left, map(&[("x-api-key-id", "4")]), "{stated}");
    }
}

#[test]
fn sessions_are_never_the_clients_own_words() {
    for name in ["mcp-session-id", "mcp_session_id", "Mcp.Session-Id", "last-event-id", "Last_Event_ID"] {
        assert!(for_upstream(&map(&[(name, "1")])).is_empty(), "{name}");
    }
}

#[test]
fn mcp_fields_pass_in_their_proper_spelling_only() {
    let proper = map(&[
        ("mcp-protocol-version", "1"),
        ("Mcp-Method", "2"),
        ("mcp-name", "3"),
        ("mcp-param-Region.x_y", "4"),
        ("mcp-later", "5"),
    ]);
    assert_eq!(for_upstream(&proper), proper);
    assert_eq!(for_client(&proper), proper);
    for name in ["mcp_method", "mcp.name", "mcp_param-a", "mcp-param_a", "mcp-protocol_version", "mcp_later"] {
        assert!(for_upstream(&map(&[(name, "1")])).is_empty(), "{name}");
        assert!(for_client(&map(&[(name, "1")])).is_empty(), "{name}");
    }
    let legacy = up(&proper, &[], Passing { mirrors: false, ..EVERYTHING });
    assert_eq!(legacy, map(&[("mcp-protocol-version", "1"), ("mcp-later", "5")]));
}

#[test]
fn fields_that_say_how_to_read_a_body_pass_in_their_proper_spelling_only() {
    let proper = map(&[("content-type", "application/json"), ("content-encoding", "identity")]);
    assert_eq!(for_upstream(&proper), proper);
    for name in ["content_type", "Content.Encoding", "transfer_encoding", "proxy_connection", "keep.alive"] {
        assert!(for_upstream(&map(&[(name, "1")])).is_empty(), "{name}");
        assert!(for_client(&map(&[(name, "1")])).is_empty(), "{name}");
    }
}

#[test]
fn codings_are_not_asked_for_where_an_answer_is_read() {
    let head = map(&[("accept-encoding", "gzip"), ("accept", "a")]);
    assert_eq!(up(&head, &[], EVERYTHING), head);
    assert_eq!(up(&head, &[], Passing { codings: false, ..EVERYTHING }), map(&[("accept", "a")]));
}

#[test]
fn what_speaks_of_the_bytes_of_a_body_goes_when_they_change() {
    let of_the_bytes = "etag accept-ranges content-md5 digest content-digest repr-digest";
    let head = of_the_bytes.split(' ').map(|name| (name, "v")).chain([("content-type", "t"), ("x-a", "1")]);
    let head = map(&head.collect::<Vec<_>>());
    assert_eq!(down(&head, Bytes::Same), head);
    assert_eq!(down(&head, Bytes::Changed), map(&[("content-type", "t"), ("x-a", "1")]));
    assert_eq!(down(&head, Bytes::None), map(&[("x-a", "1")]));
}

#[test]
fn a_loop_is_seen_whatever_the_version_and_place() {
    assert!(is_loop(&Fields::from(&map(&[("via", "1.0 fred, 2 portcullis")]))));
    assert!(!is_loop(&Fields::from(&map(&[("via", "1.1 portcullis-edge")]))));
    assert!(!is_loop(&Fields::from(&map(&[("via", "portcullis 1.1")]))));
}

#[test]
fn claims_are_told_apart_by_blanks_alone() {
    assert_eq!(visible("a%b"), "a%25b");
    assert_eq!(visible("%"), "%25");
    let list = |items: &[&str]| {
        let mut text = "before ".to_owned();
        push_visible_list(&mut text, items.iter().copied());
        text
    };
    assert_eq!(list(&["a", "b c", "%"]), "before a b%20c %25");
    assert_eq!((list(&["a"]), list(&[])), ("before a".to_owned(), "before ".to_owned()));
}

#[test]
fn nodes_are_written_as_rfc_7239_wants_them() {
    assert_eq!(forwarded_node("192.0.2.1".parse().unwrap()), "192.0.2.1");
    assert_eq!(forwarded_node("2001:db8::1".parse().unwrap()), "\"[2001:db8::1]\"");
}

/// A name as a CGI-like server could still take it for `name`: any letter case, any other mark for a hyphen.
fn spelling(name: &'static str) -> impl Strategy<Value = String> {
    let marks = prop::sample::select(b"-_.!#$%&'*+^`|~".to_vec());
    (prop::collection::vec((any::<bool>(), marks), name.len())).prop_map(move |choices| {
        let written = |(c, (upper, mark)): (char, (bool, u8))| match c {
            '-' => char::from(mark),
            letter if upper => letter.to_ascii_uppercase(),
            letter => letter,
        };
        name.chars().zip(choices).map(written).collect()
    })
}

fn one_of(names: &'static str) -> impl Strategy<Value = &'static str> {
    prop::sample::select(names.split_whitespace().collect::<Vec<_>>())
}

/// A spelling of one of the names, in a namespace with something behind it or nothing.
fn spelled(names: &'static str) -> impl Strategy<Value = String> {
    let further = "[a-zA-Z0-9._-]{0,8}";
    (one_of(names).prop_flat_map(|name| (Just(name), spelling(name))), further)
        .prop_map(|((name, spelled), further)| if name.ends_with('-') { spelled + &further } else { spelled })
}

/// Any bytes that a field may hold.
fn value() -> impl Strategy<Value = HeaderValue> {
    let byte = prop_oneof![b' '..=b'~', 0x80..=0xff_u8];
    prop::collection::vec(byte, 0..12).prop_map(|bytes| HeaderValue::from_bytes(bytes.trim_ascii()).unwrap())
}

/// A head in which everything stands: what must go, what may stay, what is made up, what is nominated.
fn head() -> impl Strategy<Value = HeaderMap> {
    let name = prop_oneof![
        3 => spelled(ENDS_BEFORE_THE_UPSTREAM),
        1 => spelled(ENDS_BEFORE_THE_CLIENT),
        2 => spelled(JUDGED_AS_SPELLED),
        4 => one_of(HARMLESS).prop_map(str::to_owned),
        2 => "[a-z._-]{1,12}",
    ];
    let nominating = (Just("connection".to_owned()), one_of(HARMLESS).prop_map(HeaderValue::from_static));
    let field = prop_oneof![8 => (name, value()), 1 => nominating];
    prop::collection::vec(field, 0..24).prop_map(|fields| {
        let mut head = HeaderMap::new();
        for (name, value) in fields {
            head.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
        head
    })
}

/// What a message was judged by is not nominated away.
fn is_judged(name: &str) -> bool {
    name.starts_with("mcp-") || name == "content-type" || name == "content-encoding"
}

fn with(name: &str) -> HeaderMap {
    map(&[("accept", "a"), (name, "v"), ("link", "b")])
}

#[test]
fn every_forbidden_name_ends_here_and_every_harmless_one_passes() {
    for (passed, forbidden) in DIRECTIONS {
        for name in forbidden.split_whitespace() {
            let name = if name.ends_with('-') { name.to_owned() + "x" } else { name.to_owned() };
            assert_eq!(passed(&with(&name)), map(&[("accept", "a"), ("link", "b")]), "{name}");
        }
        for name in HARMLESS.split_whitespace() {
            assert_eq!(passed(&with(name)), with(name), "{name}");
        }
    }
}

proptest! {
    #[test]
    fn no_spelling_of_a_forbidden_name_goes_upstream(name in spelled(ENDS_BEFORE_THE_UPSTREAM)) {
        prop_assert_eq!(for_upstream(&with(&name)).len(), 2);
    }

    #[test]
    fn no_spelling_of_a_forbidden_name_goes_to_the_client(name in spelled(ENDS_BEFORE_THE_CLIENT)) {
        prop_assert_eq!(for_client(&with(&name)).len(), 2);
    }

    #[test]
    fn what_is_judged_passes_as_it_is_spelled_or_not_at_all(
        (proper, name) in one_of(JUDGED_AS_SPELLED).prop_flat_map(|name| (Just(name), spelling(name))),
    ) {
        for (passed, _) in DIRECTIONS {
            let passes = name.eq_ignore_ascii_case(proper);
            prop_assert_eq!(passed(&with(&name)).contains_key(name.as_str()), passes, "{}", name);
        }
    }

    #[test]
    fn nominated_fields_end_here_unless_they_were_judged(
        name in prop_oneof![one_of(HARMLESS), one_of(JUDGED_AS_SPELLED)], before in "[ \t]{0,2}", behind in "[ \t]{0,2}", lists in (any::<bool>(), any::<bool>(), any::<bool>()),
        case in any::<bool>(), head in head(),
    ) {
        let written = if case { name.to_ascii_uppercase() } else { name.to_owned() };
        let first = if lists.0 { "close, ," } else { "" };
        let last = if lists.1 { ",x" } else { "" };
        let mut head = head;
        head.append(name, HeaderValue::from_static("v"));
        head.append(header::CONNECTION, HeaderValue::from_str(&format!("{first}{before}{written}{behind}{last}")).unwrap());
        if lists.2 {
            head.append(header::CONNECTION, HeaderValue::from_bytes(b"\xff, keep-alive").unwrap());
        }
        for (passed, _) in DIRECTIONS {
            prop_assert_eq!(passed(&head).contains_key(name), is_judged(name));
        }
    }

    #[test]
    fn what_is_kept_is_kept_whole_in_order_and_byte_for_byte(head in head()) {
        for (passed, _) in DIRECTIONS {
            let kept = passed(&head);
            let expected: Vec<_> = head.iter().filter(|(name, _)| kept.contains_key(*name)).collect();
            prop_assert_eq!(kept.iter().collect::<Vec<_>>(), expected);
            prop_assert_eq!(passed(&kept), kept, "what passed once passes again");
        }
    }

    #[test]
    fn whether_a_field_passes_is_a_matter_of_its_name_alone(head in head()) {
        for (passed, _) in DIRECTIONS {
            let kept = passed(&head);
            let nominated = nominated(&Fields::from(&head));
            for (name, value) in &head {
                let mut alone = HeaderMap::new();
                alone.append(name, value.clone());
                let is_nominated = is_nominated(&nominated, name.as_str().as_bytes()) && !is_judged(name.as_str());
                let passes = !passed(&alone).is_empty() && !is_nominated;
                prop_assert_eq!(kept.contains_key(name), passes, "{}", name);
            }
        }
    }

    #[test]
    fn removing_a_field_leaves_no_spelling_of_it_and_all_others(head in head(), field in one_of(HARMLESS)) {
        let field = HeaderName::from_static(field);
        let plain = |name: &HeaderName| spelled_plainly(name.as_str().as_bytes()).into_owned();
        let alike = |name: &HeaderName| plain(name) == plain(&field);
        let left = up(&head, std::slice::from_ref(&field), EVERYTHING);
        let mut expected = for_upstream(&head);
        for name in head.keys().filter(|name| alike(name)) {
            expected.remove(name);
        }
        prop_assert!(!left.keys().any(alike));
        prop_assert_eq!(left, expected);
    }

    #[test]
    fn removing_mirrors_leaves_no_spelling_of_them_and_all_others(head in head(), name in spelled("mcp-method mcp-name mcp-param-")) {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let mut head = head;
        head.append(&name, HeaderValue::from_static("v"));
        let left = up(&head, &[], Passing { mirrors: false, ..EVERYTHING });
        prop_assert!(!left.contains_key(&name));
        for (name, _) in &for_upstream(&head) {
            let plain = spelled_plainly(name.as_str().as_bytes());
            let is_mirror = &*plain == b"mcp-method" || &*plain == b"mcp-name" || plain.starts_with(b"mcp-param-");
            prop_assert_eq!(left.contains_key(name), !is_mirror, "{}", name);
        }
    }

    #[test]
    fn injected_values_are_visible_ascii_and_decode_to_what_they_were(text in "\\PC*|[\\x00-\\x7f]*") {
        let value = visible(&text);
        prop_assert!(value.as_bytes().iter().all(|b| (0x21..=0x7e).contains(b)));
        let decoded = percent_encoding::percent_decode(value.as_bytes()).decode_utf8().unwrap().into_owned();
        prop_assert_eq!(decoded, text);
    }
}
