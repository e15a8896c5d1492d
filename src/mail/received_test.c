#include "mail/received.h"

#include "mail/message_id.h"
#include "mail/testing.h"

#define V(text)                                                                                                        \
	{                                                                                                              \
		(const uint8_t *)(text), sizeof(text) - 1                                                              \
	}
#define DATE "\tMon, 23 Nov 2026 14:39:00 +0000\r\n"
#define WHEN .wall_ms = 1795444740000

static void test_received(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct received_trace trace;
		const char *text;
	} cases[] = {
		{ "full",
			{ .helo = V("client.example"),
				.client_name = V("mail.client.example"),
				.client_address = V("192.0.2.1"),
				.by = V("mx.example.com"),
				.is_esmtp = true,
				.is_tls = true,
				.tls_version = V("TLSv1.3"),
				.tls_cipher = V("TLS_AES_256_GCM_SHA384"),
				.id = V("4fK2x"),
				.recipient = V("joe@example.com"),
				WHEN },
			"Received: from client.example (mail.client.example [192.0.2.1])\r\n"
			"\tby mx.example.com with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
			"\tid 4fK2x for <joe@example.com>;\r\n" DATE },
		{ "no name, several recipients",
			{ .helo = V("[192.0.2.1]"),
				.client_address = V("192.0.2.1"),
				.by = V("mx.example.com"),
				.is_esmtp = true,
				.id = V("1"),
				WHEN },
			"Received: from [192.0.2.1] ([192.0.2.1])\r\n\tby mx.example.com with ESMTP id 1;\r\n" DATE },
		{ "IPv6 and no HELO",
			{ .client_address = V("2001:db8::1"), .by = V("mx"), .is_lmtp = true, .id = V("1"), WHEN },
			"Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n\tby mx with LMTP id 1;\r\n" DATE },
		{ "a HELO that wants out",
			{ .helo = V("x)\r\nBcc: (\xc3\xa4 \\"),
				.client_address = V("::1"),
				.by = V("mx"),
				.id = V("1"),
				WHEN },
			"Received: from x???Bcc:?????? ([IPv6:::1])\r\n\tby mx with SMTP id 1;\r\n" DATE },
		{ "local", { .by = V("mx.example.com"), .note = V("from user 1000"), .id = V("1"), WHEN },
			"Received: by mx.example.com (from user 1000) id 1;\r\n" DATE },
		{ "a recipient that needs its own line",
			{ .by = V("mx.example.com"),
				.id = V("1"),
				.recipient = V("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.com"),
				WHEN },
			"Received: by mx.example.com id 1\r\n"
			"\tfor <aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.com>;\r\n" DATE },
		{ "a priority",
			{ .by = V("mx"),
				.id = V("1"),
				.recipient = V("a@c"),
				.has_priority = true,
				.priority = 7,
				WHEN },
			"Received: by mx id 1 for <a@c> PRIORITY 7;\r\n" DATE },
		{ "a low one", { .by = V("mx"), .id = V("1"), .has_priority = true, .priority = -9, WHEN },
			"Received: by mx id 1 PRIORITY -9;\r\n" DATE },
		{ "none in particular", { .by = V("mx"), .id = V("1"), .has_priority = true, WHEN },
			"Received: by mx id 1 PRIORITY 0;\r\n" DATE },
		{ "a priority on a line of its own",
			{ .by = V("mx.example.com"),
				.id = V("1"),
				.recipient = V("aaaaaaaaaaaaaaaaaaaaaaaaa@example.com"),
				.has_priority = true,
				.priority = -3,
				WHEN },
			"Received: by mx.example.com id 1 for <aaaaaaaaaaaaaaaaaaaaaaaaa@example.com>\r\n"
			"\tPRIORITY -3;\r\n" DATE },
		{ "a recipient that is no path", { .by = V("mx"), .id = V("1"), .recipient = V("a\r\nb@c"), WHEN },
			"Received: by mx id 1;\r\n" DATE },
		{ "UTF-8 without SMTPUTF8", { .by = V("mx"), .id = V("1"), .recipient = V("\xc3\xa4@c"), WHEN },
			"Received: by mx id 1;\r\n" DATE },
		{ "UTF-8", { .by = V("mx"), .id = V("1"), .is_smtputf8 = true, .recipient = V("\xc3\xa4@c"), WHEN },
			"Received: by mx id 1 for <\xc3\xa4@c>;\r\n" DATE },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = { 0 };
		assert_err(cases[i].name, received_format(&cases[i].trace, &out), ERR_OK);
		assert_text(cases[i].name, buf_view(&out), cases[i].text);
		assert_int_equal(received_count(buf_view(&out)), 1);
		struct view rest = buf_view(&out), line;
		while (view_split(&rest, '\n', &line))
			assert_true(line.len < 79);
		buf_clear(&out);
	}
	struct received_trace late = { .by = V("mx"), .wall_ms = INT64_MAX };
	struct buf out = { 0 };
	assert_err("late", received_format(&late, &out), ERR_LIMIT);
	assert_int_equal(out.len, 0);
	buf_clear(&out);
}

static void test_protocol(void **state)
{
	(void)state;
	static const struct {
		struct received_trace trace;
		const char *keyword;
	} cases[] = {
		{ { .is_esmtp = false }, "SMTP" },
		{ { .is_tls = true }, "SMTP" },
		{ { .is_esmtp = true }, "ESMTP" },
		{ { .is_esmtp = true, .is_authenticated = true }, "ESMTPA" },
		{ { .is_esmtp = true, .is_tls = true }, "ESMTPS" },
		{ { .is_esmtp = true, .is_tls = true, .is_authenticated = true }, "ESMTPSA" },
		{ { .is_esmtp = true, .is_smtputf8 = true }, "UTF8SMTP" },
		{ { .is_esmtp = true, .is_smtputf8 = true, .is_tls = true, .is_authenticated = true }, "UTF8SMTPSA" },
		{ { .is_lmtp = true, .is_tls = true }, "LMTPS" },
		{ { .is_lmtp = true, .is_smtputf8 = true, .is_authenticated = true }, "UTF8LMTPA" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_text(cases[i].keyword, received_protocol(&cases[i].trace), cases[i].keyword);
}

static void test_return_path(void **state)
{
	(void)state;
	struct buf out = { 0 };
	assert_err("path", return_path_format(VIEW("joe@example.com"), &out), ERR_OK);
	assert_err("null", return_path_format(VIEW(""), &out), ERR_OK);
	assert_err("line end", return_path_format(VIEW("a\r\nb"), &out), ERR_SYNTAX);
	assert_text("both", buf_view(&out), "Return-Path: <joe@example.com>\r\nReturn-Path: <>\r\n");
	buf_clear(&out);
}

static void test_message_id(void **state)
{
	(void)state;
	static const uint8_t random[MESSAGE_ID_RANDOM_BYTES] = { 0, 1, 2, 3, 0xfc, 0xfd, 0xfe, 0xff };
	struct buf out = { 0 };
	assert_err("id", message_id_make(1795444740000, random, VIEW("mail.example.com"), &out), ERR_OK);
	assert_text("id", buf_view(&out), "<mwtdfvs0.00010203fcfdfeff@mail.example.com>");
	assert_true(message_id_is_clean(buf_view(&out)));
	assert_err("host", message_id_make(0, random, VIEW("a b"), &out), ERR_SYNTAX);
	assert_err("time", message_id_make(-1, random, VIEW("a"), &out), ERR_LIMIT);
	buf_clear(&out);
	static const char *const bad[] = { "", "<>", "<@>", "a@b", "<a b@c>", "<a@b", "<a@b\r\n>", "<ab>", "<a@b><c@d>",
		"<\xc3\xa4@b>" };
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (message_id_is_clean(view_from_cstr(bad[i])))
			fail_msg("%s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_received),
		cmocka_unit_test(test_protocol),
		cmocka_unit_test(test_return_path),
		cmocka_unit_test(test_message_id),
	};
	return cmocka_run_group_tests_name("received", tests, NULL, NULL);
}
