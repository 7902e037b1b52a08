//! What the agent and the process that has a tenant's file system open say to each other.
//!
//! Each message is one datagram of at most 64 KiB: a byte for its kind, then its fields; numbers are little
//! endian, texts and data have a length before them or end with the message. The process may be in the
//! hands of whoever made the image, so its answers are read as foreign.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::entry::{EntryKind, TreeEntry};
use crate::sys::confined_process::MESSAGE_LIMIT;

/// Bytes of content in one message.
pub(super) const PIECE: usize = MESSAGE_LIMIT - 16;

/// Bytes of a failure's words that are passed on.
pub(super) const WORDS_LIMIT: usize = 2048;

/// What is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Request {
    /// Mount, and give up all else. Comes first, and once.
    Mount {
        source: String,
        kind: String,
        is_writable: bool,
    },
    /// What a directory holds: an [`Answer::Entry`] each, then [`Answer::Done`]; [`Answer::Absent`] where
    /// there is none.
    Entries(PathBuf),
    /// What lies at a path, links followed: [`Answer::Entry`] or [`Answer::Absent`].
    Metadata(PathBuf),
    /// So many bytes of a file from an offset on, fewer at its end: one [`Answer::Data`], of [`PIECE`] bytes at
    /// most, or [`Answer::Absent`].
    ReadPart(PathBuf, u64, u64),
    /// Begin a file. [`Request::Data`] follows and one of the two after it, which alone is answered.
    Write(PathBuf, Attributes),
    /// Some of its content.
    Data(Vec<u8>),
    /// Put it into its place.
    Commit,
    /// Leave everything as it was.
    Abort,
    /// Make a directory and what leads to it: whether it was not there.
    MakeDirectory(PathBuf, Option<u32>),
    /// Remove what is no directory: whether it was there.
    Remove(PathBuf),
    /// Bring everything onto the medium, unmount and end.
    Close,
}

/// Attributes of a file that is written; what is `None` stays as that of the file that is replaced, or is
/// 0644 and root's.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Attributes {
    /// Permission bits, with those of set-user-ID, set-group-ID and the sticky one.
    pub(crate) mode: Option<u32>,
    /// Number of the user.
    pub(crate) owner: Option<u32>,
    /// Number of the group.
    pub(crate) group: Option<u32>,
}

/// What is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// It is done, and something changed by it or not.
    Done(bool),
    /// There is no such thing.
    Absent,
    /// One thing.
    Entry(TreeEntry),
    /// A piece of content.
    Data(Vec<u8>),
    /// It could not be done.
    Failure(Failure),
}

/// Why something could not be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// The kernel does not know the file system.
    NoDriver(i32),
    /// It does not mount it: its answer, and what the file system says.
    NotMounted(i32, String),
    /// The process could not give up what it should.
    NotConfined(String),
    /// The kernel's answer.
    Errno(i32),
    /// It is no plain file.
    NotPlain(EntryKind),
    /// The directory has more than is told of one.
    TooLarge,
    /// The agent spoke out of turn.
    Unexpected,
}

/// What is no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a message was not understood")]
pub(crate) struct Malformed;

impl Request {
    /// As a message.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Mount {
                source,
                kind,
                is_writable,
            } => Writer::new(1)
                .bytes(source.as_bytes())
                .bytes(kind.as_bytes())
                .flag(*is_writable),
            Self::Entries(path) => Writer::new(2).path(path),
            Self::Metadata(path) => Writer::new(3).path(path),
            Self::ReadPart(path, offset, length) => {
                Writer::new(4).path(path).number(*offset).number(*length)
            }
            Self::Write(path, attributes) => Writer::new(5)
                .path(path)
                .optional(attributes.mode)
                .optional(attributes.owner)
                .optional(attributes.group),
            Self::Data(content) => Writer::new(6).bytes(content),
            Self::Commit => Writer::new(7),
            Self::Abort => Writer::new(8),
            Self::MakeDirectory(path, mode) => Writer::new(9).path(path).optional(*mode),
            Self::Remove(path) => Writer::new(10).path(path),
            Self::Close => Writer::new(11),
        }
        .0
    }

    /// From a message.
    pub(super) fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let (kind, mut reader) = Reader::new(message)?;
        let request = match kind {
            1 => Self::Mount {
                source: reader.text()?,
                kind: reader.text()?,
                is_writable: reader.flag()?,
            },
            2 => Self::Entries(reader.path()?),
            3 => Self::Metadata(reader.path()?),
            4 => Self::ReadPart(reader.path()?, reader.number()?, reader.number()?),
            5 => Self::Write(
                reader.path()?,
                Attributes {
                    mode: reader.optional()?,
                    owner: reader.optional()?,
                    group: reader.optional()?,
                },
            ),
            6 => Self::Data(reader.bytes()?.to_vec()),
            7 => Self::Commit,
            8 => Self::Abort,
            9 => Self::MakeDirectory(reader.path()?, reader.optional()?),
            10 => Self::Remove(reader.path()?),
            11 => Self::Close,
            _ => return Err(Malformed),
        };
        reader.end(request)
    }
}

impl Answer {
    /// As a message.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Done(has_changed) => Writer::new(1).flag(*has_changed),
            Self::Absent => Writer::new(2),
            Self::Entry(entry) => Writer::new(3)
                .bytes(entry.name.as_bytes())
                .byte(entry.kind.code())
                .number(entry.size)
                .number(entry.mode.into()),
            Self::Data(content) => Writer::new(4).bytes(content),
            Self::Failure(failure) => failure.write(Writer::new(5)),
        }
        .0
    }

    /// From a message.
    pub(super) fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let (kind, mut reader) = Reader::new(message)?;
        let answer = match kind {
            1 => Self::Done(reader.flag()?),
            2 => Self::Absent,
            3 => Self::Entry(TreeEntry {
                name: OsStr::from_bytes(reader.bytes()?).to_owned(),
                kind: EntryKind::of_code(reader.byte()?).ok_or(Malformed)?,
                size: reader.number()?,
                mode: reader.short()?,
            }),
            4 => Self::Data(reader.bytes()?.to_vec()),
            5 => Self::Failure(Failure::read(&mut reader)?),
            _ => return Err(Malformed),
        };
        reader.end(answer)
    }
}

impl Failure {
    fn write(&self, writer: Writer) -> Writer {
        match self {
            Self::NoDriver(errno) => writer.byte(1).signed(*errno),
            Self::NotMounted(errno, words) => writer.byte(2).signed(*errno).words(words),
            Self::NotConfined(words) => writer.byte(3).words(words),
            Self::Errno(errno) => writer.byte(4).signed(*errno),
            Self::NotPlain(kind) => writer.byte(5).byte(kind.code()),
            Self::TooLarge => writer.byte(6),
            Self::Unexpected => writer.byte(7),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match reader.byte()? {
            1 => Self::NoDriver(reader.signed()?),
            2 => Self::NotMounted(reader.signed()?, reader.words()?),
            3 => Self::NotConfined(reader.words()?),
            4 => Self::Errno(reader.signed()?),
            5 => Self::NotPlain(EntryKind::of_code(reader.byte()?).ok_or(Malformed)?),
            6 => Self::TooLarge,
            7 => Self::Unexpected,
            _ => return Err(Malformed),
        })
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn new(kind: u8) -> Self {
        Self(vec![kind])
    }

    fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    fn flag(self, flag: bool) -> Self {
        self.byte(flag.into())
    }

    fn number(mut self, number: u64) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn signed(mut self, number: i32) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn optional(self, number: Option<u32>) -> Self {
        match number {
            Some(number) => self.byte(1).number(number.into()),
            None => self.byte(0),
        }
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.0.extend(length.to_le_bytes());
        self.0.extend(bytes);
        self
    }

    fn path(self, path: &Path) -> Self {
        self.bytes(path.as_os_str().as_bytes())
    }

    fn words(self, words: &str) -> Self {
        self.bytes(&words.as_bytes()[..words.len().min(WORDS_LIMIT)])
    }
}

struct Reader<'m>(&'m [u8]);

impl<'m> Reader<'m> {
    fn new(message: &'m [u8]) -> Result<(u8, Self), Malformed> {
        let mut reader = Self(message);
        Ok((reader.byte()?, reader))
    }

    fn take(&mut self, count: usize) -> Result<&'m [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn short(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed)
    }

    fn signed(&mut self) -> Result<i32, Malformed> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    fn optional(&mut self) -> Result<Option<u32>, Malformed> {
        Ok(match self.flag()? {
            true => Some(self.short()?),
            false => None,
        })
    }

    fn bytes(&mut self) -> Result<&'m [u8], Malformed> {
        let length = u32::from_le_bytes(self.array()?);
        self.take(usize::try_from(length).map_err(|_| Malformed)?)
    }

    fn text(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| Malformed)
    }

    fn words(&mut self) -> Result<String, Malformed> {
        let bytes = self.bytes()?;
        let kept = &bytes[..bytes.len().min(WORDS_LIMIT)];
        Ok(String::from_utf8_lossy(kept).into_owned())
    }

    fn path(&mut self) -> Result<PathBuf, Malformed> {
        Ok(OsStr::from_bytes(self.bytes()?).into())
    }

    /// The message, if it has no more.
    fn end<T>(&self, message: T) -> Result<T, Malformed> {
        match self.0 {
            [] => Ok(message),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path() -> impl Strategy<Value = PathBuf> {
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| OsStr::from_bytes(&bytes).into())
    }

    fn kind() -> impl Strategy<Value = EntryKind> {
        any::<u8>().prop_filter_map("a code", EntryKind::of_code)
    }

    fn request() -> impl Strategy<Value = Request> {
        let number = any::<Option<u32>>();
        prop_oneof![
            (".*", ".*", any::<bool>()).prop_map(|(source, kind, is_writable)| Request::Mount {
                source,
                kind,
                is_writable
            }),
            path().prop_map(Request::Entries),
            path().prop_map(Request::Metadata),
            (path(), any::<u64>(), any::<u64>())
                .prop_map(|(path, offset, length)| Request::ReadPart(path, offset, length)),
            (path(), number, any::<Option<u32>>(), any::<Option<u32>>()).prop_map(
                |(path, mode, owner, group)| {
                    let attributes = Attributes { mode, owner, group };
                    Request::Write(path, attributes)
                }
            ),
            prop::collection::vec(any::<u8>(), 0..100).prop_map(Request::Data),
            Just(Request::Commit),
            Just(Request::Abort),
            (path(), any::<Option<u32>>())
                .prop_map(|(path, mode)| Request::MakeDirectory(path, mode)),
            path().prop_map(Request::Remove),
            Just(Request::Close),
        ]
    }

    fn answer() -> impl Strategy<Value = Answer> {
        let failure = prop_oneof![
            any::<i32>().prop_map(Failure::NoDriver),
            (any::<i32>(), ".*").prop_map(|(errno, words)| Failure::NotMounted(errno, words)),
            ".*".prop_map(Failure::NotConfined),
            any::<i32>().prop_map(Failure::Errno),
            kind().prop_map(Failure::NotPlain),
            Just(Failure::TooLarge),
            Just(Failure::Unexpected),
        ];
        prop_oneof![
            any::<bool>().prop_map(Answer::Done),
            Just(Answer::Absent),
            (path(), kind(), any::<u64>(), any::<u32>()).prop_map(|(name, kind, size, mode)| {
                Answer::Entry(TreeEntry {
                    name: name.into(),
                    kind,
                    size,
                    mode,
                })
            }),
            prop::collection::vec(any::<u8>(), 0..100).prop_map(Answer::Data),
            failure.prop_map(Answer::Failure),
        ]
    }

    proptest! {
        #[test]
        fn what_was_said_is_understood(request in request(), answer in answer()) {
            prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
            prop_assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
        }

        #[test]
        fn half_a_message_and_more_than_one_are_none(request in request(), cut in any::<prop::sample::Index>()) {
            let message = request.encode();
            let half = &message[..cut.index(message.len())];
            prop_assert_eq!(Request::decode(half), Err(Malformed));
            let more = [&message[..], b"!"].concat();
            prop_assert_eq!(Request::decode(&more), Err(Malformed));
        }
    }

    #[test]
    fn a_piece_fills_a_message_at_most() {
        let piece = vec![0; PIECE];
        assert!(Request::Data(piece.clone()).encode().len() <= MESSAGE_LIMIT);
        assert!(Answer::Data(piece).encode().len() <= MESSAGE_LIMIT);
        let words = Failure::NotConfined("x".repeat(1 << 20));
        assert!(Answer::Failure(words).encode().len() < MESSAGE_LIMIT);
    }
}
