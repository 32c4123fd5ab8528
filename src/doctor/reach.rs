//! Whether a host can be reached: its name, a connection, and the TLS certificate, as a client would see them.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, Error};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::probe::TIMEOUT;
use super::report::Section;
use crate::tls;
use crate::trust::client_tls;

const SECONDS_OF_DAY: i64 = 24 * 60 * 60;
/// As the gateway itself warns.
const SOON_DAYS: i64 = 14;
/// More addresses of one name are not tried.
const MAX_ADDRESSES: usize = 4;

/// How to get to a host.
pub(super) struct Way<'a> {
    pub(super) url: &'a Url,
    /// A further trust anchor.
    pub(super) ca: Option<&'a Path>,
    /// The key of the configuration, or the option, that names one.
    pub(super) ca_key: &'static str,
    /// Connections go there, whatever the name says.
    pub(super) connect: Option<SocketAddr>,
}

impl Way<'_> {
    /// The addresses of the host, when a connection could be opened; everything else is in the section.
    pub(super) async fn walk(&self, section: &mut Section) -> Option<Vec<IpAddr>> {
        let (host, port) = (self.url.host_str()?, self.url.port_or_known_default()?);
        let addresses = self.addresses(section, host, port).await?;
        let stream = self.connect(section, &addresses).await?;
        if self.url.scheme() == "https" {
            self.shake_hands(section, stream).await?;
        }
        Some(addresses.iter().map(SocketAddr::ip).collect())
    }

    async fn addresses(&self, section: &mut Section, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        if let Some(address) = self.connect {
            section.note("dns", format!("connections to {host} go to {address}, as asked"));
            return Some(vec![address]);
        }
        let literal = match self.url.host()? {
            Host::Ipv4(address) => Some(IpAddr::from(address)),
            Host::Ipv6(address) => Some(IpAddr::from(address)),
            Host::Domain(_) => None,
        };
        if let Some(address) = literal {
            return Some(vec![SocketAddr::new(address, port)]);
        }
        let found = timeout(TIMEOUT, tokio::net::lookup_host((host, port))).await;
        let why = match found {
            Ok(Ok(addresses)) => {
                let addresses: Vec<SocketAddr> = addresses.take(MAX_ADDRESSES).collect();
                let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
                if !shown.is_empty() {
                    section.ok("dns", format!("{host} is {}", shown.join(", ")));
                    return Some(addresses);
                }
                "no address".to_owned()
            }
            Ok(Err(why)) => why.to_string(),
            Err(_) => "no answer in 5 s".to_owned(),
        };
        section.problem(
            "dns",
            format!("{host} has no address: {why}"),
            "the name in the URL, or the resolver of this machine",
        );
        None
    }

    async fn connect(&self, section: &mut Section, addresses: &[SocketAddr]) -> Option<TcpStream> {
        let mut causes = Vec::new();
        for address in addresses {
            match timeout(TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Some(stream),
                Ok(Err(why)) => causes.push(format!("{address}: {why}")),
                Err(_) => causes.push(format!("{address}: no answer in 5 s")),
            }
        }
        let fix = "is it running, is the port right, and does a firewall or network policy let this machine through?";
        section.problem("connect", format!("no connection: {}", causes.join("; ")), fix);
        None
    }

    async fn shake_hands(&self, section: &mut Section, stream: TcpStream) -> Option<()> {
        let host = self.url.host_str()?.trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).ok()?;
        let config = match client_tls(self.ca) {
            Ok(config) => config,
            Err(why) => {
                section.problem("tls", why.to_string(), format!("the file that {} names", self.ca_key));
                return None;
            }
        };
        match timeout(TIMEOUT, TlsConnector::from(Arc::new(config)).connect(name, stream)).await {
            Ok(Ok(stream)) => {
                let (_, connection) = stream.get_ref();
                let is_13 = connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
                let version = if is_13 { "TLS 1.3" } else { "TLS 1.2" };
                look_at(section, version, connection.peer_certificates().unwrap_or_default());
                Some(())
            }
            Ok(Err(why)) => {
                let cause = why.get_ref().and_then(|why| why.downcast_ref::<Error>());
                section.problem("tls", format!("the TLS handshake fails: {why}"), self.mend(cause));
                None
            }
            Err(_) => {
                section.problem("tls", "the TLS handshake gets no answer in 5 s", "does this port speak TLS?");
                None
            }
        }
    }

    fn mend(&self, cause: Option<&Error>) -> String {
        match cause {
            Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => format!(
                "its authority is not known here: name its certificate (PEM) in {}, or let the server send its intermediates",
                self.ca_key
            ),
            Some(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
                "renew the certificate; if it is new, this machine's clock is wrong".into()
            }
            Some(Error::InvalidCertificate(
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
            )) => "this machine's clock is behind, or the certificate is for later".into(),
            Some(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => "a certificate for this host's name, or the name that is in it".into(),
            Some(Error::InvalidMessage(_)) => "does this port speak TLS?".into(),
            _ => "the server's TLS set-up: versions 1.2 and 1.3 are spoken here".into(),
        }
    }
}

fn look_at(section: &mut Section, version: &str, chain: &[rustls::pki_types::CertificateDer<'_>]) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let days = tls::validity(chain).1.map(|end| (end - i64::try_from(now).unwrap_or(i64::MAX)) / SECONDS_OF_DAY);
    let text = format!("{version}, {} certificate(s), trusted", chain.len());
    match days {
        Some(days) if days < SOON_DAYS => {
            section.warning("tls", format!("{text}; the first ends in {days} days"), "renew the certificate");
        }
        Some(days) => section.ok("tls", format!("{text}; the first ends in {days} days")),
        None => section.ok("tls", text),
    }
}

/// True when nobody outside can get there: a vendor's servers neither.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}
