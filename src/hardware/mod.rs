//! Dispatch among hardware managers, their steps, and the generic manager.
