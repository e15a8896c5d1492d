/* Unpredictable bytes from the system's generator (never fails once started). */
#ifndef CRYPTO_RANDOM_H
#define CRYPTO_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t len);
/* Uniform below `bound` (> 0). */
uint32_t random_below(uint32_t bound);

#endif
