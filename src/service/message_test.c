#include "service/message.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct memory_budget budget;

static int setup(void **state)
{
	atomic_store(&budget.used_bytes, 0);
	atomic_store(&budget.limit_bytes, 1000);
	*state = message_new(&budget);
	return 0;
}

static int teardown(void **state)
{
	message_free(*state);
	assert_int_equal(atomic_load(&budget.used_bytes), 0);
	return 0;
}

static enum err add(struct message *m, const char *address)
{
	struct queue_recipient r = { .address = view_from_cstr(address) };
	return message_add_recipient(m, &r);
}

static void each_address_once(void **state)
{
	struct message *m = *state;
	char text[64] = "joe@example.com";
	struct queue_recipient r = { .address = view_from_cstr(text),
		.orcpt = VIEW("rfc822;x@y"),
		.original = VIEW("all@example.com"),
		.notify = 2 };
	assert_int_equal(message_add_recipient(m, &r), ERR_OK);
	memset(text, 'x', 3); /* it was copied */
	assert_int_equal(add(m, "ann@example.com"), ERR_OK);
	assert_int_equal(add(m, "joe@example.com"), ERR_OK);
	/* Another server may tell the case of local parts apart. */
	assert_int_equal(add(m, "Joe@example.com"), ERR_OK);
	assert_int_equal(m->envelope.recipient_count, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(m->envelope.recipients[i].index, i);
	assert_true(view_eq(m->envelope.recipients[0].address, VIEW("joe@example.com")));
	assert_true(view_eq(m->envelope.recipients[0].orcpt, VIEW("rfc822;x@y")));
	assert_true(view_eq(m->envelope.recipients[0].original, VIEW("all@example.com")));
	assert_int_equal(m->envelope.recipients[0].notify, 2);
	assert_true(message_has_recipient(m, VIEW("ann@example.com")));
	assert_false(message_has_recipient(m, VIEW("bob@example.com")));
}

static void taken_back(void **state)
{
	struct message *m = *state;
	assert_int_equal(add(m, "a@x"), ERR_OK);
	assert_int_equal(add(m, "b@x"), ERR_OK);
	message_drop_recipients(m, 1);
	assert_int_equal(m->envelope.recipient_count, 1);
	assert_false(message_has_recipient(m, VIEW("b@x")));
	assert_int_equal(add(m, "b@x"), ERR_OK);
	assert_int_equal(m->envelope.recipients[1].index, 1);
}

static void recipients_have_a_limit(void **state)
{
	struct message *m = *state;
	char text[32];
	for (unsigned i = 0; i < MESSAGE_RECIPIENTS_MAX; i++) {
		snprintf(text, sizeof text, "r%u@example.com", i);
		assert_int_equal(add(m, text), ERR_OK);
	}
	assert_int_equal(add(m, "one@more"), ERR_LIMIT);
	assert_int_equal(add(m, "r7@example.com"), ERR_OK); /* it is there */
	assert_int_equal(m->envelope.recipient_count, MESSAGE_RECIPIENTS_MAX);
}

/* Whatever clients put into the envelope, there is room for what is kept about it later. */
static void envelope_leaves_room(void **state)
{
	struct message *m = *state;
	size_t size = 1024 * 1024;
	char *large = mem_alloc(size);
	memset(large, 'x', size);
	struct queue_recipient r = { .orcpt = view_of(large, size) };
	enum err err = ERR_OK;
	char text[32];
	unsigned i = 0;
	for (; err == ERR_OK && i < 1000; i++) {
		snprintf(text, sizeof text, "r%u@example.com", i);
		r.address = view_from_cstr(text);
		err = message_add_recipient(m, &r);
	}
	assert_int_equal(err, ERR_LIMIT);
	assert_in_range(i, 20, 40);
	for (int k = 0; k < 10; k++)
		assert_int_equal(message_keep(m, view_of(large, size)).len, size);
	mem_free(large);
}

static void budget_is_kept(void **state)
{
	(void)state;
	assert_false(memory_budget_take(&budget, 1001));
	assert_true(memory_budget_take(&budget, 600));
	assert_false(memory_budget_take(&budget, 401));
	assert_true(memory_budget_take(&budget, 400));
	assert_false(memory_budget_take(&budget, 1));
	assert_false(memory_budget_take(&budget, SIZE_MAX));
	memory_budget_give(&budget, 1000);
	assert_int_equal(atomic_load(&budget.used_bytes), 0);
	/* A reload made it smaller than what is in use. */
	assert_true(memory_budget_take(&budget, 900));
	atomic_store(&budget.limit_bytes, 100);
	assert_false(memory_budget_take(&budget, 1));
	memory_budget_give(&budget, 900);
}

static void content_is_counted(void **state)
{
	struct message *m = *state;
	assert_int_equal(buf_append_cstr(&m->head, "Received: x\r\n"), ERR_OK);
	m->envelope.head = buf_view(&m->head);
	m->content_loaded = true;
	message_count_content(m);
	size_t counted = atomic_load(&budget.used_bytes);
	assert_in_range(counted, 13, 1000);
	message_count_content(m); /* the same again */
	assert_int_equal(atomic_load(&budget.used_bytes), counted);
	/* More than the limit is counted, too: it is there. */
	assert_int_equal(buf_reserve(&m->body, 5000), ERR_OK);
	message_count_content(m);
	assert_true(atomic_load(&budget.used_bytes) > 5000);
	message_drop_content(m);
	assert_int_equal(atomic_load(&budget.used_bytes), 0);
	assert_false(m->content_loaded);
	assert_int_equal(m->envelope.head.len, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_address_once),
		CASE(taken_back),
		CASE(recipients_have_a_limit),
		CASE(envelope_leaves_room),
		CASE(budget_is_kept),
		CASE(content_is_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
