//! The binary follows its files: changed in place, swapped behind a link, or told by SIGHUP (threats O1, O2, O5).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::Process;
use crate::support::pki::{foreign, pki};
use crate::support::process::PLAIN;

/// With files beside it: a certificate, its key, and a secret.
fn good() -> String {
    let tls = "tls = { certificate = \"tls.crt\", key = \"tls.key\" }";
    let secret = "upstream_headers = { authorization = \"Bearer ${file:secret}\" }\nissuers";
    PLAIN.replace("insecure_plaintext = true", tls).replace("issuers = [", &format!("{secret} = ["))
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("gateway.toml", good().as_str()), ("tls.crt", &pki().certificate), ("tls.key", &pki().key), ("secret", "one")]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let file = folder.path().join("gateway.toml");
    (folder, file)
}

/// In one step, as editors and deployments do it.
fn replace(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, file).unwrap();
}

#[test]
fn o1_o2_a_changed_file_is_taken_within_a_second_and_a_bad_one_refused() {
    let (_folder, file) = folder();
    let process = Process::start(&file);
    for write in [|file: &Path, text: &str| fs::write(file, text).unwrap(), replace] {
        let changed = Instant::now();
        write(&file, &good().replace("scopes = []", &format!("scopes = [\"s{}\"]", changed.elapsed().as_nanos())));
        let line = process.says("config.reloaded");
        assert!(changed.elapsed() < Duration::from_secs(1), "{:?}", changed.elapsed());
        assert!(line["generation"].as_u64().unwrap() > 1);
        write(&file, &format!("{}tenent = 1\n", good()));
        let line = process.says("config.rejected");
        let detail = line["detail"].as_str().unwrap();
        assert!(detail.contains("gateway.toml:") && detail.contains("did you mean tenant?"), "{detail}");
    }
}

#[test]
fn o5_changed_certificate_and_secret_files_are_taken_too() {
    let (folder, file) = folder();
    let process = Process::start(&file);
    let path = |name: &str| folder.path().join(name);
    replace(&path("secret"), "two");
    process.says("config.reloaded");
    // Both are written before anybody looks; a half-written pair would be refused, and taken with the second file.
    replace(&path("tls.key"), &foreign().key);
    replace(&path("tls.crt"), &foreign().certificate);
    process.says("tls.reloaded");
}

#[test]
fn o1_a_config_map_is_followed_through_its_links_more_than_once() {
    let (files, _) = folder();
    let mount = tempfile::tempdir().unwrap();
    let path = |name: &str| mount.path().join(name);
    let version = |name: &str, scope: &str| {
        fs::create_dir(path(name)).unwrap();
        for file in fs::read_dir(files.path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), path(name).join(file.file_name())).unwrap();
        }
        fs::write(path(name).join("gateway.toml"), good().replace("scopes = []", &format!("scopes = [\"{scope}\"]")))
            .unwrap();
        symlink(name, path("..next")).unwrap();
        fs::rename(path("..next"), path("..data")).unwrap();
    };
    version("..v1", "one");
    for name in ["gateway.toml", "tls.crt", "tls.key", "secret"] {
        symlink(Path::new("..data").join(name), path(name)).unwrap();
    }
    let process = Process::start(&path("gateway.toml"));
    for (name, old) in [("..v2", "..v1"), ("..v3", "..v2"), ("..v4", "..v3")] {
        version(name, name.trim_start_matches('.'));
        fs::remove_dir_all(path(old)).unwrap();
        process.says("config.reloaded");
    }
}

#[test]
fn hang_up_tries_again_even_when_nothing_has_changed() {
    let (_folder, file) = folder();
    let process = Process::start(&file);
    process.hang_up();
    assert_eq!(process.says("config.reloaded")["generation"], 2);
    process.hang_up();
    assert_eq!(process.says("config.reloaded")["generation"], 3);
}

#[test]
fn configuration_that_names_a_file_before_it_is_there_is_taken_when_it_comes() {
    let (folder, file) = folder();
    let process = Process::start(&file);
    replace(&file, &good().replace("key = \"tls.key\"", "key = \"new.key\"").replace("file:secret", "file:later"));
    process.says("config.rejected");
    fs::write(folder.path().join("later"), "three").unwrap();
    process.says("config.rejected");
    fs::write(folder.path().join("new.key"), &pki().key).unwrap();
    process.says("config.reloaded");
}
