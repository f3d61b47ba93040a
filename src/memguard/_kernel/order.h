/* Near nodes one after another. */
#ifndef MG_ORDER_H
#define MG_ORDER_H

#include <stddef.h>
#include <stdint.h>

#define MG_LONG_RUN 1024

/* Handles or numbers; both grow with the address. */
void mg_bring_near_together(uint32_t *run, size_t count);

#endif
