//! Validity of signatures in time and by profile, and the policy for code without a valid one.

use super::*;
use crate::control::Error;
use crate::control::code_signing::verify::{Distrust, admit};
use crate::control::code_signing::{CodeSigningError, Policy};

/// Terms of a signature that expires after some days.
fn expiring(days: u32) -> Terms {
    Terms {
        expires_at: Some(Moment::of(NEW_YEAR.after(DAY * days))),
        ..terms("ours")
    }
}

/// Result of the checks of a package that is signed on these terms, some days later and with a changed profile.
fn found(terms: Terms, change: fn(&mut SigningProfile), days: u32) -> Option<Distrust> {
    let [key, _] = keys();
    let mut profile = profile("ours", &key);
    change(&mut profile);
    let signed = sign(zip_of(&plain()), &key, terms).unwrap();
    match judged(&signed, &[profile], NEW_YEAR.after(DAY * days)) {
        Verdict::Trusted(_) => None,
        Verdict::Untrusted(distrust) => Some(distrust),
        Verdict::Broken(damage) => panic!("{damage}"),
    }
}

#[test]
fn signature_is_trusted_until_it_expires() {
    let unbounded: fn(&mut SigningProfile) = |_| {};
    let three: fn(&mut SigningProfile) = |it| it.validity_days = Some(3);
    let expired = || Some(Distrust::Expired);
    assert_eq!(found(terms("ours"), unbounded, 9_999), None);
    assert_eq!(found(expiring(2), unbounded, 1), None);
    assert_eq!(found(expiring(2), unbounded, 2), expired());
    assert_eq!(found(terms("ours"), three, 2), None);
    assert_eq!(found(terms("ours"), three, 3), expired());
    // The earlier expiry applies.
    assert_eq!(found(expiring(9), three, 3), expired());
    assert_eq!(found(expiring(2), three, 2), expired());
    let early = || Terms {
        signed_at: Moment::of(NEW_YEAR.after(DAY)),
        ..terms("ours")
    };
    assert_eq!(found(early(), unbounded, 0), Some(Distrust::Early));
    assert_eq!(found(early(), unbounded, 1), None);
}

#[test]
fn revoked_signature_is_not_trusted() {
    let revoked = || Some(Distrust::Revoked);
    let at_once: fn(&mut SigningProfile) = |it| it.revoked_at = Some("2026-01-01T00:00:00Z".into());
    let later: fn(&mut SigningProfile) = |it| it.revoked_at = Some("2026-01-01T00:00:01Z".into());
    assert_eq!(found(terms("ours"), at_once, 0), revoked());
    assert_eq!(found(terms("ours"), later, 5), None);
    assert_eq!(
        found(terms("ours"), |it| it.revoked_jobs.push(JOB.into()), 0),
        revoked()
    );
    let other: fn(&mut SigningProfile) = |it| it.revoked_jobs.push(JOB.replace('0', "1"));
    assert_eq!(found(terms("ours"), other, 0), None);
}

#[test]
fn signature_of_a_profile_not_allowed_is_not_trusted() {
    let [key, other] = keys();
    let ours = [profile("ours", &key)];
    let plainly = judged(&zip_of(&plain()), &ours, NEW_YEAR);
    assert_eq!(plainly, Verdict::Untrusted(Distrust::Unsigned));
    let signed = sign(zip_of(&plain()), &key, terms("ours")).unwrap();
    let unknown = Distrust::Unknown(arn("ours"));
    assert_eq!(judged(&signed, &[], NEW_YEAR), Verdict::Untrusted(unknown));
    let theirs = [profile("theirs", &other)];
    let signed = sign(zip_of(&plain()), &other, terms("theirs")).unwrap();
    let mismatch = Distrust::Mismatch(arn("theirs"));
    assert_eq!(
        judged(&signed, &theirs, NEW_YEAR),
        Verdict::Untrusted(mismatch)
    );
    // Integrity is checked before the profile.
    let mut entries = entries_of(&signed);
    entries[0].2.push(0);
    let found = judged(&zip_of(&entries), &theirs, NEW_YEAR);
    assert_eq!(found, Verdict::Broken(Damage::Altered));
}

#[test]
fn broken_signature_is_refused_under_either_policy() {
    let subject = "arn:aws:lambda:us-east-1:000000000000:function:f";
    let warned = admit(Verdict::Untrusted(Distrust::Expired), Policy::Warn, subject);
    assert_eq!(warned.unwrap(), None);
    let refused = admit(
        Verdict::Untrusted(Distrust::Expired),
        Policy::Enforce,
        subject,
    );
    let Err(Error::CodeSigning(CodeSigningError::VerificationFailed(named))) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(named, subject);
    for policy in [Policy::Warn, Policy::Enforce] {
        let broken = admit(Verdict::Broken(Damage::Altered), policy, subject);
        assert!(
            matches!(
                broken,
                Err(Error::CodeSigning(
                    CodeSigningError::InvalidSignature { .. }
                ))
            ),
            "{broken:?}"
        );
    }
}
