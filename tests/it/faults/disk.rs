//! Files break while the binary runs (threats O2, O5): gone, unreadable, garbage, half-written. The old configuration, certificate,
//! list and trust anchor go on, and what is repaired is taken.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::served;
use crate::support::pki::pki;
use crate::support::process::{PLAIN_RESOURCE, plain};
use crate::support::traffic::Traffic;
use crate::support::{Client, Issuer, Process, Upstream};

const REVOKED: &str = "[[revoked]]\nissuer = \"corp\"\nsubject = \"mallory\"\nnote = \"a note that is cut in two\"\n";

/// With every kind of file that a configuration names.
fn config(issuer: &Issuer, upstream: &Upstream) -> String {
    let tls = "tls = { certificate = \"tls.crt\", key = \"tls.key\" }";
    let text = plain(issuer, upstream).replace("insecure_plaintext = true", tls);
    text.replace("insecure_http = true", "insecure_http = true\nca = \"ca.pem\"")
        .replace("[admin]", "[revocations]\nfile = \"revoked.toml\"\n\n[admin]")
}

fn folder(issuer: &Issuer, upstream: &Upstream) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = config(issuer, upstream);
    for (name, text) in [
        ("gateway.toml", config.as_str()),
        ("tls.crt", &pki().certificate),
        ("tls.key", &pki().key),
        ("ca.pem", &pki().ca),
        ("revoked.toml", REVOKED),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn remove(file: &Path) {
    fs::remove_file(file).or_else(|_| fs::remove_dir(file)).unwrap();
}

/// In place, as a disk that is full or a crash leaves it.
fn write(file: &Path, bytes: &[u8]) {
    if file.is_dir() {
        remove(file);
    }
    fs::write(file, bytes).unwrap();
}

type Damage<'a> = &'a dyn Fn(&Path);

/// Breaks the file in every way, one after the other, and repairs it each time.
async fn breaks(name: &str, may_be_empty: bool) {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let folder = folder(&issuer, &upstream);
    let file = folder.path().join(name);
    let good = fs::read(&file).unwrap();
    let process = Process::start(&folder.path().join("gateway.toml"));
    let client = Client::new(process.addresses[0], true, upstream.shared());
    let (token, revoked) = (issuer.mint_for(PLAIN_RESOURCE), issuer.mint_for(PLAIN_RESOURCE).claim("sub", "mallory"));
    let (honest, mallory) = (client.clone().bearer(token), client.bearer(revoked));
    let fresh = honest.clone();
    let mut honest = Traffic::of("/mcp", move |_| honest.clone());
    let mut mallory = Traffic::of("/mcp", move |_| mallory.clone());
    honest.sees("keys", served).await;

    let unreadable = |file: &Path| {
        remove(file);
        fs::create_dir(file).unwrap();
    };
    let half = good[..good.len() / 2].to_vec();
    let ways: [(&str, Damage<'_>); 5] = [
        ("gone", &remove),
        ("unreadable", &unreadable),
        ("garbage", &|file| write(file, b"\x7fELF\0\xff= [[garbage\n")),
        ("half-written", &|file| write(file, &half)),
        ("empty", &|file| write(file, b"")),
    ];
    for (way, damage) in ways.iter().filter(|(way, _)| !may_be_empty || *way != "empty") {
        println!("case: {name} is {way}");
        damage(&file);
        let said = process.says("config.rejected");
        assert!(said["detail"].as_str().unwrap().contains(name), "{said}");
        honest.sees_only(2, "the old configuration", served).await;
        assert_eq!(fresh.clone().post("/mcp").await.status(), 200, "a new handshake");
        mallory.sees_only(2, "the old list", |seen| seen.is_refused(401, "invalid_token")).await;
        write(&file, &good);
        process.says("config.reloaded");
        honest.sees_only(2, "the repaired file", served).await;
    }
    mallory.sees_only(2, "the list again", |seen| seen.is_refused(401, "invalid_token")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o2_configuration_that_breaks_leaves_the_old_one_in_force() {
    breaks("gateway.toml", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o2_o5_certificate_that_breaks_leaves_the_old_one_in_use() {
    breaks("tls.crt", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o2_o5_key_that_breaks_leaves_the_old_one_in_use() {
    breaks("tls.key", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o2_trust_anchor_that_breaks_leaves_the_old_one_in_use() {
    breaks("ca.pem", false).await;
}

/// An empty list is a list: nothing is revoked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o2_list_of_revocations_that_breaks_revokes_what_it_did() {
    breaks("revoked.toml", true).await;
}
