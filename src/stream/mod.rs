//! An image's bytes on their way to the disk: source, verify, decode, sink.
