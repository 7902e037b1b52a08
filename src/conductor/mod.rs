//! We call the conductor: client, lookup, heartbeat, inspection callback.
