mod at_once;
mod captured;
mod later;
mod limited;
mod named;
mod told;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Mutex;

use broken_lns_ebpf::acknowledgement::{Awaited, Peers};
use broken_lns_ebpf::wire::l2tp;

use super::*;
use crate::refusal::Refusal;
use crate::scenario::Scenario;

const SECOND: u64 = 1_000_000_000;

/// From 10.0.0.1:1025 to 192.0.2.1, Ns 3, tunnel id 7, without a checksum.
const SCCRQ: [u8; 70] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
    0x45, 0, 0, 56, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, // IPv4
    0x04, 0x01, 0x06, 0xa5, 0, 36, 0, 0, // UDP
    0xc8, 0x02, 0, 28, 0, 0, 0, 0, 0, 3, 0, 0, // L2TP
    0x80, 8, 0, 0, 0, 0, 0, 1, // Message Type: SCCRQ
    0x80, 8, 0, 0, 0, 9, 0, 7, // Assigned Tunnel ID: 7
];
const LNS: usize = 30;
const LAC: usize = 26;
const TUNNEL_ID: usize = 68;

/// The headers of a reply before its message: Ethernet, IPv4, UDP.
const HEADERS: usize = 14 + 20 + 8;

fn compiled(text: &str) -> Arc<Compiled> {
    let scenario = Scenario::parse("test", text, &Refusal::default()).expect(text);
    Arc::new(Compiled::new(&scenario).expect(text))
}

/// A scenario that does this for everybody.
fn default(text: &str) -> Arc<Compiled> {
    compiled(&format!("[default]\n{text}"))
}

/// A request with another tunnel id.
fn request(tunnel_id: u16) -> [u8; 70] {
    let mut frame = SCCRQ;
    frame[TUNNEL_ID..].copy_from_slice(&tunnel_id.to_be_bytes());
    frame
}

/// The ZLB of that LAC with this Tunnel ID and Nr.
fn zlb(tunnel_id: u16, nr: u16) -> Vec<u8> {
    let mut frame = SCCRQ[..HEADERS + l2tp::HEADER_LEN].to_vec();
    frame[17] = 40;
    frame[39] = 20;
    frame[45] = 12;
    frame[46..48].copy_from_slice(&tunnel_id.to_be_bytes());
    frame[52..54].copy_from_slice(&nr.to_be_bytes());
    frame
}

/// What a player has the kernel half wait for.
#[derive(Clone, Debug, Default)]
struct Noted(Arc<Mutex<HashMap<Peers, Awaited>>>);

impl Noted {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Peers, Awaited>) -> T) -> T {
        act(&mut self.0.lock().expect("nothing panics with it"))
    }
}

impl Acknowledgements for Noted {
    fn get(&mut self, peers: &Peers) -> Option<Awaited> {
        self.with(|noted| noted.get(peers).copied())
    }

    fn set(&mut self, peers: &Peers, awaited: Awaited) -> bool {
        self.with(|noted| noted.insert(*peers, awaited));
        true
    }

    fn remove(&mut self, peers: &Peers) {
        self.with(|noted| noted.remove(peers));
    }
}

/// A player with a few frames, and what it counted.
struct Stage {
    noted: Noted,
    player: Player,
    remote: Remote,
    umem: Umem,
    batch: Batch,
    counts: VerdictCounts,
}

impl Stage {
    fn new(compiled: Arc<Compiled>) -> Self {
        Self::following(compiled, Follow::NOBODY)
    }

    fn following(compiled: Arc<Compiled>, follow: Follow) -> Self {
        let act = Act::new(compiled, 0, NonZeroU32::new(16).expect("not zero"));
        Self::with_act(act, 32, follow)
    }

    fn with_room(compiled: Arc<Compiled>, frames: u32, pending: NonZeroU32) -> Self {
        Self::with_act(Act::new(compiled, 0, pending), frames, Follow::NOBODY)
    }

    fn with_act(act: Act, frames: u32, follow: Follow) -> Self {
        let policy = Policy {
            mac: None,
            verify_checksum: false,
            avp_limit: u32::MAX,
        };
        let noted = Noted::default();
        let kernel_half = KernelHalf {
            leave_to_host: Box::new(|_, _| false),
            acknowledgements: Box::new(noted.clone()),
        };
        let (player, remote) = Player::with_act(policy, follow, act, Some(kernel_half));
        Self {
            noted,
            player,
            remote,
            umem: Umem::new(frames).expect("a few frames"),
            batch: Batch::new(64),
            counts: [0; Verdict::COUNT],
        }
    }

    /// Has the kernel half do that with marks.
    fn leave_to_host(&mut self, leave_to_host: impl FnMut(&Mark, RuleId) -> bool + Send + 'static) {
        self.player.kernel_half = Some(KernelHalf {
            leave_to_host: Box::new(leave_to_host),
            acknowledgements: Box::new(self.noted.clone()),
        });
    }

    /// What everybody was sent before that time is acknowledged then.
    fn acknowledge(&self, now: u64) {
        self.noted.with(|noted| {
            for awaited in noted.values_mut() {
                awaited.acknowledged = now;
            }
        });
    }

    /// What is sent for these frames at that time.
    fn receive(&mut self, now: u64, frames: &[&[u8]]) -> Vec<Vec<u8>> {
        for frame in frames {
            let address = self.umem.take().expect("a free frame") + 256;
            self.umem.room(address)[..frame.len()].copy_from_slice(frame);
            let len = frame.len() as u32;
            self.batch.received.push(Packet { address, len });
        }
        self.player.notice();
        let (umem, batch) = (&mut self.umem, &mut self.batch);
        let counts = self.player.respond(now, umem, batch, |_| {});
        for (sum, count) in self.counts.iter_mut().zip(counts) {
            *sum += count;
        }
        self.sent()
    }

    /// What is due at that time.
    fn due(&mut self, now: u64) -> Vec<Vec<u8>> {
        self.player.notice();
        let (umem, batch) = (&mut self.umem, &mut self.batch);
        self.player.send_due(now, umem, batch, |_| {});
        self.sent()
    }

    fn sent(&mut self) -> Vec<Vec<u8>> {
        let packets: Vec<_> = self.batch.replies.drain(..).collect();
        let sent = packets.into_iter().map(|packet| {
            let frame = self.umem.room(packet.address)[..packet.len as usize].to_vec();
            self.umem.give(packet.address);
            frame
        });
        sent.collect()
    }

    fn verdict(&self, verdict: Verdict) -> u64 {
        self.counts[verdict as usize]
    }

    fn count(&self, sent: Sent) -> u64 {
        self.remote.sent()[sent as usize]
    }
}

/// The message of the only reply to the request, with 0 for Tunnel ID and Nr.
fn message(text: &str) -> Vec<u8> {
    let mut stage = Stage::new(default(text));
    let mut sent = stage.receive(0, &[&SCCRQ]);
    assert_eq!(
        (sent.len(), stage.verdict(Verdict::Answered)),
        (1, 1),
        "{text}"
    );
    let mut message = sent.remove(0).split_off(HEADERS);
    assert_eq!(message[10..12], [0, 4], "Nr of {text}");
    message[4..6].fill(0);
    message[10..12].fill(0);
    message
}

/// Result code and error code in the reply.
fn codes(frame: &[u8]) -> (u8, u8) {
    (frame[HEADERS + 27], frame[HEADERS + 29])
}
