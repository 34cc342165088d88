//! Signing and verification without a host: every modification of a signed package, and every
//! reason for distrust.

use std::io::{Cursor, Write};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::key::{PublicKey, SigningKey};
use super::profile::{Profiles, version_arn};
use super::sign::{Terms, sign};
use super::signature::{BYTES_MAX, Malformed, Moment, PATH, Signature, SignedStatement};
use super::verify::{Damage, Verdict, judge};
use crate::clock::Timestamp;
use crate::config::{SigningAlgorithm, SigningProfile};
use crate::library::package::{Package, PackageSource};
use crate::names::{AccountId, Home, Region};

mod trust;

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const JOB: &str = "0b0f1e2d-3c4b-4a59-8687-96a5b4c3d2e1";
/// 2026-01-01T00:00:00Z.
const NEW_YEAR: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Entries of a zip: name, mode, content. A trailing slash marks a directory.
type Entries = Vec<(String, u32, Vec<u8>)>;

fn home() -> Home {
    Home {
        account: AccountId::parse("000000000000").unwrap(),
        region: Region::parse("us-east-1").unwrap(),
    }
}

fn arn(name: &str) -> String {
    version_arn(&home(), name, "0123456789")
}

fn profile(name: &str, key: &SigningKey) -> SigningProfile {
    SigningProfile {
        name: name.into(),
        version: "0123456789".into(),
        algorithm: key.algorithm(),
        public_key: key.public_key().unwrap(),
        validity_days: None,
        revoked_at: None,
        revoked_jobs: Vec::new(),
    }
}

fn keys() -> [SigningKey; 2] {
    [SigningAlgorithm::Ed25519, SigningAlgorithm::EcdsaP256]
        .map(|algorithm| SigningKey::generate(algorithm).unwrap())
}

fn terms(name: &str) -> Terms {
    Terms {
        profile: arn(name),
        job: JOB.into(),
        signed_at: Moment::of(NEW_YEAR),
        expires_at: None,
    }
}

fn zip_of(entries: &Entries) -> Bytes {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, mode, content) in entries {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .unix_permissions(*mode);
        match name.strip_suffix('/') {
            Some(name) => writer.add_directory(name, options).unwrap(),
            None => {
                writer.start_file(name, options).unwrap();
                writer.write_all(content).unwrap();
            }
        }
    }
    writer.finish().unwrap().into_inner().into()
}

fn entries_of(package: &Bytes) -> Entries {
    let mut archive = ZipArchive::new(Cursor::new(package.as_ref())).unwrap();
    let read = |index| {
        let mut file = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        std::io::copy(&mut file, &mut content).unwrap();
        let name = file.name().unwrap().into_owned();
        (name, file.unix_mode().unwrap() & 0o777, content)
    };
    let len = ZipArchive::new(Cursor::new(package.as_ref()))
        .unwrap()
        .len();
    (0..len).map(read).collect()
}

fn plain() -> Entries {
    vec![
        ("bootstrap.wasm".into(), 0o644, COMPONENT.to_vec()),
        ("lib/".into(), 0o755, Vec::new()),
        ("lib/run.sh".into(), 0o755, b"exit 0".to_vec()),
        ("lib/data.txt".into(), 0o644, b"data".to_vec()),
        ("\u{e9}t\u{e9}".into(), 0o644, b"unicode".to_vec()),
    ]
}

fn judged(package: &Bytes, profiles: &[SigningProfile], now: Timestamp) -> Verdict {
    let profiles = Profiles::read(profiles, &home()).unwrap();
    judge(
        PackageSource::Memory(package.clone()),
        &profiles,
        &[arn("ours")],
        &home(),
        now,
    )
    .unwrap()
}

fn is_trusted(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Trusted(_))
}

/// Signed package with a modified signature file.
fn with_document(package: &Bytes, change: impl Fn(&mut Value)) -> Bytes {
    let mut entries = entries_of(package);
    let (.., content) = entries.iter_mut().find(|it| it.0 == PATH).unwrap();
    let mut document = serde_json::from_slice(content).unwrap();
    change(&mut document);
    *content = serde_json::to_vec(&document).unwrap();
    zip_of(&entries)
}

#[test]
fn signed_package_is_trusted_with_either_algorithm() {
    for key in keys() {
        let signed = sign(zip_of(&plain()), &key, terms("ours")).unwrap();
        let Verdict::Trusted(found) = judged(&signed, &[profile("ours", &key)], NEW_YEAR) else {
            panic!("{:?}", key.algorithm());
        };
        assert_eq!(found.profile_version_arn, arn("ours"));
        let job = format!("arn:aws:signer:us-east-1:000000000000:/signing-jobs/{JOB}");
        assert_eq!(found.job_arn, job);
    }
}

/// The digest was computed from the documented format by another program.
#[test]
fn signed_message_has_the_documented_form() {
    let package = Package::read(PackageSource::Memory(zip_of(&plain()))).unwrap();
    let contents = package.inside(PATH, BYTES_MAX).unwrap().manifest.digest();
    let expected = "4432c5ab78dc232793bade5c33dd56675bb537190e8fe0cf4a0e6fd66d4edbc2";
    assert_eq!(contents.to_string(), expected);
    let statement = SignedStatement {
        algorithm: SigningAlgorithm::EcdsaP256,
        profile: arn("ours"),
        job: JOB.into(),
        signed_at: Moment::of(NEW_YEAR),
        expires_at: None,
    };
    let message = format!(
        "lamina-signature-v1\necdsa-p256\n{}\n{JOB}\n2026-01-01T00:00:00Z\n-\n{expected}\n",
        arn("ours")
    );
    assert_eq!(
        String::from_utf8(statement.message(&contents)).unwrap(),
        message
    );
}

#[test]
fn bare_component_is_signed_as_a_zip() {
    let [key, _] = keys();
    let signed = sign(Bytes::from_static(COMPONENT), &key, terms("ours")).unwrap();
    let names: Vec<String> = entries_of(&signed).into_iter().map(|it| it.0).collect();
    assert_eq!(names, ["bootstrap.wasm", PATH]);
    assert!(is_trusted(&judged(
        &signed,
        &[profile("ours", &key)],
        NEW_YEAR
    )));
}

#[test]
fn second_signature_replaces_the_first() {
    let [first, second] = keys();
    let once = sign(zip_of(&plain()), &first, terms("ours")).unwrap();
    // Another spelling of the path names the same file.
    let mut entries = entries_of(&once);
    entries.last_mut().unwrap().0 = format!("./{PATH}");
    let twice = sign(zip_of(&entries), &second, terms("ours")).unwrap();
    assert_eq!(entries_of(&twice).len(), entries_of(&once).len());
    assert!(is_trusted(&judged(
        &twice,
        &[profile("ours", &second)],
        NEW_YEAR
    )));
}

#[test]
fn package_zipped_again_is_still_trusted() {
    let [key, _] = keys();
    let signed = sign(zip_of(&plain()), &key, terms("ours")).unwrap();
    let trusted = |entries: &Entries| {
        is_trusted(&judged(
            &zip_of(entries),
            &[profile("ours", &key)],
            NEW_YEAR,
        ))
    };
    let mut entries = entries_of(&signed);
    entries.reverse();
    assert!(trusted(&entries), "in another order");
    entries.retain(|it| it.0 != "lib/");
    assert!(trusted(&entries), "without an entry for a directory");
    entries.push(("META-INF/".into(), 0o755, Vec::new()));
    assert!(trusted(&entries), "with one for the signature's directory");
    entries.iter_mut().for_each(|it| it.1 |= 0o022);
    assert!(trusted(&entries), "with modes that unpacking does not keep");
}

#[test]
fn change_of_any_file_breaks_the_signature() {
    let [key, _] = keys();
    let signed = entries_of(&sign(zip_of(&plain()), &key, terms("ours")).unwrap());
    let changes: [(&str, fn(&mut Entries)); 10] = [
        ("a byte", |it| it[0].2.push(0)),
        ("another component", |it| {
            it[0].2 = b"\0asm\x0d\0\x01\0evil".to_vec()
        }),
        ("a name", |it| it[3].0 = "lib/datb.txt".into()),
        ("the case of a name", |it| it[3].0 = "lib/Data.txt".into()),
        // The same letters in decomposed form.
        ("the form of a name", |it| {
            it[4].0 = "e\u{301}te\u{301}".into()
        }),
        ("two contents", |it| {
            let content = std::mem::take(&mut it[2].2);
            it[2].2 = std::mem::replace(&mut it[3].2, content);
        }),
        ("a mode", |it| it[3].1 = 0o755),
        ("a file less", |it| drop(it.remove(3))),
        ("a file more", |it| it.push(("x".into(), 0o644, Vec::new()))),
        ("a directory more", |it| {
            it.push(("x/".into(), 0o755, Vec::new()))
        }),
    ];
    for (what, change) in changes {
        let mut entries = signed.clone();
        change(&mut entries);
        let found = judged(&zip_of(&entries), &[profile("ours", &key)], NEW_YEAR);
        assert_eq!(found, Verdict::Broken(Damage::Altered), "{what}");
    }
    let mut beside = signed;
    beside.push(("META-INF/more".into(), 0o644, Vec::new()));
    let found = judged(&zip_of(&beside), &[profile("ours", &key)], NEW_YEAR);
    assert_eq!(found, Verdict::Broken(Damage::Altered));
}

#[test]
fn signature_of_other_files_is_broken() {
    let [key, _] = keys();
    let old = sign(zip_of(&plain()), &key, terms("ours")).unwrap();
    let signature = entries_of(&old).pop().unwrap();
    let mut other = plain();
    other[0].2.extend(b"other");
    other.push(signature);
    let found = judged(&zip_of(&other), &[profile("ours", &key)], NEW_YEAR);
    assert_eq!(found, Verdict::Broken(Damage::Altered));
}

#[test]
fn change_of_any_member_breaks_the_signature() {
    let [key, other] = keys();
    let profiles = [profile("ours", &key), profile("theirs", &other)];
    let ending = Terms {
        expires_at: Some(Moment::of(NEW_YEAR.after(DAY))),
        ..terms("ours")
    };
    let signed = sign(zip_of(&plain()), &key, ending).unwrap();
    let changes: [(&str, Value, Damage); 7] = [
        (
            "job",
            json!("1b0f1e2d-3c4b-4a59-8687-96a5b4c3d2e1"),
            Damage::Altered,
        ),
        ("signedAt", json!("2026-01-01T00:00:01Z"), Damage::Altered),
        // The same time in another notation.
        (
            "signedAt",
            json!("2026-01-01T01:00:00+01:00"),
            Damage::Altered,
        ),
        ("expiresAt", json!("2027-01-01T00:00:00Z"), Damage::Altered),
        ("expiresAt", Value::Null, Damage::Altered),
        ("algorithm", json!("ecdsa-p256"), Damage::Algorithm),
        (
            "signature",
            json!(STANDARD.encode([0; 64])),
            Damage::Altered,
        ),
    ];
    for (member, value, expected) in changes {
        let changed = with_document(&signed, |it| it[member] = value.clone());
        let found = judged(&changed, &profiles, NEW_YEAR);
        assert_eq!(found, Verdict::Broken(expected), "{member}: {value}");
    }
    // Another profile's name, with and without its algorithm.
    let renamed = with_document(&signed, |it| it["profile"] = arn("theirs").into());
    assert_eq!(
        judged(&renamed, &profiles, NEW_YEAR),
        Verdict::Broken(Damage::Algorithm)
    );
    let renamed = with_document(&renamed, |it| it["algorithm"] = "ecdsa-p256".into());
    assert_eq!(
        judged(&renamed, &profiles, NEW_YEAR),
        Verdict::Broken(Damage::Altered)
    );
}

#[test]
fn key_of_another_algorithm_is_refused() {
    let [ed25519, ecdsa] = keys();
    for (key, other) in [(&ed25519, &ecdsa), (&ecdsa, &ed25519)] {
        let text = key.public_key().unwrap();
        assert!(PublicKey::parse(key.algorithm(), &text).is_ok());
        assert!(PublicKey::parse(other.algorithm(), &text).is_err());
    }
}

#[test]
fn malformed_signature_is_broken() {
    let [key, _] = keys();
    let signed = sign(zip_of(&plain()), &key, terms("ours")).unwrap();
    let good = entries_of(&signed).pop().unwrap().2;
    let text = String::from_utf8(good.clone()).unwrap();
    let member = |name: &str, value: Value| {
        let mut document: Value = serde_json::from_slice(&good).unwrap();
        document[name] = value;
        document.to_string()
    };
    let cases = [
        (String::new(), "cannot be read"),
        ("[]".into(), "cannot be read"),
        (text.replacen('{', r#"{"form": 1,"#, 1), "duplicate field"),
        (member("note", json!("x")), "unknown field"),
        (member("form", json!(2)), "form 2"),
        (member("algorithm", json!("none")), "unknown variant"),
        (member("algorithm", json!("Ed25519")), "unknown variant"),
        (member("profile", json!("a\nb")), "profile"),
        (member("job", json!("../../x")), "job"),
        (member("job", json!(JOB.to_uppercase())), "job"),
        (member("signedAt", json!("yesterday")), "signedAt"),
        (
            member("signedAt", json!("1969-01-01T00:00:00Z")),
            "signedAt",
        ),
        (
            member("expiresAt", json!("2026-01-01T00:00:00Z\n")),
            "expiresAt",
        ),
        (
            member("signature", json!(STANDARD.encode([1; 63]))),
            "signature",
        ),
        (member("signature", json!("not base64!")), "signature"),
        ("[".repeat(4_000), "cannot be read"),
        (format!("{text}{}", " ".repeat(4_096)), "larger than 4096"),
    ];
    for (document, expected) in cases {
        let mut entries = plain();
        entries.push((PATH.into(), 0o644, document.clone().into_bytes()));
        match judged(&zip_of(&entries), &[profile("ours", &key)], NEW_YEAR) {
            Verdict::Broken(damage @ Damage::Malformed(_)) => {
                assert!(
                    damage.to_string().contains(expected),
                    "{expected}: {damage}"
                );
            }
            found => panic!("{document}: {found:?}"),
        }
    }
    let huge = vec![b' '; 8 << 20];
    assert_eq!(Signature::read(&huge), Err(Malformed::TooLarge));
}

#[test]
fn package_with_two_signatures_is_refused() {
    let mut entries = plain();
    for (name, content) in [(PATH.to_owned(), b"{}"), (format!("./{PATH}"), b"[]")] {
        entries.push((name, 0o644, content.to_vec()));
    }
    let judged = judge(
        PackageSource::Memory(zip_of(&entries)),
        &Profiles::default(),
        &[],
        &home(),
        NEW_YEAR,
    );
    assert!(judged.unwrap_err().to_string().contains("listed twice"));
}

#[test]
fn key_round_trips_through_pem() {
    for key in keys() {
        let pem = key.to_pem().unwrap();
        assert!(pem.lines().all(|line| line.len() <= 64), "{pem}");
        let read = SigningKey::from_pem(&pem).unwrap();
        assert_eq!(read.public_key().unwrap(), key.public_key().unwrap());
        let public = key.public_key().unwrap();
        let wrapped = format!("-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n");
        let signature = read.sign(b"message").unwrap();
        for text in [&public, &wrapped] {
            let parsed = PublicKey::parse(key.algorithm(), text).unwrap();
            assert!(parsed.verifies(b"message", &signature));
            assert!(!parsed.verifies(b"Message", &signature));
        }
    }
    for text in [
        "",
        "x",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    ] {
        assert!(SigningKey::from_pem(text).is_err(), "{text}");
    }
}

#[test]
fn unusable_profile_is_refused_by_name() {
    let [key, other] = keys();
    let good = profile("ours", &key);
    let changed = |change: &dyn Fn(&mut SigningProfile)| {
        let mut profile = good.clone();
        change(&mut profile);
        Profiles::read(&[good.clone(), profile], &home())
            .unwrap_err()
            .to_string()
    };
    let text = changed(&|_| {});
    assert_eq!(
        text,
        "signing profile ours/0123456789: there is another one of this name and version"
    );
    let foreign = other.public_key().unwrap();
    let cases: [(&dyn Fn(&mut SigningProfile), &str); 8] = [
        (&|it| it.name = "o".into(), "name must be"),
        (&|it| it.name = "a-b".into(), "name must be"),
        (&|it| it.version = "1".into(), "version must be"),
        (
            &|it| it.public_key = "%".into(),
            "public_key: it is neither PEM nor base64",
        ),
        (
            &|it| it.public_key = foreign.clone(),
            "not a public key of ed25519",
        ),
        (&|it| it.validity_days = Some(0), "validity_days"),
        (&|it| it.revoked_at = Some("soon".into()), "revoked_at"),
        (
            &|it| it.revoked_jobs.push("1".into()),
            "\"1\" is not the id",
        ),
    ];
    for (change, expected) in cases {
        let text = changed(change);
        assert!(text.contains(expected), "{expected}: {text}");
    }
}
