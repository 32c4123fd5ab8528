//! Frames without end over HTTP/2: rapid reset, CONTINUATION, SETTINGS, PING, PRIORITY, `WINDOW_UPDATE`, empty DATA.

use crate::attacker::{PATHS, Target, all, source, until_closed};
use crate::frames::{
    self, CONTINUATION, DATA, Frames, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, Said, WINDOW_UPDATE, block, flood,
    frame,
};
use crate::rig::{Ceiling, Siege, scaled};
use crate::support::within;

const RESETS: usize = 20;
/// Heads that one connection sends and takes back.
const RESETS_EACH: usize = 1500;
/// A connection's buffers; streams that were taken back leave nothing.
const RESETS_CEILING: Ceiling = Ceiling { each_kib: 512, fixed_mib: 16 };

/// Requests that are taken back at once, every second connection with a good token.
pub(crate) async fn rapid_reset(target: Target, n: usize) {
    let said = all(n, |n| {
        let target = target.clone();
        async move {
            let token = target.mint(PATHS[0], &format!("reset-{n}")).to_string();
            let Ok(mut frames) = Frames::connect(&target, source(n)).await else { return Said::default() };
            let token = n.is_multiple_of(2).then_some(token.as_str());
            for batch in 0..RESETS_EACH / 50 {
                let mut bytes = Vec::new();
                for at in 0..50 {
                    let stream = u32::try_from((batch * 50 + at) * 2 + 1).unwrap();
                    bytes.extend(frames::post(stream, PATHS[0], token, false));
                    bytes.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
                }
                if !frames.send(&bytes).await {
                    break;
                }
            }
            // A connection that is let go on is closed when it has nothing more to say.
            frames.said_until(|said| said.goaway.is_some()).await
        }
    });
    let calmed = said.await.iter().filter(|said| said.goaway != Some(0)).count();
    assert!(calmed * 2 >= n, "resets without end are answered by GOAWAY: {calmed} of {n}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d11_rapid_resets_end_their_connection_and_leave_nothing() {
    let mut siege = Siege::lay("rapid reset", "").await;
    siege.waves(scaled(RESETS), RESETS_CEILING, rapid_reset).await;
}

const HEADS: usize = 20;
/// Four times the list limit (32 KiB), and what was read ahead of it.
const HEADS_CEILING: Ceiling = Ceiling { each_kib: 512, fixed_mib: 0 };

/// Heads whose CONTINUATION frames never end: large fields, small ones, and empty frames.
pub(crate) async fn endless_heads(target: Target, n: usize) {
    let said = all(n, |n| {
        let target = target.clone();
        async move {
            let Ok(mut frames) = Frames::connect(&target, source(n)).await else { return Said::default() };
            frames.send(&frame(HEADERS, 0, 1, &frames::post_block(PATHS[0], None))).await;
            let filler = "x".repeat(8000);
            let more = match n % 3 {
                0 => block(0x00, &[("x-filler", &filler)]),
                1 => block(0x00, &[("x-a", "b")]),
                _ => Vec::new(),
            };
            flood(&mut frames.write, &frame(CONTINUATION, 0, 1, &more).repeat(8), 2000).await;
            frames.said_until(|said| said.goaway.is_some()).await
        }
    });
    let said = said.await;
    let ended = said.iter().filter(|said| said.closed || said.goaway.is_some()).count();
    assert_eq!(ended, n, "no head without an end is listened to: {said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d13_continuation_floods_end_their_connection() {
    let mut siege = Siege::lay("CONTINUATION floods", "").await;
    siege.waves(scaled(HEADS), HEADS_CEILING, endless_heads).await;
}

const FLOODS: usize = 24;
/// Frames that one connection sends.
const FRAMES_EACH: usize = 20_000;
/// One answer under way for a connection: what is not taken stops the reading of what asks for more.
const FLOODS_CEILING: Ceiling = Ceiling { each_kib: 512, fixed_mib: 0 };

/// Frames that want an answer or none, from clients that read what comes back and from such that do not.
pub(crate) async fn frame_floods(target: Target, n: usize) {
    let ends = all(n, |n| {
        let target = target.clone();
        async move {
            let Ok(Frames { mut read, mut write }) = Frames::connect(&target, source(n)).await else { return };
            let one = match n % 6 {
                0 => frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
                1 => frame(PING, 0, 0, &[7; 8]),
                2 => frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]),
                3 => frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()),
                4 => frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 16, 0].repeat(100)),
                _ => frame(DATA, 0, 1, &[]),
            };
            if n % 6 == 5 {
                let token = target.mint(PATHS[0], &format!("flood-{n}")).to_string();
                flood(&mut write, &frames::post(1, PATHS[0], Some(&token), false), 1).await;
            }
            let many = one.repeat(100);
            let flooding = flood(&mut write, &many, FRAMES_EACH / 100);
            if (n / 6).is_multiple_of(2) {
                let reading = until_closed(&mut read);
                tokio::select! { () = flooding => {}, () = reading => {} }
            } else {
                within("the end of the flood, or of the connection", flooding).await;
            }
        }
    });
    ends.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d16_frame_floods_are_answered_from_a_bounded_queue() {
    let mut siege = Siege::lay("SETTINGS, PING and other floods", "").await;
    siege.waves(scaled(FLOODS), FLOODS_CEILING, frame_floods).await;
}
