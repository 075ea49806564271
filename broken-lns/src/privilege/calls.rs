//! The system calls of a run after its start.
//!
//! Those that this project makes were seen with strace; the others are what C libraries use in
//! their place, older and newer ones of glibc and musl, since a list that is too short does harm.
//! None of them starts a program, loads one into the kernel, looks into another process, or
//! changes who this one is.

use libc::c_long;
use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

/// Those that are let through with any arguments.
pub(super) const ANY: &[c_long] = &[
    // Files, reports and captures among them.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_open,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_creat,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup2,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_lseek,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_access,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_chmod,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_umask,
    // Waiting, for files and for time.
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_select,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_time,
    // Sockets that are there, and clients that come.
    libc::SYS_socketpair,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_mincore,
    libc::SYS_membarrier,
    // Threads.
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    SYS_FUTEX_WAKE,
    SYS_FUTEX_WAIT,
    SYS_FUTEX_REQUEUE,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_getcpu,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Signals.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // What the process and the machine are.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getgroups,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getpgrp,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_times,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_getrandom,
    // A thread may give up capabilities, and get none back.
    libc::SYS_capget,
    libc::SYS_capset,
    // The second filter is put in force under the first one.
    libc::SYS_seccomp,
];

/// The first number that no kernel knew when this was written, and those after it.
pub(super) const UNKNOWN: std::ops::Range<c_long> = 472..512;

/// Of Linux 6.7, for which libc has no names yet.
const SYS_FUTEX_WAKE: c_long = 454;
const SYS_FUTEX_WAIT: c_long = 455;
const SYS_FUTEX_REQUEUE: c_long = 456;

/// What is done with a BPF program that is loaded: elements of maps are read and written, one by
/// one and in batches, links are made and taken away, and what is there is named. None of it makes
/// a program or a map.
const BPF_COMMANDS: [u64; 17] = [
    1,  // MAP_LOOKUP_ELEM
    2,  // MAP_UPDATE_ELEM
    3,  // MAP_DELETE_ELEM
    4,  // MAP_GET_NEXT_KEY
    11, // PROG_GET_NEXT_ID
    13, // PROG_GET_FD_BY_ID
    15, // OBJ_GET_INFO_BY_FD
    21, // MAP_LOOKUP_AND_DELETE_ELEM
    24, // MAP_LOOKUP_BATCH
    25, // MAP_LOOKUP_AND_DELETE_BATCH
    26, // MAP_UPDATE_BATCH
    27, // MAP_DELETE_BATCH
    28, // LINK_CREATE
    29, // LINK_UPDATE
    30, // LINK_GET_FD_BY_ID
    31, // LINK_GET_NEXT_ID
    34, // LINK_DETACH
];

/// Whether it is a terminal and how wide that is, and what a network interface is like.
const IOCTLS: [u64; 12] = [
    0x5401,      // TCGETS
    0x802c_542a, // TCGETS2
    0x5413,      // TIOCGWINSZ
    0x5421,      // FIONBIO
    0x5450,      // FIONCLEX
    0x5451,      // FIOCLEX
    0x541b,      // FIONREAD
    0x8910,      // SIOCGIFNAME
    0x8913,      // SIOCGIFFLAGS
    0x8927,      // SIOCGIFHWADDR
    0x8933,      // SIOCGIFINDEX
    0x8946,      // SIOCETHTOOL
];

/// Names of threads and of memory, and what a thread may give up.
const PRCTLS: [u64; 9] = [
    libc::PR_SET_NAME as u64,
    libc::PR_GET_NAME as u64,
    libc::PR_SET_VMA as u64,
    libc::PR_GET_NO_NEW_PRIVS as u64,
    libc::PR_SET_NO_NEW_PRIVS as u64,
    libc::PR_CAPBSET_READ as u64,
    libc::PR_CAPBSET_DROP as u64,
    libc::PR_CAP_AMBIENT as u64,
    libc::PR_GET_SECUREBITS as u64,
];

/// Sockets that are made after the start: to ask the kernel about interfaces, and to speak to the
/// service manager and the system's log.
const FAMILIES: [u64; 2] = [libc::AF_UNIX as u64, libc::AF_NETLINK as u64];

/// Those that are let through with some arguments: a call with its rules, of which one has to fit.
pub(super) fn some() -> Result<Vec<(c_long, Vec<SeccompRule>)>, BackendError> {
    let one_of = |argument: u8, values: &[u64]| -> Result<Vec<SeccompRule>, BackendError> {
        let rules = values.iter().map(|value| {
            let equal = condition(argument, SeccompCmpOp::Eq, *value)?;
            SeccompRule::new(vec![equal])
        });
        rules.collect()
    };
    let not_executable = || SeccompRule::new(vec![masked(2, libc::PROT_EXEC, 0)?]);
    let own = u64::from(std::process::id());
    let mut sockets = one_of(0, &FAMILIES)?;
    for family in [libc::AF_INET, libc::AF_INET6] {
        // To ask about an interface takes one, whatever its kind is; it reaches nobody by TCP.
        sockets.push(SeccompRule::new(vec![
            condition(0, SeccompCmpOp::Eq, family as u64)?,
            masked(1, 0xf, libc::SOCK_DGRAM)?,
        ])?);
    }
    Ok(vec![
        (libc::SYS_mmap, vec![not_executable()?]),
        (libc::SYS_mprotect, vec![not_executable()?]),
        (libc::SYS_socket, sockets),
        (libc::SYS_ioctl, one_of(1, &IOCTLS)?),
        (libc::SYS_prctl, one_of(0, &PRCTLS)?),
        (libc::SYS_bpf, one_of(0, &BPF_COMMANDS)?),
        // Of oneself, as the size of a stack is asked for.
        (libc::SYS_prlimit64, one_of(0, &[0, own])?),
        // To oneself, as abort(3) does.
        (libc::SYS_tgkill, one_of(0, &[own])?),
    ])
}

/// Those that fail as if the kernel did not know them: what none knew when this was written, and
/// what starts another process. The flags of a clone3 cannot be seen, so that it fails, too.
pub(super) fn missing() -> Result<Vec<(c_long, Vec<SeccompRule>)>, BackendError> {
    let process = SeccompRule::new(vec![masked(0, libc::CLONE_THREAD, 0)?])?;
    let any = UNKNOWN.chain([libc::SYS_clone3, libc::SYS_fork, libc::SYS_vfork]);
    let any = any.map(|call| (call, Vec::new()));
    Ok(any.chain([(libc::SYS_clone, vec![process])]).collect())
}

/// Whether these bits of an argument are so.
fn masked(argument: u8, mask: i32, value: i32) -> Result<SeccompCondition, BackendError> {
    let equal = SeccompCmpOp::MaskedEq(u64::from(mask as u32));
    condition(argument, equal, u64::from(value as u32))
}

fn condition(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, BackendError> {
    // All of these arguments are of 32 bits, of which the kernel ignores the others.
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}
