/* Heads of requests. Laws: found at the same place however they come; views lie inside the head; nothing is accepted that has a control, a blank or a
 * bare line end where it matters; the head written anew from what was read is read the same. */
#include "http/request.h"

#include "base/buf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

static void check_inside(struct view part, struct view whole)
{
	/* A literal path for an absolute target without one is the only foreign text. */
	if (part.len == 0 || (part.len == 1 && part.ptr[0] == '/'))
		return;
	MUST(part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_clean(struct view part)
{
	for (size_t i = 0; i < part.len; i++)
		MUST(part.ptr[i] > ' ' && part.ptr[i] < 0x7f);
}

static void check_again(const struct http_request *request)
{
	struct buf head = { 0 };
	struct http_request again;
	enum err err = buf_append_format(&head, "%.*s %.*s HTTP/1.%u\r\nHost: %.*s\r\n%s\r\n",
		VIEW_ARG(request->method), VIEW_ARG(request->path), request->minor, VIEW_ARG(request->host),
		request->has_body ? "Content-Length: 1\r\n" : "");
	MUST(err == ERR_OK && http_request_parse(buf_view(&head), &again) == ERR_OK);
	MUST(view_eq(again.method, request->method) && view_eq(again.path, request->path) &&
		view_eq(again.host, request->host) && again.minor == request->minor &&
		again.has_body == request->has_body);
	buf_clear(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view in = view_of(data, size);
	struct http_request request;
	size_t end = 0, slow_end = 0;
	enum err err = http_head_find(in, 0, &end), slow = ERR_OK;
	for (size_t len = 1; len <= size && slow == ERR_OK && slow_end == 0; len++)
		slow = http_head_find(view_of(data, len), len - 1, &slow_end);
	MUST(slow == err && slow_end == end && end <= size && end <= HTTP_HEAD_MAX_BYTES);
	if (end == 0)
		return 0;
	struct view head = view_sub(in, 0, end);
	if (http_request_parse(head, &request) != ERR_OK)
		return 0;
	check_inside(request.method, head);
	check_inside(request.path, head);
	check_inside(request.host, head);
	check_clean(request.method);
	check_clean(request.path);
	check_clean(request.host);
	MUST(request.path.len > 0 && request.path.ptr[0] == '/');
	check_again(&request);
	return 0;
}
