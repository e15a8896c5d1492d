/* The secret that signs addresses of ours (SRS, bounce addresses): made at the first start, kept in the data folder, never changed. */
#ifndef SERVICE_ADDRESS_KEY_H
#define SERVICE_ADDRESS_KEY_H

#include "base/view.h"

#define ADDRESS_KEY_BYTES 32u

/* Reads <data>/address.key, or makes it (readable by its owner alone, durable before this returns). ERR_* with a sentence. */
enum err address_key_load(const char *data, uint8_t ret[ADDRESS_KEY_BYTES]) MUST_CHECK;

#endif
