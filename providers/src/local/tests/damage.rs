//! A file that is not what was written gives an error, never another value.

use super::support::{Fixture, named, passphrase};
use crate::contract::{FetchError, FetchErrorKind};
use crate::local::{Identity, Keys, Seal, Vault};

const VALUE: &[u8] = b"the value to the byte";

/// Reads the store with these bytes as its file. A value, if there is one, must be the right one.
fn read(vault: &Vault, keys: &Keys, bytes: &[u8]) -> Result<(), FetchError> {
    std::fs::write(vault.path(), bytes).unwrap();
    let document = vault.read(keys)?;
    assert_eq!(document.get("KEY", None)?.expose(), VALUE);
    assert_eq!(document.secrets().count(), 1);
    Ok(())
}

fn small() -> (Fixture, Vec<u8>) {
    let fixture = Fixture::new();
    fixture.set("KEY", VALUE);
    let whole = std::fs::read(fixture.path()).unwrap();
    (fixture, whole)
}

#[test]
fn a_file_cut_off_at_any_byte_is_an_error() {
    let (fixture, whole) = small();
    let keys = fixture.keys();
    assert!(whole.ends_with(b"-----END AGE ENCRYPTED FILE-----\n"));
    for length in 0..whole.len() - 1 {
        let error = read(&fixture.vault, &keys, &whole[..length]).expect_err(&format!("{length} bytes"));
        assert_eq!(error.kind(), FetchErrorKind::Damaged, "{length} bytes: {error}");
    }
    // Without its last newline the armor is whole still: an editor may have taken that off.
    read(&fixture.vault, &keys, &whole[..whole.len() - 1]).unwrap();
}

#[test]
fn a_file_without_armor_cut_off_at_any_byte_is_an_error() {
    let (fixture, whole) = small();
    let mut binary = Vec::new();
    std::io::Read::read_to_end(&mut age::armor::ArmoredReader::new(&whole[..]), &mut binary).unwrap();
    let keys = fixture.keys();
    read(&fixture.vault, &keys, &binary).unwrap();
    for length in 0..binary.len() {
        let error = read(&fixture.vault, &keys, &binary[..length]).expect_err(&format!("{length} bytes"));
        assert_eq!(error.kind(), FetchErrorKind::Damaged, "{length} bytes: {error}");
    }
}

#[test]
fn any_flipped_bit_is_an_error() {
    let (fixture, whole) = small();
    let keys = fixture.keys();
    for position in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[position] ^= 1 << (position % 7);
        if let Ok(()) = read(&fixture.vault, &keys, &flipped) {
            // White space after the armor says nothing.
            assert!(
                flipped[position].is_ascii_whitespace() && position == whole.len() - 1,
                "byte {position}"
            );
        }
    }
}

#[test]
fn a_passphrase_file_damaged_in_its_header_or_body_is_an_error() {
    let (fixture, _) = small();
    fixture.vault.rekey(&fixture.keys(), &Seal::Passphrase(passphrase("p"))).unwrap();
    let whole = std::fs::read(fixture.path()).unwrap();
    let keys = Keys::Passphrase(passphrase("p"));
    for length in (0..whole.len() - 1).step_by(5) {
        assert!(read(&fixture.vault, &keys, &whole[..length]).is_err(), "{length} bytes");
    }
    for position in (0..whole.len() - 1).step_by(7) {
        let mut flipped = whole.clone();
        flipped[position] ^= 1;
        assert!(read(&fixture.vault, &keys, &flipped).is_err(), "byte {position}");
    }
}

#[test]
fn each_way_to_be_no_store_has_a_message_of_its_own() {
    let (fixture, whole) = small();
    let keys = fixture.keys();
    let encrypted = |plain: &[u8]| age::encrypt(&fixture.identity.recipient().0, plain).unwrap();
    let newer = br#"{"format": "dsops-local", "version": 2, "vaults": {}}"#;
    let cases: [(Vec<u8>, &str); 9] = [
        (Vec::new(), "is empty"),
        (b"KEY=hunter2\n".to_vec(), "is not an age file"),
        (whole[..80].to_vec(), "in its header"),
        (
            b"age-encryption.org/v2\n-> X25519 aaaa\naaaa\n--- aaaaaaaaaaaaaaaaaaaaaaaa\n".to_vec(),
            "in a newer age format",
        ),
        (whole[..whole.len() - 60].to_vec(), "in its body"),
        (encrypted(b"not json hunter2"), "of the wrong shape (line 1"),
        (encrypted(br#"{"sops": "hunter2"}"#), "something else"),
        (encrypted(newer), "format version 2"),
        (
            encrypted(br#"{"format": "dsops-local", "version": 1, "secrets": {"A": []}}"#),
            "contradicts itself",
        ),
    ];
    for (bytes, expected) in cases {
        let error = read(&fixture.vault, &keys, &bytes).unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Damaged, "{error}");
        assert!(error.message().contains(expected), "{error}");
        assert!(error.advice().is_some(), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[test]
fn a_checkout_with_windows_line_ends_opens() {
    let (fixture, whole) = small();
    let crlf = String::from_utf8(whole).unwrap().replace('\n', "\r\n");
    read(&fixture.vault, &fixture.keys(), crlf.as_bytes()).unwrap();
}

#[test]
fn a_file_that_others_encrypted_anew_is_read_and_not_written() {
    let (fixture, _) = small();
    let json = br#"{"format": "dsops-local", "version": 1, "secrets": {"KEY": [
        {"version": 4, "created": "2026-01-01T00:00:00Z", "value": "the value to the byte"}]}}"#;
    let file = age::encrypt(&fixture.identity.recipient().0, json).unwrap();
    let keys = fixture.keys();
    read(&fixture.vault, &keys, &file).unwrap();
    let error = fixture.vault.edit(&keys, |document| document.delete("KEY")).unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Damaged);
    assert_eq!(std::fs::read(fixture.path()).unwrap(), file);
    let seal =
        Seal::Recipients(vec![named(fixture.identity.recipient()), named(Identity::generate().recipient())]);
    fixture.vault.rekey(&keys, &seal).unwrap();
    assert_eq!(fixture.set("KEY", "next"), 5);
}

#[test]
fn a_file_whose_document_does_not_know_its_reader_is_not_written() {
    let (fixture, _) = small();
    let somebody = Identity::generate().recipient();
    let json = format!(
        r#"{{"format": "dsops-local", "version": 1, "recipients": [{{"key": "{somebody}"}}], "secrets": {{}}}}"#
    );
    let file = age::encrypt(&fixture.identity.recipient().0, json.as_bytes()).unwrap();
    std::fs::write(fixture.path(), &file).unwrap();
    assert_eq!(fixture.vault.read(&fixture.keys()).unwrap().secrets().count(), 0);
    let error = fixture.vault.edit(&fixture.keys(), |_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Damaged);
    assert_eq!(std::fs::read(fixture.path()).unwrap(), file);
}
