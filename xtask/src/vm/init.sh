#!/bin/sh
# The first process of a guest.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs trace /sys/kernel/tracing
while read -r module; do
    insmod "/modules/$module.ko" || echo "no module $module" >/dev/console
done </modules/order
# The guest has nothing of its own to say.
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
ip link set lo up
ip link set eth0 up
if grep -q console_shell /proc/cmdline; then
    echo "The NIC is eth0. Each second a LAC at the other end of its wire asks an LNS."
    echo "Ctrl-A X ends the guest, and so does exit."
    setsid cttyhack sh </dev/ttyS0 >/dev/ttyS0 2>&1
    poweroff -f
fi
exec </dev/ttyS1 >/dev/ttyS1 2>&1
stty raw -echo
echo "the guest is ready" >/dev/console
# As a script's name, so that it shows no prompts.
exec sh /dev/ttyS1
