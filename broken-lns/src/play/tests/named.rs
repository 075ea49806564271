//! Rules for LACs by their names.

use std::sync::mpsc::{Receiver, sync_channel};

use super::*;

/// A request with a Host Name AVP of that first octet behind it.
fn request_with(first: u8, tunnel_id: u16, name: &[u8]) -> Vec<u8> {
    let len = l2tp::AVP_HEADER_LEN + name.len();
    let mut frame = request(tunnel_id).to_vec();
    // The lengths of the packet, of the datagram and of the message.
    for at in [17, 39, 45] {
        frame[at] += len as u8;
    }
    frame.extend([first, len as u8, 0, 0, 0, l2tp::HOST_NAME as u8]);
    frame.extend(name);
    frame
}

fn named(tunnel_id: u16, name: &str) -> Vec<u8> {
    request_with(0x80, tunnel_id, name.as_bytes())
}

/// The tunnel id that the only reply claims to have assigned; nothing where there is none.
fn met(stage: &mut Stage, frame: &[u8]) -> Option<u16> {
    let sent = stage.receive(0, &[frame]);
    assert!(sent.len() <= 1);
    let reply = sent.first()?;
    let octets = reply.last_chunk().expect("it ends with the tunnel id");
    Some(u16::from_be_bytes(*octets))
}

/// A rule for LACs that is known by the tunnel id that its refusal assigns.
fn rule(who: &str, id: u16) -> String {
    format!("[[lns.lac]]\n{who}\nfault = \"refuse\"\nassigned_tunnel_id = {id}\n")
}

/// What the player marks for the host from now on, and the rule by which.
fn marks(stage: &mut Stage) -> Receiver<(Mark, usize)> {
    let (sender, marks) = sync_channel(8);
    stage.leave_to_host(move |mark, rule| sender.try_send((*mark, rule.index())).is_ok());
    marks
}

#[test]
fn lacs_of_one_address_meet_the_rules_of_their_names() {
    let text = format!(
        "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"refuse\"\nassigned_tunnel_id = 1\n{}{}{}{}",
        rule("lac_name = \"isp-a-*\"", 2),
        rule("lac_name = \"isp-?-1\"", 3),
        rule("address = \"10.0.0.0/8\"\nlac_name = \"here\"", 4),
        rule("address = \"172.16.0.0/12\"\nlac_name = \"*\"", 5),
    );
    let mut stage = Stage::new(compiled(&text));
    let long = "isp-a-".to_owned() + &"x".repeat(80);
    for (frame, expected) in [
        (named(1, "isp-a-1"), 2),
        (named(2, "isp-b-1"), 3),
        (named(3, "here"), 4),
        (named(4, "elsewhere"), 1),
        (named(5, "ISP-A-1"), 1),
        (named(6, &long), 2),
        (request_with(0x00, 7, b"here"), 4),
        // Hidden, and missing.
        (request_with(0xc0, 8, b"here"), 1),
        (request(9).to_vec(), 1),
    ] {
        assert_eq!(met(&mut stage, &frame), Some(expected), "{frame:02x?}");
    }
    let hits: Vec<_> = stage.remote.hits().collect();
    assert_eq!(hits, [0, 4, 2, 1, 2, 0]);
}

#[test]
fn attempts_are_counted_for_each_name() {
    let text = "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"silent\"\n\
        [[lns.lac]]\nlac_name = \"a*\"\nfault = \"refuse\"\nfirst = 1\nthen = \"silent\"\n\
        [[lns.lac]]\nlac_name = \"b\"\nfault = \"refuse\"\nfirst = 2\nthen = \"silent\"\n";
    let mut stage = Stage::new(compiled(text));
    let answered = |stage: &mut Stage, tunnel_id, name| {
        let sent = stage.receive(0, &[&named(tunnel_id, name)]);
        sent.len()
    };
    // Of the same tunnel ids, too.
    for (tunnel_id, name, expected) in [
        (1, "a1", 1),
        (1, "a2", 1),
        (1, "b", 1),
        (1, "a1", 1),
        (2, "a1", 0),
        (2, "b", 1),
        (2, "a2", 0),
        (3, "b", 0),
    ] {
        let answered = answered(&mut stage, tunnel_id, name);
        assert_eq!(answered, expected, "{name}, tunnel {tunnel_id}");
    }
}

#[test]
fn a_lac_is_left_to_the_host_by_its_name_alone() {
    let text = "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"pass\"\n\
        [[lns.lac]]\nlac_name = \"a\"\nfault = \"refuse\"\nfirst = 1\nthen = \"pass\"\n\
        [[lns.lac]]\nlac_name = \"b\"\nfault = \"refuse\"\n";
    let mut stage = Stage::new(compiled(text));
    let marks = marks(&mut stage);
    for (tunnel_id, name, answered, marked) in [
        (1, "a", 1, None),
        // It is healed, but others of its address are not.
        (2, "a", 0, Some((2, 2))),
        (3, "b", 1, None),
        (4, "c", 0, Some((4, 1))),
    ] {
        let sent = stage.receive(0, &[&named(tunnel_id, name)]);
        assert_eq!(sent.len(), answered, "{name}");
        let mark = marks.try_recv().ok();
        let mark = mark.map(|(mark, rule)| (mark.tunnel_id, rule));
        assert_eq!(mark, marked, "{name}");
    }
    assert_eq!(stage.count(Sent::PassesNext), 2);
}
