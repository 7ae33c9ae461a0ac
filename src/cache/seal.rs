//! Seals what is kept under a credential, so that a file is worth nothing without it.
//!
//! The key is HKDF-SHA256 (RFC 5869) over the credential and a random salt; the body is sealed with
//! XChaCha20-Poly1305, whose nonce is long enough to be drawn at random. Whoever has the credential could
//! fetch the content anyway, so that neither a keyring nor a passphrase is needed.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// What a file starts with. Another version starts otherwise, and is taken for no file at all.
const MAGIC: &[u8] = b"dsops cache 1\n";
const SALT: usize = 16;
const NONCE: usize = 24;
const KEY: usize = 32;
/// The length of an entry's name in bytes, before it is written in hexadecimal.
const NAME: usize = 16;

/// Returns the name of the file that keeps what belongs to a place and a credential. It tells nothing
/// about either.
pub(super) fn name(place: &str, credential: &[u8]) -> Option<String> {
    let mut name = [0; NAME];
    Hkdf::<Sha256>::new(Some(place.as_bytes()), credential).expand(b"dsops cache name", &mut name).ok()?;
    Some(name.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Seals a body. `None` where the system gives no random bytes.
pub(super) fn seal(place: &str, credential: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let mut header = [0; SALT + NONCE];
    getrandom::fill(&mut header).ok()?;
    let (salt, nonce) = header.split_at(SALT);
    let payload = Payload { msg: body, aad: place.as_bytes() };
    let sealed = cipher(salt, credential)?.encrypt(XNonce::from_slice(nonce), payload).ok()?;
    Some([MAGIC, &header, &sealed].concat())
}

/// Opens what [`seal`] made for the same place and credential. `None` for everything else: a torn file, one
/// of a newer version and one of another credential are all the same to the reader.
pub(super) fn open(place: &str, credential: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let rest = sealed.strip_prefix(MAGIC)?;
    let (salt, rest) = rest.split_at_checked(SALT)?;
    let (nonce, body) = rest.split_at_checked(NONCE)?;
    let payload = Payload { msg: body, aad: place.as_bytes() };
    cipher(salt, credential)?.decrypt(XNonce::from_slice(nonce), payload).ok().map(Zeroizing::new)
}

fn cipher(salt: &[u8], credential: &[u8]) -> Option<XChaCha20Poly1305> {
    let mut key = Zeroizing::new([0; KEY]);
    Hkdf::<Sha256>::new(Some(salt), credential).expand(b"dsops cache key", key.as_mut_slice()).ok()?;
    XChaCha20Poly1305::new_from_slice(key.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_credential_at_the_same_place_alone() {
        let sealed = seal("place", b"credential", b"body").unwrap();
        assert_eq!(open("place", b"credential", &sealed).unwrap().as_slice(), b"body");
        assert!(open("place", b"Credential", &sealed).is_none());
        assert!(open("elsewhere", b"credential", &sealed).is_none());
    }

    #[test]
    fn a_torn_or_changed_file_is_no_file() {
        let sealed = seal("place", b"credential", b"body").unwrap();
        for length in 0..sealed.len() {
            assert!(open("place", b"credential", &sealed[..length]).is_none(), "{length} bytes");
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open("place", b"credential", &changed).is_none(), "byte {at}");
        }
    }

    #[test]
    fn the_same_body_is_never_sealed_alike() {
        assert_ne!(seal("p", b"c", b"body").unwrap(), seal("p", b"c", b"body").unwrap());
    }

    #[test]
    fn a_name_depends_on_place_and_credential() {
        let names = [name("p", b"c"), name("p", b"d"), name("q", b"c")].map(Option::unwrap);
        assert!(names.iter().all(|name| name.len() == 2 * NAME));
        assert!(names[0] != names[1] && names[0] != names[2] && names[1] != names[2]);
        assert_eq!(name("p", b"c").unwrap(), names[0]);
    }
}
