/* HTTP/1.1 responses: small ones, after each of which the connection ends. Pure. */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include "base/buf.h"

struct http_response {
	unsigned status; /* 200, 400, 404, 405, 431, 505 */
	struct view content_type; /* empty: "text/plain; charset=utf-8" */
	struct view body; /* empty: the status in words */
	bool without_body; /* the answer to HEAD: fields as if it were there */
	int64_t now_ms; /* wall clock, for the Date field */
};
/* Appends it. */
enum err http_response_format(const struct http_response *response, struct buf *out) MUST_CHECK;

#endif
