//! Erasing disks.
