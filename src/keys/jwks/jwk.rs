//! One JWK → a key that verifies (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).

use aws_lc_rs::digest;
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::config::Algorithm;

/// Longest `kid`, in a set and in a token.
pub(crate) const MAX_KID_BYTES: usize = 256;
/// RFC 7518 §3.3 asks for 2048 bits at least; beyond 8192 a check costs too much.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Longest RSA exponent: real ones are 3 or 65537.
const MAX_EXPONENT_BYTES: usize = 4;
/// Members that only private keys have (RFC 7518 §6.2.2, §6.3.2). A key that was published whole is nobody's key.
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// A key that may verify signatures of an issuer: parsed once, tied to its algorithms.
pub struct VerificationKey {
    kid: Option<Box<str>>,
    fingerprint: Fingerprint,
    /// Those that key type, curve and the key's own `alg` allow; never empty.
    algorithms: Vec<Algorithm>,
    /// One for each of them, in their order. jsonwebtoken's keys are parsed again for every signature, and what the arithmetic needs
    /// to know of an RSA modulus is computed again: a tenth of what an RS256 signature takes.
    parsed: Vec<ParsedPublicKey>,
}

/// What one key type makes of a JWK.
struct Material {
    keys: Vec<(Algorithm, ParsedPublicKey)>,
    /// Tells it from every other key.
    bytes: Vec<u8>,
}

/// SHA-256 over a key's material, `kid` and algorithms: the same only for the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; digest::SHA256_OUTPUT_LEN]);

impl VerificationKey {
    /// A public signature key, or the log's word for why it is none.
    pub(super) fn parse(jwk: &Value) -> Result<Self, &'static str> {
        let kty = jwk.get("kty").and_then(Value::as_str).ok_or("key.type")?;
        let read: fn(&Value) -> Result<Material, &'static str> = match kty {
            "RSA" => read_rsa,
            "EC" => read_ec,
            "OKP" => read_okp,
            _ => return Err("key.type"),
        };
        let kid = kid(jwk)?;
        if PRIVATE_MEMBERS.iter().any(|member| jwk.get(member).is_some()) {
            return Err("key.private");
        }
        check_use(jwk)?;
        let only = algorithm(jwk)?;
        let Material { mut keys, bytes } = read(jwk)?;
        keys.retain(|(algorithm, _)| only.is_none_or(|only| only == *algorithm));
        let (algorithms, parsed): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
        if algorithms.is_empty() {
            return Err("key.alg");
        }
        let fingerprint = Fingerprint::of(kid, &algorithms, &bytes);
        Ok(Self { kid: kid.map(Box::from), fingerprint, algorithms, parsed })
    }

    /// `kid`, when the key has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Those that key type, curve and the key's own `alg` allow.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Tells this key from every other.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// True when key type, curve and the key's own `alg` allow this algorithm.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// True when `signature` over `message` verifies under `algorithm`; false also when the key does not fit the algorithm.
    ///
    /// The library checks nothing but the mathematics here: which key, which algorithm and which claims are decided by us.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let mut keys = self.algorithms.iter().zip(&self.parsed);
        let fitting = keys.find(|(own, _)| **own == algorithm);
        fitting.is_some_and(|(_, key)| key.verify_sig(message, signature).is_ok())
    }
}

impl std::fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerificationKey")
            .field("kid", &self.kid)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

impl Fingerprint {
    fn of(kid: Option<&str>, algorithms: &[Algorithm], material: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(format!("{algorithms:?} {kid:?} ").as_bytes());
        context.update(material);
        let mut hash = [0; digest::SHA256_OUTPUT_LEN];
        hash.copy_from_slice(context.finish().as_ref());
        Self(hash)
    }
}

/// `kid`: absent, or a string of bounded length.
pub(super) fn kid(jwk: &Value) -> Result<Option<&str>, &'static str> {
    match jwk.get("kid") {
        None => Ok(None),
        Some(Value::String(kid)) if kid.len() <= MAX_KID_BYTES => Ok(Some(kid)),
        Some(_) => Err("key.kid"),
    }
}

/// RFC 7517 §4.2, §4.3: a key for encryption, or for anything but verifying, verifies nothing.
fn check_use(jwk: &Value) -> Result<(), &'static str> {
    let signs = jwk.get("use").is_none_or(|usage| usage == "sig");
    let verifies = jwk.get("key_ops").is_none_or(|operations| {
        operations.as_array().is_some_and(|list| list.iter().any(|operation| operation == "verify"))
    });
    (signs && verifies).then_some(()).ok_or("key.use")
}

/// The key's own `alg`: the only one it may be used with (RFC 8725 §3.1).
fn algorithm(jwk: &Value) -> Result<Option<Algorithm>, &'static str> {
    let Some(name) = jwk.get("alg") else { return Ok(None) };
    let found = name.as_str().and_then(Algorithm::named);
    found.map(Some).ok_or("key.alg")
}

/// What each algorithm of an RSA key is to the library.
const RSA_ALGORITHMS: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
    (Algorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
    (Algorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
];

fn read_rsa(jwk: &Value) -> Result<Material, &'static str> {
    let (n, e) = (number(jwk, "n")?, number(jwk, "e")?);
    let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    let exponent_is_sound = odd(&e) && e.len() <= MAX_EXPONENT_BYTES && e != [1];
    if !RSA_BITS.contains(&bits) || !odd(&n) || !exponent_is_sound || has_roca_weakness(&n) {
        return Err("key.weak");
    }
    let components = RsaPublicKeyComponents { n: &n, e: &e };
    let parsed = RSA_ALGORITHMS.map(|(algorithm, rules)| Ok((algorithm, components.to_parsed_public_key(rules)?)));
    let keys: Result<_, KeyRejected> = parsed.into_iter().collect();
    Ok(Material { keys: keys.map_err(|_| "key.invalid")?, bytes: [n, e].concat() })
}

/// The curve alone decides the algorithm (RFC 8725 §3.4). Signatures are `r` and `s` side by side, each of the curve's length
/// (RFC 7518 §3.4).
fn read_ec(jwk: &Value) -> Result<Material, &'static str> {
    let (algorithm, rules, length) = match jwk.get("crv").and_then(Value::as_str) {
        Some("P-256") => (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED, 32),
        Some("P-384") => (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED, 48),
        _ => return Err("key.type"),
    };
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != length || y.len() != length {
        return Err("key.invalid");
    }
    // SEC 1 §2.3.3: 4 says that both coordinates follow. aws-lc refuses a point off the curve.
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    let key = ParsedPublicKey::new(rules, &point).map_err(|_| "key.invalid")?;
    Ok(Material { keys: vec![(algorithm, key)], bytes: point })
}

/// RFC 9864's `Ed25519` is `EdDSA` with a key of this curve.
fn read_okp(jwk: &Value) -> Result<Material, &'static str> {
    if jwk.get("crv").and_then(Value::as_str) != Some("Ed25519") {
        return Err("key.type");
    }
    let x = bytes(jwk, "x")?;
    if x.len() != 32 {
        return Err("key.invalid");
    }
    let key = ParsedPublicKey::new(&ED25519, &x).map_err(|_| "key.invalid")?;
    Ok(Material { keys: vec![(Algorithm::EdDsa, key.clone()), (Algorithm::Ed25519, key)], bytes: x })
}

/// A base64url member.
fn bytes(jwk: &Value, member: &str) -> Result<Vec<u8>, &'static str> {
    let text = jwk.get(member).and_then(Value::as_str).ok_or("key.invalid")?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "key.invalid")
}

/// A base64url number, without the leading zeros that some issuers write against RFC 7518 §2.
fn number(jwk: &Value, member: &str) -> Result<Vec<u8>, &'static str> {
    let bytes = bytes(jwk, member)?;
    let number: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    (!number.is_empty()).then_some(number).ok_or("key.invalid")
}

/// CVE-2017-15361: moduli of a flawed generator are a power of 65537 modulo every small prime; others practically never.
fn has_roca_weakness(n: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
        109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|&prime| {
        let rest = n.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let powers = std::iter::successors(Some(1), |power| Some(power * 65537 % prime));
        powers.take(prime as usize).any(|power| power == rest)
    })
}
