//! Memory in which a value is put together.

use std::io;
use std::ops::Deref;

use dsops_providers::contract::SecretValue;
use zeroize::Zeroizing;

/// Bytes that are overwritten when the buffer is dropped, and also when it moves to grow: a `Vec` would leave its
/// old place as it was.
#[derive(Default)]
pub(crate) struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    pub(crate) fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        if self.0.capacity() - self.0.len() < bytes.len() {
            let mut larger = Vec::with_capacity((self.0.len() + bytes.len()) * 2);
            larger.extend_from_slice(&self.0);
            self.0 = Zeroizing::new(larger);
        }
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn to_value(&self) -> SecretValue {
        SecretValue::copy_of(&self.0)
    }

    pub(crate) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_when_the_buffer_grows() {
        let mut buffer = Buffer::with_capacity(1);
        for byte in 0..=255 {
            buffer.push(byte);
        }
        assert_eq!(&*buffer, (0..=255).collect::<Vec<u8>>().as_slice());
        assert_eq!(buffer.to_value().len(), 256);
    }
}
