#include "cli/terminal.h"

#include "base/view.h"

#include <string.h>

/* Bytes of the UTF-8 character at the front; 0: there is none. */
static size_t character(struct view v)
{
	for (size_t n = 1; n <= 4 && n <= v.len; n++)
		if (view_is_utf8(view_sub(v, 0, n)))
			return n;
	return 0;
}

static bool is_harmless(const uint8_t *c, size_t n)
{
	if (n <= 1)
		return n == 1 && c[0] >= ' ' && c[0] != 0x7f;
	if (n == 2)
		return c[0] != 0xc2 || c[1] >= 0xa0; /* U+0080 to U+009F */
	/* U+200E, U+200F, U+2028 to U+202E; U+2066 to U+2069 */
	bool turns = n == 3 && c[0] == 0xe2 &&
		((c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae))) ||
			(c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));
	return !turns;
}

void terminal_clean(char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t n = character(view_of(text + at, len - at));
		if (text[at] == '\t')
			text[at] = ' ';
		else if (!is_harmless((const uint8_t *)text + at, n))
			memset(text + at, '?', n > 0 ? n : 1);
		at += n > 0 ? n : 1;
	}
}
