//! LZMA without a container: the `.lzma` files of the LZMA SDK, of which xz is the successor. Only
//! known, never written: nothing in one says whether it is whole.

use liblzma::stream::{Action, Status, Stream};

/// Bytes of the header: properties, size of the dictionary, size of the content.
const HEADER: usize = 13;

/// Bytes of content that are decoded to be sure. No distance is larger, so neither need the
/// dictionary be, whatever the header says.
const DECODED: usize = 1 << 20;

/// The largest content that is believed, as by liblzma when it has to guess: 256 GiB.
const LARGEST: u64 = 1 << 38;

/// Whether these are the first bytes of such a file.
///
/// It has no magic number, so its header has to be as encoders write it, and what follows has to be
/// decoded without a fault: a boot sector, or a disk that begins with anything else, is not.
pub(in crate::stream) fn is_lzma(start: &[u8]) -> bool {
    let Some((header, content)) = start.split_first_chunk::<HEADER>() else {
        return false;
    };
    let [properties, a, b, c, d, size @ ..] = *header;
    let dictionary = u32::from_le_bytes([a, b, c, d]);
    let size = u64::from_le_bytes(size);
    // 2^n or 2^n + 2^(n-1).
    let lowest = dictionary & dictionary.wrapping_neg();
    let is_usual = dictionary >= 4096
        && (dictionary == u32::MAX || dictionary == lowest || dictionary == lowest * 3);
    // Nine literal contexts, five literal and five match positions. The first byte of a range
    // coder's output is always 0.
    let is_header = properties < 9 * 5 * 5
        && is_usual
        && (size == u64::MAX || (1..LARGEST).contains(&size))
        && content.first() == Some(&0);
    is_header && is_decoded(header, content)
}

fn is_decoded(header: &[u8; HEADER], content: &[u8]) -> bool {
    let mut header = *header;
    header[1..5].copy_from_slice(&(DECODED as u32).to_le_bytes());
    let Ok(mut stream) = Stream::new_lzma_decoder(64 << 20) else {
        return false;
    };
    let mut output = vec![0; DECODED];
    for input in [&header[..], content] {
        let made = stream.total_out() as usize;
        let is_over = made == output.len() || input.is_empty();
        match stream.process(input, &mut output[made..], Action::Run) {
            Ok(Status::StreamEnd) => return true,
            Ok(_) => {}
            Err(_) if is_over => {}
            Err(_) => return false,
        }
    }
    stream.total_out() > 0
}
