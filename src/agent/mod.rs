//! The agent's life: start, inspect, look up, serve and heartbeat, end.
