/* A hostile token endpoint. Laws: a token that is kept can't end a line or a header; what went wrong is one printable line; the same bytes say the same;
 * a form that is made of any bytes has only those in it that a form may have. */
#include "service/oauth_answer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LAW(condition) ((condition) ? (void)0 : abort())

static void check_printable(struct view text)
{
	for (size_t i = 0; i < text.len; i++)
		LAW(text.ptr[i] >= 0x20 && text.ptr[i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 65536)
		return 0;
	struct view body = view_of(data + 1, size - 1);
	long status = data[0] == '2' ? 200 : 100 + data[0];
	struct oauth_answer first, again;
	enum err err = oauth_answer_parse(status, body, &first);
	LAW(oauth_answer_parse(status, body, &again) == err);
	LAW((err == ERR_OK) == (first.access_token.len > 0));
	LAW(err == ERR_OK || (err == ERR_SYNTAX && first.error[0] != '\0'));
	LAW(first.access_token.len <= OAUTH_TOKEN_MAX_BYTES && first.expires_in_s <= 86400);
	check_printable(buf_view(&first.access_token));
	check_printable(buf_view(&first.refresh_token));
	check_printable(view_from_cstr(first.error));
	LAW(view_eq(buf_view(&first.access_token), buf_view(&again.access_token)));
	oauth_answer_clear(&first);
	oauth_answer_clear(&again);

	const struct oauth_parameter parameters[] = { { "a", body } };
	struct buf form = { 0 };
	LAW(oauth_form(1, parameters, &form) == ERR_OK);
	for (size_t i = 0; i < form.len; i++)
		LAW(ascii_is_alnum(form.ptr[i]) || strchr("-._~%=", form.ptr[i]) != NULL);
	buf_clear(&form);
	return 0;
}
