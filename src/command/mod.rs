//! The command table, the commands by extension, their results and the journal.
