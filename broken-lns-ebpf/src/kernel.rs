//! Entry point, the way of a frame, and verdict to action.

mod announce;
mod capture;
mod heed;
mod limit;
mod lookup;
mod tell;

use announce::{announce, announce_unanswered};
use aya_ebpf::Global;
use aya_ebpf::bindings::{xdp_action, xdp_md};
use aya_ebpf::helpers::generated::{bpf_xdp_adjust_tail, bpf_xdp_get_buff_len, bpf_xdp_load_bytes};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::{Array, PerCpuArray, XskMap};
use aya_ebpf::programs::XdpContext;
use aya_log_ebpf::debug;
use broken_lns_ebpf::code_in_address::Codes;
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::layers::{Datagram, Layers};
use broken_lns_ebpf::maps::{self, Path};
use broken_lns_ebpf::parties::Parties;
use broken_lns_ebpf::reply;
use broken_lns_ebpf::rules::{Active, Bank, Course, Leaves, Rule};
use broken_lns_ebpf::sccrq::{self, KERNEL_AVP_LIMIT, Policy, Sccrq};
use broken_lns_ebpf::template::Template;
use broken_lns_ebpf::verdict::{Disposition, Verdict};
use broken_lns_ebpf::verifier::{pin, reread};
use broken_lns_ebpf::wire::ethernet::MacAddress;
use heed::heed;
use lookup::{Asked, Place};
use tell::{Begun, listen, met, tell};

#[map]
static TEMPLATES: Array<Template> = Array::with_max_entries(2 * maps::MAX_TEMPLATES, 0);
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(maps::COUNTER_COUNT, 0);
#[map]
static SOCKETS: XskMap = XskMap::with_max_entries(maps::MAX_QUEUES, 0);
#[map]
static INTERFACE: Array<u64> = Array::with_max_entries(maps::INTERFACE_LEN, 0);

#[unsafe(no_mangle)]
static PATH: Global<u8> = Global::new(Path::Rewrite as u8);
#[unsafe(no_mangle)]
static ANY_MAC: Global<u8> = Global::new(0);
#[unsafe(no_mangle)]
static VERIFY_CHECKSUM: Global<u8> = Global::new(0);

/// How a frame leaves the program.
enum End {
    /// With a verdict, reached here.
    Verdict(Verdict),
    /// To the worker, who will reach the verdict.
    HandedOver,
}

/// The entry point.
#[xdp(frags)]
fn responder(context: XdpContext) -> u32 {
    let mut event = Begun::NOTHING;
    let end = respond(&context, &mut event);
    tell(&context, event, &end);
    match end {
        End::Verdict(verdict) => {
            count(verdict as u32);
            debug!(
                &context,
                "{} {} {}",
                verdict as u32,
                context.rx_queue_index(),
                buffer_len(&context)
            );
            match verdict.disposition() {
                Disposition::Transmit => xdp_action::XDP_TX,
                Disposition::Consume => xdp_action::XDP_DROP,
                Disposition::Pass => xdp_action::XDP_PASS,
            }
        }
        End::HandedOver => {
            count(maps::HANDED_OVER);
            xdp_action::XDP_REDIRECT
        }
    }
}

#[inline(always)]
fn respond(context: &XdpContext, event: &mut Begun) -> End {
    let active = lookup::active();
    let policy = || Policy {
        mac: (ANY_MAC.load() == 0).then(|| MacAddress::from_word(interface(maps::OWN_MAC))),
        verify_checksum: VERIFY_CHECKSUM.load() != 0,
        avp_limit: KERNEL_AVP_LIMIT,
    };
    let other_port = || lookup::is_other_port_open(context, active);
    let mut place = Place::of_default(active);
    let request = frame(context);
    request.fetch();
    let parsed = sccrq::parse_unless(
        request,
        other_port,
        policy,
        |layers| {
            let is_for_us = look(request, layers, active, &mut place);
            place = place.blurred(active);
            *event = listen(context, layers, place);
            // Taken anew, since the verifier tells the ways that lead here apart by how much of the
            // frame each has seen to be there.
            reread();
            is_for_us.then(|| frame(context))
        },
        |_, datagram| has_right_checksum(context.ctx, datagram.layers.to_word()) != 0,
        |_| holds_l2tp(context.ctx) != 0,
    );
    let sccrq = match parsed {
        Ok(sccrq) => sccrq,
        Err(Verdict::TooManyAvps) if !is_on_path(Path::Rewrite) => return hand_over(context),
        Err(Verdict::Truncated) if is_spread(context) => {
            return End::Verdict(Verdict::MultiBuffer);
        }
        Err(verdict) => {
            if may_acknowledge(verdict) {
                heed(context.ctx);
            }
            let is_left = verdict.disposition() == Disposition::Consume
                && place
                    .rule()
                    .is_some_and(|rule| rule.leaves.include(Leaves::OTHERS));
            if !is_left && verdict.is_announced() {
                announce_unanswered(context);
            }
            return End::Verdict(if is_left { Verdict::Passed } else { verdict });
        }
    };
    *event = event.of(&sccrq);
    if is_on_path(Path::Redirect) && !place.is_found() {
        return hand_over(context);
    }
    let bank = place.bank();
    let treatment = match place.is_plain() {
        true => Ok(Reply::PLAIN),
        false => treat(context, place, sccrq),
    };
    match treatment {
        Ok(reply) => {
            let end = rewrite(context, bank, &sccrq, &reply);
            // What is handed over is counted by the worker.
            if let End::Verdict(_) = end {
                lookup::count(bank, reply.rule);
            }
            end
        }
        Err(end) => end,
    }
}

/// Whether a frame may hold an acknowledgement that ends so: a control message that is no SCCRQ,
/// or anything that a rule leaves to the host.
#[inline(always)]
const fn may_acknowledge(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Zlb | Verdict::StopCcn | Verdict::Sccrp | Verdict::OtherMessage | Verdict::Passed
    )
}

/// 1 if the UDP checksum of a datagram is right, and 0 if not. `layers` is the number of theirs.
///
/// The verifier walks it on its own, once, and not on every way that leads to it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn has_right_checksum(context: *mut xdp_md, layers: u32) -> u32 {
    let context = XdpContext::new(context);
    let frame = frame(&context);
    let datagram = Datagram::at(frame, Layers::from_word(layers));
    datagram
        .is_some_and(|datagram| sccrq::has_right_checksum(frame, &datagram))
        .into()
}

/// 1 if a frame without an IP packet holds L2TP in what is not looked through, and 0 if not.
///
/// The verifier walks it on its own, and whatever it finds on the way is forgotten.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn holds_l2tp(context: *mut xdp_md) -> u32 {
    let context = XdpContext::new(context);
    sccrq::holds_l2tp(frame(&context)).into()
}

/// Looks for the place of the rule, where there are several, and tells whether anything between
/// these two is for us.
#[inline(always)]
fn look(frame: Frame<'_>, layers: Layers, active: Active, place: &mut Place) -> bool {
    // On the redirect path the worker looks for the rule; here it matters what is left to the host.
    if !active.leaves() && (!active.has_rules() || is_on_path(Path::Redirect)) {
        return true;
    }
    let bank = place.bank();
    let Some(parties) = Parties::of(frame, layers.network, layers.version) else {
        return true;
    };
    let Some(found) = lookup::find(bank, layers.version, &parties) else {
        return true;
    };
    *place = found;
    !active.leaves()
        || found.rule().is_none_or(|rule| {
            !(rule.leaves.include(Leaves::ALL)
                || rule.leaves.include(Leaves::HEALED)
                    && lookup::marked(bank, &parties, 0).is_some())
        })
}

/// The reply to an SCCRQ.
struct Reply {
    template: u32,
    /// The codes that are written over it.
    codes: Option<Codes>,
    /// The number of the rule.
    rule: u32,
}

impl Reply {
    /// The reply of a default that is the same for all.
    const PLAIN: Self = Self {
        template: 0,
        codes: None,
        rule: 0,
    };
}

/// What its rule replies to an SCCRQ.
///
/// # Errors
///
/// How the frame ends where that is nothing, or not for this half.
#[inline(always)]
fn treat(context: &XdpContext, place: Place, sccrq: Sccrq) -> Result<Reply, End> {
    let no_room = End::Verdict(Verdict::NoRoom);
    let (bank, frame) = (place.bank(), frame(context));
    let Some(rule) = place.rule() else {
        return Err(no_room);
    };
    let asked = Asked { frame, sccrq };
    let Some(step) = lookup::decide(bank, rule, &asked) else {
        return Err(no_room);
    };
    let ends = |verdict| {
        lookup::count(bank, rule.number);
        Err(End::Verdict(verdict))
    };
    if matches!(step.course(), Course::Pass) {
        return ends(Verdict::Passed);
    }
    if let Some(rule) = marked(bank, rule, &asked) {
        // The worker knew the rule, which the addresses alone may not tell.
        met(rule);
        lookup::count(bank, rule);
        return Err(End::Verdict(Verdict::Passed));
    }
    if is_on_path(Path::Redirect) {
        return Err(hand_over(context));
    }
    let (template, codes) = match step.course() {
        Course::Silent => return ends(Verdict::Silent),
        Course::Template(template) => (template, None),
        Course::Codes(with_error, without) => {
            let Some(parties) = asked.parties() else {
                return Err(no_room);
            };
            let codes = Codes::of(sccrq.version, parties.lns);
            let template = match codes.error {
                Some(_) => with_error,
                None => without,
            };
            (template, Some(codes))
        }
        // `decide` leads beyond every choice, and what is left to the host is gone.
        Course::Redirect | Course::Choice { .. } | Course::Pass => return Err(hand_over(context)),
    };
    if lookup::is_lost(bank, rule, &asked, step.threshold()) {
        return ends(Verdict::Lost);
    }
    Ok(Reply {
        template,
        codes,
        rule: rule.number,
    })
}

/// The number of the rule by which a worker left the request to the host, if one did.
#[inline(always)]
fn marked(bank: Bank, rule: &Rule, asked: &Asked<'_>) -> Option<u32> {
    if !rule.leaves.include(Leaves::MARKED) {
        return None;
    }
    lookup::marked(bank, &asked.parties()?, asked.sccrq.tunnel_id)
}

/// Turns the frame into the reply, or says how it ended otherwise.
#[inline(always)]
fn rewrite(context: &XdpContext, bank: Bank, sccrq: &Sccrq, answer: &Reply) -> End {
    let Some(template) = TEMPLATES.get(bank.entry(answer.template, maps::MAX_TEMPLATES)) else {
        return End::Verdict(Verdict::NoRoom);
    };
    let len = reply::frame_len(sccrq, template);
    let growth = len as i32 - linear_len(context) as i32;
    // SAFETY: the context is the one that the kernel called us with.
    if unsafe { bpf_xdp_adjust_tail(context.ctx, growth) } != 0 {
        // The driver has no room behind the frame, which is as it was.
        return if is_on_path(Path::Rewrite) {
            End::Verdict(Verdict::NoRoom)
        } else {
            hand_over(context)
        };
    }
    let frame = frame(context);
    // A frame that is spread over buffers was shortened at its other end.
    if !frame.is_long(len)
        || reply::write(frame, sccrq, template).is_none()
        || answer
            .codes
            .is_some_and(|codes| codes.write(frame, sccrq).is_none())
    {
        return End::Verdict(Verdict::NoRoom);
    }
    // Only now it is sure that there is a reply, and nothing is left that the verifier could walk
    // once more for it.
    if !limit::may_send(context, sccrq) {
        return End::Verdict(Verdict::RateLimited);
    }
    // The driver may send it all the same.
    if len as u64 > interface(maps::OWN_MTU) + u64::from(sccrq.network) {
        count(maps::OVER_MTU);
    }
    announce(frame, sccrq, template.twist());
    End::Verdict(Verdict::Answered)
}

/// What is known now of the interface: an entry of [`maps::INTERFACE`].
#[inline(always)]
fn interface(entry: u32) -> u64 {
    INTERFACE.get_ptr(entry).map_or(0, |word| {
        // SAFETY: the pointer is that of an entry of the map. Volatile, because user space may
        // change it; a word is read as a whole.
        unsafe { word.read_volatile() }
    })
}

/// Whether this is the path that SCCRQs take.
#[inline(always)]
fn is_on_path(path: Path) -> bool {
    PATH.load() == path as u8
}

/// Hands the frame to the worker of its queue; without one it goes to the host.
#[inline(always)]
fn hand_over(context: &XdpContext) -> End {
    match SOCKETS.redirect(context.rx_queue_index(), u64::from(xdp_action::XDP_PASS)) {
        Ok(_) => End::HandedOver,
        Err(_) => End::Verdict(Verdict::NoSocket),
    }
}

/// The frame, or the part of it in the first buffer.
#[inline(always)]
fn frame(context: &XdpContext) -> Frame<'_> {
    let (start, end) = (context.data() as *mut u8, context.data_end() as *mut u8);
    // SAFETY: between the two lies the packet, which is the program's own
    // while it runs; no frame is used after the packet was resized.
    unsafe { Frame::from_range(start, end) }
}

/// Octets of the frame in its first buffer.
#[inline(always)]
fn linear_len(context: &XdpContext) -> usize {
    context.data_end() - context.data()
}

/// Octets of the frame in all its buffers.
#[inline(always)]
fn buffer_len(context: &XdpContext) -> u32 {
    // SAFETY: the context is the one that the kernel called us with.
    unsafe { bpf_xdp_get_buff_len(context.ctx) as u32 }
}

/// Copies the octets of the frame from `offset` on, `most` at the most. Returns how many, and 0
/// where there are none. The room for them is a power of two.
#[inline(always)]
fn load<const WORDS: usize>(
    context: &XdpContext,
    offset: u32,
    most: usize,
    octets: &mut [u64; WORDS],
) -> u32 {
    const { assert!(WORDS.is_power_of_two()) };
    let most = most.min(8 * WORDS);
    let len = (buffer_len(context).saturating_sub(offset) as usize).clamp(1, most);
    // A verifier that lost sight of the bounds believes those of a mask.
    let len = (pin(len - 1) & (8 * WORDS - 1)) as u32 + 1;
    let start = octets.as_mut_ptr().cast();
    // SAFETY: the context is the one that the kernel called us with. The helper writes `len`
    // octets, for which there is room by the mask, and none where it fails.
    match unsafe { bpf_xdp_load_bytes(context.ctx, offset, start, len) } {
        0 => len,
        _ => 0,
    }
}

/// Whether there is more of the frame than its first buffer holds.
#[inline(always)]
fn is_spread(context: &XdpContext) -> bool {
    !frame(context).holds(buffer_len(context) as usize)
}

#[inline(always)]
fn count(counter: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(counter) {
        // SAFETY: the value belongs to this CPU, and the program is not preempted
        // by itself; user space only reads.
        unsafe { *counter += 1 };
    }
}

/// Nothing in the program panics; what LLVM keeps of it must link.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel asks for the licence, since some helpers are for GPL-compatible
/// programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
