#include "cli/init_text.h"
#include "cli/testing.h"

#include "config/config.h"

static struct config *load(const struct init_text *init, const char *name)
{
	struct buf text = { 0 };
	struct buf errors = { 0 };
	assert_err(name, init_text_make(init, &text), ERR_OK);
	struct config *config = config_parse(buf_view(&text), name, &errors);
	if (config == NULL)
		fail_msg("%s: %s\n%s", name, buf_cstr(&errors), buf_cstr(&text));
	buf_clear(&text);
	buf_clear(&errors);
	return config;
}

/* Whatever init writes, the server reads, and means the same by it. */
static void test_loads(void **state)
{
	static const struct {
		const char *name;
		struct init_text init;
		const char *user, *postmaster;
		uint16_t ports[LISTENER_KINDS];
	} cases[] = {
		{ "as root",
			{ "mail.example.com", "/var/lib/postrider", "/etc/c.pem", "/etc/k.pem", NULL, NULL, false },
			"postrider", "", { 25, 587, 465 } },
		{ "as a user",
			{ "mail.example.com", "/home/x/data", "/home/x/c.pem", "/home/x/k.pem", NULL, NULL, true },
			"postrider", "", { 8025, 8587, 8465 } },
		{ "with names",
			{ "xn--bcher-kva.example", "/srv/m", "/etc/c.pem", "/etc/k.pem", "mailer", "me@example.com",
				false },
			"mailer", "me@example.com", { 25, 587, 465 } },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *name = cases[i].name;
		struct config *config = load(&cases[i].init, name);
		assert_text(name, view_from_cstr(config->hostname), cases[i].init.hostname);
		assert_text(name, view_from_cstr(config->data), cases[i].init.data);
		assert_text(name, view_from_cstr(config->tls_certificate), cases[i].init.certificate);
		assert_text(name, view_from_cstr(config->tls_key), cases[i].init.key);
		assert_text(name, view_from_cstr(config->user), cases[i].user);
		assert_text(name, view_from_cstr(config->postmaster), cases[i].postmaster);
		for (size_t kind = 0; kind < LISTENER_MAIL_KINDS; kind++) {
			assert_true(config->listeners[kind].enabled);
			assert_true(config->listeners[kind].address_count > 0);
			assert_int_equal(net_address_port(&config->listeners[kind].addresses[0]), cases[i].ports[kind]);
		}
		config_unref(config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_loads) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
