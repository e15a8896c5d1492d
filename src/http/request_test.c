#include "http/request.h"
#include "http/response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define HOST "Host: mta-sts.example.com\r\n"

static void requests_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *name, *head;
		enum err err;
		const char *method, *path, *host;
		unsigned minor;
		bool has_body;
	} cases[] = {
		{ "plain", "GET /.well-known/mta-sts.txt HTTP/1.1\r\n" HOST "\r\n", ERR_OK, "GET",
			"/.well-known/mta-sts.txt", "mta-sts.example.com", 1, false },
		{ "port, blanks, other fields",
			"HEAD / HTTP/1.1\r\nAccept: */*\r\nhOST: \t mta-sts.example.com:8443 \r\nX: \r\n\r\n", ERR_OK,
			"HEAD", "/", "mta-sts.example.com", 1, false },
		{ "empty port", "GET / HTTP/1.1\r\nHost: example.com:\r\n\r\n", ERR_OK, "GET", "/", "example.com", 1,
			false },
		{ "IPv6", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n", ERR_OK, "GET", "/", "[2001:db8::1]", 1,
			false },
		{ "query", "GET /a?b?c HTTP/1.1\r\n" HOST "\r\n", ERR_OK, "GET", "/a", "mta-sts.example.com", 1,
			false },
		{ "absolute", "GET https://a.example/b HTTP/1.1\r\n" HOST "\r\n", ERR_OK, "GET", "/b", "a.example", 1,
			false },
		{ "absolute, bare", "GET HTTPS://a.example:44 HTTP/1.1\r\n" HOST "\r\n", ERR_OK, "GET", "/",
			"a.example", 1, false },
		{ "HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", ERR_OK, "GET", "/", "", 0, false },
		{ "empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", ERR_OK, "GET", "/", "", 1, false },
		{ "length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 12\r\n\r\n", ERR_OK, "POST", "/",
			"mta-sts.example.com", 1, true },
		{ "no length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", ERR_OK, "POST", "/",
			"mta-sts.example.com", 1, false },
		{ "chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", ERR_OK, "POST", "/",
			"mta-sts.example.com", 1, true },
		{ "no Host", "GET / HTTP/1.1\r\n\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0, false },
		{ "two Hosts", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0, false },
		{ "bad Host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0, false },
		{ "Host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0, false },
		{ "bad port", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0, false },
		{ "blank before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0,
			false },
		{ "folded", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0, false },
		{ "bare LF", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0, false },
		{ "bare CR", "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0, false },
		{ "bad length", "GET / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0,
			false },
		{ "no colon", "GET / HTTP/1.1\r\n" HOST "nonsense\r\n\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0, false },
		{ "HTTP/2", "PRI * HTTP/2.0\r\n\r\n", ERR_VERSION, NULL, NULL, NULL, 0, false },
		{ "HTTP/0.9", "GET /\r\n\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0, false },
		{ "asterisk", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0, false },
		{ "clear absolute", "GET http://a/ HTTP/1.1\r\n" HOST "\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0, false },
		{ "two blanks", "GET  / HTTP/1.1\r\n" HOST "\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0, false },
		{ "control in the target", "GET /\x01 HTTP/1.1\r\n" HOST "\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0,
			false },
		{ "SMTP", "EHLO mail.example.com\r\n\r\n", ERR_SYNTAX, NULL, NULL, NULL, 0, false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		print_message("  %s\n", cases[i].name);
		struct http_request request = { .minor = 77 };
		size_t end = 0;
		struct view head = view_from_cstr(cases[i].head);
		assert_int_equal(http_head_find(head, 0, &end), ERR_OK);
		assert_int_equal(end, head.len);
		assert_int_equal(http_request_parse(head, &request), cases[i].err);
		if (cases[i].err != ERR_OK) {
			assert_int_equal(request.minor, 77);
			continue;
		}
		assert_true(view_eq(request.method, view_from_cstr(cases[i].method)));
		assert_true(view_eq(request.path, view_from_cstr(cases[i].path)));
		assert_true(view_eq(request.host, view_from_cstr(cases[i].host)));
		assert_int_equal(request.minor, cases[i].minor);
		assert_int_equal(request.has_body, cases[i].has_body);
	}
}

static void heads_are_found(void **state)
{
	(void)state;
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nmore\r\n\r\n";
	size_t head_len = strlen(text) - strlen("more\r\n\r\n"), end = 0;
	/* In pieces of any size, looking at each byte but a few once. */
	for (size_t step = 1; step < 7; step++) {
		size_t seen = 0;
		end = 0;
		while (end == 0 && seen < sizeof text - 1) {
			size_t len = seen + step < sizeof text - 1 ? seen + step : sizeof text - 1;
			assert_int_equal(http_head_find(view_of(text, len), seen, &end), ERR_OK);
			seen = len;
		}
		assert_int_equal(end, head_len);
	}
	static uint8_t much[HTTP_HEAD_MAX_BYTES + 10];
	memset(much, 'x', sizeof much);
	assert_int_equal(http_head_find(view_of(much, HTTP_HEAD_MAX_BYTES - 1), 0, &end), ERR_OK);
	assert_int_equal(http_head_find(view_of(much, HTTP_HEAD_MAX_BYTES), 0, &end), ERR_LIMIT);
	memcpy(much + HTTP_HEAD_MAX_BYTES - 4, "\r\n\r\n", 4);
	assert_int_equal(http_head_find(view_of(much, sizeof much), 0, &end), ERR_OK);
	assert_int_equal(end, HTTP_HEAD_MAX_BYTES);
	memcpy(much + HTTP_HEAD_MAX_BYTES - 4, "x\r\n\r\n", 5);
	assert_int_equal(http_head_find(view_of(much, sizeof much), 0, &end), ERR_LIMIT);
}

static void fields_are_bounded(void **state)
{
	(void)state;
	struct buf head = { 0 };
	struct http_request request;
	assert_int_equal(buf_append_cstr(&head, "GET / HTTP/1.1\r\n" HOST), ERR_OK);
	for (size_t i = 1; i < HTTP_FIELDS_MAX; i++)
		assert_int_equal(buf_append_cstr(&head, "X: y\r\n"), ERR_OK);
	size_t before = head.len;
	assert_int_equal(buf_append_cstr(&head, "\r\n"), ERR_OK);
	assert_int_equal(http_request_parse(buf_view(&head), &request), ERR_OK);
	head.len = before;
	assert_int_equal(buf_append_cstr(&head, "X: y\r\n\r\n"), ERR_OK);
	assert_int_equal(http_request_parse(buf_view(&head), &request), ERR_LIMIT);
	buf_clear(&head);
}

static void responses_are_written(void **state)
{
	(void)state;
	static const struct {
		struct http_response response;
		const char *text;
	} cases[] = {
		{ { .status = 404, .now_ms = 784111777000 },
			"HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: postrider\r\n"
			"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\n"
			"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\nNot Found\n" },
		{ { .status = 405, .now_ms = 951782400000, .without_body = true },
			"HTTP/1.1 405 Method Not Allowed\r\nDate: Tue, 29 Feb 2000 00:00:00 GMT\r\nServer: "
			"postrider\r\n"
			"Allow: GET, HEAD\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 19\r\n"
			"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf out = { 0 };
		assert_int_equal(http_response_format(&cases[i].response, &out), ERR_OK);
		assert_string_equal(buf_cstr(&out), cases[i].text);
		buf_clear(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_read),
		cmocka_unit_test(heads_are_found),
		cmocka_unit_test(fields_are_bounded),
		cmocka_unit_test(responses_are_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
