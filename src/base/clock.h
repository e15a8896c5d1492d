/* The two clocks. Pure code never reads them: the time is passed in. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since 1970-01-01 UTC; may jump. For dates in mail and due times on disk. */
int64_t clock_wall_ms(void);
/* Milliseconds since some start; never jumps. For time-outs. */
int64_t clock_monotonic_ms(void);

#endif
