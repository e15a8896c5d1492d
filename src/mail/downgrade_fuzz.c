/* Laws of downgrading: the result is pure 7-bit text in lines that fit, and every body decodes to the same bytes as before. */
#include "mail/downgrade.h"

#include "mail/mime.h"
#include "mail/scan.h"

#include <stdlib.h>

#define LAW(condition)                                                                                                 \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All leaves decoded, one behind the other with their types and lengths. */
static void collect(struct view entity, unsigned depth, bool digest, struct buf *out)
{
	struct mime_part part;
	struct mime_walker walker;
	struct view child;
	mime_part_parse(entity, digest, &part);
	if (depth <= MIME_DEPTH_MAX && mime_walker_init(&walker, &part)) {
		bool inner = view_eq_nocase(part.type.subtype, VIEW("digest"));
		LAW(buf_append_cstr(out, "(") == ERR_OK);
		while (mime_walker_next(&walker, &child))
			collect(child, depth + 1, inner, out);
		LAW(buf_append_cstr(out, ")") == ERR_OK);
	} else if (depth <= MIME_DEPTH_MAX && mime_type_is(&part.type, "message", "rfc822") &&
		part.encoding != MIME_QUOTED_PRINTABLE && part.encoding != MIME_BASE64) {
		collect(part.body, depth + 1, false, out);
	} else {
		struct buf body = { 0 };
		LAW(mime_part_decode(&part, &body) == ERR_OK);
		LAW(buf_append_format(out, "%.*s/%.*s %zu:", VIEW_ARG(part.type.type), VIEW_ARG(part.type.subtype),
			    body.len) == ERR_OK);
		LAW(buf_append(out, buf_view(&body)) == ERR_OK);
		buf_clear(&body);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view in = view_of(data, size);
	struct buf out = { 0 }, again = { 0 }, before = { 0 }, after = { 0 };
	if (downgrade_to_7bit(in, &out) == ERR_OK) {
		struct mail_scan scan = mail_scan(buf_view(&out));
		LAW(!scan.has_8bit_header && !scan.has_8bit_body && !mail_scan_is_binary(&scan));
		LAW(downgrade_to_7bit(buf_view(&out), &again) == ERR_OK && view_eq(buf_view(&again), buf_view(&out)));
		collect(in, 0, false, &before);
		collect(buf_view(&out), 0, false, &after);
		LAW(view_eq(buf_view(&before), buf_view(&after)));
		scan = mail_scan(in);
		if (!scan.has_8bit_header && !scan.has_8bit_body && !mail_scan_is_binary(&scan))
			LAW(view_eq(buf_view(&out), in));
	} else {
		LAW(out.len == 0);
	}
	buf_clear(&out);
	buf_clear(&again);
	buf_clear(&before);
	buf_clear(&after);
	return 0;
}
