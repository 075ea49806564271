/* What lwIP asks of the platform beyond a C compiler and its library. */
#ifndef LWIP_ARCH_CC_H
#define LWIP_ARCH_CC_H

#include <stdlib.h>
#include <sys/time.h>

#define LWIP_RAND() ((u32_t)random())

#endif
