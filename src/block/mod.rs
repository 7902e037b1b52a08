//! Block devices: listing, root device hints, partition tables, rescan, settling.
