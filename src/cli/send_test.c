#include "cli/send_message.h"
#include "cli/send_server.h"
#include "cli/testing.h"

static void test_server(void **state)
{
	static const struct {
		const char *name, *server, *tls, *user;
		const char *host; /* NULL: refused */
		uint16_t port;
		bool implicit;
		enum smtp_sender_tls starttls;
	} cases[] = {
		{ "host alone", "mail.example.com", NULL, NULL, "mail.example.com", 587, false, SMTP_TLS_IF_OFFERED },
		{ "with a login TLS is a must", "mail.example.com", NULL, "joe", "mail.example.com", 587, false,
			SMTP_TLS_REQUIRED },
		{ "port 465", "mail.example.com:465", NULL, "joe", "mail.example.com", 465, true, SMTP_TLS_REQUIRED },
		{ "implicit", "mail.example.com", "implicit", NULL, "mail.example.com", 465, true, SMTP_TLS_REQUIRED },
		{ "implicit elsewhere", "h:8465", "implicit", NULL, "h", 8465, true, SMTP_TLS_REQUIRED },
		{ "starttls", "h:25", "starttls", NULL, "h", 25, false, SMTP_TLS_REQUIRED },
		{ "none", "h:25", "none", NULL, "h", 25, false, SMTP_TLS_NEVER },
		{ "IPv4", "192.0.2.1:2525", NULL, NULL, "192.0.2.1", 2525, false, SMTP_TLS_IF_OFFERED },
		{ "IPv6", "[2001:db8::1]:25", NULL, NULL, "2001:db8::1", 25, false, SMTP_TLS_IF_OFFERED },
		{ "IPv6 without port", "[2001:db8::1]", NULL, NULL, "2001:db8::1", 587, false, SMTP_TLS_IF_OFFERED },
		{ "IPv6 bare", "2001:db8::1", NULL, NULL, "2001:db8::1", 587, false, SMTP_TLS_IF_OFFERED },
		{ "no host", ":25", NULL, NULL, NULL, 0, false, SMTP_TLS_NEVER },
		{ "empty", "", NULL, NULL, NULL, 0, false, SMTP_TLS_NEVER },
		{ "port too large", "h:65536", NULL, NULL, NULL, 0, false, SMTP_TLS_NEVER },
		{ "port zero", "h:0", NULL, NULL, NULL, 0, false, SMTP_TLS_NEVER },
		{ "port empty", "h:", NULL, NULL, NULL, 0, false, SMTP_TLS_NEVER },
		{ "open bracket", "[::1", NULL, NULL, NULL, 0, false, SMTP_TLS_NEVER },
		{ "behind the bracket", "[::1]x", NULL, NULL, NULL, 0, false, SMTP_TLS_NEVER },
		{ "unknown TLS", "h", "maybe", NULL, NULL, 0, false, SMTP_TLS_NEVER },
		{ "login without server", NULL, NULL, "joe", NULL, 0, false, SMTP_TLS_NEVER },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct send_server server = {
			.name = cases[i].server, .tls_name = cases[i].tls, .user = cases[i].user
		};
		enum err err = send_server_check(&server);
		assert_err(cases[i].name, err, cases[i].host != NULL ? ERR_OK : ERR_SYNTAX);
		if (err == ERR_OK) {
			assert_text(cases[i].name, view_from_cstr(server.host), cases[i].host);
			assert_int_equal(server.port, cases[i].port);
			assert_int_equal(server.implicit, cases[i].implicit);
			if (!server.implicit)
				assert_int_equal(server.starttls, cases[i].starttls);
		}
		send_server_clear(&server);
	}
}

/* A password does not travel in clear to another machine, whatever is asked for. */
static void test_no_password_in_clear(void **state)
{
	(void)state;
	struct send_server server = { .name = "192.0.2.1:25", .tls_name = "none", .user = "joe" };
	struct smtp_session session = { .fd = -1 };
	assert_err("check", send_server_check(&server), ERR_OK);
	assert_err("prepare", send_server_prepare(&server, &session), ERR_REFUSED);
	assert_false(session.sender.has_login);
	send_server_clear(&server);
}

static void test_message(void **state)
{
	(void)state;
	struct send_request request = {
		.from = "J\xc3\xb6rg <joerg@example.com>, second@example.com",
		.to = { 2, { "Ann <ann@a.example>, bob@b.example", "carl@c.example" } },
		.cc = { 1, { "ann@a.example" } },
		.bcc = { 1, { "secret@d.example" } },
		.subject = "Gr\xc3\xbc\xc3\x9f"
			   "e",
		.text = "hello",
		.html = "<b>hello</b>",
	};
	struct send_message message;
	assert_err("built", send_message_build(&request, &message), ERR_OK);
	assert_text("sender", buf_view(&message.sender), "joerg@example.com");
	static const char *const want[] = { "ann@a.example", "bob@b.example", "carl@c.example", "secret@d.example" };
	assert_int_equal(message.recipient_count, COUNT_OF(want));
	for (size_t i = 0; i < COUNT_OF(want); i++)
		assert_text("recipient", message.recipients[i].address, want[i]);
	assert_has("content", buf_view(&message.content), "ann@a.example");
	assert_has("content", buf_view(&message.content), "multipart/alternative");
	assert_has_not("content", buf_view(&message.content), "secret");
	assert_true(view_is_ascii(buf_view(&message.content)));
	assert_false(message.is_smtputf8);
	send_message_clear(&message);

	request.to = (struct option_list){ 1, { "\xc3\xb6@a.example" } };
	assert_err("UTF-8", send_message_build(&request, &message), ERR_OK);
	assert_true(message.is_smtputf8);
	send_message_clear(&message);
}

static void test_message_refused(void **state)
{
	static const struct {
		const char *name, *from, *to, *attachment;
		enum err err;
		const char *part;
	} cases[] = {
		{ "no sender", NULL, "a@b.example", NULL, ERR_SYNTAX, "--from" },
		{ "no recipient", "a@b.example", NULL, NULL, ERR_SYNTAX, "--to" },
		{ "local recipient", "a@b.example", "root", NULL, ERR_SYNTAX, "'root' has no domain" },
		{ "malformed", "a@b.example", "a@@b", NULL, ERR_SYNTAX, "" },
		{ "attachment absent", "a@b.example", "c@d.example", "/nonexistent/x.pdf", ERR_NOT_FOUND,
			"/nonexistent/x.pdf" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct send_request request = { .from = cases[i].from, .text = "x" };
		struct send_message message;
		if (cases[i].to != NULL)
			request.to = (struct option_list){ 1, { cases[i].to } };
		if (cases[i].attachment != NULL)
			request.attachments = (struct option_list){ 1, { cases[i].attachment } };
		assert_err(cases[i].name, send_message_build(&request, &message), cases[i].err);
		assert_has(cases[i].name, view_from_cstr(err_detail()), cases[i].part);
	}
}

static void test_types(void **state)
{
	(void)state;
	assert_text("pdf", send_message_type_of("/a/b.PDF"), "application/pdf");
	assert_text("png", send_message_type_of("x.png"), "image/png");
	assert_text("unknown", send_message_type_of("x.frob"), "");
	assert_text("none", send_message_type_of("README"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server),
		cmocka_unit_test(test_no_password_in_clear),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_message_refused),
		cmocka_unit_test(test_types),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
