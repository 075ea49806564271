//! Whose acknowledgements the workers wait for, as the kernel half notes them.

use aya::Pod;
use aya::maps::{HashMap, Map, MapData, MapError};
use broken_lns_ebpf::acknowledgement::{Awaited, Peers};

use crate::retransmission::Acknowledgements;

/// A key of the map.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Key(Peers);

/// A value of the map.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Value(Awaited);

// SAFETY: peers are `repr(C)` and made of integers only, without padding, so that every bit
// pattern is a value.
unsafe impl Pod for Key {}

// SAFETY: likewise.
unsafe impl Pod for Value {}

/// The acknowledgements that the kernel half notes, as one worker reaches them.
pub struct AwaitedMap(HashMap<MapData, Key, Value>);

impl AwaitedMap {
    pub(super) fn new(map: MapData) -> Result<Self, MapError> {
        Ok(Self(HashMap::try_from(Map::HashMap(map))?))
    }
}

impl Acknowledgements for AwaitedMap {
    fn get(&mut self, peers: &Peers) -> Option<Awaited> {
        let value = self.0.get(&Key(*peers), 0);
        value.ok().map(|Value(awaited)| awaited)
    }

    fn set(&mut self, peers: &Peers, awaited: Awaited) -> bool {
        self.0.insert(Key(*peers), Value(awaited), 0).is_ok()
    }

    fn remove(&mut self, peers: &Peers) {
        // That it is gone already is just as well.
        let _ = self.0.remove(&Key(*peers));
    }
}
