/* What `postrider init` is going to do: completed with questions and defaults first, then carried out, so that a wrong answer changes nothing. */
#ifndef CLI_INIT_PLAN_H
#define CLI_INIT_PLAN_H

#include "base/buf.h"

#include <sys/types.h>

struct init_plan {
	/* From the command line; completed by init_plan_complete(). */
	const char *hostname, *data, *domain, *account, *certificate, *key, *user, *config;
	bool force, high_ports;
	/* Found out. */
	bool root;
	bool own_certificate; /* certificate and key are made here */
	struct buf password_hash;
	size_t kept_count; /* texts made here, freed at the end */
	char *kept[16];
};

/* Asks on a terminal, takes defaults elsewhere, checks everything. ERR_SYNTAX, ERR_EXISTS …, with a sentence. */
enum err init_plan_complete(struct init_plan *plan) MUST_CHECK;
enum err init_plan_carry_out(struct init_plan *plan) MUST_CHECK;
void init_plan_tell_next(const struct init_plan *plan);
void init_plan_clear(struct init_plan *plan);

#endif
