//! What messages say, and what shapes are refused.

use super::*;
use crate::mcp::message::{MAX_BATCH, MAX_ID_BYTES, MAX_METHOD_BYTES, MAX_NAME_BYTES, MAX_TARGETS, NAMINGS, RequestId};

/// A request with further members.
fn request(method: &str, more: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}"{more}}}"#)
}

fn call(params: &str) -> String {
    request("tools/call", &format!(r#","params":{params}"#))
}

#[test]
fn a_request_is_read_in_any_order_of_its_members() {
    let members = [
        r#""jsonrpc":"2.0""#,
        r#""id":"a\"b""#,
        r#""method":"tools/call""#,
        r#""params":{"arguments":{"name":"no","method":[1]},"_meta":{"x":1,"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"name":"echo"}"#,
        r#""extra":{"id":3,"params":[]}"#,
    ];
    for shift in 0..members.len() {
        let mut members = members;
        members.rotate_left(shift);
        let message = message(format!("{{{}}}", members.join(",")));
        assert!(is_request(&message));
        assert_eq!(message.id.as_ref().unwrap().as_json(), r#""a\"b""#);
        assert_eq!(message.claim.as_deref(), Some("2026-07-28"));
        let operation = message.operation().unwrap();
        assert_eq!(&*operation.method, "tools/call");
        assert_eq!((operation.targets[0].kind, &*operation.targets[0].name), (TargetKind::Tool, "echo"));
        assert_eq!(operation.targets.len(), 1);
    }
}

#[test]
fn every_naming_is_read_from_its_own_member() {
    for naming in NAMINGS {
        let body =
            |name: &str| request(naming.method, &format!(r#","params":{{"name":"n","uri":"u","taskId":"t"{name}}}"#));
        let expected = match naming.member {
            "name" => "n",
            "uri" => "u",
            _ => "t",
        };
        assert_eq!(named(&body("")), (naming.method.to_owned(), vec![(naming.kind, expected.to_owned())]));
        let without = body("").replace(&format!("\"{}\"", naming.member), "\"other\"");
        if naming.mirrored {
            assert_eq!(fault(without), Fault::Shape, "{}", naming.method);
        } else {
            assert_eq!(named(&without).1, [], "{}", naming.method);
        }
        let of_another_type = body("").replace(&format!("\"{expected}\""), "7");
        assert_eq!(fault(of_another_type), Fault::Shape, "{}", naming.method);
    }
    assert_eq!(named(&request("tools/list", r#","params":{"name":1,"uri":[]}"#)), ("tools/list".to_owned(), vec![]));
}

#[test]
fn names_are_unescaped() {
    let body = r#"{"\u006a\u0073onrpc":"\u0032.0","i\u0064":"\u0041","met\u0068od":"tools\/c\u0061ll","p\u0061rams":{"n\u0061me":"\uD83D\uDE00\n"}}"#;
    assert_eq!(named(body), ("tools/call".to_owned(), vec![(TargetKind::Tool, "\u{1f600}\n".to_owned())]));
    assert_eq!(message(body).id.unwrap().as_json(), r#""\u0041""#);
}

#[test]
fn completions_name_a_prompt_or_a_resource() {
    let complete = |reference: &str| request("completion/complete", &format!(r#","params":{{"ref":{reference}}}"#));
    let target = |reference: &str| named(&complete(reference)).1;
    assert_eq!(target(r#"{"type":"ref/prompt","name":"p","uri":"u"}"#), [(TargetKind::Prompt, "p".to_owned())]);
    assert_eq!(target(r#"{"name":"p","uri":"u","type":"ref/resource"}"#), [(TargetKind::Resource, "u".to_owned())]);
    let wrong = [
        r#"{"type":"ref/prompt","uri":"u"}"#,
        r#"{"type":"ref/resource","name":"p"}"#,
        r#"{"type":"ref/tool","name":"p"}"#,
        r#"{"name":"p","uri":"u"}"#,
        r#"{"type":1,"name":"p"}"#,
        r#"{"type":"ref/prompt","name":""}"#,
        "[]",
        "null",
        "{}",
    ];
    for reference in wrong {
        assert_eq!(fault(complete(reference)), Fault::Shape, "{reference}");
    }
    assert_eq!(fault(request("completion/complete", "")), Fault::Shape);
    // Another method's `ref` is its own business.
    assert_eq!(named(&request("tools/list", r#","params":{"ref":"x"}"#)).1, []);
}

#[test]
fn listeners_name_the_resources_they_ask_about() {
    let listen = |wanted: &str| request("subscriptions/listen", &format!(r#","params":{{"notifications":{wanted}}}"#));
    let targets = |wanted: &str| named(&listen(wanted)).1;
    let resource = |uri: &str| (TargetKind::Resource, uri.to_owned());
    assert_eq!(
        targets(r#"{"toolsListChanged":true,"resourceSubscriptions":["a:b","c:\u0064"]}"#),
        [resource("a:b"), resource("c:d")]
    );
    let task = |id: &str| (TargetKind::Task, id.to_owned());
    assert_eq!(targets(r#"{"taskIds":["t"],"resourceSubscriptions":["a:b"]}"#), [task("t"), resource("a:b")]);
    assert_eq!(targets(r#"{"resourceSubscriptions":[],"taskIds":[]}"#), []);
    assert_eq!(targets(r#"{"toolsListChanged":true}"#), []);
    assert_eq!(named(&request("subscriptions/listen", "")).1, []);
    let wrong = ["[]", "null", "\"a\"", r#"{"resourceSubscriptions":{}}"#, r#"{"taskIds":"a"}"#];
    let items = ["1", "null", "[]", "[\"a\"]", "{}", "\"\"", "{\"resourceSubscriptions\":[\"a\"]}"];
    let items = items
        .map(|item| ["resourceSubscriptions", "taskIds"].map(|member| format!(r#"{{"{member}":["a",{item},"b"]}}"#)));
    for wanted in wrong.map(str::to_owned).iter().chain(items.iter().flatten()) {
        assert_eq!(fault(listen(wanted)), Fault::Shape, "{wanted}");
        assert_eq!(named(&listen(wanted).replace("subscriptions/listen", "x")).1, []);
    }
    let many = |count: usize| listen(&format!(r#"{{"resourceSubscriptions":[{}"a"]}}"#, "\"a\",".repeat(count - 1)));
    assert_eq!(named(&many(MAX_TARGETS)).1.len(), MAX_TARGETS);
    assert_eq!(fault(many(MAX_TARGETS + 1)), Fault::Bounds);
    let both = many(MAX_TARGETS).replace("}}", r#","taskIds":["t"]}}"#);
    assert_eq!(fault(both), Fault::Bounds, "together");
}

#[test]
fn m5_members_that_decide_stand_once() {
    let twice = [
        r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","met\u0068od":"m"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{},"params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{},"error":{}}"#,
    ];
    for body in twice {
        assert_eq!(fault(body), Fault::Duplicate, "{body}");
    }
    let params =
        ["\"name\":\"a\"", "\"uri\":\"a\"", "\"taskId\":\"a\"", "\"_meta\":{}", "\"ref\":{}", "\"notifications\":{}"];
    for member in params {
        assert_eq!(
            fault(request("other", &format!(",\"params\":{{{member},\"x\":1,{member}}}"))),
            Fault::Duplicate,
            "{member}"
        );
    }
    let inner = [
        r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"a","io.modelcontextprotocol\/protocolVersion":"a"}}"#,
        r#"{"ref":{"type":"a","type":"b"}}"#,
        r#"{"ref":{"name":"a","name":"b"}}"#,
        r#"{"ref":{"uri":"a","uri":1}}"#,
        r#"{"notifications":{"resourceSubscriptions":[],"resourceSubscriptions":[]}}"#,
        r#"{"notifications":{"taskIds":[],"taskIds":[]}}"#,
    ];
    for params in inner {
        assert_eq!(fault(request("other", &format!(",\"params\":{params}"))), Fault::Duplicate, "{params}");
    }
    // Elsewhere they decide nothing.
    let elsewhere = r#"{"name":"a","arguments":{"name":1,"name":2,"Method":1},"_meta":{"name":1,"name":2}}"#;
    assert!(is_request(&message(call(elsewhere))));
}

#[test]
fn m5_spellings_that_lenient_readers_take_for_a_member_are_refused() {
    for name in [
        "Method",
        "METHOD",
        "metho\\u0044",
        "JSONRPC",
        "j\u{17f}onrpc",
        "Params",
        "param\\u017f",
        "ID",
        "Error",
        "method\\u0000x",
        "İd",
        "ıD",
        "re\u{17f}ult",
    ] {
        assert_eq!(fault(request("m", &format!(",\"{name}\":1"))), Fault::Duplicate, "{name}");
        let alone = format!(r#"{{"{name}":1,"jsonrpc":"2.0","id":7,"method":"m"}}"#);
        assert_eq!(fault(alone), Fault::Duplicate, "{name}");
    }
    for name in ["Name", "URI", "taskid", "tas\u{212a}Id", "ta\u{17f}\\u212aid", "_META", "Ref", "Notifications"] {
        assert_eq!(fault(request("m", &format!(",\"params\":{{\"{name}\":1}}"))), Fault::Duplicate, "{name}");
    }
    for inner in [
        r#""_meta":{"IO.modelcontextprotocol/protocolversion":1}"#,
        r#""ref":{"Type":1}"#,
        r#""notifications":{"resourcesubscriptions":1}"#,
    ] {
        assert_eq!(fault(request("m", &format!(",\"params\":{{{inner}}}"))), Fault::Duplicate, "{inner}");
    }
    // Not the same in any reader.
    for name in ["méthod", "method ", "metho", "methods", "m\\u0000ethod", "paramß", "uri", "ⅰd"] {
        assert!(is_request(&message(request("m", &format!(",\"{name}\":1")))), "{name}");
    }
}

#[test]
fn m8_shapes_that_are_no_message_are_refused() {
    let bodies = [
        "1",
        "\"text\"",
        "null",
        "true",
        "{}",
        r#"{"id":1,"method":"m"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"m"}"#,
        r#"{"jsonrpc":"2","id":1,"method":"m"}"#,
        r#"{"jsonrpc":"2.00","id":1,"method":"m"}"#,
        r#"{"jsonrpc":null,"id":1,"method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":""}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a\nb"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a\u0085b"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":[],"method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","result":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","error":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","error":{}}"#,
        r#"{"id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":true,"result":{}}"#,
    ];
    for body in bodies {
        assert_eq!(fault(body), Fault::Shape, "{body}");
    }
    for params in [
        "{}",
        r#"{"name":1}"#,
        r#"{"name":null}"#,
        r#"{"name":["a"]}"#,
        r#"{"name":{"name":"a"}}"#,
        r#"{"name":""}"#,
        r#"{"name":"a\u0000b"}"#,
    ] {
        assert_eq!(fault(call(params)), Fault::Shape, "{params}");
    }
    assert_eq!(fault(request("tools/call", "")), Fault::Shape);
    for meta in ["[]", "null", "\"x\"", r#"{"io.modelcontextprotocol/protocolVersion":1}"#] {
        assert_eq!(fault(call(&format!(r#"{{"name":"a","_meta":{meta}}}"#))), Fault::Shape, "{meta}");
    }
}

#[test]
fn notifications_and_responses_are_told_apart() {
    let notification = message(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{}}"#);
    assert!(matches!(notification.content, Content::Notification(_)) && notification.id.is_none());
    for (id, expected) in [("5", Some("5")), ("\"x\"", Some("\"x\"")), ("-1.5e3", Some("-1.5e3")), ("null", None)] {
        for outcome in ["result", "error"] {
            let message = message(format!(r#"{{"{outcome}":{{"method":1}},"jsonrpc":"2.0","id":{id}}}"#));
            assert_eq!(message.content, Content::Response);
            assert_eq!(message.id.as_ref().map(RequestId::as_json), expected);
        }
    }
}

#[test]
fn m10_texts_that_decide_end_at_their_limits() {
    let method = |length| request(&"m".repeat(length), "");
    assert_eq!(named(&method(MAX_METHOD_BYTES)).0.len(), MAX_METHOD_BYTES);
    assert_eq!(fault(method(MAX_METHOD_BYTES + 1)), Fault::Bounds);
    let name = |length: usize, one: &str| call(&format!(r#"{{"name":"{}"}}"#, one.repeat(length)));
    for one in ["n", "\\u006e"] {
        assert_eq!(named(&name(MAX_NAME_BYTES, one)).1[0].1.len(), MAX_NAME_BYTES);
        assert_eq!(fault(name(MAX_NAME_BYTES + 1, one)), Fault::Bounds);
    }
    assert_eq!(fault(name(50_000, "é")), Fault::Bounds);
    // Too long, but not asked for.
    assert_eq!(named(&name(50_000, "n").replace("tools/call", "other")).1, []);
    let version =
        format!(r#"{{"name":"a","_meta":{{"io.modelcontextprotocol/protocolVersion":"{}"}}}}"#, "2".repeat(65));
    assert_eq!(fault(call(&version)), Fault::Bounds);
    for id in [format!("\"{}\"", "i".repeat(MAX_ID_BYTES - 2)), "1".repeat(MAX_ID_BYTES)] {
        let body = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#);
        assert_eq!(message(body(&id)).id.unwrap().as_json(), id);
        let longer = read(body(&id.replacen(['i', '1'], "11", 1))).unwrap_err();
        assert_eq!((longer.fault, longer.id), (Fault::Shape, None));
    }
}

#[test]
fn m4_batches_are_refused_where_none_is_taken() {
    for body in ["[]", "[1]", &format!("[{}]", call(r#"{"name":"a"}"#)), "[[", "["] {
        assert_eq!(fault(body), Fault::Batch, "{body}");
    }
}

#[test]
fn batches_hold_a_bounded_number_of_messages() {
    let batch = |count: usize| format!(" [{}] ", vec![call(r#"{"name":"a"}"#); count].join(" , "));
    for count in [1, 2, MAX_BATCH] {
        let Body::Batch(messages) = read_with(batch(count).as_bytes(), true).unwrap() else { panic!("no batch") };
        assert_eq!(messages.len(), count);
        assert!(messages.iter().all(|message| &*message.operation().unwrap().targets[0].name == "a"));
    }
    let one = call(r#"{"name":"a"}"#);
    assert!(matches!(read_with(one.as_bytes(), true), Ok(Body::One(_))));
    for (body, expected) in [
        (batch(0), Fault::Batch),
        (batch(MAX_BATCH + 1), Fault::Batch),
        (format!("[[{one}]]"), Fault::Batch),
        (format!("[{one},[]]"), Fault::Batch),
        (format!("[{one},1]"), Fault::Shape),
        (format!("[{one},null]"), Fault::Shape),
        (format!("[{one},{{}}]"), Fault::Shape),
        (format!("[{one},]"), Fault::Syntax),
        (format!("[{one}"), Fault::Syntax),
        (format!("[{one}]]"), Fault::Syntax),
        (format!("[{one}] {one}"), Fault::Syntax),
    ] {
        let refused = read_with(body.as_bytes(), true).unwrap_err();
        assert_eq!((refused.fault, refused.id), (expected, None), "{body}");
    }
}

#[test]
fn a_refusal_repeats_the_id_that_stood_before_the_fault() {
    let id =
        |body: &str, batches| read_with(body.as_bytes(), batches).unwrap_err().id.map(|id| id.as_json().to_owned());
    assert_eq!(id(r#"{"id":"a","jsonrpc":"1.0"}"#, false).as_deref(), Some("\"a\""));
    assert_eq!(id(r#"{"id":12,"method":"tools/call","jsonrpc":"2.0"}"#, false).as_deref(), Some("12"));
    assert_eq!(id(r#"{"jsonrpc":"2.0","id":12,"method":"m","method":"m"}"#, false).as_deref(), Some("12"));
    assert_eq!(id(r#"{"jsonrpc":"1.0","id":12}"#, false), None);
    assert_eq!(id(r#"{"params":{"id":12},"jsonrpc":"1.0"}"#, false), None);
    assert_eq!(id(r#"[{"jsonrpc":"2.0","id":1,"method":"m"},{"id":2,"method":1}]"#, true).as_deref(), Some("2"));
    assert_eq!(id(r#"[{"jsonrpc":"2.0","id":1,"method":"m"},{"method":1}]"#, true), None);
}
