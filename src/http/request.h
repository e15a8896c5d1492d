/*
 * HTTP/1.x requests, as far as a server needs them that has small files and nothing else (RFC 9112). Pure. Strict: what proxies and servers might
 * read in two ways (bare LF, folded fields, blanks before a colon, two Host fields) is refused.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "base/view.h"

#define HTTP_HEAD_MAX_BYTES 8192u
#define HTTP_FIELDS_MAX 64u

struct http_request {
	struct view method; /* "GET" */
	struct view
		path; /* "/.well-known/mta-sts.txt": without query and, in absolute form, without scheme and authority */
	struct view host; /* without port; of the Host field, or the target's authority */
	unsigned minor; /* 1: HTTP/1.1 */
	bool has_body; /* it announces one */
};

/* Where the head ends (behind the empty line), or 0 while that has not come. `from` is how much was looked at before, so that a head that comes in
 * small pieces costs no more. ERR_LIMIT: it is too long. */
enum err http_head_find(struct view in, size_t from, size_t *ret_end) MUST_CHECK;
/* A whole head, with its empty line. Views are borrowed from it. ERR_SYNTAX; ERR_LIMIT for too many fields; ERR_VERSION for another HTTP than 1.x. */
enum err http_request_parse(struct view head, struct http_request *ret) MUST_CHECK;

#endif
