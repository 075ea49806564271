//! The NICs that are emulated.

/// A kind of NIC, with all that makes it that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nic {
    /// What it is called here.
    pub name: &'static str,
    /// What is special about it.
    pub about: &'static str,
    /// QEMU's device and its properties.
    pub device: &'static str,
    /// The modules of its driver.
    pub modules: &'static [&'static str],
    /// How many CPUs its guest has, on which the number of its queues depends.
    pub cpus: u32,
    /// Pairs of queues of the wire. More than one come by a tap only.
    pub pairs: u32,
}

impl Nic {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self {
            name: "virtio",
            about: "virtio-net, one queue",
            device: "virtio-net-pci",
            modules: VIRTIO,
            cpus: 2,
            pairs: 1,
        },
        Self {
            name: "virtio-spare",
            about: "virtio-net, 8 pairs of queues for 4 CPUs",
            device: "virtio-net-pci,mq=on,vectors=20",
            modules: VIRTIO,
            cpus: 4,
            pairs: 8,
        },
        Self {
            name: "virtio-zc",
            about: "virtio-net whose queues a driver may map itself, for zero-copy",
            device: "virtio-net-pci,iommu_platform=on,disable-legacy=on",
            modules: VIRTIO,
            cpus: 2,
            pairs: 1,
        },
        Self {
            name: "igb",
            about: "Intel 82576, 4 queues",
            device: "igb",
            modules: &["igb"],
            cpus: 4,
            pairs: 1,
        },
        Self {
            name: "vmxnet3",
            about: "VMware's, 2 queues",
            device: "vmxnet3",
            modules: &["vmxnet3"],
            cpus: 2,
            pairs: 1,
        },
        Self {
            name: "e1000e",
            about: "Intel 82574, without native XDP",
            device: "e1000e",
            modules: &["e1000e"],
            cpus: 2,
            pairs: 1,
        },
    ];
}

const VIRTIO: &[&str] = &["virtio_pci", "virtio_net"];
