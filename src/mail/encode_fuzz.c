/* Transfer encodings. Laws: decoding undoes encoding, encoded text is as short-lined and as plain as it must be. */
#include "mail/encode.h"

#include <stdlib.h>

#define LAW(condition)                                                                                                 \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef enum err codec(struct view in, struct buf *out);

static void check_lines(struct view text, size_t max)
{
	struct view line;
	while (view_split(&text, '\n', &line)) {
		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		LAW(line.len <= max);
		for (size_t i = 0; i < line.len; i++)
			LAW(ascii_is_printable(line.ptr[i]) || line.ptr[i] == '\t');
	}
}

static void check_round_trip(codec *there, codec *back, struct view in, size_t line_max)
{
	struct buf encoded = { 0 }, decoded = { 0 };
	LAW(there(in, &encoded) == ERR_OK);
	check_lines(buf_view(&encoded), line_max);
	LAW(back(buf_view(&encoded), &decoded) == ERR_OK && view_eq(buf_view(&decoded), in));
	buf_clear(&encoded);
	buf_clear(&decoded);
}

/* Strict decoders: there is one text for each value. */
static void check_strict(codec *back, codec *there, struct view in)
{
	struct buf decoded = { 0 }, encoded = { 0 };
	if (back(in, &decoded) == ERR_OK)
		LAW(there(buf_view(&decoded), &encoded) == ERR_OK && view_eq(buf_view(&encoded), in));
	else
		LAW(decoded.len == 0);
	buf_clear(&decoded);
	buf_clear(&encoded);
}

/* Encoding is of the cleaned text, which is what comes back. */
static void check_header_text(struct view in)
{
	struct buf clean = { 0 }, encoded = { 0 }, decoded = { 0 };
	LAW(text_clean(in, &clean) == ERR_OK && view_is_utf8(buf_view(&clean)));
	LAW(header_text_encode(in, &encoded) == ERR_OK && view_is_ascii(buf_view(&encoded)));
	check_lines(buf_view(&encoded), 998 - 60);
	struct view rest = buf_view(&encoded), line;
	bool first = true;
	while (view_split(&rest, '\n', &line)) {
		LAW(first || (line.ptr[0] == ' ' || line.ptr[0] == '\t'));
		LAW(first || view_trim(line).len > 0);
		first = false;
	}
	LAW(header_text_decode(buf_view(&encoded), &decoded) == ERR_OK);
	LAW(view_eq(buf_view(&decoded), buf_view(&clean)));
	buf_reset(&decoded);
	LAW(header_text_decode(in, &decoded) == ERR_OK && view_is_utf8(buf_view(&decoded)));
	for (size_t i = 0; i < decoded.len; i++)
		LAW((decoded.ptr[i] >= ' ' && decoded.ptr[i] != 0x7f) || decoded.ptr[i] == '\t');
	buf_clear(&clean);
	buf_clear(&encoded);
	buf_clear(&decoded);
}

static void check_any(codec *back, struct view in)
{
	struct buf out = { 0 };
	LAW(back(in, &out) == ERR_OK && out.len <= in.len);
	buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view in = view_of(data, size);
	check_round_trip(base64_encode, base64_decode, in, SIZE_MAX);
	check_round_trip(base64_encode_lines, base64_decode_lenient, in, 76);
	check_round_trip(quoted_printable_encode, quoted_printable_decode, in, 76);
	check_round_trip(xtext_encode, xtext_decode, in, SIZE_MAX);
	check_strict(base64_decode, base64_encode, in);
	check_any(base64_decode_lenient, in);
	check_any(quoted_printable_decode, in);
	check_header_text(in);
	struct buf value = { 0 };
	if (utf8_addr_xtext_decode(in, &value) == ERR_OK) {
		LAW(view_is_utf8(buf_view(&value)));
		check_round_trip(utf8_addr_xtext_encode, utf8_addr_xtext_decode, buf_view(&value), SIZE_MAX);
	}
	buf_clear(&value);
	return 0;
}
