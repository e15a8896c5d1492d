#include "mailauth/dkim_private.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

void dkim_sink_init(struct dkim_sink *sink)
{
	sink->hash = hash_new();
	sink->used = 0;
}

void dkim_sink_clear(struct dkim_sink *sink)
{
	hash_free(sink->hash);
	sink->hash = NULL;
}

static void flush(struct dkim_sink *sink)
{
	hash_feed(sink->hash, view_of(sink->stage, sink->used));
	sink->used = 0;
}

/* The hash gets whole stages, so that it never has a part of its block to keep. */
void dkim_sink_put_over(struct dkim_sink *sink, struct view bytes)
{
	size_t room = sizeof sink->stage - sink->used;
	memcpy(sink->stage + sink->used, bytes.ptr, room);
	sink->used = sizeof sink->stage;
	flush(sink);
	bytes = view_from(bytes, room);
	size_t whole = bytes.len - bytes.len % sizeof sink->stage;
	hash_feed(sink->hash, view_sub(bytes, 0, whole));
	bytes = view_from(bytes, whole);
	if (bytes.len > 0)
		memcpy(sink->stage, bytes.ptr, bytes.len);
	sink->used = bytes.len;
}

void dkim_sink_fork(struct dkim_sink *sink, struct dkim_sink *ret)
{
	flush(sink);
	ret->hash = hash_dup(sink->hash);
	ret->used = 0;
}

void dkim_sink_peek(struct dkim_sink *sink, uint8_t ret[HASH_BYTES])
{
	flush(sink);
	hash_peek(sink->hash, ret);
}

void dkim_sink_finish(struct dkim_sink *sink, uint8_t ret[HASH_BYTES])
{
	flush(sink);
	hash_finish(sink->hash, ret);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct view without_line_end(struct view whole)
{
	if (whole.len > 0 && whole.ptr[whole.len - 1] == '\n')
		whole.len -= whole.len > 1 && whole.ptr[whole.len - 2] == '\r' ? 2 : 1;
	return whole;
}

/* Length of the fold's line end at `at`, if one is there: it stands before a blank, or header_next() would have ended the field. */
static size_t fold_length(struct view v, size_t at)
{
	if (v.ptr[at] == '\n')
		return 1;
	return v.ptr[at] == '\r' && at + 1 < v.len && v.ptr[at + 1] == '\n' ? 2 : 0;
}

/* RFC 6376 §3.4.2, steps 2–5 on a value: folds vanish, white space becomes one space, none of it at either end. */
struct relaxed_value {
	struct dkim_sink *sink;
	bool has_text, has_blank;
};

static bool is_text_at(struct view v, size_t i)
{
	uint8_t c = v.ptr[i];
	return c > ' ' || (!is_blank(c) && fold_length(v, i) == 0);
}

/* White space that is changed, or a fold: anything but a space with text behind it. Of other control characters nothing is promised. */
static bool is_changeable(struct view v, size_t at)
{
	if (v.ptr[at] != ' ')
		return v.ptr[at] < ' ';
	return at + 1 == v.len || v.ptr[at + 1] <= ' ';
}

/* Index of the first such from `at` on. */
static size_t find_changeable(struct view v, size_t at)
{
#ifdef __SSE2__
	const __m128i space = _mm_set1_epi8(' ');
	for (; v.len - at > 16; at += 16) {
		const uint8_t *p = v.ptr + at;
		const __m128i here = _mm_loadu_si128((const __m128i *)(const void *)p),
			      next = _mm_loadu_si128((const __m128i *)(const void *)(p + 1));
		/* At most a space, and below it or with such a one behind it. */
		const __m128i low = _mm_cmpeq_epi8(_mm_max_epu8(here, space), space),
			      low_next = _mm_cmpeq_epi8(_mm_max_epu8(next, space), space),
			      is_space = _mm_cmpeq_epi8(here, space);
		const __m128i found = _mm_and_si128(low, _mm_or_si128(low_next, _mm_andnot_si128(is_space, low)));
		unsigned places = (unsigned)_mm_movemask_epi8(found);
		if (places != 0)
			return at + (size_t)__builtin_ctz(places);
	}
#endif
	while (at < v.len && !is_changeable(v, at))
		at++;
	return at;
}

static void put_relaxed(struct relaxed_value *out, struct view v)
{
	for (size_t i = 0; i < v.len;) {
		if (is_text_at(v, i)) {
			size_t end = find_changeable(v, i + 1);
			if (out->has_blank && out->has_text)
				dkim_sink_put(out->sink, VIEW(" "));
			dkim_sink_put(out->sink, view_sub(v, i, end - i));
			out->has_text = true;
			out->has_blank = false;
			i = end;
			continue;
		}
		/* A fold alone is no white space, but there is always some behind it. */
		size_t fold = fold_length(v, i);
		out->has_blank |= fold == 0;
		i += fold > 0 ? fold : 1;
	}
}

static void put_relaxed_name(struct view name, struct dkim_sink *sink)
{
	uint8_t lower[64];
	size_t used = 0;
	for (size_t i = 0; i < name.len; i++) {
		if (used == sizeof lower - 1) {
			dkim_sink_put(sink, view_of(lower, used));
			used = 0;
		}
		lower[used++] = ascii_lower(name.ptr[i]);
	}
	lower[used++] = ':';
	dkim_sink_put(sink, view_of(lower, used));
}

void dkim_canon_field(enum dkim_canon canon, const struct header_field *field, struct dkim_sink *sink)
{
	dkim_canon_own_field(canon, field, VIEW_NONE, sink);
	dkim_sink_put(sink, VIEW("\r\n"));
}

void dkim_canon_own_field(
	enum dkim_canon canon, const struct header_field *field, struct view hole, struct dkim_sink *sink)
{
	bool is_relaxed = canon == DKIM_RELAXED;
	struct view text = is_relaxed ? field->value : without_line_end(field->whole), before = text, after = VIEW_NONE;
	if (hole.ptr != NULL) {
		size_t at = (size_t)(hole.ptr - text.ptr);
		before = view_sub(text, 0, at);
		after = view_from(text, at + hole.len);
	}
	if (!is_relaxed) {
		dkim_sink_put(sink, before);
		dkim_sink_put(sink, after);
		return;
	}
	struct relaxed_value value = { .sink = sink };
	put_relaxed_name(field->name, sink);
	put_relaxed(&value, before);
	put_relaxed(&value, after);
}
