//! What stands in a pcapng file: one section, with a block for each interface and each frame.

use std::borrow::Cow;

use pcap_file::DataLink;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
};
use pcap_file::pcapng::blocks::opt_common::CommonOption;
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::{PcapNgWriteError, PcapNgWriter};

use broken_lns_ebpf::captured::{Direction, SNAP_LEN};

use super::{Frame, WallClock};

/// A section as octets, as far as nobody has taken them.
pub(super) struct Section {
    writer: PcapNgWriter<Vec<u8>>,
    clock: WallClock,
}

/// Whether a file that begins like this has a capture: pcapng whose section header says that it
/// was written by broken-lns.
pub(super) fn begins_capture(begin: &[u8]) -> bool {
    /// The type of a section header, which reads the same in either byte order.
    const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
    /// What tells the byte order.
    const BIG_ENDIAN: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];
    let Some((&SECTION_HEADER, rest)) = begin.split_first_chunk() else {
        return false;
    };
    let Some((len, rest)) = rest.split_first_chunk() else {
        return false;
    };
    // It counts from the type on.
    let len = match rest.starts_with(&BIG_ENDIAN) {
        true => u32::from_be_bytes(*len),
        false => u32::from_le_bytes(*len),
    } as usize;
    let header = begin.get(..len).unwrap_or_default();
    let name = b"broken-lns ";
    header.windows(name.len()).any(|window| window == name)
}

impl Section {
    /// One without frames.
    pub(super) fn new(interfaces: &[String], clock: WallClock) -> Result<Self, PcapNgWriteError> {
        let application = concat!("broken-lns ", env!("CARGO_PKG_VERSION"));
        let header = SectionHeaderBlock {
            options: vec![SectionHeaderOption::UserApplication(application.into())],
            ..SectionHeaderBlock::default()
        };
        let mut writer = PcapNgWriter::with_section_header(Vec::new(), header)?;
        for name in interfaces {
            writer.write_pcapng_block(InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen: SNAP_LEN as u32,
                options: vec![
                    InterfaceDescriptionOption::IfName(Cow::Borrowed(name)),
                    InterfaceDescriptionOption::IfTsResol(InterfaceTsResolution::NANO),
                ],
            })?;
        }
        Ok(Self { writer, clock })
    }

    /// Adds a frame. One that is an error adds nothing.
    pub(super) fn add(&mut self, frame: &Frame) -> Result<(), PcapNgWriteError> {
        // The two lowest bits of the flags are the direction.
        let flags = match frame.direction {
            Direction::Request => 0b01,
            Direction::Reply => 0b10,
        };
        let captured = u32::try_from(frame.octets.len()).unwrap_or(u32::MAX);
        let mut options = vec![EnhancedPacketOption::Flags(flags)];
        if !frame.comment.is_empty() {
            let comment = CommonOption::Comment(Cow::Borrowed(&frame.comment));
            options.push(EnhancedPacketOption::Common(comment));
        }
        let had = self.writer.get_ref().len();
        let added = self.writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id: frame.interface,
            timestamp: self.clock.at(frame.time),
            original_len: frame.len.max(captured),
            data: Cow::Borrowed(&frame.octets),
            options,
        });
        if added.is_err() {
            self.writer.get_mut().truncate(had);
        }
        added.map(|_| ())
    }

    /// The octets that nobody has taken.
    pub(super) fn octets(&self) -> &[u8] {
        self.writer.get_ref()
    }

    /// Takes them.
    pub(super) fn taken(&mut self) {
        self.writer.get_mut().clear();
    }
}
