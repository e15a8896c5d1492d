#include "net/testing.h"

#include "net/https.h"
#include "net/testing_certificates.h"
#include "net/testing_https.h"

#include <signal.h>
#include <string.h>

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"

static struct loop *loop;
static struct https *https;

struct got {
	unsigned times;
	enum err err;
	long status;
	char detail[256], body[256], type[64];
	void (*then)(struct got *got);
	struct https_request *other;
};

static void answered(void *owner, const struct https_answer *answer)
{
	struct got *got = owner;
	got->times++;
	got->err = answer->err;
	got->status = answer->status;
	snprintf(got->detail, sizeof got->detail, "%s", answer->detail != NULL ? answer->detail : "");
	snprintf(got->body, sizeof got->body, "%.*s", VIEW_ARG(answer->body));
	snprintf(got->type, sizeof got->type, "%.*s", VIEW_ARG(answer->content_type));
	if (got->then != NULL)
		got->then(got);
	loop_stop(loop);
}

static const char *pages(void *owner, const char *request)
{
	(void)owner;
	static const struct {
		const char *begins, *answer;
	} table[] = {
		{ "GET /plain ", OK_HEAD "Content-Length: 5\r\n\r\nhello" },
		{ "GET /chunked ", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n" },
		{ "GET /until-end ", OK_HEAD "\r\nhello" },
		{ "GET /missing ", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" },
		{ "GET /moved ", "HTTP/1.1 301 Moved\r\nLocation: /plain\r\nContent-Length: 0\r\n\r\n" },
		{ "GET /for-ever ", "HTTP/1.1 302 Moved\r\nLocation: /for-ever\r\nContent-Length: 0\r\n\r\n" },
		{ "GET /in-clear ", "HTTP/1.1 302 Moved\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n" },
		{ "GET /short ", OK_HEAD "Content-Length: 50\r\n\r\nhello" },
		{ "GET /garbage ", "500 what?\r\n\r\n" },
		{ "GET /silence ", NULL },
		{ "POST /token ", "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\r\n{}" },
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (strncmp(request, table[i].begins, strlen(table[i].begins)) == 0)
			return table[i].answer;
	return "HTTP/1.1 500 What\r\nContent-Length: 0\r\n\r\n";
}

static struct testing_https server = { .answer = pages }, clear = { .answer = pages };

static int make(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	certificates_make();
	testing_https_start(&server, "cert.pem");
	testing_https_start(&clear, NULL);
	loop = loop_new("test");
	https = https_new(loop);
	assert_non_null(https);
	return 0;
}

static int remove_all(void **state)
{
	(void)state;
	https_free(https);
	loop_free(loop);
	testing_https_stop(&server);
	testing_https_stop(&clear);
	certificates_remove();
	return 0;
}

static char url_text[256], resolve_text[256];

/* "https://HOST:port/path", where HOST leads to the server here. */
static struct https_options at(const char *host, const char *path)
{
	snprintf(url_text, sizeof url_text, "https://%s:%u%s", host, server.port, path);
	snprintf(resolve_text, sizeof resolve_text, "%s:%u:127.0.0.1", host, server.port);
	return (struct https_options){ .url = url_text,
		.resolve = resolve_text,
		.ca_file = certificate_path("ca.pem"),
		.body_max_bytes = 100,
		.timeout_ms = 60000 };
}

static struct got ask(const struct https_options *options)
{
	struct got got = { 0 };
	assert_non_null(https_start(https, options, answered, &got));
	assert_int_equal(got.times, 0);
	loop_run(loop);
	assert_int_equal(got.times, 1);
	return got;
}

static void answers_come(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		bool follows;
		enum err err;
		long status;
		const char *body, *detail;
	} cases[] = {
		{ "/plain", false, ERR_OK, 200, "hello", "" },
		{ "/chunked", false, ERR_OK, 200, "hello", "" },
		{ "/until-end", false, ERR_OK, 200, "hello", "" },
		{ "/missing", false, ERR_OK, 404, "", "" },
		{ "/moved", false, ERR_OK, 301, "", "" },
		{ "/moved", true, ERR_OK, 200, "hello", "" },
		{ "/for-ever", true, ERR_REFUSED, 0, "", "redirects" },
		{ "/in-clear", true, ERR_IO, 0, "", "rotocol" },
		{ "/short", false, ERR_IO, 0, "", "" },
		{ "/garbage", false, ERR_IO, 0, "", "" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		print_message("  %s\n", cases[i].path);
		struct https_options options = at("mail.example.test", cases[i].path);
		options.follows_redirects = cases[i].follows;
		struct got got = ask(&options);
		if (got.err != cases[i].err)
			fail_msg("err %d: %s", (int)got.err, got.detail);
		assert_int_equal(got.status, cases[i].status);
		assert_string_equal(got.body, cases[i].body);
		if (strstr(got.detail, cases[i].detail) == NULL || (got.err != ERR_OK && got.detail[0] == '\0'))
			fail_msg("said: %s", got.detail);
		if (got.status == 200)
			assert_string_equal(got.type, "text/plain; charset=utf-8");
	}
}

static void peers_are_verified(void **state)
{
	(void)state;
	struct https_options options = at("other.example.test", "/plain");
	unsigned before = server.requests;
	struct got got = ask(&options);
	assert_int_equal(got.err, ERR_TLS);
	assert_string_not_equal(got.detail, "");
	options = at("mail.example.test", "/plain");
	options.ca_file = certificate_path("other-ca.pem");
	assert_int_equal(ask(&options).err, ERR_TLS);
	options.ca_file = NULL;
	assert_int_equal(ask(&options).err, ERR_TLS);
	assert_int_equal(server.requests, before);
}

static void clear_text_stays_at_home(void **state)
{
	(void)state;
	char url[128];
	struct https_options options = { .url = url, .body_max_bytes = 100, .timeout_ms = 60000 };
	snprintf(url, sizeof url, "http://127.0.0.1:%u/plain", clear.port);
	assert_string_equal(ask(&options).body, "hello");
	static const char *const refused[] = { "http://192.0.2.1/", "http://localhost/", "ftp://127.0.0.1/", "",
		"file:///etc/passwd", "https//", "http://127.0.0.1.example.com/" };
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		print_message("  %s\n", refused[i]);
		options.url = refused[i];
		struct got got = ask(&options);
		assert_int_equal(got.err, ERR_SYNTAX);
		assert_string_not_equal(got.detail, "");
	}
}

static void what_is_sent(void **state)
{
	(void)state;
	struct https_options options = at("mail.example.test", "/token");
	options.body = VIEW("grant_type=refresh_token");
	options.content_type = "application/x-www-form-urlencoded";
	options.authorization = "Bearer 123\r\nX-Evil: yes";
	struct got got = ask(&options);
	assert_int_equal(got.status, 400);
	assert_string_equal(got.body, "{}");
	assert_string_equal(got.type, "application/json");
	assert_null(strstr(server.last_request, "Evil"));
	options.authorization = "Bearer 123";
	assert_int_equal(ask(&options).status, 400);
	assert_non_null(strstr(server.last_request, "\r\nAuthorization: Bearer 123\r\n"));
	assert_non_null(strstr(server.last_request, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
	assert_non_null(strstr(server.last_request, "\r\n\r\ngrant_type=refresh_token"));
	assert_null(strstr(server.last_request, "Expect"));
	assert_non_null(strstr(server.last_request, "\r\nUser-Agent: postrider/"));
}

static void limits_hold(void **state)
{
	(void)state;
	static const char *const paths[] = { "/plain", "/chunked", "/until-end" };
	for (size_t i = 0; i < 3; i++) {
		struct https_options options = at("mail.example.test", paths[i]);
		options.body_max_bytes = 5;
		assert_int_equal(ask(&options).err, ERR_OK);
		options.body_max_bytes = 4;
		struct got got = ask(&options);
		assert_int_equal(got.err, ERR_LIMIT);
		assert_string_equal(got.detail, "the answer is too long");
	}
	struct https_options options = at("mail.example.test", "/silence");
	options.timeout_ms = 50;
	assert_int_equal(ask(&options).err, ERR_TIMEOUT);
}

static void nobody_there(void **state)
{
	(void)state;
	struct https_options options = at("mail.example.test", "/plain");
	struct testing_https gone = { .answer = pages };
	testing_https_start(&gone, NULL);
	testing_https_stop(&gone);
	snprintf(url_text, sizeof url_text, "https://127.0.0.1:%u/", gone.port);
	options.resolve = NULL;
	assert_int_equal(ask(&options).err, ERR_IO);
}

static void many_at_once(void **state)
{
	(void)state;
	struct got got[20] = { 0 };
	struct https_options options = at("mail.example.test", "/plain");
	for (size_t i = 0; i < 20; i++)
		(void)https_start(https, &options, answered, &got[i]);
	for (unsigned done = 0; done < 20;) {
		loop_run(loop);
		done = 0;
		for (size_t i = 0; i < 20; i++)
			done += got[i].times;
	}
	for (size_t i = 0; i < 20; i++)
		assert_string_equal(got[i].body, "hello");
}

static void cancel_other(struct got *got)
{
	https_cancel(got->other);
}

static void cancelled_ones_are_silent(void **state)
{
	(void)state;
	struct got got = { 0 }, second = { .then = cancel_other };
	struct https_options options = at("mail.example.test", "/silence");
	https_cancel(NULL);
	https_cancel(https_start(https, &options, answered, &got));
	second.other = https_start(https, &options, answered, &got);
	options = at("mail.example.test", "/missing");
	options.url = "nonsense";
	https_cancel(https_start(https, &options, answered, &got));
	(void)https_start(https, &options, answered, &second);
	loop_run(loop);
	assert_int_equal(second.times, 1);
	assert_int_equal(got.times, 0);
	/* Nothing is left that could answer later. */
	options = at("mail.example.test", "/plain");
	assert_string_equal(ask(&options).body, "hello");
	assert_int_equal(got.times, 0);
}

static struct https *doomed;

static void free_all(struct got *got)
{
	(void)got;
	https_free(doomed);
}

static void freed_inside_an_answer(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct got got = { .then = free_all }, silent = { 0 };
		doomed = https_new(loop);
		/* The server has one thread: the one that is to be answered goes first. */
		struct https_options options = at("mail.example.test", "/plain");
		if (i == 1)
			options.url = "nonsense";
		(void)https_start(doomed, &options, answered, &got);
		options = at("mail.example.test", "/silence");
		(void)https_start(doomed, &options, answered, &silent);
		loop_run(loop);
		assert_int_equal(got.times, 1);
		assert_int_equal(silent.times, 0);
	}
	https_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_come),
		cmocka_unit_test(peers_are_verified),
		cmocka_unit_test(clear_text_stays_at_home),
		cmocka_unit_test(what_is_sent),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(cancelled_ones_are_silent),
		cmocka_unit_test(freed_inside_an_answer),
	};
	return cmocka_run_group_tests(tests, make, remove_all);
}
