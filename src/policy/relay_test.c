#include "policy/relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Who: a client in few letters, so that the tables below stay readable. */
enum { MX = 0, SUBMISSION = 1, TLS = 2, TRUSTED = 4, LOGIN = 8 };
#define JOE "joe@example.com"

static struct relay_client make_client(unsigned who)
{
	return (struct relay_client){ .is_submission = who & SUBMISSION,
		.has_tls = who & TLS,
		.is_trusted = who & TRUSTED,
		.account = who & LOGIN ? VIEW(JOE) : VIEW_NONE };
}

static void check(const char *name, bool allowed, const struct smtp_reply *refusal, const char *wanted)
{
	struct buf text = { 0 };
	if (allowed != (wanted == NULL))
		fail_msg("%s: allowed %d", name, allowed);
	if (!allowed) {
		assert_int_equal(smtp_reply_describe(refusal, &text), ERR_OK);
		if (strncmp(buf_cstr(&text), wanted, strlen(wanted)) != 0)
			fail_msg("%s: got %s", name, buf_cstr(&text));
	}
	buf_clear(&text);
}

struct recipient_case {
	const char *name;
	unsigned who;
	enum relay_mailbox mailbox;
	const char *refusal; /* how it begins; NULL = allowed */
};

#define NOT_OURS RELAY_MAILBOX_NOT_OURS
#define UNKNOWN RELAY_MAILBOX_UNKNOWN
#define FOUND RELAY_MAILBOX_FOUND
#define UNAVAILABLE RELAY_MAILBOX_UNAVAILABLE

static const struct recipient_case recipients[] = {
	{ "stranger to a mailbox", MX, FOUND, NULL },
	{ "stranger with TLS to a mailbox", MX | TLS, FOUND, NULL },
	{ "stranger to no mailbox", MX, UNKNOWN, "550 5.1.1 <x@example.org>: there is no such mailbox here" },
	{ "stranger to another domain", MX, NOT_OURS,
		"550 5.7.1 <x@example.org>: relaying denied; to send through this server, log in on port 587 or 465" },
	{ "stranger with TLS to another domain", MX | TLS, NOT_OURS, "550 5.7.1 " },
	{ "stranger, directory fails", MX, UNAVAILABLE, "451 4.3.0 " },
	{ "trusted network to a mailbox", MX | TRUSTED, FOUND, NULL },
	{ "trusted network to no mailbox", MX | TRUSTED, UNKNOWN, "550 5.1.1 " },
	{ "trusted network to another domain", MX | TRUSTED, NOT_OURS, NULL },
	{ "trusted network, directory fails", MX | TRUSTED, UNAVAILABLE, "451 4.3.0 " },
	{ "account on the mx port to another domain", MX | TLS | LOGIN, NOT_OURS, NULL },
	{ "account to a mailbox", SUBMISSION | TLS | LOGIN, FOUND, NULL },
	{ "account to no mailbox", SUBMISSION | TLS | LOGIN, UNKNOWN, "550 5.1.1 " },
	{ "account to another domain", SUBMISSION | TLS | LOGIN, NOT_OURS, NULL },
	{ "account, directory fails", SUBMISSION | TLS | LOGIN, UNAVAILABLE, "451 4.3.0 " },
	{ "trusted network on the submission port", SUBMISSION | TRUSTED, NOT_OURS, NULL },
	{ "no login on the submission port to a mailbox", SUBMISSION | TLS, FOUND,
		"530 5.7.0 Log in first: this port takes mail only after AUTH" },
	{ "no login on the submission port to another domain", SUBMISSION | TLS, NOT_OURS, "530 5.7.0 " },
	{ "neither TLS nor login on the submission port", SUBMISSION, FOUND,
		"530 5.7.0 Log in first: this port takes mail only after STARTTLS and AUTH" },
};

static void test_recipients(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(recipients); i++) {
		const struct recipient_case *c = &recipients[i];
		struct relay_client client = make_client(c->who);
		struct relay_recipient recipient = { .address = VIEW("x@example.org"), .mailbox = c->mailbox };
		struct smtp_reply refusal;
		check(c->name, relay_allows_recipient(&client, &recipient, &refusal), &refusal, c->refusal);
	}
}

struct sender_case {
	const char *name;
	unsigned who;
	const char *address;
	enum relay_mailbox mailbox;
	const char *accounts; /* with spaces between */
	const char *refusal;
};

static const struct sender_case senders[] = {
	{ "stranger as anybody", MX, "a@elsewhere.example", NOT_OURS, "", NULL },
	{ "stranger as one of us", MX, JOE, FOUND, JOE, NULL },
	{ "stranger, null", MX, "", NOT_OURS, "", NULL },
	{ "trusted network as anybody", SUBMISSION | TRUSTED, "a@elsewhere.example", NOT_OURS, "", NULL },
	{ "no login on the submission port", SUBMISSION | TLS, JOE, FOUND, JOE, "530 5.7.0 " },
	{ "no login on the submission port, null", SUBMISSION | TLS, "", NOT_OURS, "", "530 5.7.0 " },
	{ "as itself", SUBMISSION | TLS | LOGIN, JOE, FOUND, JOE, NULL },
	{ "as itself in another case", SUBMISSION | TLS | LOGIN, "Joe@Example.COM", FOUND, JOE, NULL },
	{ "as itself while the directory fails", SUBMISSION | TLS | LOGIN, JOE, UNAVAILABLE, "", NULL },
	{ "null", SUBMISSION | TLS | LOGIN, "", NOT_OURS, "", NULL },
	{ "with a tag", SUBMISSION | TLS | LOGIN, "joe+tag@example.com", FOUND, JOE, NULL },
	{ "with a tag that is another's account", SUBMISSION | TLS | LOGIN, "joe+tag@example.com", FOUND,
		"joe+tag@example.com", "553 5.7.1 <joe+tag@example.com> is not an address of your account" },
	{ "as an alias of its own", SUBMISSION | TLS | LOGIN, "sales@example.com", FOUND, JOE, NULL },
	{ "as an alias of several", SUBMISSION | TLS | LOGIN, "sales@example.com", FOUND,
		"ann@example.com JOE@example.com", NULL },
	{ "as an alias of others", SUBMISSION | TLS | LOGIN, "sales@example.com", FOUND,
		"ann@example.com bob@example.com", "553 5.7.1 " },
	{ "as an alias to elsewhere only", SUBMISSION | TLS | LOGIN, "list@example.com", FOUND, "", "553 5.7.1 " },
	{ "as another account", SUBMISSION | TLS | LOGIN, "ann@example.com", FOUND, "ann@example.com", "553 5.7.1 " },
	{ "as an unknown address of ours", SUBMISSION | TLS | LOGIN, "nobody@example.com", UNKNOWN, "", "553 5.7.1 " },
	{ "answers that contradict themselves", SUBMISSION | TLS | LOGIN, "nobody@example.com", UNKNOWN, JOE,
		"553 5.7.1 " },
	{ "as another domain", SUBMISSION | TLS | LOGIN, "joe@elsewhere.example", NOT_OURS, "", "553 5.7.1 " },
	{ "as an address that starts with its own", SUBMISSION | TLS | LOGIN, "joe@example.com.evil.example", NOT_OURS,
		"", "553 5.7.1 " },
	{ "while the directory fails", SUBMISSION | TLS | LOGIN, "sales@example.com", UNAVAILABLE, "", "451 4.3.0 " },
	{ "account on the mx port as another", MX | TLS | LOGIN, "ann@example.com", FOUND, "ann@example.com",
		"553 5.7.1 " },
	{ "trusted network does not widen a login", SUBMISSION | TLS | LOGIN | TRUSTED, "ann@example.com", FOUND,
		"ann@example.com", "553 5.7.1 " },
};

static void test_senders(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(senders); i++) {
		const struct sender_case *c = &senders[i];
		struct relay_client client = make_client(c->who);
		struct view accounts[4], rest = view_from_cstr(c->accounts);
		size_t count = 0;
		while (view_split(&rest, ' ', &accounts[count]))
			count++;
		struct relay_sender sender = { .address = view_from_cstr(c->address),
			.mailbox = c->mailbox,
			.account_count = count,
			.accounts = accounts };
		struct smtp_reply refusal;
		check(c->name, relay_allows_sender(&client, &sender, &refusal), &refusal, c->refusal);
	}
}

/* A peer's long or odd address makes a reply that is still one. */
static void test_odd_addresses(void **state)
{
	(void)state;
	uint8_t bytes[4000];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	struct relay_client client = make_client(MX);
	struct relay_recipient recipient = { .address = view_of(bytes, sizeof bytes), .mailbox = NOT_OURS };
	struct smtp_reply refusal;
	struct buf wire = { 0 };
	assert_false(relay_allows_recipient(&client, &recipient, &refusal));
	assert_int_equal(smtp_reply_format(&refusal, &wire), ERR_OK);
	struct smtp_reply again;
	size_t used;
	assert_int_equal(smtp_reply_parse(buf_view(&wire), &again, &used), ERR_OK);
	assert_int_equal(again.code, 550);
	assert_int_equal(used, wire.len);
	buf_clear(&wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_odd_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
