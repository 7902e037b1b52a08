//! Digests of OpenSSL's libcrypto: the fastest there are for one stream on these processors.
//!
//! Of the library only these functions and the look at the processor are linked in (30 KiB): not its
//! providers, not its TLS. They are declared in openssl/sha.h and openssl/md5.h, have been the same
//! since OpenSSL 0.9.8, and never fail with a context that was started; hence no error here. The
//! library marks them deprecated in favour of its EVP interface, which needs the providers and does
//! the same work.
#![expect(unsafe_code, reason = "calls into libcrypto")]

use std::ffi::{c_int, c_void};

/// A digest that libcrypto computes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Function {
    /// MD5 (RFC 1321).
    Md5,
    /// SHA-1 (FIPS 180-4), as all that follow.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// A digest in the making.
pub(crate) struct Digest {
    calls: Calls,
    length: usize,
    context: Context,
}

/// Room for any of MD5_CTX (92 bytes), SHA_CTX (96), SHA256_CTX (112) and SHA512_CTX (216), whose
/// members are integers of up to eight bytes.
#[repr(C)]
struct Context([u64; 32]);

/// The longest digest, of SHA-512.
const LONGEST: usize = 64;

#[derive(Clone, Copy)]
struct Calls {
    update: unsafe extern "C" fn(*mut Context, *const c_void, usize) -> c_int,
    finish: unsafe extern "C" fn(*mut u8, *mut Context) -> c_int,
}

impl Digest {
    /// Of no bytes yet.
    pub(crate) fn new(function: Function) -> Self {
        type Start = unsafe extern "C" fn(*mut Context) -> c_int;
        let (length, start, update, finish): (_, Start, _, _) = match function {
            Function::Md5 => (16, MD5_Init, MD5_Update as _, MD5_Final as _),
            Function::Sha1 => (20, SHA1_Init, SHA1_Update as _, SHA1_Final as _),
            Function::Sha224 => (28, SHA224_Init, SHA224_Update as _, SHA224_Final as _),
            Function::Sha256 => (32, SHA256_Init, SHA256_Update as _, SHA256_Final as _),
            Function::Sha384 => (48, SHA384_Init, SHA384_Update as _, SHA384_Final as _),
            Function::Sha512 => (64, SHA512_Init, SHA512_Update as _, SHA512_Final as _),
        };
        let mut context = Context([0; 32]);
        // SAFETY: the context is large enough and aligned for the function's own, which this call
        // makes valid.
        unsafe { start(&raw mut context) };
        Self {
            calls: Calls { update, finish },
            length,
            context,
        }
    }

    /// Take these bytes too.
    pub(crate) fn update(&mut self, data: &[u8]) {
        // SAFETY: `new` started the context for this function; the data is so many readable bytes.
        unsafe { (self.calls.update)(&raw mut self.context, data.as_ptr().cast(), data.len()) };
    }

    /// The digest of all that was taken.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let mut digest = [0; LONGEST];
        // SAFETY: `new` started the context for this function, which writes `length` bytes, at most
        // LONGEST; `self` ends here, so that nothing uses the context again.
        unsafe { (self.calls.finish)(digest.as_mut_ptr(), &raw mut self.context) };
        digest[..self.length].to_vec()
    }
}

#[link(name = "crypto", kind = "static", modifiers = "-bundle")]
unsafe extern "C" {
    fn MD5_Init(context: *mut Context) -> c_int;
    fn MD5_Update(context: *mut Context, data: *const c_void, length: usize) -> c_int;
    fn MD5_Final(digest: *mut u8, context: *mut Context) -> c_int;
    fn SHA1_Init(context: *mut Context) -> c_int;
    fn SHA1_Update(context: *mut Context, data: *const c_void, length: usize) -> c_int;
    fn SHA1_Final(digest: *mut u8, context: *mut Context) -> c_int;
    fn SHA224_Init(context: *mut Context) -> c_int;
    fn SHA224_Update(context: *mut Context, data: *const c_void, length: usize) -> c_int;
    fn SHA224_Final(digest: *mut u8, context: *mut Context) -> c_int;
    fn SHA256_Init(context: *mut Context) -> c_int;
    fn SHA256_Update(context: *mut Context, data: *const c_void, length: usize) -> c_int;
    fn SHA256_Final(digest: *mut u8, context: *mut Context) -> c_int;
    fn SHA384_Init(context: *mut Context) -> c_int;
    fn SHA384_Update(context: *mut Context, data: *const c_void, length: usize) -> c_int;
    fn SHA384_Final(digest: *mut u8, context: *mut Context) -> c_int;
    fn SHA512_Init(context: *mut Context) -> c_int;
    fn SHA512_Update(context: *mut Context, data: *const c_void, length: usize) -> c_int;
    fn SHA512_Final(digest: *mut u8, context: *mut Context) -> c_int;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The TLS provider's implementation is another one, so that both agree by being right.
        #[test]
        fn pieces_of_any_length_give_the_digest_that_another_library_gives(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 0..8),
        ) {
            use aws_lc_rs::digest;
            let whole = pieces.concat();
            for (function, other) in [
                (Function::Sha1, &digest::SHA1_FOR_LEGACY_USE_ONLY),
                (Function::Sha224, &digest::SHA224),
                (Function::Sha256, &digest::SHA256),
                (Function::Sha384, &digest::SHA384),
                (Function::Sha512, &digest::SHA512),
            ] {
                let mut digest = Digest::new(function);
                pieces.iter().for_each(|piece| digest.update(piece));
                let expected = digest::digest(other, &whole);
                prop_assert_eq!(digest.finish(), expected.as_ref());
            }
        }
    }
}
