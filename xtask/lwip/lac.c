/*
 * lwIP's PPP over L2TP (pppol2tp) as a LAC: it dials one LNS once, and says what became of it.
 *
 * It sends and receives whole frames on an interface of the kernel, with its MAC address and an IP
 * address of its own, about which the kernel knows nothing. Each line on standard output is a
 * message of lwIP, or the end of the link.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"
#include "netif/ppp/pppol2tp.h"

#define L2TP_PORT 1701
#define FRAME_MAX 2048
/* The longest wait for a frame, in milliseconds, where lwIP has nothing to do. */
#define IDLE 1000

static int port;

u32_t sys_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (u32_t)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

/* What lwIP stirs into its random numbers. */
u32_t sys_jiffies(void)
{
    return sys_now();
}

static void fail(const char *what)
{
    fprintf(stderr, "cannot %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* Opens the interface `name` for whole frames, and reads its MAC address. */
static void open_port(const char *name, u8_t mac[ETH_HWADDR_LEN])
{
    struct ifreq request = {0};
    struct sockaddr_ll address = {0};

    /* Protocol 0 keeps frames of other interfaces out until the socket is bound. */
    port = socket(AF_PACKET, SOCK_RAW, 0);
    if (port < 0)
        fail("open a packet socket");
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(port, SIOCGIFHWADDR, &request) < 0)
        fail("read the MAC address");
    memcpy(mac, request.ifr_hwaddr.sa_data, ETH_HWADDR_LEN);
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = if_nametoindex(name);
    if (bind(port, (struct sockaddr *)&address, sizeof address) < 0)
        fail("bind to the interface");
}

static err_t send_frame(struct netif *netif, struct pbuf *frame)
{
    u8_t bytes[FRAME_MAX];
    u16_t length = pbuf_copy_partial(frame, bytes, sizeof bytes, 0);
    LWIP_UNUSED_ARG(netif);
    return send(port, bytes, length, 0) == length ? ERR_OK : ERR_IF;
}

static void receive_frame(struct netif *netif)
{
    u8_t bytes[FRAME_MAX];
    struct sockaddr_ll from;
    socklen_t from_length = sizeof from;
    struct pbuf *frame;
    ssize_t length = recvfrom(port, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &from_length);

    if (length < 0)
        fail("receive a frame");
    /* What others send on this interface is not for us. */
    if (from.sll_pkttype == PACKET_OUTGOING)
        return;
    frame = pbuf_alloc(PBUF_RAW, (u16_t)length, PBUF_POOL);
    if (frame == NULL || pbuf_take(frame, bytes, (u16_t)length) != ERR_OK ||
        netif->input(frame, netif) != ERR_OK) {
        fprintf(stderr, "lost a frame\n");
        exit(EXIT_FAILURE);
    }
}

static err_t set_up(struct netif *netif)
{
    netif->name[0] = 'e';
    netif->name[1] = 't';
    netif->mtu = 1500;
    netif->hwaddr_len = ETH_HWADDR_LEN;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
    netif->output = etharp_output;
    netif->linkoutput = send_frame;
    return ERR_OK;
}

static void link_changed(ppp_pcb *link, int error, void *context)
{
    LWIP_UNUSED_ARG(link);
    LWIP_UNUSED_ARG(context);
    printf("link: %s (error %d)\n", error == PPPERR_NONE ? "up" : "down", error);
}

static ip4_addr_t address_of(const char *text)
{
    ip4_addr_t address;
    if (!ip4addr_aton(text, &address)) {
        fprintf(stderr, "%s is no IPv4 address\n", text);
        exit(EXIT_FAILURE);
    }
    return address;
}

int main(int count, char **arguments)
{
    struct netif netif = {0}, link = {0};
    ip4_addr_t address, mask, gateway;
    ip_addr_t lns;
    ppp_pcb *ppp;

    if (count != 6 && count != 8) {
        fprintf(stderr, "usage: %s INTERFACE ADDRESS MASK GATEWAY LNS [USER PASSWORD]\n", arguments[0]);
        return EXIT_FAILURE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    /* Tunnel ids and ports are by chance, and two LACs that start at once must not have the same. */
    srandom((unsigned)getpid() ^ sys_now());
    open_port(arguments[1], netif.hwaddr);
    address = address_of(arguments[2]);
    mask = address_of(arguments[3]);
    gateway = address_of(arguments[4]);
    ip_addr_copy_from_ip4(lns, address_of(arguments[5]));

    lwip_init();
    if (netif_add(&netif, &address, &mask, &gateway, NULL, set_up, ethernet_input) == NULL)
        fail("add the interface");
    netif_set_default(&netif);
    netif_set_up(&netif);
    ppp = pppol2tp_create(&link, &netif, &lns, L2TP_PORT, NULL, 0, link_changed, NULL);
    if (ppp == NULL)
        fail("make a link");
    if (count == 8)
        ppp_set_auth(ppp, PPPAUTHTYPE_PAP, arguments[6], arguments[7]);
    if (ppp_connect(ppp, 0) != ERR_OK)
        fail("dial");
    printf("lwIP %s dials %s\n", LWIP_VERSION_STRING, arguments[5]);

    for (;;) {
        struct pollfd readable = {port, POLLIN, 0};
        u32_t due = sys_timeouts_sleeptime();
        if (poll(&readable, 1, (int)LWIP_MIN(due, IDLE)) < 0 && errno != EINTR)
            fail("wait for a frame");
        if (readable.revents)
            receive_frame(&netif);
        sys_check_timeouts();
    }
}
