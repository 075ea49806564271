//! VLAN tags, which a reply can have only where the frame of its request has them.
//!
//! A NIC may take them out of a frame, and the sender on a veth may leave them out of it. The
//! system has them beside the frame then, where no XDP program sees them. What generic XDP sends
//! back has them still; what native XDP and AF_XDP sockets send has not. And a NIC may drop frames
//! of VLANs that nobody has set up.

use super::ethtool::Asker;
use super::features::{Feature, Features};
use super::keeper::Keeper;
use super::{AttachMode, Interface, link};

/// Whether a tag beside the frame is lost in a reply: what generic XDP turns into the reply keeps
/// it.
pub fn loses_vlan_tags(mode: AttachMode, workers: bool) -> bool {
    mode == AttachMode::Native || workers
}

/// They take tags out of received frames.
const STRIP: [&str; 2] = ["rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"];
/// They drop frames of other VLANs than those that are set up.
const FILTER: [&str; 2] = ["rx-vlan-filter", "rx-vlan-stag-filter"];
/// They take tags that stand beside the frame, to put them into it on the wire.
const INSERT: [&str; 2] = ["tx-vlan-hw-insert", "tx-vlan-stag-hw-insert"];

/// Kinds of interfaces whose frames come from others, after the system has taken tags out of them.
const UPPER: [&str; 5] = ["bond", "team", "bridge", "macvlan", "macvtap"];

/// What was done for tags, and what should be known of them.
#[derive(Debug, Default)]
pub struct VlanTags {
    /// Puts back what was switched off, when dropped.
    pub keeper: Option<Keeper>,
    /// What should be known, each in a sentence.
    pub remarks: Vec<String>,
}

/// What a run would do for tags, and could not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VlanTagsNow {
    /// The features of interfaces that it would switch off until its end, in words.
    pub would_switch: Vec<String>,
    /// What should be known, each in a sentence.
    pub remarks: Vec<String>,
}

/// Features of one interface that are to be off.
struct Wish {
    features: Features,
    off: Vec<(&'static str, Feature)>,
}

impl Wish {
    /// Those of these that are on, sorted out by whether they can be switched off. The system need
    /// not tell.
    fn new(interface: &str, names: &[&'static str]) -> Option<(Self, Vec<&'static str>)> {
        let features = Features::of(interface).ok()?;
        let on = names.iter().filter_map(|name| {
            let feature = features.get(name).filter(|feature| feature.on)?;
            Some((*name, feature))
        });
        let (off, fixed): (Vec<_>, Vec<_>) = on.partition(|(_, feature)| feature.can_change);
        let fixed = fixed.into_iter().map(|(name, _)| name).collect();
        Some((Self { features, off }, fixed))
    }
}

impl Interface {
    /// Sees to it that tags are in the frames, as far as can be. `loses` is whether one that stands
    /// beside the frame may be lost, as [`loses_vlan_tags`] says.
    pub fn keep_vlan_tags(&self, loses: bool) -> VlanTags {
        let mut tags = VlanTags::default();
        let mut wishes = Vec::new();
        let wanted = self.wanted_off(loses);
        for (interface, names) in &wanted {
            let Some((wish, fixed)) = Wish::new(interface, names) else {
                continue;
            };
            tags.remarks.extend(remark_on_fixed(interface, &fixed));
            if !wish.off.is_empty() {
                wishes.push((interface, wish));
            }
        }
        if !wishes.is_empty() {
            tags.switch_off(&wishes);
        }
        tags
    }

    /// What [`keep_vlan_tags`](Self::keep_vlan_tags) would do; nothing is switched.
    pub fn vlan_tags_now(&self, loses: bool) -> VlanTagsNow {
        let mut now = VlanTagsNow::default();
        for (interface, names) in self.wanted_off(loses) {
            let Some((wish, fixed)) = Wish::new(&interface, &names) else {
                continue;
            };
            now.remarks.extend(remark_on_fixed(&interface, &fixed));
            let names: Vec<_> = wish.off.iter().map(|(name, _)| *name).collect();
            if !names.is_empty() {
                now.would_switch
                    .push(format!("{} of {interface}", names.join(" and ")));
            }
        }
        now
    }

    /// The features that are to be off, by interface.
    fn wanted_off(&self, loses: bool) -> Vec<(String, Vec<&'static str>)> {
        let mut wanted = vec![(self.name.clone(), FILTER.to_vec())];
        if loses && self.is_veth() {
            // Whatever it says of itself, it takes nothing out.
            wanted.extend(self.visible_peer().map(|peer| (peer, INSERT.to_vec())));
        } else if loses {
            wanted[0].1.extend(STRIP);
        }
        wanted
    }

    /// Why tags may stand beside the frame all the same, where the interface is attached in that
    /// mode, with or without workers, and they are lost then.
    pub fn vlan_tags_beside(&self, mode: AttachMode, workers: bool) -> Option<String> {
        if !loses_vlan_tags(mode, workers) {
            return None;
        }
        let kind = self.kind.as_deref()?;
        if self.is_veth() && self.visible_peer().is_none() {
            return Some(UNSEEN_PEER.to_owned());
        }
        let is_upper = mode == AttachMode::Generic && UPPER.contains(&kind);
        is_upper.then(|| {
            format!(
                "a {kind} gets frames without their VLAN tags, and replies of workers go out \
                 without: --path rewrite keeps them in generic mode"
            )
        })
    }

    fn is_veth(&self) -> bool {
        self.kind.as_deref() == Some("veth")
    }

    /// The name of the other end of a veth, if it is in the namespace of the calling thread.
    fn visible_peer(&self) -> Option<String> {
        let veth = link::by_index(self.index).ok().flatten()?;
        let peer = link::by_index(link::peer_of(&veth)?).ok().flatten()?;
        link::name_of(&peer)
    }
}

impl VlanTags {
    fn switch_off(&mut self, wishes: &[(&String, Wish)]) {
        let all = |wish: &Wish| -> Vec<Feature> {
            wish.off.iter().map(|(_, feature)| *feature).collect()
        };
        let back = wishes
            .iter()
            .map(|(_, wish)| wish.features.switch(&all(wish), true));
        match Keeper::new(&mut back.collect::<Vec<_>>()) {
            Ok(keeper) => self.keeper = Some(keeper),
            // What nobody would put back is left as it is.
            Err(error) => {
                for (interface, wish) in wishes {
                    let names: Vec<_> = wish.off.iter().map(|(name, _)| *name).collect();
                    let commands = commands(interface, &names, "off");
                    self.remarks.push(format!(
                        "VLAN tags may be missing in replies, and nothing was switched, since it \
                         could not be put back: {error}; {commands}"
                    ));
                }
                return;
            }
        }
        for (interface, wish) in wishes {
            let asked = Asker::new()
                .and_then(|asker| asker.ask(&mut wish.features.switch(&all(wish), false)));
            let names: Vec<_> = wish.off.iter().map(|(name, _)| *name).collect();
            // A driver may refuse some of them, and says so only in what it has then.
            let still = Wish::new(interface, &names);
            let still = still.map_or_else(Vec::new, |(wish, fixed)| {
                wish.off
                    .iter()
                    .map(|(name, _)| *name)
                    .chain(fixed)
                    .collect()
            });
            let switched: Vec<_> = names
                .iter()
                .copied()
                .filter(|name| !still.contains(name))
                .collect();
            if !switched.is_empty() {
                self.remarks.push(format!(
                    "VLAN tags have to be in the frames: {} of {interface} off until the end",
                    switched.join(" and ")
                ));
            }
            let refused = asked
                .err()
                .map_or(String::new(), |error| format!(" ({error})"));
            let fixed = remark_on_fixed(interface, &still);
            self.remarks.extend(fixed.map(|remark| remark + &refused));
        }
    }
}

/// What is said where the other end of a veth cannot be asked.
const UNSEEN_PEER: &str = "VLAN tags that the other end of the veth leaves beside its frames are \
    not seen, and replies go out without them; at that end: ethtool -K NAME txvlan off";

/// What is said of features that stay on.
fn remark_on_fixed(interface: &str, fixed: &[&'static str]) -> impl Iterator<Item = String> {
    let of = |names: [&'static str; 2]| -> Vec<&'static str> {
        names
            .into_iter()
            .filter(|name| fixed.contains(name))
            .collect()
    };
    let is = |names: &[&str]| match names.len() {
        1 => "is on and stays on",
        _ => "are on and stay on",
    };
    [
        (of(FILTER), format!(
            "requests with VLAN tags may not arrive; to have them: ip link set {interface} promisc on"
        )),
        (of(STRIP), "replies to requests with VLAN tags go out without".to_owned()),
        (of(INSERT), "replies to requests with VLAN tags may go out without".to_owned()),
    ]
    .into_iter()
    .filter(|(names, _)| !names.is_empty())
    .map(move |(names, what)| format!("{} {}: {what}", names.join(" and "), is(&names)))
    .collect::<Vec<_>>()
    .into_iter()
}

/// What to type to switch features.
fn commands(interface: &str, names: &[&str], state: &str) -> String {
    let features: Vec<_> = names.iter().map(|name| format!("{name} {state}")).collect();
    format!("ethtool -K {interface} {}", features.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_on_is_said_with_what_it_means() {
        let remarks = |fixed: &[&'static str]| remark_on_fixed("eth1", fixed).collect::<Vec<_>>();
        assert!(remarks(&[]).is_empty());
        assert_eq!(
            remarks(&["rx-vlan-filter"]),
            [
                "rx-vlan-filter is on and stays on: requests with VLAN tags may not arrive; \
              to have them: ip link set eth1 promisc on"
            ]
        );
        assert_eq!(
            remarks(&["rx-vlan-stag-hw-parse", "rx-vlan-hw-parse"]),
            [
                "rx-vlan-hw-parse and rx-vlan-stag-hw-parse are on and stay on: replies to requests \
              with VLAN tags go out without"
            ]
        );
    }

    #[test]
    fn features_are_switched_by_a_command() {
        assert_eq!(
            commands("eth1", &["rx-vlan-filter", "rx-vlan-hw-parse"], "off"),
            "ethtool -K eth1 rx-vlan-filter off rx-vlan-hw-parse off"
        );
    }
}
