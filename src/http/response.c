#include "http/response.h"

static const char *reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} table[] = {
		{ 200, "OK" },
		{ 400, "Bad Request" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 431, "Request Header Fields Too Large" },
		{ 505, "HTTP Version Not Supported" },
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].status == status)
			return table[i].reason;
	return "Unknown";
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7); the days' arithmetic counts years from March. */
static enum err append_date(int64_t now_ms, struct buf *out)
{
	static const char days[][4] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
		"Dec" };
	int64_t seconds = now_ms > 0 ? now_ms / 1000 : 0;
	int64_t day = seconds / 86400, second = seconds % 86400;
	int64_t z = day + 719468, era = z / 146097, doe = z % 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	int64_t month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2 ? 1 : 0);
	return buf_append_format(out, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[day % 7],
		(int)(doy - (153 * mp + 2) / 5 + 1), months[month - 1], (int)year, (int)(second / 3600),
		(int)(second / 60 % 60), (int)(second % 60));
}

enum err http_response_format(const struct http_response *response, struct buf *out)
{
	struct view type = response->content_type.len > 0 ? response->content_type : VIEW("text/plain; charset=utf-8");
	const char *words = reason(response->status);
	bool own_words = response->body.len == 0;
	size_t length = own_words ? view_from_cstr(words).len + 1 : response->body.len;
	enum err err = buf_append_format(out, "HTTP/1.1 %u %s\r\nDate: ", response->status, words);
	if (err == ERR_OK)
		err = append_date(response->now_ms, out);
	if (err == ERR_OK)
		err = buf_append_format(out,
			"\r\nServer: postrider\r\n%sContent-Type: %.*s\r\nContent-Length: %zu\r\n"
			"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
			response->status == 405 ? "Allow: GET, HEAD\r\n" : "", VIEW_ARG(type), length);
	if (err != ERR_OK || response->without_body)
		return err;
	return own_words ? buf_append_format(out, "%s\n", words) : buf_append(out, response->body);
}
