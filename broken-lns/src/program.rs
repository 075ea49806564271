//! The XDP program of one interface: loaded with its settings, its maps filled,
//! attached last, detached when it is dropped.
//!
//! Architecture invariant: what is attached is held by a BPF link of this
//! process, so that nothing stays attached however the process ends.

mod awaited;
mod rings;

use std::io;
use std::os::fd::{AsFd as _, AsRawFd};

use aya::maps::{HashMap, Map, MapData, MapError, PerCpuArray, RingBuf, XskMap};
use aya::programs::links::FdLink;
use aya::programs::{ProgramError, Xdp, XdpMode};
use aya::util::KernelVersion;
use aya::{Ebpf, EbpfError, EbpfLoader, Pod, include_bytes_aligned};
use aya_log::EbpfLogger;
use broken_lns_ebpf::maps::{self, Path};
use broken_lns_ebpf::rules::Mark;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::verdict::Verdict;
use broken_lns_ebpf::wire::ethernet::MacAddress;
use nix::errno::Errno;

use crate::banks::Banks;
use crate::compile::Compiled;
use crate::interface::{AttachMode, AttachedProgram, Interface};
use crate::snapshot::VerdictCounts;

pub use self::awaited::AwaitedMap;
use self::rings::Ring;
pub use self::rings::{CapturedFrames, Events};
pub use crate::banks::InstallError;

/// The kernel half, as the build script built it.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/responder"));

/// The oldest kernel that has all that the program uses: XDP on multi-buffer frames is of 5.18.
const OLDEST_KERNEL: KernelVersion = KernelVersion::new(5, 18, 0);

/// Octets of a ring buffer that nothing goes to: a page of any architecture.
pub const UNUSED_RING: u32 = 1 << 16;

/// What the program is loaded with; none of it changes afterwards.
#[derive(Clone, Copy, Debug)]
pub struct ProgramSettings {
    /// The path of SCCRQs.
    pub path: Path,
    /// The MAC address that is answered for, or `None` for any.
    pub mac: Option<[u8; 6]>,
    /// Whether control messages must have a right UDP checksum.
    pub verify_checksum: bool,
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
    Refused(#[from] EbpfError),
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
    /// There is another program.
    #[error("another XDP program is attached")]
    Busy,
    /// The driver cannot do it; generic mode may be possible.
    #[error("{0}")]
    NotSupported(String),
    /// The kernel made an attachment that would outlive this process.
    #[error(
        "the kernel makes no BPF link for this interface, and without one the program would stay attached after a crash"
    )]
    NoLink,
    /// Anything else.
    #[error("{0}")]
    Other(#[from] ProgramError),
}

/// A loaded program with its maps.
pub struct Program {
    ebpf: Ebpf,
    link: Option<FdLink>,
    banks: Banks,
    marks: MapData,
    awaited: MapData,
    counters: PerCpuArray<MapData, u64>,
    /// The same, to be shared.
    shared_counters: MapData,
    sockets: XskMap<MapData>,
}

/// How the frames ended that the kernel half saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelCounts {
    /// The frames with a verdict.
    pub verdicts: VerdictCounts,
    /// The frames handed to a worker.
    pub handed_over: u64,
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
        let mac = MacAddress::new(settings.mac.unwrap_or_default()).to_word();
        let any_mac = u8::from(settings.mac.is_none());
        let verify_checksum = u8::from(settings.verify_checksum);
        let announce = u8::from(settings.announce);
        let sample = settings.sample.word();
        let log_level = settings.log_level as u8;
        let capture = u8::from(settings.capture.is_some());
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(maps::EVENTS, settings.events_size)
            .map_max_entries(maps::CAPTURED, settings.capture.unwrap_or(UNUSED_RING))
            .override_global(maps::CAPTURE, &capture, true)
            .override_global(maps::PATH, &path, true)
            .override_global(maps::MAC, &mac, true)
            .override_global(maps::ANY_MAC, &any_mac, true)
            .override_global(maps::VERIFY_CHECKSUM, &verify_checksum, true)
            .override_global(maps::SAMPLE, &sample, true)
            .override_global(maps::ANNOUNCE, &announce, true)
            .override_global(aya_log::LEVEL, &log_level, true)
            .load(OBJECT)?;

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
        let shared_counters = second(&counters)?;
        let sockets = take(&mut ebpf, maps::SOCKETS)?;
        let mut program = Self {
            ebpf,
            link: None,
            banks,
            marks,
            awaited,
            counters: Map::PerCpuArray(counters).try_into()?,
            shared_counters,
            sockets,
        };
        program.xdp()?.load()?;
        Ok(program)
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

    /// Gives the frames of a queue a socket to go to.
    ///
    /// # Errors
    ///
    /// Where the queue is beyond [`maps::MAX_QUEUES`], or the kernel refuses the socket.
    pub fn add_socket(&mut self, queue: u32, socket: &impl AsRawFd) -> Result<(), MapError> {
        self.sockets.set(queue, socket.as_raw_fd(), 0)
    }

    /// Attaches the program.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; nothing of ours is attached then.
    pub fn attach(&mut self, interface: &Interface, mode: AttachMode) -> Result<(), AttachError> {
        let xdp_mode = match mode {
            AttachMode::Native => XdpMode::Driver,
            AttachMode::Generic => XdpMode::Skb,
            AttachMode::Offload => XdpMode::Hardware,
        };
        let xdp = self.xdp().map_err(|_| AttachError::NoLink)?;
        let id = xdp.info()?.id();
        let link = xdp
            .attach_to_if_index(interface.index, xdp_mode)
            .map_err(attach_error)?;
        let link = xdp.take_link(link)?;
        match FdLink::try_from(link) {
            Ok(link) => {
                self.link = Some(link);
                Ok(())
            }
            Err(_) => {
                // The loader fell back to netlink, whose attachment would outlive us.
                let _ = interface.detach(&AttachedProgram {
                    id,
                    name: None,
                    mode,
                });
                Err(AttachError::NoLink)
            }
        }
    }

    /// By which number the kernel knows the program.
    ///
    /// # Errors
    ///
    /// [`LoadError`], where the program cannot be asked.
    pub fn id(&mut self) -> Result<u32, LoadError> {
        Ok(self.xdp()?.info()?.id())
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
        let mut verdicts = [0; Verdict::COUNT];
        for (verdict, count) in (0..).zip(&mut verdicts) {
            *count = sum(&self.counters, verdict)?;
        }
        Ok(KernelCounts {
            verdicts,
            handed_over: sum(&self.counters, maps::HANDED_OVER)?,
            events_lost: sum(&self.counters, maps::EVENTS_LOST)?,
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
        let counters = second(&self.shared_counters)?;
        Ok(Ring {
            entries: take(&mut self.ebpf, name)?,
            counters: Map::PerCpuArray(counters).try_into()?,
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

fn kernel_release() -> String {
    nix::sys::utsname::uname()
        .map(|system| system.release().to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn check_kernel() -> Result<(), LoadError> {
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

/// A counter over all CPUs.
fn sum(counters: &PerCpuArray<MapData, u64>, index: u32) -> Result<u64, MapError> {
    Ok(counters.get(&index, 0)?.iter().sum())
}

/// The same map once more.
fn second(map: &MapData) -> Result<MapData, MapError> {
    let fd = map.fd().as_fd().try_clone_to_owned();
    MapData::from_fd(fd.map_err(MapError::IoError)?)
}

fn attach_error(error: ProgramError) -> AttachError {
    let ProgramError::SyscallError(refused) = &error else {
        return AttachError::Other(error);
    };
    match refused.io_error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EBUSY | Errno::EEXIST) => AttachError::Busy,
        Some(Errno::EPERM | Errno::ENODEV) | None => AttachError::Other(error),
        Some(_) => AttachError::NotSupported(refused.io_error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
