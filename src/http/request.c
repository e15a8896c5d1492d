#include "http/request.h"

/* RFC 9110 §5.6.2 */
static bool is_token_byte(uint8_t c)
{
	static const struct view marks = { (const uint8_t *)"!#$%&'*+-.^_`|~", 15 };
	return ascii_is_alnum(c) || view_find(marks, c) < marks.len;
}

static bool is_token(struct view text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_token_byte(text.ptr[i]))
			return false;
	return text.len > 0;
}

enum err http_head_find(struct view in, size_t from, size_t *ret_end)
{
	static const uint8_t end[4] = "\r\n\r\n";
	*ret_end = 0;
	for (size_t i = from > 3 ? from - 3 : 0; i + sizeof end <= in.len && i + sizeof end <= HTTP_HEAD_MAX_BYTES; i++)
		if (view_eq(view_sub(in, i, sizeof end), view_of(end, sizeof end))) {
			*ret_end = i + sizeof end;
			return ERR_OK;
		}
	return in.len >= HTTP_HEAD_MAX_BYTES ? ERR_LIMIT : ERR_OK;
}

/* A line without its CRLF; the head is known to end with one. A CR or LF of its own makes it none. */
static bool take_line(struct view *rest, struct view *ret)
{
	size_t len = view_find(*rest, '\r');
	if (len + 1 >= rest->len || rest->ptr[len + 1] != '\n')
		return false;
	*ret = view_sub(*rest, 0, len);
	*rest = view_from(*rest, len + 2);
	return view_find(*ret, '\n') == ret->len && view_find(*ret, '\0') == ret->len;
}

/* "mx.example.com", "mx.example.com:443", "[::1]:443"; without userinfo. */
static enum err read_authority(struct view text, struct view *ret_host)
{
	size_t end = text.len > 0 && text.ptr[0] == '[' ? view_find(text, ']') : 0;
	size_t colon = end + view_find(view_from(text, end), ':');
	uint64_t port;
	struct view host = view_sub(text, 0, colon);
	if (view_find(text, '@') < text.len || host.len == 0)
		return ERR_SYNTAX;
	for (size_t i = 0; i < host.len; i++)
		if (host.ptr[i] <= ' ' || host.ptr[i] >= 0x7f || host.ptr[i] == '/')
			return ERR_SYNTAX;
	/* An empty port is allowed (RFC 3986 §3.2.3). */
	if (colon + 1 < text.len && view_parse_u64(view_from(text, colon + 1), 65535, &port) != ERR_OK)
		return ERR_SYNTAX;
	*ret_host = host;
	return ERR_OK;
}

/* Origin form, or absolute form (RFC 9112 §3.2); no server of files needs the others. */
static enum err read_target(struct view target, struct http_request *ret)
{
	for (size_t i = 0; i < target.len; i++)
		if (target.ptr[i] <= ' ' || target.ptr[i] >= 0x7f)
			return ERR_SYNTAX;
	if (view_starts_with_nocase(target, VIEW("https://"))) {
		target = view_from(target, 8);
		size_t slash = view_find(target, '/');
		enum err err = read_authority(view_sub(target, 0, slash), &ret->host);
		if (err != ERR_OK)
			return err;
		target = slash < target.len ? view_from(target, slash) : VIEW("/");
	}
	if (target.len == 0 || target.ptr[0] != '/')
		return ERR_SYNTAX;
	ret->path = view_sub(target, 0, view_find(target, '?'));
	return ERR_OK;
}

static enum err read_request_line(struct view line, struct http_request *ret)
{
	size_t first = view_find(line, ' '), last = view_find_last(line, ' ');
	if (first >= line.len || last <= first)
		return ERR_SYNTAX;
	struct view version = view_from(line, last + 1);
	ret->method = view_sub(line, 0, first);
	if (!is_token(ret->method) || version.len != 8 || !view_starts_with(version, VIEW("HTTP/")) ||
		!ascii_is_digit(version.ptr[5]) || version.ptr[6] != '.' || !ascii_is_digit(version.ptr[7]))
		return ERR_SYNTAX;
	if (version.ptr[5] != '1')
		return ERR_VERSION;
	ret->minor = (unsigned)(version.ptr[7] - '0');
	return read_target(view_sub(line, first + 1, last - first - 1), ret);
}

/* An absolute target's authority counts more than the field (RFC 9112 §3.2.2), which must be good all the same. */
static enum err take_host(struct view value, bool *has_host, struct http_request *ret)
{
	struct view host = VIEW_NONE;
	if (*has_host)
		return ERR_SYNTAX;
	*has_host = true;
	enum err err = value.len > 0 ? read_authority(value, &host) : ERR_OK;
	if (err == ERR_OK && ret->host.len == 0)
		ret->host = host;
	return err;
}

static enum err read_field(struct view line, bool *has_host, struct http_request *ret)
{
	size_t colon = view_find(line, ':');
	struct view name = view_sub(line, 0, colon);
	if (colon >= line.len || !is_token(name))
		return ERR_SYNTAX;
	struct view value = view_trim(view_from(line, colon + 1));
	uint64_t length;
	if (view_eq_nocase(name, VIEW("Host")))
		return take_host(value, has_host, ret);
	if (view_eq_nocase(name, VIEW("Transfer-Encoding")))
		ret->has_body = true;
	if (view_eq_nocase(name, VIEW("Content-Length"))) {
		if (view_parse_u64(value, UINT64_MAX, &length) != ERR_OK)
			return ERR_SYNTAX;
		ret->has_body = ret->has_body || length > 0;
	}
	return ERR_OK;
}

enum err http_request_parse(struct view head, struct http_request *ret)
{
	struct http_request request = { 0 };
	struct view line;
	bool has_host = false;
	size_t fields = 0;
	if (!take_line(&head, &line))
		return ERR_SYNTAX;
	enum err err = read_request_line(line, &request);
	while (err == ERR_OK) {
		if (!take_line(&head, &line))
			return ERR_SYNTAX;
		if (line.len == 0)
			break;
		err = ++fields > HTTP_FIELDS_MAX ? ERR_LIMIT : read_field(line, &has_host, &request);
	}
	/* RFC 9112 §3.2: in HTTP/1.1 a request without one is an error. */
	if (err == ERR_OK && (head.len > 0 || (request.minor > 0 && !has_host)))
		err = ERR_SYNTAX;
	if (err == ERR_OK)
		*ret = request;
	return err;
}
