/* A libunbound context with our settings. */
#include "net/resolver_private.h"

#include "net/loop_private.h"

#include <stdio.h>
#include <unbound-event.h>
#include <unistd.h>

static const struct {
	const char *name, *value;
} settings[] = {
	{ "module-config:", "validator iterator" },
	/* A resolver on this machine is the best kind. */
	{ "do-not-query-localhost:", "no" },
	/* Whoever configured the servers knows what they are asked about: private reverse zones, too. */
	{ "unblock-lan-zones:", "yes" },
	{ "num-queries-per-thread:", "2048" },
	/* RFC 9715: larger answers come over TCP instead of as fragments. */
	{ "edns-buffer-size:", "1232" },
	/* A server that does not answer about some names, whose own servers are silent, is not to be taken for dead: with a memory for that, everybody
	 * got SERVFAIL at once, for a minute, when somebody had asked about such names for a while. One that was restarted is noticed at once, too.
	 * With 0, what was learnt in a second held until its end: an answer that came in 1 ms left 50 ms to all that took longer, and time-outs
	 * were doubled from question to question. -1, which the manual does not mention, ends it before it begins. */
	{ "infra-host-ttl:", "-1" },
	/* Milliseconds until it is asked again. Without memory, nothing adapts: each question has what a far or busy server needs. */
	{ "unknown-server-time-limit:", "1500" },
	{ "infra-cache-min-rtt:", "1500" },
	/* Of two packets each: twelve seconds for one server, and then another still has time (timeout_ms is 20 seconds). */
	{ "outbound-msg-retry:", "4" },
};
/* For questions that come of questions: keys, delegations. */
#define SOCKETS_BESIDE 64u

static bool unbound_failed(int code, const char *what, const char *about)
{
	if (code == 0)
		return false;
	err_set(ERR_CONFIG, "cannot %s %s: %s", what, about, ub_strerror(code));
	return true;
}

static bool set_servers(struct ub_ctx *unbound, const struct resolver_options *options)
{
	if (options->server_count == 0)
		return !unbound_failed(
			ub_ctx_resolvconf(unbound, NULL), "take the DNS servers from", "/etc/resolv.conf");
	for (size_t i = 0; i < options->server_count; i++)
		if (unbound_failed(
			    ub_ctx_set_fwd(unbound, options->servers[i]), "use the DNS server", options->servers[i]))
			return false;
	return true;
}

static bool set_trust_anchor(struct ub_ctx *unbound, const char *path)
{
	if (path == NULL)
		return true;
	if (access(path, R_OK) != 0) {
		/* libunbound would only notice with the first question, and then fail all of them. */
		err_set(ERR_CONFIG, "cannot read the DNSSEC trust anchor %s", path);
		return false;
	}
	return !unbound_failed(ub_ctx_add_ta_file(unbound, path), "use the DNSSEC trust anchor", path);
}

/* Where libunbound has no socket left for a question, that waits behind all others, whosever they are. */
static bool set_sockets(struct ub_ctx *unbound, uint32_t asked_max)
{
	char text[16];
	snprintf(text, sizeof text, "%u", asked_max + SOCKETS_BESIDE);
	return !unbound_failed(
		ub_ctx_set_option(unbound, "outgoing-range:", text), "set libunbound's", "outgoing-range:");
}

static bool configure(struct ub_ctx *unbound, const struct resolver_options *options, const char *trust_anchor_file,
	uint32_t asked_max)
{
	/* Its messages would go to stderr, past the log. */
	ub_ctx_debugout(unbound, NULL);
	for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
		if (unbound_failed(ub_ctx_set_option(unbound, settings[i].name, settings[i].value), "set libunbound's",
			    settings[i].name))
			return false;
	if (!set_sockets(unbound, asked_max) || !set_servers(unbound, options) ||
		!set_trust_anchor(unbound, trust_anchor_file))
		return false;
	/* libunbound answers for the reserved .test itself; laboratories, and our tests, have real zones there (RFC
	 * 6761 §6.2). This also ends the configuration: what is wrong with it is said now, not with the first
	 * question. */
	return !unbound_failed(ub_ctx_zone_remove(unbound, "test."), "start the resolver with the trust anchor",
		trust_anchor_file != NULL ? trust_anchor_file : "(none)");
}

struct ub_ctx *resolver_unbound_new(
	struct loop *loop, const struct resolver_options *options, const char *trust_anchor_file, uint32_t asked_max)
{
	struct ub_ctx *unbound = ub_ctx_create_event(loop->base);
	if (unbound == NULL) {
		err_set(ERR_IO, "cannot start libunbound on the event loop %s", loop->name);
		return NULL;
	}
	if (!configure(unbound, options, trust_anchor_file, asked_max)) {
		ub_ctx_delete(unbound);
		return NULL;
	}
	return unbound;
}
