"""What one would write with scapy: answers every SCCRQ that comes to an interface with a StopCCN.

Arguments: the interface, the address of the LNS, the CPU to run on, the answer in hexadecimal.
"""

import os
import socket
import sys

from scapy.all import IP, UDP, Ether, Raw, conf

interface, lns, cpu, answer = sys.argv[1:]
answer = bytes.fromhex(answer)
os.sched_setaffinity(0, {int(cpu)})

# Without a socket the kernel would refuse every request with an ICMP message.
port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
port.bind((lns, 1701))
port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)


def tunnel_id(message):
    """The Assigned Tunnel ID in an SCCRQ."""
    at = 12
    while at < len(message):
        length = int.from_bytes(message[at : at + 2], "big") & 0x3FF
        if message[at + 2 : at + 6] == b"\0\0\0\x09":
            return message[at + 6 : at + 8]
        at += length
    return None


link = conf.L2socket(iface=interface)
print("ready", flush=True)
while True:
    request = link.recv()
    if request is None or UDP not in request or request[UDP].dport != 1701:
        continue
    message = bytes(request[UDP].payload)
    number = tunnel_id(message)
    if message[:2] != b"\xc8\x02" or number is None:
        continue
    following = (int.from_bytes(message[8:10], "big") + 1).to_bytes(2, "big")
    reply = answer[:4] + number + answer[6:10] + following + answer[12:]
    link.send(
        Ether(src=request[Ether].dst, dst=request[Ether].src)
        / IP(src=request[IP].dst, dst=request[IP].src)
        / UDP(sport=1701, dport=request[UDP].sport)
        / Raw(reply)
    )
