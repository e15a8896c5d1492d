#include "mailauth/dkim_private.h"

#include "base/mem.h"

#include <stddef.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/*
 * Both canonicalisations drop the empty lines at the end (RFC 6376 §3.4.3, §3.4.4 (b)), and only the end tells which those are: line ends
 * are counted and withheld until text follows. Only CRLF ends a line; a lone CR or LF is text.
 */

void dkim_body_init(struct dkim_body *body, enum dkim_canon canon)
{
	/* Not what has no meaning yet: cuts and the stage are most of it. */
	memset(body, 0, offsetof(struct dkim_body, cuts));
	body->canon = canon;
	body->length = body->lines = 0;
	body->has_blank = body->has_cr = false;
	dkim_sink_init(&body->sink);
}

void dkim_body_clear(struct dkim_body *body)
{
	dkim_sink_clear(&body->sink);
}

void dkim_body_add_cut(struct dkim_body *body, uint64_t at)
{
	size_t i = 0;
	while (i < body->cut_count && body->cuts[i].at < at)
		i++;
	if (i < body->cut_count && body->cuts[i].at == at)
		return;
	ASSERT(body->cut_count < DKIM_SIGNATURES_MAX);
	memmove(&body->cuts[i + 1], &body->cuts[i], (body->cut_count - i) * sizeof body->cuts[0]);
	body->cuts[i].at = at;
	body->cut_count++;
}

const uint8_t *dkim_body_cut(const struct dkim_body *body, uint64_t at)
{
	for (size_t i = 0; i < body->cuts_done; i++)
		if (body->cuts[i].at == at)
			return body->cuts[i].digest;
	return NULL;
}

/* Notes the digests of the cuts that lie at the length reached. */
static void reach_cuts(struct dkim_body *body)
{
	while (body->cuts_done < body->cut_count && body->cuts[body->cuts_done].at == body->length)
		dkim_sink_peek(&body->sink, body->cuts[body->cuts_done++].digest);
}

static void put_to_cuts(struct dkim_body *body, struct view bytes)
{
	reach_cuts(body);
	while (bytes.len > 0 && body->cuts_done < body->cut_count) {
		uint64_t left = body->cuts[body->cuts_done].at - body->length;
		struct view part = view_sub(bytes, 0, left < bytes.len ? (size_t)left : bytes.len);
		dkim_sink_put(&body->sink, part);
		body->length += part.len;
		bytes = view_from(bytes, part.len);
		reach_cuts(body);
	}
	if (body->wants_all)
		dkim_sink_put(&body->sink, bytes);
	body->length += bytes.len;
}

static inline void put(struct dkim_body *body, struct view bytes)
{
	if (body->cuts_done < body->cut_count || !body->wants_all) {
		put_to_cuts(body, bytes);
		return;
	}
	dkim_sink_put(&body->sink, bytes);
	body->length += bytes.len;
}

static void put_withheld(struct dkim_body *body)
{
	static const char many[] = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
	while (body->lines > 0) {
		size_t n = body->lines < 16 ? (size_t)body->lines : 16;
		put(body, view_of(many, 2 * n));
		body->lines -= n;
	}
	if (body->has_blank)
		put(body, VIEW(" "));
	body->has_blank = false;
}

static void put_text(struct dkim_body *body, struct view text)
{
	if (body->lines > 0 || body->has_blank)
		put_withheld(body);
	put(body, text);
}

/* What a withheld CR was, seen by what comes behind it. Returns the bytes of the piece that this used. */
static size_t settle_cr(struct dkim_body *body, struct view piece)
{
	if (!body->has_cr)
		return 0;
	body->has_cr = false;
	if (piece.len > 0 && piece.ptr[0] == '\n') {
		body->has_blank = false;
		body->lines++;
		return 1;
	}
	put_text(body, VIEW("\r"));
	return 0;
}

static void feed_simple(struct dkim_body *body, struct view piece)
{
	piece = view_from(piece, settle_cr(body, piece));
	size_t end = piece.len;
	uint64_t lines = 0;
	bool has_cr = end > 0 && piece.ptr[end - 1] == '\r';
	end -= has_cr;
	while (end >= 2 && piece.ptr[end - 2] == '\r' && piece.ptr[end - 1] == '\n') {
		end -= 2;
		lines++;
	}
	if (end > 0)
		put_text(body, view_sub(piece, 0, end));
	body->lines += lines;
	body->has_cr = has_cr;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* A tab, or a space with white space or a CR (or nothing yet) behind it: white space that §3.4.4 (a) may change. */
static bool is_changeable(struct view v, size_t at)
{
	if (v.ptr[at] != ' ')
		return v.ptr[at] == '\t';
	return at + 1 == v.len || is_blank(v.ptr[at + 1]) || v.ptr[at + 1] == '\r';
}

#ifdef __SSE2__
/* Which of 16 bytes may be changeable, seen with the 17th: a tab, or a space before white space or a control character. */
static unsigned candidates(const uint8_t *p)
{
	const __m128i here = _mm_loadu_si128((const __m128i *)(const void *)p),
		      next = _mm_loadu_si128((const __m128i *)(const void *)(p + 1)), space = _mm_set1_epi8(' ');
	const __m128i tabs = _mm_cmpeq_epi8(here, _mm_set1_epi8('\t')), spaces = _mm_cmpeq_epi8(here, space),
		      low = _mm_cmpeq_epi8(_mm_max_epu8(next, space), space);
	return (unsigned)_mm_movemask_epi8(_mm_or_si128(tabs, _mm_and_si128(spaces, low)));
}
#endif

/* Index of the first such from `at` on. This is all that is done to most text, so it decides the pace of the whole. */
static size_t find_changeable(struct view v, size_t at)
{
#ifdef __SSE2__
	for (; v.len - at > 16; at += 16)
		for (unsigned found = candidates(v.ptr + at); found != 0; found &= found - 1) {
			size_t place = at + (size_t)__builtin_ctz(found);
			if (is_changeable(v, place))
				return place;
		}
#endif
	while (at < v.len && !is_changeable(v, at))
		at++;
	return at;
}

/* Index behind the white space at `at`. */
static size_t skip_blanks(struct view v, size_t at)
{
	while (at < v.len && is_blank(v.ptr[at]))
		at++;
	return at;
}

/* Puts the text at `at`, which begins with neither white space nor a line end, up to what may be the end of a line or of all. Returns its end. */
static size_t put_to_end_of_line(struct dkim_body *body, struct view piece, size_t at)
{
	size_t end = find_changeable(piece, at);
	while (end < piece.len) {
		size_t behind = skip_blanks(piece, end);
		if (behind == piece.len || piece.ptr[behind] == '\r')
			break;
		/* With the first of the blanks, if that is what stands for all of them. */
		bool is_space = piece.ptr[end] == ' ';
		put_text(body, view_sub(piece, at, end - at + is_space));
		if (!is_space)
			put(body, VIEW(" "));
		at = behind;
		end = find_changeable(piece, at);
	}
	/* Line ends behind it may be the last ones: back to the caller, who counts them. */
	if (end == piece.len && end - at > 1 && piece.ptr[end - 1] == '\r')
		end--;
	while (end - at >= 2 && piece.ptr[end - 2] == '\r' && piece.ptr[end - 1] == '\n')
		end -= 2;
	put_text(body, view_sub(piece, at, end - at));
	return end;
}

static void feed_relaxed(struct dkim_body *body, struct view piece)
{
	size_t i = settle_cr(body, piece);
	while (i < piece.len) {
		uint8_t c = piece.ptr[i];
		if (is_blank(c)) {
			body->has_blank = true;
			i++;
		} else if (c == '\r' && i + 1 == piece.len) {
			body->has_cr = true;
			i++;
		} else if (c == '\r' && piece.ptr[i + 1] == '\n') {
			body->has_blank = false;
			body->lines++;
			i += 2;
		} else {
			i = put_to_end_of_line(body, piece, i);
		}
	}
}

void dkim_body_feed(struct dkim_body *body, struct view piece)
{
	if (piece.len == 0)
		return;
	if (body->canon == DKIM_RELAXED)
		feed_relaxed(body, piece);
	else
		feed_simple(body, piece);
}

void dkim_body_end(struct dkim_body *body)
{
	(void)settle_cr(body, VIEW_NONE);
	body->lines = 0;
	body->has_blank = false;
	/* One line end, whether it had none or many. An empty body is one empty line to "simple" and nothing to "relaxed". */
	if (body->length > 0 || body->canon == DKIM_SIMPLE)
		put(body, VIEW("\r\n"));
	reach_cuts(body);
	if (body->wants_all)
		dkim_sink_finish(&body->sink, body->digest);
}

void dkim_bodies_want(struct dkim_body *bodies[2], const struct dkim_claim *claim)
{
	struct dkim_body **body = &bodies[claim->body_canon];
	if (*body == NULL) {
		*body = mem_resize(NULL, sizeof **body);
		dkim_body_init(*body, claim->body_canon);
	}
	if (claim->has_length)
		dkim_body_add_cut(*body, claim->length);
	else
		(*body)->wants_all = true;
}

void dkim_bodies_feed(struct dkim_body *const bodies[2], struct view piece)
{
	for (size_t i = 0; i < 2; i++)
		if (bodies[i] != NULL)
			dkim_body_feed(bodies[i], piece);
}

void dkim_bodies_end(struct dkim_body *const bodies[2])
{
	for (size_t i = 0; i < 2; i++)
		if (bodies[i] != NULL)
			dkim_body_end(bodies[i]);
}

void dkim_bodies_free(struct dkim_body *bodies[2])
{
	for (size_t i = 0; i < 2; i++)
		if (bodies[i] != NULL) {
			dkim_body_clear(bodies[i]);
			mem_free(bodies[i]);
			bodies[i] = NULL;
		}
}

size_t dkim_bodies_memory_bytes(struct dkim_body *const bodies[2])
{
	return (bodies[0] != NULL ? sizeof *bodies[0] : 0) + (bodies[1] != NULL ? sizeof *bodies[1] : 0);
}
