/* Between the resolver_*.c files. */
#ifndef NET_RESOLVER_PRIVATE_H
#define NET_RESOLVER_PRIVATE_H

#include "net/resolver.h"

#include <unbound.h>

/* A libunbound context on the loop, ready for so many questions at a time. trust_anchor_file NULL: it does not validate. NULL with err_detail(); ub_ctx_delete() it. */
struct ub_ctx *resolver_unbound_new(
	struct loop *loop, const struct resolver_options *options, const char *trust_anchor_file, uint32_t asked_max);

#endif
