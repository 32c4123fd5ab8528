//! `audit verify`: whether a chained audit stream is whole.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use portcullis::audit::{Break, Chained, Verifier};
use portcullis::config::Config;
use portcullis::config::watching::Chain;

use super::{Failure, Said};

/// What to do with an audit stream.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Say whether lines were removed, changed or moved; exit 0 when not, 1 with the first such line
    Verify(Question),
}

/// What to verify, and with what.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// The files of one stream, the oldest first
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The file with `chain_key`; the configuration says it otherwise
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The stream was written without `chain_key`
    #[arg(long, conflicts_with = "key_file")]
    no_key: bool,
    /// The digest that the last line must have: finds lines that were cut off at the end
    #[arg(long, value_name = "DIGEST")]
    last: Option<String>,
}

pub(crate) fn verify(question: &Question, config: &Path) -> Result<Said, Failure> {
    let key = key(question, config)?;
    let mut verifier = Verifier::new(key.as_deref());
    for file in &question.files {
        if let Some((line, why)) = read(file, &mut verifier)? {
            return Ok(broken(&format!("{}:{line}: {why}", file.display())));
        }
    }
    let whole = match verifier.finish() {
        Err(why) => return Ok(broken(&format!("the last line {why}"))),
        Ok(None) => return Ok(broken("there is no line")),
        Ok(Some(whole)) => whole,
    };
    match &question.last {
        Some(last) if *last != whole.digest => {
            Ok(broken(&format!("the last line has digest {}, not {last}: lines are missing at the end", whole.digest)))
        }
        _ => Ok(good(&whole).into()),
    }
}

/// Where and why the stream breaks, if it does.
fn read(file: &Path, verifier: &mut Verifier) -> Result<Option<(usize, Break)>, Failure> {
    let unreadable = |why: std::io::Error| Failure::Usage(format!("{}: {why}", file.display()));
    let mut lines = BufReader::new(File::open(file).map_err(unreadable)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            return Ok(None);
        }
        if let Err(why) = verifier.line(&String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line))) {
            return Ok(Some((number, why)));
        }
    }
    Ok(None)
}

fn key(question: &Question, config: &Path) -> Result<Option<String>, Failure> {
    if question.no_key {
        return Ok(None);
    }
    if let Some(file) = &question.key_file {
        let text = std::fs::read_to_string(file).map_err(|why| Failure::Usage(format!("{}: {why}", file.display())))?;
        return Ok(Some(text.strip_suffix('\n').unwrap_or(&text).to_owned()));
    }
    let config = Config::load(config).map_err(Failure::Configuration)?;
    match config.audit.map(|audit| audit.chain) {
        Some(Chain::Keyed(key)) => Ok(Some(key.0)),
        Some(Chain::Plain) => Ok(None),
        Some(Chain::None) | None => Err(Failure::Usage(
            "the configuration has no [audit] chain = true; say --key-file FILE or --no-key for a stream that has"
                .into(),
        )),
    }
}

fn broken(why: &str) -> Said {
    Said { text: format!("{why}\n"), exit_code: ExitCode::FAILURE }
}

fn good(whole: &Chained) -> String {
    let Chained { first, last, digest, torn } = whole;
    let start = if *first == 1 { String::new() } else { "; what came before them is elsewhere".into() };
    let torn = if *torn == 0 { String::new() } else { format!("torn lines, of a writer that was cut off: {torn}\n") };
    format!("lines {first} to {last} are whole{start}\n{torn}last digest {digest}\n")
}
