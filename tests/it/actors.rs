//! The actors themselves: what they say about a peer can be trusted.

use crate::support::{Client, Issuer, Upstream, keys};

#[tokio::test]
async fn upstream_records_what_a_client_sends() {
    let upstream = Upstream::start().await;
    let address = upstream.authority().parse().unwrap();
    let client = Client::new(address, false, upstream.shared()).header("X-Odd", "1");
    let reply = client.body("abc").post("/x?y").await;
    reply.assert_served();
    let received = upstream.only();
    assert_eq!((received.method.as_str(), received.target.as_str()), ("POST", "/x?y"));
    assert_eq!((received.body.as_slice(), received.complete), (&b"abc"[..], true));
    assert_eq!(received.fields.0[1], ("X-Odd".into(), "1".into()));
}

#[tokio::test]
async fn upstream_streams_and_sees_the_client_leave() {
    let mut upstream = Upstream::start().await;
    upstream.streams();
    let address = upstream.authority().parse().unwrap();
    let mut reply = Client::new(address, false, upstream.shared()).open("GET", "/x").await;
    let stream = upstream.stream().await;
    stream.send("data: 1\n\n").await;
    assert_eq!(reply.next().await.as_deref(), Some("data: 1\n\n"));
    drop(reply);
    stream.gone().await;
    upstream.until("the end is seen", |request| request.gone).await;
}

#[tokio::test]
async fn upstream_fills_until_the_client_stops_reading() {
    let mut upstream = Upstream::start().await;
    upstream.streams();
    let address = upstream.authority().parse().unwrap();
    let reply = Client::new(address, false, upstream.shared()).open("GET", "/x").await;
    let taken = upstream.stream().await.fill(1 << 30).await;
    assert!(taken > 0 && taken < 1 << 30, "{taken}");
    drop(reply);
}

#[tokio::test]
async fn issuer_serves_keys_and_counts() {
    let issuer = Issuer::start().await;
    let upstream = Upstream::start().await;
    let address = issuer.authority().parse().unwrap();
    let reply = Client::new(address, false, upstream.shared()).get("/jwks").await;
    assert_eq!(reply.json()["keys"].as_array().unwrap().len(), 3);
    assert_eq!(issuer.fetches(), 1);
}

#[test]
fn minted_tokens_verify_under_the_published_keys() {
    for (key, algorithm) in
        [(keys::rsa(), "RS256"), (keys::rsa(), "PS256"), (keys::ec(), "ES256"), (keys::ed(), "EdDSA")]
    {
        let jwk = serde_json::from_value(key.jwk()).unwrap();
        let decoding = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
        let mint = crate::support::Mint::new("https://i", "https://r").key(key).algorithm(algorithm);
        let [header, payload, signature] = mint.parts();
        let message = format!("{header}.{payload}");
        let algorithm = algorithm.parse().unwrap();
        assert!(jsonwebtoken::crypto::verify(&signature, message.as_bytes(), &decoding, algorithm).unwrap());
    }
}
