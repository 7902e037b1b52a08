//! Putting an operating system on a disk: image, config drive, boot loader.
