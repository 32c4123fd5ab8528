//! What was sealed opens for its owner, in its place, under its key, and for nobody else.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// Keys that differ in every byte.
fn keys(seeds: &[u8]) -> SessionKeys {
    let keys: Vec<SessionKey> = seeds.iter().map(|seed| SessionKey([*seed; 32])).collect();
    SessionKeys::new(&keys).unwrap()
}

fn alice() -> Owner {
    Owner::of(&[Some("notes"), Some("alice")])
}

#[test]
fn what_was_sealed_opens_for_its_owner_alone() {
    let keys = keys(&[1]);
    let sealed = keys.seal(&alice(), Place::Header, "abc").unwrap();
    assert_eq!(keys.open(&alice(), Place::Header, &sealed).unwrap(), "abc");
    let bob = Owner::of(&[Some("notes"), Some("bob")]);
    assert_eq!(keys.open(&bob, Place::Header, &sealed), Err(NotOpened::Foreign));
    assert_eq!(keys.open(&alice(), Place::Endpoint, &sealed), Err(NotOpened::Unknown));
    let endpoint = keys.seal(&alice(), Place::Endpoint, "abc").unwrap();
    assert_eq!(keys.open(&alice(), Place::Header, &endpoint), Err(NotOpened::Unknown));
}

#[test]
fn an_empty_query_can_be_sealed_and_an_empty_id_cannot() {
    let keys = keys(&[1]);
    let sealed = keys.seal(&alice(), Place::Endpoint, "").unwrap();
    assert_eq!(keys.open(&alice(), Place::Endpoint, &sealed).unwrap(), "");
    assert_eq!(keys.seal(&alice(), Place::Header, ""), Err(NotSealed::Id));
}

#[test]
fn only_ids_of_mcp_are_sealed() {
    let keys = keys(&[1]);
    let longest = "x".repeat(MAX_ID_BYTES);
    let sealed = keys.seal(&alice(), Place::Header, &longest).unwrap();
    assert_eq!(sealed.len(), MAX_SEALED_CHARS);
    assert_eq!(keys.open(&alice(), Place::Header, &sealed).unwrap(), longest);
    for bad in ["a b", "a\tb", "a\n", "é", "\u{7f}", "\0", &"x".repeat(MAX_ID_BYTES + 1)] {
        assert_eq!(keys.seal(&alice(), Place::Header, bad), Err(NotSealed::Id), "{bad:?}");
        assert_eq!(keys.seal(&alice(), Place::Endpoint, bad), Err(NotSealed::Id), "{bad:?}");
    }
}

#[test]
fn keys_are_rotated_with_overlap() {
    let (old, both, new) = (keys(&[1]), keys(&[2, 1]), keys(&[2]));
    let before = old.seal(&alice(), Place::Header, "abc").unwrap();
    assert_eq!(both.open(&alice(), Place::Header, &before).unwrap(), "abc");
    assert_eq!(new.open(&alice(), Place::Header, &before), Err(NotOpened::Unknown));
    let after = both.seal(&alice(), Place::Header, "abc").unwrap();
    assert_eq!(new.open(&alice(), Place::Header, &after).unwrap(), "abc");
    assert_eq!(old.open(&alice(), Place::Header, &after), Err(NotOpened::Unknown));
}

#[test]
fn without_a_key_each_process_has_its_own() {
    let (one, other) = (keys(&[]), keys(&[]));
    let sealed = one.seal(&alice(), Place::Header, "abc").unwrap();
    assert_eq!(one.open(&alice(), Place::Header, &sealed).unwrap(), "abc");
    assert_eq!(other.open(&alice(), Place::Header, &sealed), Err(NotOpened::Unknown));
    assert_eq!(keys(&[0]).open(&alice(), Place::Header, &sealed), Err(NotOpened::Unknown), "not the key of zeros");
}

#[test]
fn what_is_no_sealed_id_is_unknown() {
    let keys = keys(&[1]);
    let sealed = keys.seal(&alice(), Place::Header, "abc").unwrap();
    let padded = format!("{sealed}=");
    let longer = format!("{sealed}AAAA");
    let long = "A".repeat(MAX_SEALED_CHARS + 1);
    for bad in ["", "A", "abc", "AQ", "*", " ", "é", &padded, &longer, &long, &format!(" {sealed}")] {
        assert_eq!(keys.open(&alice(), Place::Header, bad), Err(NotOpened::Unknown), "{bad:?}");
    }
}

#[test]
fn every_changed_bit_and_every_truncation_is_unknown() {
    let keys = keys(&[1]);
    let sealed = keys.seal(&alice(), Place::Header, "0f8fad5b-d9cb-469f-a165-70867728950e").unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let changed = URL_SAFE_NO_PAD.encode(changed);
        assert_eq!(keys.open(&alice(), Place::Header, &changed), Err(NotOpened::Unknown), "bit {bit}");
    }
    for end in 0..sealed.len() {
        assert_eq!(
            keys.open(&alice(), Place::Header, sealed.get(..end).unwrap()),
            Err(NotOpened::Unknown),
            "cut at {end}"
        );
    }
}

/// One text stands for one sealed id: else an ended session would have further names.
#[test]
fn no_other_character_at_any_place_stands_for_the_same_id() {
    let keys = keys(&[1]);
    for id in ["a", "ab", "abc"] {
        let sealed = keys.seal(&alice(), Place::Header, id).unwrap();
        for at in 0..sealed.len() {
            for other in (0x21..0x7f).map(char::from) {
                let mut changed = sealed.clone();
                changed.replace_range(at..=at, &other.to_string());
                if changed == sealed {
                    continue;
                }
                assert_eq!(keys.open(&alice(), Place::Header, &changed), Err(NotOpened::Unknown), "{at} {other}");
            }
        }
    }
}

#[test]
fn no_two_lists_of_facts_run_together() {
    let lists: &[&[Option<&str>]] = &[
        &[],
        &[None],
        &[Some("")],
        &[None, None],
        &[Some(""), None],
        &[None, Some("")],
        &[Some("ab"), Some("c")],
        &[Some("a"), Some("bc")],
        &[Some("abc")],
        &[Some("abc"), None],
        &[Some("c"), Some("ab")],
    ];
    let owners: HashSet<Owner> = lists.iter().map(|list| Owner::of(list)).collect();
    assert_eq!(owners.len(), lists.len());
    let sessions = [alice().session("a"), alice().session("b"), Owner::of(&[]).session("a")];
    assert_eq!(HashSet::from(sessions).len(), 3);
}

#[test]
fn keys_stay_out_of_debug() {
    assert_eq!(format!("{:?}", keys(&[7, 8])), "SessionKeys { keys: 2, .. }");
    assert!(!format!("{:?}", SessionKey([7; 32])).contains('7'));
}

proptest! {
    #[test]
    fn any_id_comes_back_and_shows_nowhere(id in "[!-~]{1,200}", whose in any::<[u8; 8]>()) {
        let keys = keys(&[1]);
        let owner = Owner::of(&[Some(&format!("{whose:?}"))]);
        let sealed = keys.seal(&owner, Place::Header, &id).unwrap();
        prop_assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        prop_assert_eq!(keys.open(&owner, Place::Header, &sealed).unwrap(), id.clone());
        prop_assert_ne!(&sealed, &keys.seal(&owner, Place::Header, &id).unwrap());
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        // Shorter ids are found in any random bytes now and then.
        if id.len() > 6 {
            prop_assert!(!sealed.contains(&id) && !bytes.windows(id.len()).any(|window| window == id.as_bytes()));
        }
        prop_assert_eq!(keys.open(&alice(), Place::Header, &sealed), Err(NotOpened::Foreign));
    }

    #[test]
    fn any_text_is_refused_and_none_breaks_the_opener(text in "\\PC*|[A-Za-z0-9_-]{0,300}") {
        prop_assert_eq!(keys(&[1, 2]).open(&alice(), Place::Header, &text), Err(NotOpened::Unknown));
    }
}
