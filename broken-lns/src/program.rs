//! The XDP program of one interface: loaded with its settings, its maps filled,
//! attached last, detached when it is dropped.
//!
//! Architecture invariant: what is attached is held by a BPF link of this
//! process, so that nothing stays attached however the process ends.

mod awaited;
mod counters;
mod rings;

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd};

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf, XskMap};
use aya::programs::{ProgramError, Xdp};
use aya::util::KernelVersion;
use aya::{Ebpf, EbpfError, EbpfLoader, Pod, include_bytes_aligned};
use aya_log::EbpfLogger;
use broken_lns_ebpf::maps::{self, Path};
use broken_lns_ebpf::rate_limit::{self, Limit, Limited};
use broken_lns_ebpf::rules::Mark;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::wire::ethernet::MacAddress;
use nix::errno::Errno;

use crate::banks::Banks;
use crate::compile::Compiled;
use crate::interface::{AttachMode, AttachRefused, Interface};
use crate::rate_limit::RateLimit;
use crate::snapshot::VerdictCounts;

pub use self::awaited::AwaitedMap;
pub(crate) use self::counters::CounterArray;
use self::rings::Ring;
pub use self::rings::{CapturedFrames, Events};
pub use crate::banks::InstallError;

/// The kernel half, as the build script built it.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/responder"));

/// The oldest kernel that has all that the program uses: XDP on multi-buffer frames is of 5.18.
const OLDEST_KERNEL: KernelVersion = KernelVersion::new(5, 18, 0);

/// Octets of a ring buffer that nothing goes to: a page of any architecture.
pub const UNUSED_RING: u32 = 1 << 16;

/// What the program is loaded with; only MAC address and MTU may change afterwards.
#[derive(Clone, Copy, Debug)]
pub struct ProgramSettings {
    /// The path of SCCRQs.
    pub path: Path,
    /// The MAC address that is answered for, or `None` for any.
    pub mac: Option<[u8; 6]>,
    /// Octets of the largest IP packet that the interface may send.
    pub mtu: u32,
    /// Whether control messages must have a right UDP checksum.
    pub verify_checksum: bool,
    /// How often a source is replied to.
    pub limit: Limit,
    /// Which LACs are followed, by events in the ring buffer for them.
    pub sample: Sample,
    /// Octets of that ring buffer: a power of two, and a page at the least.
    pub events_size: u32,
    /// Octets of the ring buffer for captured frames of these LACs: a power of two, and a page
    /// at the least. Nothing is captured without it.
    pub capture: Option<u32>,
    /// Whether answers are announced in the ring buffer.
    pub announce: bool,
    /// The least important messages that the program logs.
    pub log_level: log::LevelFilter,
}

/// Why a program could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel lacks what the program needs.
    #[error(
        "this kernel is {0}, too old: XDP programs that take frames of several buffers need Linux 5.18"
    )]
    OldKernel(String),
    /// The kernel or the loader refused it.
    #[error("cannot load the XDP program: {0}")]
    Refused(EbpfError),
    /// A map could not be made.
    #[error(
        "cannot make the map `{map}` of the XDP program: {cause}{}",
        way_out(cause)
    )]
    NoMap {
        /// The name of the map.
        map: String,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The verifier refused the program.
    #[error(
        "the verifier of kernel {kernel} refuses the XDP program: {cause}; its last words: {words}"
    )]
    Verifier {
        /// The release of the kernel.
        kernel: String,
        /// What the system call said.
        cause: io::Error,
        /// The end of the verifier's log.
        words: String,
    },
    /// The kernel refused the program for another reason.
    #[error("the kernel refuses the XDP program: {0}")]
    Program(ProgramError),
    /// The rules could not be installed.
    #[error("{0}")]
    Rules(#[from] InstallError),
    /// A map could not be reached.
    #[error("cannot reach a map of the XDP program: {0}")]
    Map(#[from] MapError),
    /// The object and this command were not built together.
    #[error("the XDP program has no `{0}`: it is of another build")]
    Missing(&'static str),
}

/// Why a program could not be attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// There is another program, here or on an interface above.
    #[error("{0}")]
    Busy(AttachRefused),
    /// The driver cannot do it; generic mode may be possible.
    #[error("{0}")]
    NotSupported(AttachRefused),
    /// Anything else.
    #[error("{0}")]
    Refused(AttachRefused),
    /// The program is not loaded, or of another build.
    #[error("{0}")]
    Program(#[from] LoadError),
}

/// A loaded program with its maps.
pub struct Program {
    ebpf: Ebpf,
    /// The BPF link, which holds the program on its interface.
    link: Option<OwnedFd>,
    id: u32,
    interface: Array<MapData, u64>,
    banks: Banks,
    marks: MapData,
    awaited: MapData,
    limit: Limit,
    buckets: MapData,
    limited: PerCpuArray<MapData, LimitedEntry>,
    counters: CounterArray,
    sockets: XskMap<MapData>,
}

/// How the frames ended that the kernel half saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelCounts {
    /// The frames with a verdict.
    pub verdicts: VerdictCounts,
    /// The frames handed to a worker.
    pub handed_over: u64,
    /// The replies that were sent though they are longer than the MTU.
    pub over_mtu: u64,
    /// The events for which their ring buffer had no room.
    pub events_lost: u64,
}

/// A mark as the key of a map.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct MarkKey(Mark);

// SAFETY: a mark is `repr(C)` and made of integers only, without padding, so that
// every bit pattern is a value.
unsafe impl Pod for MarkKey {}

/// Whom one CPU did not reply to first, as the value of a map.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct LimitedEntry(Limited);

// SAFETY: it is `repr(C)` and made of integers only, without padding, so that every bit pattern is
// a value.
unsafe impl Pod for LimitedEntry {}

/// What workers decided to leave to the host, as one of them reaches it.
pub struct Marks(HashMap<MapData, MarkKey, u32>);

impl Marks {
    /// Has the kernel half leave to the host what the mark says, by the rule of that number. At
    /// the bound it forgets the
    /// mark that was not looked for the longest.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn set(&mut self, mark: &Mark, rule: u32) -> Result<(), MapError> {
        self.0.insert(MarkKey(*mark), rule, 0)
    }
}

impl Program {
    /// Loads the program, and puts the rules of a scenario in force, whose number is 0.
    ///
    /// # Errors
    ///
    /// [`LoadError`], where the kernel is too old or refuses it.
    pub fn load(settings: &ProgramSettings, compiled: &Compiled) -> Result<Self, LoadError> {
        check_kernel()?;
        let path = settings.path as u8;
        let any_mac = u8::from(settings.mac.is_none());
        let verify_checksum = u8::from(settings.verify_checksum);
        let announce = u8::from(settings.announce);
        let sample = settings.sample.word();
        let log_level = settings.log_level as u8;
        let capture = u8::from(settings.capture.is_some());
        let buckets = match settings.limit {
            Limit::OFF => 1,
            _ => rate_limit::BUCKETS,
        };
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(maps::EVENTS, settings.events_size)
            .map_max_entries(maps::CAPTURED, settings.capture.unwrap_or(UNUSED_RING))
            .override_global(maps::CAPTURE, &capture, true)
            .override_global(maps::PATH, &path, true)
            .override_global(maps::ANY_MAC, &any_mac, true)
            .override_global(maps::VERIFY_CHECKSUM, &verify_checksum, true)
            .map_max_entries(maps::BUCKETS, buckets)
            .override_global(maps::REPLY_INTERVAL, &settings.limit.interval, true)
            .override_global(maps::REPLY_SEED, &settings.limit.seed, true)
            .override_global(maps::SAMPLE, &sample, true)
            .override_global(maps::ANNOUNCE, &announce, true)
            .override_global(aya_log::LEVEL, &log_level, true)
            .load(OBJECT)
            .map_err(refused)?;

        let mut banks = Banks::new(&mut ebpf, settings.path)?;
        banks.install(compiled, 0)?;
        let Some(Map::LruHashMap(marks)) = ebpf.take_map(maps::MARKS) else {
            return Err(LoadError::Missing(maps::MARKS));
        };
        let Some(Map::HashMap(awaited)) = ebpf.take_map(maps::AWAITED) else {
            return Err(LoadError::Missing(maps::AWAITED));
        };
        let Some(Map::PerCpuArray(counters)) = ebpf.take_map(maps::COUNTERS) else {
            return Err(LoadError::Missing(maps::COUNTERS));
        };
        let Some(Map::Array(buckets)) = ebpf.take_map(maps::BUCKETS) else {
            return Err(LoadError::Missing(maps::BUCKETS));
        };
        let limited = take(&mut ebpf, maps::LIMITED)?;
        let sockets = take(&mut ebpf, maps::SOCKETS)?;
        let interface = take(&mut ebpf, maps::INTERFACE)?;
        let mut program = Self {
            ebpf,
            link: None,
            id: 0,
            interface,
            banks,
            marks,
            awaited,
            limit: settings.limit,
            buckets,
            limited,
            counters: CounterArray::new(counters)?,
            sockets,
        };
        program.set_mac(settings.mac.unwrap_or_default())?;
        program.set_mtu(settings.mtu)?;
        program.xdp()?.load()?;
        program.id = program.xdp()?.info()?.id();
        Ok(program)
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Answers for that MAC address from now on, unless it does for any.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn set_mac(&mut self, mac: [u8; 6]) -> Result<(), MapError> {
        let word = MacAddress::new(mac).to_word();
        self.interface.set(maps::OWN_MAC, word, 0)
    }

    /// Counts replies that are longer than that from now on: octets of an IP packet.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn set_mtu(&mut self, mtu: u32) -> Result<(), MapError> {
        self.interface.set(maps::OWN_MTU, u64::from(mtu), 0)
    }

    /// Puts the rules of another scenario in force at one instant: every frame finds the old
    /// ones or the new ones.
    ///
    /// # Errors
    ///
    /// [`InstallError`]; the old rules stay in force then.
    pub fn install(&mut self, compiled: &Compiled, number: u32) -> Result<(), InstallError> {
        self.banks.install(compiled, number)
    }

    /// Has acknowledgements noted for the workers from now on, whatever rules are put in force.
    ///
    /// # Errors
    ///
    /// [`InstallError`]; nothing has changed then.
    pub fn await_acknowledgements(&mut self) -> Result<(), InstallError> {
        self.banks.await_acknowledgements()
    }

    /// How many requests met each rule in the kernel half since it was installed, in the order
    /// of their numbers.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn hits(&self) -> Result<Vec<u64>, MapError> {
        self.banks.hits()
    }

    /// The marks, for one more worker.
    ///
    /// # Errors
    ///
    /// Where the process has no file descriptor left.
    pub fn marks(&self) -> Result<Marks, MapError> {
        let map = second(&self.marks)?;
        Ok(Marks(HashMap::try_from(Map::LruHashMap(map))?))
    }

    /// The acknowledgements that workers wait for, for one more worker.
    ///
    /// # Errors
    ///
    /// Where the process has no file descriptor left.
    pub fn awaited(&self) -> Result<AwaitedMap, MapError> {
        AwaitedMap::new(second(&self.awaited)?)
    }

    /// The limit with its buckets, for workers; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Where the buckets cannot be mapped.
    pub fn rate_limit(&self) -> io::Result<Option<RateLimit>> {
        RateLimit::shared(self.limit, self.buckets.fd().as_fd())
    }

    /// Whom the kernel half did not reply to first, since it had as many replies as it may have.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn limited(&self) -> Result<Option<IpAddr>, MapError> {
        let limited = self.limited.get(&0, 0)?;
        Ok(limited
            .iter()
            .find_map(|LimitedEntry(first)| first.ip_address()))
    }

    /// Gives the frames of a queue a socket to go to.
    ///
    /// # Errors
    ///
    /// Where the queue is beyond [`maps::MAX_QUEUES`], or the kernel refuses the socket.
    pub fn add_socket(&mut self, queue: u32, socket: &impl AsRawFd) -> Result<(), MapError> {
        self.sockets.set(queue, socket.as_raw_fd(), 0)
    }

    /// Attaches the program, anew where it was detached from outside.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; nothing of ours is attached then.
    pub fn attach(&mut self, interface: &Interface, mode: AttachMode) -> Result<(), AttachError> {
        self.link = None;
        let xdp = self.xdp()?;
        let program = xdp.fd().map_err(LoadError::from)?;
        let link = interface.attach(program.as_fd(), mode);
        self.link = Some(link.map_err(attach_error)?);
        Ok(())
    }

    /// Detaches the program, if it is attached; frames reach the host again.
    pub fn detach(&mut self) {
        self.link = None;
    }

    /// The counters of all CPUs.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn counts(&self) -> Result<KernelCounts, MapError> {
        let counts = self.counters.sums(0, maps::COUNTER_COUNT)?;
        let count = |number: u32| counts.get(number as usize).copied().unwrap_or(0);
        Ok(KernelCounts {
            verdicts: std::array::from_fn(|verdict| count(verdict as u32)),
            handed_over: count(maps::HANDED_OVER),
            over_mtu: count(maps::OVER_MTU),
            events_lost: count(maps::EVENTS_LOST),
        })
    }

    /// The ring buffer in which the program announces answers; it can be taken once.
    ///
    /// # Errors
    ///
    /// [`LoadError::Missing`] the second time.
    pub fn answers(&mut self) -> Result<RingBuf<MapData>, LoadError> {
        take(&mut self.ebpf, maps::ANSWERS)
    }

    /// The ring buffer in which it announces what has no answer; it can be taken once.
    ///
    /// # Errors
    ///
    /// [`LoadError::Missing`] the second time.
    pub fn unanswered(&mut self) -> Result<RingBuf<MapData>, LoadError> {
        take(&mut self.ebpf, maps::UNANSWERED)
    }

    /// The events of the LACs that are followed; they can be taken once.
    ///
    /// # Errors
    ///
    /// [`LoadError::Missing`] the second time.
    pub fn events(&mut self) -> Result<Events, LoadError> {
        Ok(Events(self.ring(maps::EVENTS, maps::EVENTS_LOST)?))
    }

    /// The frames that the program captures; they can be taken once.
    ///
    /// # Errors
    ///
    /// [`LoadError::Missing`] the second time.
    pub fn captured(&mut self) -> Result<CapturedFrames, LoadError> {
        Ok(CapturedFrames(
            self.ring(maps::CAPTURED, maps::CAPTURED_LOST)?,
        ))
    }

    fn ring(&mut self, name: &'static str, lost: u32) -> Result<Ring, LoadError> {
        Ok(Ring {
            entries: take(&mut self.ebpf, name)?,
            counters: self.counters.try_clone()?,
            lost,
        })
    }

    /// The messages of the program, for `logger`; they can be taken once.
    ///
    /// # Errors
    ///
    /// The second time.
    pub fn messages<L: log::Log>(&mut self, logger: L) -> Result<EbpfLogger<L>, aya_log::Error> {
        EbpfLogger::init_with_logger(&mut self.ebpf, logger)
    }

    /// How many instructions the verifier walked to accept the program, of 1,000,000 that it
    /// may; `None` where the kernel does not tell, as before 5.16.
    ///
    /// # Errors
    ///
    /// [`LoadError`], where the program cannot be asked.
    pub fn verified_instructions(&mut self) -> Result<Option<u32>, LoadError> {
        Ok(self.xdp()?.info()?.verified_instruction_count())
    }

    /// The program itself, for a run without an interface.
    ///
    /// # Errors
    ///
    /// [`LoadError::Missing`] where the object has no such program.
    pub fn xdp(&mut self) -> Result<&mut Xdp, LoadError> {
        let program = self.ebpf.program_mut(maps::PROGRAM);
        let program = program.ok_or(LoadError::Missing(maps::PROGRAM))?;
        Ok(program.try_into()?)
    }
}

impl From<ProgramError> for LoadError {
    fn from(error: ProgramError) -> Self {
        match error {
            ProgramError::LoadError {
                io_error,
                verifier_log,
            } => Self::Verifier {
                kernel: kernel_release(),
                cause: io_error,
                words: last_words(&verifier_log.to_string()),
            },
            error => Self::Program(error),
        }
    }
}

/// The line in which a verifier's log says what is wrong: the last one before its statistics.
fn last_words(log: &str) -> String {
    let lines = log.lines().map(str::trim);
    let words = lines
        .take_while(|line| !line.starts_with("verification time"))
        .filter(|line| !line.is_empty())
        .last();
    words.unwrap_or("none").to_owned()
}

/// The release of the kernel, such as `6.12.43+deb13-amd64`.
pub(crate) fn kernel_release() -> String {
    nix::sys::utsname::uname()
        .map(|system| system.release().to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Whether the kernel of this machine is new enough.
pub(crate) fn check_kernel() -> Result<(), LoadError> {
    if KernelVersion::current().is_ok_and(|current| current >= OLDEST_KERNEL) {
        return Ok(());
    }
    Err(LoadError::OldKernel(kernel_release()))
}

pub(crate) fn take<M>(ebpf: &mut Ebpf, name: &'static str) -> Result<M, LoadError>
where
    M: TryFrom<aya::maps::Map, Error = MapError>,
{
    let map = ebpf.take_map(name).ok_or(LoadError::Missing(name))?;
    Ok(map.try_into()?)
}

/// The same map once more.
fn second(map: &MapData) -> Result<MapData, MapError> {
    let fd = map.fd().as_fd().try_clone_to_owned();
    MapData::from_fd(fd.map_err(MapError::IoError)?)
}

fn attach_error(refused: AttachRefused) -> AttachError {
    match refused.error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EBUSY | Errno::EEXIST) => AttachError::Busy(refused),
        Some(Errno::EPERM | Errno::ENODEV) | None => AttachError::Refused(refused),
        Some(_) => AttachError::NotSupported(refused),
    }
}

/// Why the loader could not load the object.
fn refused(error: EbpfError) -> LoadError {
    match error {
        EbpfError::MapError(MapError::CreateError { name, io_error }) => LoadError::NoMap {
            map: name,
            cause: io_error,
        },
        error => LoadError::Refused(error),
    }
}

/// What helps where the kernel makes no map.
fn way_out(cause: &io::Error) -> &'static str {
    match cause.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE) => "; raise the limit of open files: ulimit -n 1024",
        Some(Errno::ENFILE) => "; raise the limit of the system: sysctl fs.file-max",
        Some(Errno::ENOMEM) => {
            "; the maps take 100 MB for each interface, and 2 MB for each CPU: free memory, or \
             raise the limit of the container or the service"
        }
        Some(Errno::EPERM) => "; run with sudo, or grant CAP_BPF and raise `ulimit -l`",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_driver_cannot_do_may_be_possible_in_generic_mode() {
        let error = |errno: Errno| {
            attach_error(AttachRefused {
                error: errno.into(),
                words: Some("MTU 9000 too large for XDP".to_owned()),
            })
        };
        // As a driver says it of a jumbo MTU, by a link, and of what it does not know at all.
        for errno in [
            Errno::EINVAL,
            Errno::EOPNOTSUPP,
            Errno::ENOSPC,
            Errno::ERANGE,
        ] {
            let error = error(errno);
            assert!(matches!(error, AttachError::NotSupported(_)), "{errno}");
            let said = error.to_string();
            assert!(said.starts_with("MTU 9000 too large for XDP: "), "{said}");
        }
        for errno in [Errno::EBUSY, Errno::EEXIST] {
            assert!(matches!(error(errno), AttachError::Busy(_)), "{errno}");
        }
        for errno in [Errno::EPERM, Errno::ENODEV] {
            assert!(matches!(error(errno), AttachError::Refused(_)), "{errno}");
        }
    }

    #[test]
    fn a_map_that_cannot_be_made_says_why() {
        for (errno, words) in [
            (Errno::EMFILE, "Too many open files (os error 24); raise"),
            (
                Errno::ENOMEM,
                "Cannot allocate memory (os error 12); the maps take",
            ),
            (Errno::EINVAL, "Invalid argument (os error 22)"),
        ] {
            let error = refused(EbpfError::MapError(MapError::CreateError {
                name: "RULES".to_owned(),
                io_error: errno.into(),
            }));
            let said = error.to_string();
            assert!(said.contains("the map `RULES`"), "{said}");
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn of_a_verifier_log_its_verdict_is_shown() {
        let log = "1294: (79) r4 = *(u64 *)(r10 -32)\n\
                   R3 invalid mem access 'scalar'\n\
                   verification time 126167 usec\n\
                   stack depth 112\n";
        assert_eq!(last_words(log), "R3 invalid mem access 'scalar'");
        assert_eq!(last_words(""), "none");
    }
}
