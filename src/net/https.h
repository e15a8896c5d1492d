/*
 * HTTPS requests through libcurl's multi interface on a loop: policy files (MTA-STS), tokens (OAuth 2), reports (TLSRPT). Nothing blocks;
 * bodies, times and redirects are bounded. Certificates are always verified, names too.
 */
#ifndef NET_HTTPS_H
#define NET_HTTPS_H

#include "base/buf.h"
#include "net/loop.h"

struct https;
struct https_request;

/* NULL with err_detail(). One per loop. */
struct https *https_new(struct loop *loop);
/* Cancels what is open. NULL is fine. Before loop_free(). */
void https_free(struct https *https);

struct https_options {
	const char *url; /* https:// only; http:// only to a loopback address, for tests and local token helpers */
	const char *ca_file; /* NULL: the system's */
	/* "host:port:address,address": connect there instead of asking the system's resolver; NULL: ask it. The caller resolves with his own. */
	const char *resolve;
	struct view body; /* POST with it; NULL view: GET. Copied. */
	const char *content_type; /* of the body */
	const char *authorization; /* whole header value; NULL: none. Never logged */
	size_t body_max_bytes; /* of the answer */
	uint32_t timeout_ms; /* for all of it */
	bool follows_redirects; /* at most 3; MTA-STS forbids any (RFC 8461 §3.3) */
};
struct https_answer {
	enum err err; /* ERR_OK: an answer of some status; ERR_TIMEOUT, ERR_TLS, ERR_LIMIT (too long), ERR_IO … */
	const char *detail; /* a sentence, with err */
	long status; /* 200 … */
	struct view body; /* borrowed during the call */
	struct view content_type; /* as sent, may be empty */
};
/* answered() is called once, later, from the loop, unless it is cancelled first. Copies the options. */
struct https_request *https_start(struct https *https, const struct https_options *options,
	void (*answered)(void *owner, const struct https_answer *answer), void *owner);
void https_cancel(struct https_request *request); /* NULL is fine */

#endif
