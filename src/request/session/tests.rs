//! What of a session goes upstream, and what of an answer comes back.

use http::HeaderMap;

use super::*;

fn fields(fields: &[(&'static str, &str)]) -> HeaderMap {
    let field =
        |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    let mut map = HeaderMap::new();
    fields.iter().map(field).for_each(|(name, value)| {
        map.append(name, value);
    });
    map
}

fn alice() -> Owner {
    Owner::of(&[Some("alice")])
}

fn written(session: &Session, era: Era) -> HeaderMap {
    let mut lines = Lines::default();
    session.write(era, &mut lines);
    lines.into_map()
}

#[test]
fn own_session_is_written_as_the_upstream_knows_it_in_the_legacy_era_alone() {
    let sessions = Sessions::new(&[SessionKey([1; 32])]).unwrap();
    let sealed = sessions.keys.seal(&alice(), Place::Header, "up").unwrap();
    let head = fields(&[("mcp-session-id", &sealed), ("last-event-id", "7")]);
    let session = sessions.of_fields(alice, &Fields::from(&head), true).unwrap();
    assert_eq!(written(&session, Era::Legacy), fields(&[("mcp-session-id", "up"), ("last-event-id", "7")]));
    assert!(written(&session, Era::Modern).is_empty());
    let session = sessions.of_fields(alice, &Fields::from(&head), false).unwrap();
    assert_eq!(written(&session, Era::Legacy), fields(&[("mcp-session-id", "up")]));
}

#[test]
fn events_are_resumed_in_an_own_session_alone() {
    let sessions = Sessions::new(&[]).unwrap();
    let head = fields(&[("last-event-id", "7")]);
    assert_eq!(sessions.of_fields(alice, &Fields::from(&head), true).unwrap_err(), NotOpened::Unknown);
    assert!(matches!(sessions.of_fields(alice, &Fields::from(&head), false), Ok(Session::None)));
}

#[test]
fn ended_session_stays_ended_under_the_keys_of_a_later_configuration() {
    let key = |byte| SessionKey([byte; 32]);
    let before = Arc::new(Sessions::new(&[key(1)]).unwrap());
    let head = |id| fields(&[("mcp-session-id", &before.keys.seal(&alice(), Place::Header, id).unwrap())]);
    before.ended.insert(alice().session("ended"), ());
    assert!(Arc::ptr_eq(&before, &Sessions::like(&before, &[key(1)]).unwrap()));
    let after = Sessions::like(&before, &[key(2), key(1)]).unwrap();
    assert!(!Arc::ptr_eq(&before, &after));
    assert_eq!(after.of_fields(alice, &Fields::from(&head("ended")), true).unwrap_err(), NotOpened::Unknown);
    assert!(matches!(after.of_fields(alice, &Fields::from(&head("lives")), true), Ok(Session::Header(_))));
}

#[test]
fn endpoint_is_one_parameter_and_nothing_beside_it() {
    let sealer = Sealer::of_nobody();
    let (sessions, owner) = (&sealer.sessions, &sealer.owner);
    let of = |query: &str| sessions.of_query(owner, &format!("/mcp?{query}").parse().unwrap());
    let query = sealer.endpoint(Some("session_id=1&x=2")).unwrap();
    assert_eq!(of(&query).unwrap(), "session_id=1&x=2");
    for bad in [format!("{query}&x=1"), format!("x=1&{query}"), format!("{query}&{query}"), query.replace('I', "i")] {
        assert_eq!(of(&bad), Err(NotOpened::Unknown), "{bad}");
    }
    let empty = Session::Endpoint(of(&sealer.endpoint(None).unwrap()).unwrap());
    assert_eq!(empty.query(Some("client")), None);
    assert_eq!(Session::Endpoint("up=1".into()).query(Some("client")), Some("up=1"));
    assert_eq!(Session::None.query(Some("client")), Some("client"));
}
