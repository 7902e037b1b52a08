//! Compressed files that are several complete ones behind each other: gzip members, xz and bzip2
//! streams.

use super::codec::{Codec, CompressionError, Step};

/// One member: from its first byte to its last.
pub(super) trait Member: Sized + Send {
    /// First byte of every member.
    const FIRST: u8;

    /// Zeros may stand between members and behind the last, in groups of so many bytes; none where
    /// this is 0.
    const PADDING: u64;

    fn start() -> Result<Self, CompressionError>;

    /// Take and make bytes; nothing where more input is needed. Whether the member is over.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<bool, MemberError>;

    /// Bytes that were taken and made by all steps.
    fn totals(&self) -> (u64, u64);
}

/// What is wrong with a member.
pub(super) enum MemberError {
    /// It does not begin as one.
    NoMember,
    Wrong(CompressionError),
}

/// Any number of members, at least one.
pub(super) struct Members<M> {
    state: State<M>,
    /// Members that are over.
    complete: u64,
}

enum State<M> {
    Inside(M),
    /// Between members, after so many zeros.
    Between(u64),
}

impl<M> Default for Members<M> {
    fn default() -> Self {
        Self {
            state: State::Between(0),
            complete: 0,
        }
    }
}

impl<M: Member> Codec for Members<M> {
    fn step(
        &mut self,
        input: &[u8],
        output: &mut [u8],
        ended: bool,
    ) -> Result<Step, CompressionError> {
        let member = match &mut self.state {
            State::Inside(member) => member,
            State::Between(zeros) => {
                let Some(first) = input.first() else {
                    return self.end();
                };
                let may_pad = self.complete > 0 && M::PADDING > 0;
                if *first == 0 && may_pad {
                    let taken = input.iter().take_while(|byte| **byte == 0).count();
                    *zeros += taken as u64;
                    return Ok(Step {
                        taken,
                        ..Step::default()
                    });
                }
                let is_aligned = *zeros == 0 || zeros.is_multiple_of(M::PADDING);
                if *first != M::FIRST || !is_aligned {
                    return Err(CompressionError::Trailing);
                }
                self.state = State::Inside(M::start()?);
                return self.step(input, output, ended);
            }
        };
        let before = member.totals();
        let is_over = member.step(input, output).map_err(|error| match error {
            MemberError::Wrong(error) => error,
            MemberError::NoMember if self.complete > 0 => CompressionError::Trailing,
            MemberError::NoMember => CompressionError::Corrupt("no header".to_owned()),
        })?;
        let after = member.totals();
        // Both are at most the lengths of slices.
        let taken = (after.0 - before.0) as usize;
        let made = (after.1 - before.1) as usize;
        if is_over {
            self.complete += 1;
            self.state = State::Between(0);
        } else if taken == 0 && made == 0 {
            return Err(CompressionError::stuck(ended));
        }
        Ok(Step {
            taken,
            made,
            finished: false,
        })
    }
}

impl<M: Member> Members<M> {
    fn end(&self) -> Result<Step, CompressionError> {
        match self.state {
            State::Between(zeros) if self.complete > 0 => {
                if zeros > 0 && !zeros.is_multiple_of(M::PADDING) {
                    return Err(CompressionError::Trailing);
                }
                Ok(Step {
                    finished: true,
                    ..Step::default()
                })
            }
            _ => Err(CompressionError::Truncated),
        }
    }
}
