//! The MCP server behind the gateway: records every byte it is sent and answers as the test says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::place::Place;
use super::wire::{Fields, Length, Piece, read_head};
use super::{eventually, within};

/// What the upstream answers unless told otherwise.
pub(crate) const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

/// Between what is written and the reset after it.
const RESET_PAUSE: Duration = Duration::from_millis(10);

/// A running upstream; gone when dropped.
pub(crate) struct Upstream {
    place: Place,
    shared: Arc<Shared>,
    streams: mpsc::UnboundedReceiver<Stream>,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: String,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
    /// The body came to its proper end.
    pub(crate) complete: bool,
    /// The gateway closed the connection before it had its answer.
    pub(crate) gone: bool,
    /// Counts connections: equal numbers came over the same one.
    pub(crate) connection: usize,
}

/// What every forwarded POST of [`super::client::CALL`] with the default token carries, and nothing else.
const ALLOWED: [&str; 16] = [
    "accept",
    "content-length",
    "content-type",
    "forwarded",
    "host",
    "traceparent",
    "via",
    "x-auth-client",
    "x-auth-issuer",
    "x-auth-scopes",
    "x-auth-subject",
    "x-auth-tenant",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

impl Received {
    /// Asserts that nothing came but the fields of every forwarded POST and `more`, each once.
    #[track_caller]
    pub(crate) fn assert_only(&self, more: &[&str]) {
        let mut wanted: Vec<_> = ALLOWED.iter().chain(more).map(ToString::to_string).collect();
        wanted.sort();
        assert_eq!(self.fields.names(), wanted, "{:?}", self.fields);
    }

    /// The only value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }
}

#[derive(Clone)]
enum Behaviour {
    Bytes { bytes: Vec<u8>, close: bool },
    Reset { bytes: Vec<u8> },
    Slow { bytes: Vec<u8>, pause: Duration },
    Silent,
    Stream { head: String },
}

/// What the running server and the test both see.
pub(crate) struct Shared {
    received: Mutex<Vec<Received>>,
    behaviour: Mutex<Behaviour>,
    connections: Mutex<usize>,
    streams: mpsc::UnboundedSender<Stream>,
}

impl Shared {
    /// Everything received so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    fn note(&self, index: usize, change: impl FnOnce(&mut Received)) {
        change(&mut self.received.lock().unwrap()[index]);
    }
}

impl Upstream {
    /// Starts on a free port and answers [`ANSWER`].
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (sender, streams) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            behaviour: Mutex::new(json_answer(200, ANSWER)),
            connections: Mutex::default(),
            streams: sender,
        });
        let served = shared.clone();
        let place = Place::open(listener, move |listener| accept(listener, served.clone()));
        Self { place, shared, streams }
    }

    /// Nobody is there any more: connections end, and new ones are refused.
    pub(crate) async fn kill(&mut self) {
        self.place.close().await;
    }

    /// It is there again.
    pub(crate) fn restart(&mut self) {
        self.place.open_again();
    }

    /// The address of nobody: connections are refused.
    pub(crate) async fn nowhere() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/mcp", listener.local_addr().unwrap())
    }

    /// Where the gateway sends requests.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.place.address)
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> String {
        self.place.address.to_string()
    }

    /// Everything received so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received()
    }

    /// The one request received.
    pub(crate) fn only(&self) -> Received {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received.remove(0)
    }

    /// Waits until one of the requests is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Received) -> bool) -> Received {
        eventually(what, || self.received().into_iter().find(&wanted)).await
    }

    /// How many connections the gateway opened.
    pub(crate) fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// From now on answers this status with a JSON body.
    pub(crate) fn answers(&self, status: u16, body: &str) {
        self.behave(json_answer(status, body));
    }

    /// From now on answers with these fields besides.
    pub(crate) fn answers_with(&self, status: u16, fields: &[(&str, &str)], body: &str) {
        let fields: String = fields.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
        let length = body.len();
        self.behave(Behaviour::Bytes {
            bytes: format!("HTTP/1.1 {status} Told\r\n{fields}content-length: {length}\r\n\r\n{body}").into(),
            close: false,
        });
    }

    /// From now on answers these very bytes and closes.
    pub(crate) fn answers_bytes_and_closes(&self, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        self.behave(Behaviour::Bytes { bytes, close: true });
    }

    /// From now on answers these very bytes and keeps the connection.
    pub(crate) fn answers_bytes(&self, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        self.behave(Behaviour::Bytes { bytes, close: false });
    }

    /// From now on answers these very bytes and resets the connection.
    pub(crate) fn resets_after(&self, bytes: impl Into<Vec<u8>>) {
        self.behave(Behaviour::Reset { bytes: bytes.into() });
    }

    /// From now on answers [`ANSWER`] in pieces of a few bytes, with such a pause before each.
    pub(crate) fn dribbles(&self, pause: Duration) {
        let Behaviour::Bytes { bytes, .. } = json_answer(200, ANSWER) else { unreachable!() };
        self.behave(Behaviour::Slow { bytes, pause });
    }

    /// From now on takes requests and never answers.
    pub(crate) fn never_answers(&self) {
        self.behave(Behaviour::Silent);
    }

    /// From now on answers each request with an event stream that the test drives.
    pub(crate) fn streams(&self) {
        self.streams_with("content-type: text/event-stream\r\n");
    }

    /// The same with other fields.
    pub(crate) fn streams_with(&self, head: &str) {
        let head = head.to_owned();
        self.behave(Behaviour::Stream { head });
    }

    /// The stream of the next request that was answered with one.
    pub(crate) async fn stream(&mut self) -> Stream {
        within("a streamed answer", self.streams.recv()).await.unwrap()
    }

    fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }
}

fn json_answer(status: u16, body: &str) -> Behaviour {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
    Behaviour::Bytes { bytes: (head + body).into(), close: false }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let number = {
            let mut count = shared.connections.lock().unwrap();
            *count += 1;
            *count
        };
        connections.spawn(serve(BufReader::new(stream), shared.clone(), number));
    }
}

async fn serve(mut stream: BufReader<TcpStream>, shared: Arc<Shared>, connection: usize) {
    while let Some(index) = receive(&mut stream, &shared, connection).await {
        let behaviour = shared.behaviour.lock().unwrap().clone();
        match behaviour {
            Behaviour::Bytes { bytes, close } => {
                if stream.write_all(&bytes).await.is_err() || close {
                    break;
                }
            }
            Behaviour::Reset { bytes } => {
                stream.write_all(&bytes).await.unwrap_or_default();
                // What was written is there before the reset.
                tokio::time::sleep(RESET_PAUSE).await;
                stream.get_ref().set_zero_linger().unwrap();
                break;
            }
            Behaviour::Slow { bytes, pause } => {
                let (first, rest) = bytes.split_at(bytes.len() - ANSWER.len());
                stream.write_all(first).await.unwrap_or_default();
                for piece in rest.chunks(4) {
                    tokio::time::sleep(pause).await;
                    if stream.write_all(piece).await.is_err() {
                        return;
                    }
                }
            }
            Behaviour::Silent => {
                wait_for_close(&mut stream).await;
                shared.note(index, |request| request.gone = true);
                break;
            }
            Behaviour::Stream { head } => {
                if !drive(&mut stream, &shared, &head).await {
                    shared.note(index, |request| request.gone = true);
                    break;
                }
            }
        }
    }
}

/// Takes one whole request; its place in the record, or `None` when the connection ended first.
async fn receive(stream: &mut BufReader<TcpStream>, shared: &Shared, connection: usize) -> Option<usize> {
    let head = read_head(stream).await?;
    let words: Vec<_> = head.start.split(' ').map(str::to_owned).collect();
    let mut length = Length::of_request(&head.fields);
    let index = {
        let mut received = shared.received.lock().unwrap();
        received.push(Received {
            method: words[0].clone(),
            target: words[1].clone(),
            version: words[2].clone(),
            fields: head.fields,
            body: Vec::new(),
            complete: false,
            gone: false,
            connection,
        });
        received.len() - 1
    };
    loop {
        match length.next(stream).await {
            Piece::Data(data) => shared.note(index, |request| request.body.extend(data)),
            Piece::End => break,
            Piece::Broken => {
                shared.note(index, |request| request.gone = true);
                return None;
            }
        }
    }
    shared.note(index, |request| request.complete = true);
    Some(index)
}

async fn wait_for_close(stream: &mut BufReader<TcpStream>) {
    let mut byte = [0];
    while let Ok(1..) = stream.read(&mut byte).await {}
}

enum Command {
    Send(Vec<u8>),
    End,
    Cut,
}

/// A streamed answer in the hands of the test.
pub(crate) struct Stream {
    commands: mpsc::Sender<(Command, oneshot::Sender<()>)>,
    gone: oneshot::Receiver<()>,
}

impl Stream {
    /// Writes one piece and waits until the system has taken it.
    pub(crate) async fn send(&self, text: &str) {
        assert!(self.command(Command::Send(text.into())).await, "the stream is gone");
    }

    /// Writes one piece; false when nobody takes it any more.
    pub(crate) async fn try_send(&self, text: &str) -> bool {
        self.command(Command::Send(text.into())).await
    }

    /// Ends the answer properly.
    pub(crate) async fn end(self) {
        assert!(self.command(Command::End).await, "the stream is gone");
    }

    /// Breaks the connection in the middle of the answer.
    pub(crate) async fn cut(self) {
        self.command(Command::Cut).await;
    }

    /// Waits until the gateway has closed its side.
    pub(crate) async fn gone(self) {
        within("the gateway leaves the stream", self.gone).await.unwrap();
    }

    /// Writes pieces until nobody takes them any more or `most` bytes are gone; says how many were taken.
    pub(crate) async fn fill(&self, most: usize) -> usize {
        let piece = format!("data: {}\n\n", "x".repeat(64 * 1024));
        let mut taken = 0;
        while taken < most {
            let step = self.command(Command::Send(piece.clone().into()));
            match tokio::time::timeout(Duration::from_millis(700), step).await {
                Ok(true) => taken += piece.len(),
                Ok(false) | Err(_) => break,
            }
        }
        taken
    }

    async fn command(&self, command: Command) -> bool {
        let (done, seen) = oneshot::channel();
        self.commands.send((command, done)).await.is_ok() && seen.await.is_ok()
    }
}

/// Obeys the test until the answer ends; false when the connection is over.
async fn drive(stream: &mut BufReader<TcpStream>, shared: &Shared, head: &str) -> bool {
    let head = format!("HTTP/1.1 200 OK\r\n{head}transfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (commands, mut orders) = mpsc::channel(1);
    let (leave, gone) = oneshot::channel();
    if shared.streams.send(Stream { commands, gone }).is_err() {
        return false;
    }
    let mut byte = [0];
    loop {
        tokio::select! {
            order = orders.recv() => {
                let (bytes, last) = match order {
                    Some((Command::Send(data), done)) => ((chunk(&data), Some(done)), false),
                    Some((Command::End, done)) => ((b"0\r\n\r\n".to_vec(), Some(done)), true),
                    Some((Command::Cut, _)) | None => return false,
                };
                if stream.write_all(&bytes.0).await.is_err() {
                    break;
                }
                bytes.1.map(|done| done.send(()));
                if last {
                    return true;
                }
            }
            _ = stream.read(&mut byte) => break,
        }
    }
    leave.send(()).unwrap_or_default();
    false
}

fn chunk(data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend(data);
    bytes.extend(b"\r\n");
    bytes
}
