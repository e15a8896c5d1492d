#include "service/oauth_answer.h"

#include <jansson.h>
#include <string.h>

#define EXPIRES_DEFAULT_S 300u
#define EXPIRES_MAX_S 86400u

static void set_error(struct oauth_answer *answer, size_t count, const struct view parts[])
{
	size_t at = 0;
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < parts[i].len && at + 1 < sizeof answer->error; j++) {
			uint8_t c = parts[i].ptr[j];
			answer->error[at++] = (char)(c >= 0x20 && c < 0x7f ? c : ' ');
		}
	answer->error[at] = '\0';
}

static struct view text_of(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	return json_is_string(value) ? view_of(json_string_value(value), json_string_length(value)) : VIEW_NONE;
}

/* It goes into a login, or into the next request: printable ASCII (RFC 6749 appendix A.12, A.17). */
static bool keep_token(struct view token, struct buf *out)
{
	if (token.len == 0 || token.len > OAUTH_TOKEN_MAX_BYTES)
		return false;
	for (size_t i = 0; i < token.len; i++)
		if (token.ptr[i] < 0x20 || token.ptr[i] >= 0x7f)
			return false;
	buf_init(out, OAUTH_TOKEN_MAX_BYTES);
	return buf_append(out, token) == ERR_OK;
}

/* RFC 6749 §5.1 has a number here; some servers send it as text. */
static uint32_t expires_of(const json_t *object)
{
	const json_t *value = json_object_get(object, "expires_in");
	uint64_t n = EXPIRES_DEFAULT_S;
	if (json_is_integer(value))
		n = json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
	else if (json_is_string(value) && view_parse_u64(text_of(object, "expires_in"), UINT32_MAX, &n) != ERR_OK)
		n = EXPIRES_DEFAULT_S;
	return n > EXPIRES_MAX_S ? EXPIRES_MAX_S : (uint32_t)n;
}

static void explain(long status, const json_t *root, struct oauth_answer *answer)
{
	struct view error = text_of(root, "error"), description = text_of(root, "error_description");
	char number[64];
	int n = snprintf(number, sizeof number, "HTTP status %ld", status);
	const struct view status_text = view_of(number, n > 0 ? (size_t)n : 0);
	const struct view parts[] = { error, description.len > 0 ? VIEW(": ") : VIEW_NONE, description };
	const struct view without[] = { status_text, root == NULL ? VIEW(", and no JSON") : VIEW(", without a token") };
	if (error.len > 0)
		set_error(answer, sizeof parts / sizeof parts[0], parts);
	else
		set_error(answer, sizeof without / sizeof without[0], without);
}

enum err oauth_answer_parse(long status, struct view body, struct oauth_answer *ret)
{
	struct oauth_answer answer = { .expires_in_s = EXPIRES_DEFAULT_S };
	json_t *root = json_loadb((const char *)body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL);
	struct view type = text_of(root, "token_type"), token = text_of(root, "access_token");
	enum err err = ERR_OK;
	/* RFC 6749 §7.1: a token of a type that is not understood must not be used. */
	if (status != 200 || token.len == 0 || !view_eq_nocase(type, VIEW("Bearer")) ||
		!keep_token(token, &answer.access_token)) {
		explain(status, root, &answer);
		err = err_set(ERR_SYNTAX, "no access token: %s", answer.error);
	} else {
		answer.expires_in_s = expires_of(root);
		if (!keep_token(text_of(root, "refresh_token"), &answer.refresh_token))
			buf_clear(&answer.refresh_token);
	}
	json_decref(root);
	*ret = answer;
	return err;
}

static void wipe(struct buf *buf)
{
	if (buf->ptr != NULL)
		explicit_bzero(buf->ptr, buf->cap);
	buf_clear(buf);
}

void oauth_answer_clear(struct oauth_answer *answer)
{
	wipe(&answer->access_token);
	wipe(&answer->refresh_token);
}

static enum err append_encoded(struct view value, struct buf *out)
{
	static const char digits[] = "0123456789ABCDEF";
	enum err err = ERR_OK;
	for (size_t i = 0; i < value.len && err == ERR_OK; i++) {
		uint8_t c = value.ptr[i];
		const uint8_t escaped[] = { '%', (uint8_t)digits[c >> 4], (uint8_t)digits[c & 15] };
		if (ascii_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~')
			err = buf_append_byte(out, c);
		else
			err = buf_append(out, view_of(escaped, sizeof escaped));
	}
	return err;
}

enum err oauth_form(size_t count, const struct oauth_parameter *parameters, struct buf *out)
{
	enum err err = ERR_OK;
	bool first = true;
	for (size_t i = 0; i < count && err == ERR_OK; i++) {
		if (parameters[i].value.len == 0)
			continue;
		err = buf_append_format(out, "%s%s=", first ? "" : "&", parameters[i].name);
		if (err == ERR_OK)
			err = append_encoded(parameters[i].value, out);
		first = false;
	}
	return err;
}
