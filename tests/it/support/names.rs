//! A name server on loopback, and the mounts that make a process ask it: names that are there, are not, or are never told.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is said of a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// This address.
    Is(Ipv4Addr),
    /// This address, after this time.
    Late(Ipv4Addr, Duration),
    /// No such name.
    Absent,
    /// Nothing at all.
    Never,
}

/// The running server; its thread ends with the test's process.
pub(crate) struct Names {
    address: Ipv4Addr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    told: BTreeMap<String, Told>,
    asked: BTreeMap<String, usize>,
}

/// Bytes of a header (RFC 1035 §4.1.1); the question follows.
const HEADER: usize = 12;

impl Names {
    /// On port 53 of an address of its own; nothing where nobody may have that.
    pub(crate) fn start() -> Option<Self> {
        let addresses = (1..=250).map(|last| Ipv4Addr::new(127, 77, 0, last));
        let bound = addresses.map(|address| UdpSocket::bind((address, 53))).find(|bound| {
            // The next one, where another test has this one.
            !bound.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
        });
        let Some(Ok(socket)) = bound else {
            println!("skipped: only root may be a name server (port 53)");
            return None;
        };
        let std::net::IpAddr::V4(address) = socket.local_addr().unwrap().ip() else { unreachable!() };
        let shared = Arc::new(Mutex::new(Shared::default()));
        let told = Arc::clone(&shared);
        std::thread::spawn(move || serve(&socket, &told));
        Some(Self { address, shared })
    }

    /// From now on this is said of the name.
    pub(crate) fn tell(&self, name: &str, told: Told) {
        self.shared.lock().unwrap().told.insert(name.to_owned(), told);
    }

    /// How often an address of this name was asked for.
    pub(crate) fn asked(&self, name: &str) -> usize {
        self.shared.lock().unwrap().asked.get(name).copied().unwrap_or(0)
    }

    /// A script that makes a process ask this server alone, for every name. The files are made in this folder.
    pub(crate) fn mounts(&self, folder: &Path) -> String {
        let resolver = format!("nameserver {}\noptions timeout:3 attempts:2\n", self.address);
        let files = [("resolv.conf", resolver.as_str()), ("hosts", ""), ("nsswitch.conf", "hosts: files dns\n")];
        let mounts = files.map(|(name, text)| {
            let file = folder.join(name);
            std::fs::write(&file, text).unwrap();
            format!("[ ! -e /etc/{name} ] || mount --bind '{}' /etc/{name}", file.display())
        });
        mounts.join("; ")
    }
}

fn serve(socket: &UdpSocket, shared: &Mutex<Shared>) {
    let mut query = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut query) {
        let (name, end) = question(&query[..length]);
        let wants_address = query[end..end + 2] == [0, 1];
        let told = {
            let mut shared = shared.lock().unwrap();
            *shared.asked.entry(name.clone()).or_default() += usize::from(wants_address);
            shared.told.get(&name).copied().unwrap_or(Told::Absent)
        };
        let answer = answer(&query[..end + 4], told, wants_address);
        match told {
            Told::Never => {}
            Told::Late(_, after) => {
                let socket = socket.try_clone().unwrap();
                std::thread::spawn(move || {
                    std::thread::sleep(after);
                    socket.send_to(&answer, from).ok();
                });
            }
            Told::Is(_) | Told::Absent => {
                socket.send_to(&answer, from).unwrap();
            }
        }
    }
}

/// The name that is asked for, and where the type stands that is asked for.
fn question(query: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), HEADER);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}

/// RFC 1035 §4.1: the question again, and an address where there is one and it is asked for.
fn answer(query: &[u8], told: Told, wants_address: bool) -> Vec<u8> {
    let address = match told {
        Told::Is(address) | Told::Late(address, _) => Some(address).filter(|_| wants_address),
        Told::Absent | Told::Never => None,
    };
    let code = if told == Told::Absent { 3 } else { 0 };
    let mut answer = query.to_vec();
    answer[2..HEADER].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    if let Some(address) = address {
        // Of the name in the question: type A, class IN, for no time, four bytes.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}
