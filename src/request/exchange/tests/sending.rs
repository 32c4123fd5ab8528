//! What becomes of a request while its answer is awaited.

use std::pin::pin;

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::{Instant, sleep};

use super::*;

const LENGTH: usize = 100 * 1024;

fn body() -> Vec<Bytes> {
    (0_u8..100).map(|number| vec![number; 1024].into()).collect()
}

/// A request with a body that the upstream has taken some of.
async fn with_part_taken(kept: &Arc<Kept>, answer: &[u8]) -> (Head, AnswerBody, DuplexStream) {
    let (near, mut far) = tokio::io::duplex(4096);
    let asking = ask(Wire::new(Box::new(near)), body(), kept);
    let answering = async {
        far.read_exact(&mut [0; 30]).await.unwrap();
        far.write_all(answer).await.unwrap();
    };
    let (answered, ()) = tokio::join!(asking, answering);
    let (head, body) = answered.unwrap();
    (head, body, far)
}

#[tokio::test]
async fn an_early_refusal_counts_and_ends_the_sending() {
    let kept = Arc::new(Kept::default());
    let answer = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig";
    let (head, answer, mut far) = with_part_taken(&kept, answer).await;
    assert_eq!(head.status, 413);
    assert_eq!(answer.collect().await.unwrap().to_bytes(), "big");
    let mut taken = Vec::new();
    far.read_to_end(&mut taken).await.unwrap();
    assert!(taken.len() <= 4096 && kept.count() == 0, "closed");
}

#[tokio::test]
async fn an_upstream_that_works_while_it_reads_gets_the_rest() {
    let kept = Arc::new(Kept::default());
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n";
    let (head, answer, mut far) = with_part_taken(&kept, answer).await;
    assert_eq!(head.status, 200);
    let working = async {
        let head = b"GET / HTTP/1.1\r\n\r\n".len();
        let mut rest = vec![0; LENGTH + head - 30];
        far.read_exact(&mut rest).await.unwrap();
        far.write_all(b"done").await.unwrap();
        rest
    };
    let (answer, rest) = tokio::join!(answer.collect(), working);
    assert_eq!(answer.unwrap().to_bytes(), "done");
    assert!(rest.ends_with(&[99; 1024]) && kept.count() == 1);
}

#[tokio::test]
async fn the_answer_of_an_upstream_that_stopped_reading_counts() {
    let kept = Arc::new(Kept::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    far.write_all(b"HTTP/1.1 413 x\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let mut body = body();
    body.resize(100_000, body[0].clone());
    let (head, _) = ask(Wire::new(Box::new(near)), body, &kept).await.unwrap();
    assert!(head.status == 413 && kept.count() == 0);
}

#[tokio::test]
async fn f16_an_answer_before_one_byte_was_taken_answers_nothing() {
    let kept = Arc::new(Kept::default());
    let (mut near, mut far) = tokio::io::duplex(64);
    near.write_all(&[0; 64]).await.unwrap();
    far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    let answered = ask(Wire::new(Box::new(near)), Vec::new(), &kept).await;
    assert!(matches!(answered, Err(Unanswered::Failed(Fault::Unasked))));
}

#[tokio::test(start_paused = true)]
async fn d24_the_time_for_an_answer_counts_from_the_last_that_was_taken() {
    let kept = Arc::new(Kept::default());
    for takes in [0, 1, 3] {
        let begun = Instant::now();
        let (near, mut far) = tokio::io::duplex(4096);
        let asking = ask(Wire::new(Box::new(near)), body(), &kept);
        let taking = async {
            for _ in 0..takes {
                sleep(Duration::from_secs(6)).await;
                far.read_exact(&mut [0; 1024]).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let answered = tokio::select! { answered = asking => answered, () = taking => unreachable!() };
        assert!(matches!(answered, Err(Unanswered::Late)));
        assert_eq!(begun.elapsed(), Duration::from_secs(6 * takes) + PATIENCE, "{takes}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_timer_serves_a_connections_requests_and_none_one_that_never_waits() {
    let kept = Arc::new(Kept::default());
    let answer = &b"HTTP/1.1 204 No Content\r\n\r\n"[..];
    ask(Wire::new(Box::new(Script::new([answer], false))), Vec::new(), &kept).await.unwrap();
    assert!(!kept.0.lock().unwrap().pop().unwrap().deadline.was_awaited());

    let (near, mut far) = tokio::io::duplex(4096);
    let mut wire = Wire::new(Box::new(near));
    for _ in 0..5 {
        let mut asking = pin!(ask(wire, Vec::new(), &kept));
        assert!((&mut asking).now_or_never().is_none());
        sleep(Duration::from_secs(9)).await;
        far.write_all(answer).await.unwrap();
        asking.await.unwrap();
        wire = kept.0.lock().unwrap().pop().unwrap();
        assert!(wire.deadline.was_awaited());
    }
    let begun = Instant::now();
    assert!(matches!(ask(wire, Vec::new(), &kept).await, Err(Unanswered::Late)));
    assert_eq!(begun.elapsed(), PATIENCE);
}

#[test]
fn an_upstream_is_told_that_its_connection_ends() {
    let script = Script::new([], false);
    let is_told = Arc::clone(&script.is_told);
    let wire = Wire::new(Box::new(script));
    assert!(!is_told.load(Ordering::Relaxed));
    drop(wire);
    assert!(is_told.load(Ordering::Relaxed));
}
