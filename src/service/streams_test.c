#include "service/streams.h"

#include "base/mem.h"
#include "queue/egress.h"
#include "store/egress_store.h"
#include "store/store_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* 2026-03-02 10:00 UTC: the second day of ip2's plan. */
#define NOW_S ((int64_t)1772445600)
#define NOW (NOW_S * 1000)
#define TOMORROW (egress_day_start_ms(egress_day(NOW) + 1))

static const char text[] =
	"hostname = \"mail.example.com\"\ndata = \"/tmp\"\nlisten mx { address = \"127.0.0.1:2525\" }\n"
	"egress ip1 { source_ipv4 = 192.0.2.1 weight = 3 connections = 2 rate = \"1/h\" }\n"
	"egress ip2 { source_ipv4 = 192.0.2.2 warm_up = {2, 3} warm_up_start = 2026-03-01 }\n"
	"egress ip3 { source_ipv4 = 192.0.2.3 weight = 0 }\n"
	"egress ip4 { source_ipv4 = 192.0.2.4 warm_up = 5 warm_up_start = 2026-03-09 }\n"
	"egress ip5 { source_ipv4 = 192.0.2.5 }\n"
	"stream both { egress = {ip1, ip2, ip3} listeners = submission priority = 4 retry_max = 24h }\n"
	"stream new { egress = {ip2, ip4} recipients = {\"example.net\"} }\n"
	"stream drained { egress = ip3 senders = \"@drained.example\" }\n"
	"stream weights { egress = {ip1, ip5} headers = \"X-Weights\" }\n"
	"stream plain { recipients = {\"example.org\"} priority = -2 retry_first = 1m retry_max = 2m expire = 1h }\n";

static struct config *config;
static struct streams *streams;
static struct limiter_table *limiters;
static struct server server;
static struct contract contract;

static int setup(void **state)
{
	(void)state;
	struct buf errors = { 0 };
	config = config_parse(view_from_cstr(text), "test", &errors);
	if (config == NULL)
		fail_msg("%s", buf_cstr(&errors));
	contract_open(&contract);
	server = (struct server){ 0 };
	server.domains = domains_new();
	streams = streams_new(&server);
	limiters = limiter_table_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	limiter_table_free(limiters);
	streams_free(streams);
	streams_free(NULL);
	domains_free(server.domains);
	contract_close(&contract);
	config_unref(config);
	return 0;
}

static struct streams_pick pick;

static enum streams_answer pick_at(const char *stream, int64_t now_ms, int64_t wall_ms)
{
	return streams_pick_egress(
		streams, config_stream_named(config, view_from_cstr(stream)), limiters, now_ms, wall_ms, &pick);
}

static const struct config_egress *egress(const char *name)
{
	return config_egress_named(config, view_from_cstr(name));
}

static void without_addresses(void **state)
{
	(void)state;
	assert_int_equal(streams_pick_egress(streams, NULL, limiters, 0, NOW, &pick), STREAMS_USE);
	assert_null(pick.egress);
	assert_null(pick.limiter);
	assert_int_equal(pick_at("plain", 0, NOW), STREAMS_USE);
	assert_null(pick.egress);
	assert_true(streams_may_send(streams, NULL, NOW));
	(void)streams_sent(streams, NULL, NOW);
	assert_int_equal(pick_at("drained", 0, NOW), STREAMS_DEFER);
	assert_true(pick.again_wall_ms > NOW);
	assert_string_equal(pick.reason,
		"451 4.3.5 Stream drained has no address to send from: each of its egress sections has weight 0");
}

static void by_weight(void **state)
{
	(void)state;
	unsigned first = 0;
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(pick_at("weights", 0, NOW), STREAMS_USE);
		assert_non_null(pick.limiter);
		first += pick.egress == egress("ip1");
	}
	/* Three of four; that chance misses by a sixth has less than one in 10^25. */
	assert_in_range(first, 1250, 1750);
}

static void limits(void **state)
{
	(void)state;
	assert_int_equal(pick_at("weights", 0, NOW), STREAMS_USE);
	struct limiter *limiter = limiter_find(limiters, VIEW("egress/ip1"));
	assert_non_null(limiter);
	assert_int_equal(limiter->limits.connections, 2);
	assert_int_equal(limiter->limits.rates[0].per_ms, 3600000);
	limiter_connected(limiter);
	limiter_connected(limiter);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(pick_at("weights", 0, NOW), STREAMS_USE);
		assert_ptr_equal(pick.egress, egress("ip5"));
	}
	/* ip2 is at its ceiling, ip1 has no room for a connection: one that closes would help. */
	for (int i = 0; i < 3; i++)
		streams_sent(streams, egress("ip2"), NOW);
	assert_int_equal(pick_at("both", 0, NOW), STREAMS_WAIT);
	assert_true(pick.again_ms == INT64_MAX);
	struct egress_room rooms[3];
	streams_look_at_egress(streams, config_stream_named(config, VIEW("both")), limiters, 5, NOW, rooms);
	assert_ptr_equal(rooms[0].limiter, limiter);
	assert_true(rooms[0].connect_ms == INT64_MAX && rooms[0].send_ms == 5);
	assert_non_null(rooms[1].limiter);
	assert_true(rooms[1].connect_ms == 5 + TOMORROW - NOW && rooms[1].send_ms == rooms[1].connect_ms);
	assert_null(rooms[2].limiter);
	/* Without a message to send there is no use for a connection: one may be closed then. */
	limiter_sent(limiter, 0);
	assert_int_equal(pick_at("both", 0, NOW), STREAMS_WAIT);
	assert_true(pick.again_ms == 3600000);
	limiter_disconnected(limiter);
	assert_int_equal(pick_at("both", 0, NOW), STREAMS_WAIT);
	assert_true(pick.again_ms == 3600000);
	streams_look_at_egress(streams, config_stream_named(config, VIEW("both")), limiters, 0, NOW, rooms);
	assert_true(rooms[0].connect_ms == 3600000 && rooms[0].send_ms == 3600000);
	limiter_suspend(limiter, 7200000, VIEW("421 go away"));
	assert_int_equal(pick_at("both", 0, NOW), STREAMS_WAIT);
	assert_true(pick.again_ms == 7200000);
	assert_int_equal(pick_at("both", 7200000, NOW), STREAMS_USE);
	assert_ptr_equal(pick.egress, egress("ip1"));
}

static void ceilings(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(streams_may_send(streams, egress("ip2"), NOW));
		assert_int_equal(pick_at("new", 0, NOW), STREAMS_USE);
		assert_ptr_equal(pick.egress, egress("ip2"));
		streams_sent(streams, egress("ip2"), NOW);
	}
	assert_false(streams_may_send(streams, egress("ip2"), NOW));
	assert_int_equal(pick_at("new", 0, NOW), STREAMS_DEFER);
	assert_true(pick.again_wall_ms >= TOMORROW && pick.again_wall_ms < TOMORROW + 300000);
	assert_string_equal(pick.reason,
		"451 4.7.0 Stream new: today's ceiling of the warm-up plan is reached (ip2 sent 3, ip4 begins later); "
		"it "
		"goes on at 00:00 UTC");
	/* Another stream that has another address goes on. */
	assert_int_equal(pick_at("both", 0, NOW), STREAMS_USE);
	assert_ptr_equal(pick.egress, egress("ip1"));
	/* A clock that is set back does not give a second day. */
	assert_false(streams_may_send(streams, egress("ip2"), NOW - EGRESS_DAY_MS));
	/* The plan is over: no ceiling. */
	assert_true(streams_may_send(streams, egress("ip2"), TOMORROW));
	assert_int_equal(pick_at("new", 0, TOMORROW), STREAMS_USE);
	assert_false(streams_may_send(streams, egress("ip4"), TOMORROW));
}

static void what_nobody_saw(void **state)
{
	(void)state;
	int64_t day = 0;
	for (int i = 0; i < 3; i++)
		day = streams_sent(streams, egress("ip2"), NOW);
	assert_int_equal(day, egress_day(NOW));
	assert_false(streams_may_send(streams, egress("ip2"), NOW));
	streams_unsent(streams, egress("ip2"), day);
	assert_true(streams_may_send(streams, egress("ip2"), NOW));
	assert_int_equal(streams_sent(streams, egress("ip2"), NOW), day);
	assert_false(streams_may_send(streams, egress("ip2"), NOW));
	/* Yesterday's is not taken from today's. */
	streams_unsent(streams, egress("ip2"), day - 1);
	assert_false(streams_may_send(streams, egress("ip2"), NOW));
	for (int i = 0; i < 9; i++)
		streams_unsent(streams, egress("ip2"), day);
	assert_true(streams_may_send(streams, egress("ip2"), NOW));
	streams_unsent(streams, egress("ip5"), day);
	streams_unsent(streams, NULL, day);
}

static void over_a_restart(void **state)
{
	(void)state;
	int64_t today = egress_day(NOW);
	assert_int_equal(egress_store_set(contract.db, VIEW("IP2"), today, 2), ERR_OK);
	assert_int_equal(egress_store_set(contract.db, VIEW("ip2"), today - 1, 90), ERR_OK);
	assert_int_equal(egress_store_set(contract.db, VIEW("gone"), today, 5), ERR_OK);
	assert_int_equal(egress_store_set(contract.db, VIEW("old"), today - 1000, 5), ERR_OK);
	assert_int_equal(streams_load(streams, contract.db, NOW), ERR_OK);
	assert_true(streams_may_send(streams, egress("ip2"), NOW));
	streams_sent(streams, egress("ip2"), NOW);
	assert_false(streams_may_send(streams, egress("ip2"), NOW));
	assert_int_equal(contract_int(contract.db, "SELECT COUNT(*) FROM egress_day"), 3);
}

static void recipients_find_their_streams(void **state)
{
	(void)state;
	struct memory_budget budget = { 0 };
	struct message *m = message_new(&budget);
	static const struct {
		const char *address, *stream;
		int32_t priority;
	} cases[] = {
		{ "a@example.net", "new", 0 },
		{ "b@example.org", "plain", -2 },
		{ "c@example.com", "", 0 },
		{ "d@EXAMPLE.net", "new", 0 },
	};
	for (size_t i = 0; i < 4; i++) {
		struct queue_recipient r = { .address = view_from_cstr(cases[i].address) };
		assert_int_equal(message_add_recipient(m, &r), ERR_OK);
	}
	m->envelope.source = VIEW("mx");
	m->envelope.reverse_path = VIEW("x@drained.exampl");
	streams_choose(&server, config, m, VIEW("Subject: x\r\n"));
	for (size_t i = 0; i < 4; i++) {
		const struct queue_recipient *r = &m->envelope.recipients[i];
		assert_true(view_eq(r->stream, view_from_cstr(cases[i].stream)));
		assert_int_equal(r->priority, cases[i].priority);
	}
	/* What the sender asked for comes before the stream's priority. */
	m->wishes.has_priority = true;
	m->envelope.source = VIEW("submission");
	m->envelope.recipients[0].priority = 9;
	streams_choose(&server, config, m, VIEW("Subject: x\r\n"));
	assert_true(view_eq(m->envelope.recipients[0].stream, VIEW("both")));
	assert_int_equal(m->envelope.recipients[0].priority, 9);
	message_free(m);
}

static void schedules(void **state)
{
	(void)state;
	struct retry_schedule usual = streams_schedule(config, VIEW_NONE, false);
	assert_true(usual.first_ms == config->queue.retry_first_ms && usual.expire_ms == config->queue.expire_ms);
	assert_true(streams_schedule(config, VIEW_NONE, true).expire_ms == config->queue.expire_bounce_ms);
	assert_true(streams_schedule(config, VIEW("gone"), false).max_ms == usual.max_ms);
	struct retry_schedule own = streams_schedule(config, VIEW("plain"), false);
	assert_true(own.first_ms == 60000 && own.max_ms == 120000 && own.expire_ms == 3600000);
	assert_true(own.warn_after_ms == usual.warn_after_ms);
	own = streams_schedule(config, VIEW("both"), false);
	assert_true(own.first_ms == usual.first_ms && own.max_ms == 86400000 && own.expire_ms == usual.expire_ms);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(without_addresses),
		TEST(by_weight),
		TEST(limits),
		TEST(ceilings),
		TEST(what_nobody_saw),
		TEST(over_a_restart),
		TEST(recipients_find_their_streams),
		TEST(schedules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
