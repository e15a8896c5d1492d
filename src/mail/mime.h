/* A small bounded walker over MIME structure (RFC 2045, RFC 2046), without copying. Pure. */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include "base/buf.h"

#define MIME_DEPTH_MAX 20u /* callers that recurse stop here; each level reads its bytes once */
#define MIME_BOUNDARY_MAX_BYTES 200u /* RFC 2046 §5.1.1 says 70 */

struct mime_type {
	struct view type, subtype; /* "text", "plain"; compare without case */
	struct view parameters; /* raw, from the first semicolon on */
	bool is_default; /* Content-Type is missing or malformed (RFC 2045 §5.2) */
};

enum mime_encoding { MIME_7BIT, MIME_8BIT, MIME_BINARY, MIME_QUOTED_PRINTABLE, MIME_BASE64, MIME_UNKNOWN };

struct mime_part {
	struct view header; /* with the empty line */
	struct view body; /* as transferred */
	struct mime_type type;
	enum mime_encoding encoding; /* MIME_7BIT if the field is missing */
};

/* Content-Type's value, comments allowed. False if malformed. */
bool mime_type_parse(struct view value, struct mime_type *ret);
bool mime_type_is(const struct mime_type *type, const char *major, const char *minor);
/* Appends a parameter's value: quoted strings unquoted, RFC 2231 continuations joined and percent codes decoded (the charset is dropped).
 * ERR_NOT_FOUND if there is none; ERR_LIMIT when it has more than 64 continuations. */
enum err mime_parameter(const struct mime_type *type, struct view name, struct buf *out) MUST_CHECK;

/* Splits a message or body part into header and body, and reads what it is. `default_digest`: within multipart/digest, where the
 * default type is message/rfc822. */
void mime_part_parse(struct view entity, bool default_digest, struct mime_part *ret);
/* Appends the body decoded from its transfer encoding (MIME_UNKNOWN: as it is). */
enum err mime_part_decode(const struct mime_part *part, struct buf *out) MUST_CHECK;

/* The body parts of a multipart. */
struct mime_walker {
	struct view rest;
	uint8_t boundary[MIME_BOUNDARY_MAX_BYTES];
	size_t boundary_len;
	struct view preamble; /* what stands before the first delimiter */
	struct view epilogue; /* what stands behind the last, once the walk is over */
	bool is_closed; /* the closing delimiter was there */
	bool is_open; /* private */
};
/* False if the part is no multipart with a usable boundary, or has no delimiter at all: then it is a leaf. */
bool mime_walker_init(struct mime_walker *walker, const struct mime_part *multipart);
/* The next part's bytes, without the line end that belongs to the delimiter (RFC 2046 §5.1.1). */
bool mime_walker_next(struct mime_walker *walker, struct view *ret_entity);
struct view mime_walker_boundary(const struct mime_walker *walker);

#endif
