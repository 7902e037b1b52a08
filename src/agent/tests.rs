//! The whole life against a conductor in this process.
