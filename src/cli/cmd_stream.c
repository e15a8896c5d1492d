/* Streams and the addresses they send from: the configuration says which there are, the store what was sent. */
#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/commands.h"

#include "base/clock.h"
#include "queue/egress.h"

#include <string.h>

static void print_words(const char *what, size_t count, const char *const *words)
{
	if (count == 0)
		return;
	printf("  %-11s ", what);
	for (size_t i = 0; i < count; i++)
		printf("%s%s", i > 0 ? ", " : "", words[i]);
	putchar('\n');
}

static const char *unit_of(uint32_t per_ms)
{
	return per_ms == 1000 ? "s" : per_ms == 60000 ? "m" : per_ms == 3600000 ? "h" : "d";
}

static void print_limits(uint32_t connections, size_t count, const struct config_rate *rates)
{
	if (connections == 0 && count == 0)
		return;
	printf("  %-11s ", "limits");
	if (connections > 0)
		printf("%u connections%s", connections, count > 0 ? ", " : "");
	for (size_t i = 0; i < count; i++)
		printf("%s%u/%s", i > 0 ? ", " : "", rates[i].count, unit_of(rates[i].per_ms));
	putchar('\n');
}

static void print_stream(const struct config_stream *s)
{
	printf("stream %s", s->name);
	if (s->priority != 0)
		printf(", priority %d", s->priority);
	putchar('\n');
	print_words("listeners", s->listener_count, s->listeners);
	print_words("accounts", s->account_count, s->accounts);
	print_words("senders", s->sender_count, s->senders);
	print_words("recipients", s->recipient_count, s->recipients);
	print_words("headers", s->header_count, s->headers);
	if (s->listener_count + s->account_count + s->sender_count + s->recipient_count + s->header_count == 0)
		puts("  (takes all mail that no stream above it takes)");
	print_words("egress", s->egress_count, s->egress);
	print_words("smart host", s->smarthost != NULL, &s->smarthost);
	print_limits(s->connections, s->rate_count, s->rates);
}

static uint64_t sent_today(const json_t *answer, const char *egress)
{
	const json_t *sent = json_object_get(answer, "sent");
	for (size_t i = 0; i < json_array_size(sent); i++) {
		const json_t *row = json_array_get(sent, i);
		const char *name = json_string_value(json_object_get(row, "egress"));
		if (name != NULL && view_eq_nocase(view_from_cstr(name), view_from_cstr(egress)))
			return (uint64_t)json_integer_value(json_object_get(row, "messages"));
	}
	return 0;
}

static struct egress_plan plan_of(const struct config_egress *e)
{
	return (struct egress_plan){ e->warm_up_start_s, e->warm_up_count, e->warm_up };
}

static void print_egress(const struct config_egress *e, int64_t today, uint64_t sent)
{
	struct egress_plan plan = plan_of(e);
	uint64_t ceiling = egress_ceiling(&plan, today);
	printf("egress %s", e->name);
	if (e->source_v4.len > 0)
		printf(" %s", net_address_ip(&e->source_v4).text);
	if (e->source_v6.len > 0)
		printf(" %s", net_address_ip(&e->source_v6).text);
	printf(", weight %u: today %llu message%s", e->weight, (unsigned long long)sent, sent == 1 ? "" : "s");
	if (ceiling == 0)
		fputs(", its warm-up plan has not begun", stdout);
	else if (ceiling != EGRESS_NO_CEILING)
		printf(" of %llu (day %zu of %zu of its warm-up plan)", (unsigned long long)ceiling,
			egress_plan_day(&plan, today), e->warm_up_count);
	putchar('\n');
	print_words("EHLO name", e->ehlo_name != NULL, &e->ehlo_name);
	print_limits(e->connections, e->rate_count, e->rates);
}

static json_t *words_json(size_t count, const char *const *words)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, cli_json_text(words[i]));
	return list;
}

static json_t *rates_json(size_t count, const struct config_rate *rates)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++) {
		char text[32];
		snprintf(text, sizeof text, "%u/%s", rates[i].count, unit_of(rates[i].per_ms));
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *stream_json(const struct config_stream *s)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:s?, s:i, s:o}", "name", s->name, "listeners",
		words_json(s->listener_count, s->listeners), "accounts", words_json(s->account_count, s->accounts),
		"senders", words_json(s->sender_count, s->senders), "recipients",
		words_json(s->recipient_count, s->recipients), "headers", words_json(s->header_count, s->headers),
		"egress", words_json(s->egress_count, s->egress), "priority", (int)s->priority, "smarthost",
		s->smarthost, "connections", (int)s->connections, "rates", rates_json(s->rate_count, s->rates));
}

static json_t *egress_json(const struct config_egress *e, int64_t today, uint64_t sent)
{
	struct egress_plan plan = plan_of(e);
	uint64_t ceiling = egress_ceiling(&plan, today);
	return json_pack("{s:s, s:s?, s:s?, s:s?, s:i, s:i, s:o, s:I, s:o, s:i, s:i}", "name", e->name, "source_ipv4",
		e->source_v4.len > 0 ? net_address_ip(&e->source_v4).text : NULL, "source_ipv6",
		e->source_v6.len > 0 ? net_address_ip(&e->source_v6).text : NULL, "ehlo_name", e->ehlo_name, "weight",
		(int)e->weight, "connections", (int)e->connections, "rates", rates_json(e->rate_count, e->rates),
		"sent_today", (json_int_t)sent, "ceiling",
		ceiling == EGRESS_NO_CEILING ? json_null() : json_integer((json_int_t)ceiling), "plan_day",
		(int)egress_plan_day(&plan, today), "plan_days", (int)e->warm_up_count);
}

static void tell(const struct config *config, const json_t *answer, bool json)
{
	int64_t today = json_integer_value(json_object_get(answer, "today"));
	json_t *streams = json_array(), *egresses = json_array();
	for (size_t i = 0; i < config->stream_count; i++) {
		if (json)
			json_array_append_new(streams, stream_json(&config->streams[i]));
		else
			print_stream(&config->streams[i]);
	}
	for (size_t i = 0; i < config->egress_count; i++) {
		const struct config_egress *e = &config->egresses[i];
		if (json)
			json_array_append_new(egresses, egress_json(e, today, sent_today(answer, e->name)));
		else
			print_egress(e, today, sent_today(answer, e->name));
	}
	if (json) {
		json_t *out = json_pack("{s:O, s:O}", "streams", streams, "egress", egresses);
		cli_print_json(out);
		json_decref(out);
	} else if (config->stream_count + config->egress_count == 0) {
		puts("There are no streams: all mail goes the same way. See `stream` and `egress` in "
		     "postrider.conf(5).");
	}
	json_decref(streams);
	json_decref(egresses);
}

static int list(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = {
		.synopsis = "postrider stream list [--config FILE] [--json]",
		.text = "Lists the streams of the configuration with their rules, in the order in which they take "
			"mail, and "
			"the\naddresses to send from: what was sent from each today (UTC), and the ceiling of its "
			"warm-up "
			"plan.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 0, 0, &words);
	if (code >= 0)
		return code;
	struct config *config = cli_load_config(config_path, &code);
	if (config == NULL)
		return code;
	struct admin_client client;
	admin_client_init(&client, config);
	json_t *answer = NULL;
	enum err err = admin_client_call(&client, "stream.sent", NULL, &answer);
	if (err == ERR_OK)
		tell(config, answer, json);
	code = err == ERR_OK ? EX_OK : cli_fail(err);
	json_decref(answer);
	admin_client_clear(&client);
	config_unref(config);
	return code;
}

int cmd_stream(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {
		{ "list", list, "list streams and the addresses they send from" },
	};
	return cli_group("stream", sizeof subcommands / sizeof subcommands[0], subcommands, argc, argv);
}
