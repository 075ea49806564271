/* What of lwIP is built: PPP over L2TP on one Ethernet interface, in one thread, with its messages. */
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_TCP 0
#define LWIP_IPV6 0
/* Those of the C library are there as well. */
#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS

#define MEM_ALIGNMENT 8
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
/* A frame is one buffer: pppol2tp reads its header from the first one only. */
#define PBUF_POOL_BUFSIZE 2048

#define PPP_SUPPORT 1
#define PPPOL2TP_SUPPORT 1
#define PAP_SUPPORT 1
/* Seconds until it logs in again: each time makes an LNS that forwards it dial again. */
#define UPAP_DEFTIMEOUT 250

#define LWIP_DEBUG 1
#define PPP_DEBUG LWIP_DBG_ON

#endif
