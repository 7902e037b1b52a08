//! The bytes of a table: their bounds, and what its structures refer to.

/// Lengths of header and control structure, bytes.
pub(super) const HEADER: usize = 64;
pub(super) const CONTROL: usize = 64;

/// Longest NQN (NVM Express Base Specification 2.0, section 4.5).
pub(super) const LONGEST_NAME: usize = 223;

/// The bytes of a table, as long as its header says.
#[derive(Clone, Copy)]
pub(super) struct Table<'t> {
    bytes: &'t [u8],
}

impl<'t> Table<'t> {
    /// The error says what is wrong.
    pub(super) fn open(bytes: &'t [u8]) -> Result<Self, &'static str> {
        if bytes.len() < HEADER + CONTROL {
            return Err("it is too short");
        }
        if &bytes[..4] != b"NBFT" {
            return Err("it does not begin with NBFT");
        }
        let length = Self { bytes }.u32(4) as usize;
        let bytes = bytes
            .get(..length)
            .filter(|bytes| bytes.len() >= HEADER + CONTROL)
            .ok_or("its length is wrong")?;
        if bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) != 0 {
            return Err("its checksum is wrong");
        }
        // Smaller revisions are compatible by the specification.
        if bytes[8] != 1 {
            return Err("its revision is unknown");
        }
        let table = Self { bytes };
        let (heap, length) = table.heap();
        if length > 0 && table.part(heap, length).is_none() {
            return Err("its heap does not lie in it");
        }
        Ok(table)
    }

    /// Offset and length, which [`Table::open`] has looked at.
    fn heap(&self) -> (usize, usize) {
        (self.u32(36) as usize, self.u32(40) as usize)
    }

    /// A part behind the header and the control structure, where everything else lies.
    pub(super) fn part(&self, offset: usize, length: usize) -> Option<&'t [u8]> {
        let end = offset.checked_add(length)?;
        (offset >= HEADER + CONTROL)
            .then(|| self.bytes.get(offset..end))
            .flatten()
    }

    /// A list of structures of at least `length` bytes, which the control structure describes at `at`: offset, length of
    /// each, version, count. An error where it does not lie in the table as a whole.
    pub(super) fn list(
        &self,
        at: usize,
        length: usize,
    ) -> Result<impl Iterator<Item = &'t [u8]> + use<'t>, &'static str> {
        // A later minor revision may have longer structures.
        let stride = usize::from(self.u16(at + 4)).max(length);
        let count = usize::from(self.u8(at + 7));
        let list = match count {
            0 => &[],
            _ => self
                .part(self.u32(at) as usize, count * stride)
                .ok_or("a list of its structures does not lie in it")?,
        };
        Ok(list.chunks_exact(stride).map(move |entry| &entry[..length]))
    }

    /// Of the header and the control structure, which are there.
    pub(super) fn u8(&self, at: usize) -> u8 {
        self.bytes[at]
    }

    pub(super) fn u16(&self, at: usize) -> u16 {
        u16_of(self.bytes, at)
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes([
            self.bytes[at],
            self.bytes[at + 1],
            self.bytes[at + 2],
            self.bytes[at + 3],
        ])
    }

    /// What a reference of a structure leads to, offset and length: a part of the heap. Empty where there is none.
    pub(super) fn referred(&self, structure: &[u8], at: usize) -> Option<&'t [u8]> {
        let offset = u32::from_le_bytes(structure.get(at..at + 4)?.try_into().ok()?) as usize;
        let length = usize::from(u16_of(structure, at + 4));
        if length == 0 {
            return Some(&[]);
        }
        let (heap, heap_length) = self.heap();
        let part = self.part(offset, length)?;
        (offset >= heap && offset + length <= heap + heap_length).then_some(part)
    }

    /// Text: visible characters alone. One with a comma would be more than one option of a connection.
    pub(super) fn text(&self, structure: &[u8], at: usize) -> Option<&'t str> {
        let bytes = self.referred(structure, at)?;
        let end = bytes.iter().position(|byte| *byte == 0);
        let text = std::str::from_utf8(&bytes[..end.unwrap_or(bytes.len())]).ok()?;
        let is_usable = |byte: u8| byte.is_ascii_graphic() && byte != b',';
        text.bytes().all(is_usable).then_some(text)
    }

    /// An NQN.
    pub(super) fn name(&self, structure: &[u8], at: usize) -> Option<String> {
        let text = self.text(structure, at)?;
        (!text.is_empty() && text.len() <= LONGEST_NAME).then(|| text.to_owned())
    }
}

/// Little endian; the structure is that long.
pub(super) fn u16_of(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}
