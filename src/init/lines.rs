//! What a program writes, line by line.

use std::io::{BufRead, BufReader, Read};

/// Longer lines are cut into several, bytes.
pub(super) const LENGTH: u64 = 4096;

/// Hand on each line that comes out of this pipe, without its end, until the pipe ends or cannot be read.
pub(super) fn each(pipe: impl Read, mut take: impl FnMut(&str)) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line without an end must not fill the memory.
        match (&mut pipe).take(LENGTH).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                take(&String::from_utf8_lossy(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_handed_on_in_pieces_that_fit() {
        let mut text = b"one\n\n\xff two\n".to_vec();
        text.extend(vec![b'a'; 4100]);
        let mut lines = Vec::new();
        each(&text[..], |line| lines.push(line.to_owned()));
        assert_eq!(lines[..3], ["one", "", "\u{fffd} two"]);
        let lengths: Vec<usize> = lines[3..].iter().map(String::len).collect();
        assert_eq!(lengths, [4096, 4]);
    }
}
