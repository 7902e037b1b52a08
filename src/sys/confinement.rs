//! What a process that looks into a tenant's file system gives up before it does, from within.
//!
//! The kernel's file system code is what a hostile image attacks, and what it attacks through is whoever
//! asks that code. So the one that asks has nothing worth having: no files but the image's, no network, no
//! programs, no privileges beyond those for files, and a short list of system calls.
#![expect(
    unsafe_code,
    reason = "the library has no functions for capabilities and for closing a range of descriptors"
)]

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chroot, fchdir, getppid};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::file_system_mount::{self, MountRequest};
use super::mount_table;
use super::root::Root;

/// Bytes of address space. The program itself takes some 12 MiB of it.
const ADDRESS_SPACE: u64 = 256 << 20;

/// Seconds of processor time; the parent's deadlines come first.
const PROCESSOR_TIME: u64 = 900;

/// Open descriptors: socket, root, a folder, a file and its draft, and some.
const DESCRIPTORS: u64 = 32;

/// What is needed of root's privileges to write files for others (capabilities(7)).
const CAP_CHOWN: u32 = 0;
const CAP_DAC_OVERRIDE: u32 = 1;
const CAP_DAC_READ_SEARCH: u32 = 2;
const CAP_FOWNER: u32 = 3;
const CAP_FSETID: u32 = 4;
const CAP_SYS_ADMIN: u32 = 21;

/// What remains possible after [`lock`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Privileges {
    /// Read all files.
    Read,
    /// Write, for any owner.
    Write,
    /// The same, and set `security.selinux`. A kernel without SELinux asks `CAP_SYS_ADMIN` for that; with
    /// the system calls that are left, nothing else can be had for it.
    WriteLabels,
}

/// The socket to the agent that started this process for the purpose; `None` for anybody else's start.
///
/// It is standard input, and its other end was made by the parent of this process.
pub(crate) fn socket_to_agent() -> Option<OwnedFd> {
    let input = io::stdin();
    let peer = getsockopt(&input.as_fd(), sockopt::PeerCredentials).ok()?;
    let kind = getsockopt(&input.as_fd(), sockopt::SockType).ok()?;
    let is_ours = peer.pid() == getppid().as_raw()
        && peer.uid() == 0
        && matches!(kind, nix::sys::socket::SockType::SeqPacket);
    // The original closes with the process; a copy would take a descriptor more.
    // SAFETY: descriptor 0 is open, and this process is done with standard input.
    is_ours.then(|| unsafe { OwnedFd::from_raw_fd(0) })
}

/// The first half, in which devices can still be mounted: to die with the agent, own namespaces, limits, no
/// descriptors but the first three.
pub(crate) fn isolate() -> io::Result<()> {
    let agent = getppid();
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // It may have died before that held; then init is the parent.
    if getppid() != agent {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    close_descriptors()?;
    umask(Mode::empty());
    for (resource, limit) in [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_AS, ADDRESS_SPACE),
        (Resource::RLIMIT_CPU, PROCESSOR_TIME),
        (Resource::RLIMIT_NOFILE, DESCRIPTORS),
        (Resource::RLIMIT_NPROC, 0),
        (Resource::RLIMIT_MEMLOCK, 0),
    ] {
        setrlimit(resource, limit, limit)?;
    }
    unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS,
    )?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    Ok(())
}

/// The second half: nothing but open descriptors is left to this process, and what can be reached from
/// them.
pub(crate) fn lock(privileges: Privileges) -> io::Result<()> {
    let filter = filter(privileges).map_err(io::Error::other)?;
    let empty = file_system_mount::mount(&MountRequest {
        kind: "tmpfs",
        source: "nothing",
        is_read_only: true,
        options: &[("size", Some("4096"))],
    })?;
    // Copies of mounts would keep what they show busy for as long as this process lives.
    for place in mount_table::mounts(&Root::system()).into_iter().rev() {
        if place.place != "/" {
            let _ = umount2(place.place.as_str(), MntFlags::MNT_DETACH);
        }
    }
    fchdir(&empty)?;
    chroot(".")?;
    drop(empty);
    keep_capabilities(match privileges {
        Privileges::Read => &[CAP_DAC_READ_SEARCH],
        Privileges::Write => &[CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID],
        Privileges::WriteLabels => &[
            CAP_CHOWN,
            CAP_DAC_OVERRIDE,
            CAP_FOWNER,
            CAP_FSETID,
            CAP_SYS_ADMIN,
        ],
    })?;
    prctl::set_no_new_privs()?;
    seccompiler::apply_filter(&filter).map_err(io::Error::other)
}

fn close_descriptors() -> Result<(), Errno> {
    // SAFETY: nothing has been opened in this process yet that anybody would use later.
    let answer = unsafe { libc::close_range(3, u32::MAX, 0) };
    Errno::result(answer).map(drop)
}

/// Drop all capabilities but these, for good.
fn keep_capabilities(kept: &[u32]) -> Result<(), Errno> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Sets {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    /// `_LINUX_CAPABILITY_VERSION_3`
    const VERSION: u32 = 0x2008_0522;

    for capability in 0..64 {
        // SAFETY: all arguments are numbers.
        let answer = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        match Errno::result(answer) {
            Ok(_) => {}
            // The last that this kernel knows lies before.
            Err(Errno::EINVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    let kept = kept.iter().fold(0, |set, capability| set | 1 << capability);
    let header = Header {
        version: VERSION,
        pid: 0,
    };
    let none = Sets {
        effective: 0,
        permitted: 0,
        inheritable: 0,
    };
    let sets = [
        Sets {
            effective: kept,
            permitted: kept,
            ..none
        },
        none,
    ];
    // SAFETY: version 3 takes a header and two sets, as capset(2) describes them; the kernel reads them and
    // writes the header's version at most.
    let answer = unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) };
    Errno::result(answer).map(drop)
}

/// The system calls that are left. Any other kills the process.
fn filter(privileges: Privileges) -> Result<BpfProgram, seccompiler::BackendError> {
    /// To talk, to live and to read files.
    const READ: &[libc::c_long] = &[
        libc::SYS_recvfrom,
        libc::SYS_sendto,
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_lseek,
        libc::SYS_close,
        libc::SYS_openat2,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_readlinkat,
        libc::SYS_getdents64,
        libc::SYS_fgetxattr,
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    const WRITE: &[libc::c_long] = &[
        libc::SYS_mkdirat,
        libc::SYS_unlinkat,
        libc::SYS_renameat,
        libc::SYS_renameat2,
        libc::SYS_fchmod,
        libc::SYS_fchown,
        libc::SYS_fsync,
        libc::SYS_syncfs,
        libc::SYS_flistxattr,
        libc::SYS_fsetxattr,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        READ.iter().map(|call| (*call, Vec::new())).collect();
    if privileges != Privileges::Read {
        rules.extend(WRITE.iter().map(|call| (*call, Vec::new())));
    }
    // Memory, but none to run code from.
    let not_executable = SeccompCondition::new(
        2,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(libc::PROT_EXEC.unsigned_abs().into()),
        0,
    )?;
    rules.insert(
        libc::SYS_mmap,
        vec![SeccompRule::new(vec![not_executable])?],
    );
    // The C library asks how a directory was opened, and closes it with a program; a library built for
    // tests asks whether a descriptor is open.
    let questions = [libc::F_GETFL, libc::F_GETFD, libc::F_SETFD].map(|question| {
        let is_asked = SeccompCondition::new(
            1,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::Eq,
            question.unsigned_abs().into(),
        )?;
        SeccompRule::new(vec![is_asked])
    });
    rules.insert(
        libc::SYS_fcntl,
        questions.into_iter().collect::<Result<_, _>>()?,
    );
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?;
    filter.try_into()
}

/// Have a test program serve as such a child under this name: it is what `/proc/self/exe` leads to there.
/// The function runs before `main`, in a process without threads, as in the agent.
#[cfg(test)]
macro_rules! entrance_of_test_program {
    ($name:literal, $main:path) => {
        const _: () = {
            extern "C" fn enter() {
                let name = std::fs::read("/proc/self/cmdline").unwrap_or_default();
                if name.split(|byte| *byte == 0).next() == Some($name.as_bytes()) {
                    let code = $main();
                    std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
                }
            }

            #[used]
            #[expect(unsafe_code, reason = "a section of the linker's")]
            // SAFETY: the section holds pointers to functions that take and return nothing that matters, and
            // the C library calls each of them once before main.
            #[unsafe(link_section = ".init_array")]
            static ENTER: extern "C" fn() = enter;
        };
    };
}
#[cfg(test)]
pub(crate) use entrance_of_test_program;
