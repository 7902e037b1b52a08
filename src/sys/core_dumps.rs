//! No core dump: the memory of this process holds the token, the key of its certificate and config
//! drives, and a dump would be a file that outlives all of them.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

/// From now on neither this process nor what it starts leaves a core dump. `RLIMIT_CORE` alone does not
/// hold for a dump that the kernel pipes to a program (core(5)), and what is not dumpable is for root
/// alone in `/proc` besides.
pub(crate) fn forbid() {
    // Neither can fail for values that lower what is there; and a machine where they do has no dump worth
    // refusing to work for.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = prctl::set_dumpable(false);
}

#[cfg(test)]
mod tests {
    use nix::sys::resource::getrlimit;

    use super::*;

    #[test]
    fn this_process_leaves_none() {
        forbid();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), (0, 0));
        assert!(!prctl::get_dumpable().unwrap());
    }
}
