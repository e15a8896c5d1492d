/* Laws of replies: a prefix of a complete reply is "again" or the same reply; what is parsed formats and parses to itself. */
#include "smtp/reply.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct smtp_reply *a, const struct smtp_reply *b)
{
	return a->code == b->code && a->class == b->class && a->subject == b->subject && a->detail == b->detail &&
		view_eq(smtp_reply_text(a), smtp_reply_text(b));
}

static void check_round_trip(const struct smtp_reply *reply)
{
	struct buf wire = { 0 };
	ASSERT(smtp_reply_format(reply, &wire) == ERR_OK);
	struct smtp_reply again;
	size_t used;
	ASSERT(smtp_reply_parse(buf_view(&wire), &again, &used) == ERR_OK);
	ASSERT(used == wire.len);
	bool split = false;
	struct view rest = smtp_reply_text(reply), line;
	while (view_split(&rest, '\n', &line))
		split = split || line.len > 490;
	ASSERT(split || same(reply, &again));
	for (rest = buf_view(&wire); view_split(&rest, '\n', &line);)
		ASSERT(line.len <= 511 && line.ptr[line.len - 1] == '\r' && view_find(line, '\r') == line.len - 1);
	struct buf described = { 0 };
	ASSERT(smtp_reply_describe(reply, &described) == ERR_OK);
	ASSERT(view_find(buf_view(&described), '\n') == described.len);
	buf_clear(&described);
	buf_clear(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view in = view_of(data, size);
	struct smtp_reply reply;
	size_t used;
	enum err err = smtp_reply_parse(in, &reply, &used);
	size_t step = 1 + size / 64;
	for (size_t n = 0; n < size; n += step) {
		struct smtp_reply early;
		size_t early_used;
		enum err early_err = smtp_reply_parse(view_sub(in, 0, n), &early, &early_used);
		if (early_err == ERR_OK)
			ASSERT(err == ERR_OK && early_used == used && same(&early, &reply));
		else
			ASSERT(early_err == ERR_AGAIN || early_err == err);
	}
	if (err != ERR_OK)
		return 0;
	ASSERT(used > 0 && used <= size && reply.code >= 200 && reply.code <= 599);
	ASSERT(reply.text_len <= SMTP_REPLY_TEXT_MAX_BYTES);
	check_round_trip(&reply);
	return 0;
}
