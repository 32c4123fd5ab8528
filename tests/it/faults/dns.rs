//! Names break (threats D24, K16, K21): absent, told late or never, or of an address where nobody is. The binary runs with a
//! name server of the test's own, which takes mounts of its own and port 53; without the right to them it says so and passes.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{AT_ONCE, served, traffic_to};
use crate::support::names::{Names, Told};
use crate::support::process::{PLAIN_RESOURCE, metric, plain};
use crate::support::traffic::{Seen, Traffic};
use crate::support::upstream::ANSWER;
use crate::support::{Issuer, Process, Upstream, keys};

const HERE: Told = Told::Is(Ipv4Addr::LOCALHOST);
/// An address of this machine where no test listens.
const NOBODY: Told = Told::Is(Ipv4Addr::new(127, 88, 88, 88));
/// From the name server's return until a name is known: what is asked meanwhile, the resolver asks again after three seconds.
const BACK: Duration = Duration::from_secs(5);
const BESIDE: &str = "https://mcp.example.com/beside";

/// One process and all that it speaks to, by name: `upstream.test`, `beside.test`, and the issuer as `localhost`.
struct World {
    names: Names,
    issuer: Issuer,
    upstream: Upstream,
    beside: Upstream,
    process: Process,
    folder: TempDir,
}

impl World {
    /// With every name there but those that are told otherwise.
    async fn start(told: &[(&str, Told)]) -> Option<Self> {
        let names = Names::start()?;
        for name in ["localhost", "upstream.test", "beside.test"] {
            names.tell(name, HERE);
        }
        for (name, told) in told {
            names.tell(name, *told);
        }
        let issuer = Issuer::start_as(|address| format!("http://localhost:{}", address.port())).await;
        let (upstream, beside) = (Upstream::start().await, Upstream::start().await);
        // So that each request asks for the name anew.
        for upstream in [&upstream, &beside] {
            upstream.answers_with(200, &[("content-type", "application/json"), ("connection", "close")], ANSWER);
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.toml");
        fs::write(&file, config(&issuer, &upstream, &beside)).unwrap();
        let process = Process::start_after_mounting(&file, &names.mounts(folder.path()))?;
        Some(Self { names, issuer, upstream, beside, process, folder })
    }

    fn traffic(&self) -> Traffic {
        traffic_to(&self.process, &self.issuer, &self.upstream)
    }

    /// To the other route, whose upstream has another name.
    fn traffic_beside(&self) -> Traffic {
        let client = self.process.client(&self.beside).bearer(self.issuer.mint_for(BESIDE));
        Traffic::of("/beside", move |_| client.clone())
    }

    /// Both routes are served.
    async fn is_well(&self) -> (Traffic, Traffic) {
        let (mut honest, mut beside) = (self.traffic(), self.traffic_beside());
        honest.sees("keys", served).await;
        tokio::join!(honest.sees_only(4, "before", served), beside.sees_only(4, "before", served));
        (self.traffic(), self.traffic_beside())
    }
}

fn config(issuer: &Issuer, upstream: &Upstream, beside: &Upstream) -> String {
    let named = |upstream: &Upstream, name: &str| upstream.url().replace("127.0.0.1", name);
    let text = plain(issuer, upstream).replace(&upstream.url(), &named(upstream, "upstream.test"));
    let text =
        text.replace("insecure_http = true", "insecure_http = true\nkey_cool_down = \"100ms\"\nkey_timeout = \"1s\"");
    format!(
        "{text}timeouts = {{ connect = \"250ms\" }}\n[[routes]]\nname = \"beside\"\nresource = \"{BESIDE}\"\n\
         upstream = \"{}\"\nissuers = [\"corp\"]\nscopes = []\ntenant = \"any\"\n",
        named(beside, "beside.test")
    )
}

/// The upstream's name breaks: its own requests are refused, others do not notice, and it is found again.
async fn breaks(told: Told, during: impl Fn(&Seen) -> bool) {
    let Some(world) = World::start(&[]).await else { return };
    let (mut honest, untouched) = world.is_well().await;
    world.names.tell("upstream.test", told);
    honest.sees("the fault", &during).await;
    honest.sees_only(4, "during", |seen| during(seen) && seen.took < AT_ONCE).await;

    world.names.tell("upstream.test", HERE);
    let (_, took) = honest.sees("the name again", served).await;
    assert!(took < BACK, "{took:?}");
    honest.sees_only(6, "after", served).await;
    untouched.was_always_served(AT_ONCE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d24_name_that_is_not_there_gets_502() {
    breaks(Told::Absent, |seen| seen.is_refused(502, "bad_gateway")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d24_name_of_an_address_where_nobody_is_gets_502() {
    breaks(NOBODY, |seen| seen.is_refused(502, "bad_gateway")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d24_name_that_is_told_late_is_waited_for() {
    let late = Told::Late(Ipv4Addr::LOCALHOST, Duration::from_millis(60));
    breaks(late, |seen| seen.is_served() && seen.took > Duration::from_millis(30)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d24_name_that_is_never_told_gets_504_in_time() {
    breaks(Told::Never, |seen| seen.is_refused(504, "gateway_timeout")).await;
}

/// However many ask: names that are told, new keys and a new configuration do not wait behind one that is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d24_k16_name_that_is_never_told_holds_up_no_other_name_no_key_and_no_reload() {
    const CLIENTS: usize = 100;
    const EACH: usize = 10;
    let Some(world) = World::start(&[]).await else { return };
    let (mut honest, mut untouched) = world.is_well().await;
    world.names.tell("upstream.test", Told::Never);
    let before = world.names.asked("upstream.test");
    let mut crowd = JoinSet::new();
    for _ in 0..CLIENTS {
        let client = world.process.client(&world.upstream).bearer(world.issuer.mint_for(PLAIN_RESOURCE));
        crowd.spawn(async move {
            let mut connection = client.connect().await;
            for _ in 0..EACH {
                let reply = connection.send(&client, "POST", "/mcp").await;
                assert_eq!(reply.status(), 504, "{}", reply.text());
            }
        });
    }
    honest.sees("the fault", |seen| seen.is_refused(504, "gateway_timeout")).await;
    while let Some(ended) = crowd.join_next().await {
        ended.unwrap();
    }
    // Nothing of it is over yet for the system's resolver.
    untouched.sees_only(6, "names that are told", served).await;
    world.issuer.publish([keys::rsa().jwk(), keys::other_rsa().jwk()]);
    let new = world.issuer.mint_for(BESIDE).key(keys::other_rsa());
    let client = world.process.client(&world.beside).bearer(new);
    let mut newer = Traffic::of("/beside", move |_| client.clone());
    let (_, took) = newer.sees("a new key", served).await;
    assert!(took < AT_ONCE, "{took:?}");
    let changed = Instant::now();
    let text = config(&world.issuer, &world.upstream, &world.beside).replace("250ms", "300ms");
    fs::write(world.folder.path().join("gateway.toml"), text).unwrap();
    world.process.says("config.reloaded");
    assert!(changed.elapsed() < AT_ONCE, "{:?}", changed.elapsed());
    let asked = world.names.asked("upstream.test") - before;

    world.names.tell("upstream.test", HERE);
    let (_, took) = honest.sees("the name again", served).await;
    assert!(took < BACK, "{took:?}");
    honest.sees_only(6, "after", served).await;
    untouched.was_always_served(AT_ONCE);
    assert!(asked < 50, "{asked} questions of {} requests", CLIENTS * EACH);
    assert!(metric(world.process.addresses[1], "portcullis_requests_under_way") < 5.0);
}

/// Known keys go on while the issuer's name is gone; where there were none, 503 until it is there.
async fn issuer_breaks(told: Told) {
    let Some(world) = World::start(&[("localhost", told)]).await else { return };
    let mut honest = world.traffic();
    honest
        .sees_only(4, "without keys", |seen| seen.is_refused(503, "temporarily_unavailable") && seen.took < AT_ONCE)
        .await;
    world.names.tell("localhost", HERE);
    let (_, took) = honest.sees("keys", served).await;
    assert!(took < BACK, "{took:?}");

    let mut known = world.traffic();
    world.names.tell("localhost", told);
    let client = world.process.client(&world.upstream);
    let client = client.bearer(world.issuer.mint_for(PLAIN_RESOURCE).key(keys::other_rsa()));
    let mut newer = Traffic::of("/mcp", move |_| client.clone());
    newer.sees_only(3, "a key that nobody knows", |seen| seen.is_refused(401, "invalid_token")).await;
    known.sees_only(6, "known keys", served).await;
    world.issuer.publish([keys::rsa().jwk(), keys::other_rsa().jwk()]);
    world.names.tell("localhost", HERE);
    let (_, took) = newer.sees("the new key", served).await;
    assert!(took < BACK, "{took:?}");
    known.was_always_served(AT_ONCE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k16_k21_issuer_whose_name_is_not_there() {
    issuer_breaks(Told::Absent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k16_k21_issuer_whose_name_is_never_told() {
    issuer_breaks(Told::Never).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k16_k21_issuer_whose_name_is_of_an_address_where_nobody_is() {
    issuer_breaks(NOBODY).await;
}
