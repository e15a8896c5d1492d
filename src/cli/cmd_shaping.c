/* Rules for the sites that we send to: what they say of hosts and replies, without a server that runs. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/mx_lookup.h"

#include "base/mem.h"
#include "service/admin.h"
#include "service/shaping_file.h"
#include "smtp/reply.h"

#include <string.h>
#include <unistd.h>

#define ARENA_BYTES (256u * 1024)

static void print_errors(struct buf *errors)
{
	struct view rest = view_trim(buf_view(errors)), line;
	while (view_split(&rest, '\n', &line))
		fprintf(stderr, "postrider: %.*s\n", VIEW_ARG(line));
	buf_clear(errors);
}

/* The rules of --file, else those that the configuration names, else (without either) the built-in ones. */
struct rules {
	struct config *config; /* NULL: there is none */
	const char *path; /* of the file; NULL: only what is built in */
	struct shaping *shaping;
};

static int load_rules(const char *file, const char *config_path, struct rules *ret)
{
	int code = EX_OK;
	struct rules rules = { .path = file };
	bool has_config = config_path != NULL || access(config_default_path(NULL), R_OK) == 0;
	if (has_config) {
		rules.config = cli_load_config(config_path, &code);
		if (rules.config == NULL)
			return code;
		if (file == NULL)
			rules.path = rules.config->delivery.shaping;
	}
	struct buf errors = { 0 };
	rules.shaping = shaping_load(rules.path, &errors);
	if (rules.shaping == NULL) {
		print_errors(&errors);
		config_unref(rules.config);
		return EX_DATAERR;
	}
	*ret = rules;
	return -1;
}

static void rules_clear(struct rules *rules)
{
	shaping_unref(rules->shaping);
	config_unref(rules->config);
}

static const char *unit_of(uint32_t per_ms)
{
	return per_ms == 1000 ? "s" : per_ms == 60000 ? "m" : per_ms == 3600000 ? "h" : "d";
}

static json_t *site_json(const struct shaping_site *site)
{
	if (site == NULL)
		return json_null();
	json_t *rates = json_array();
	for (size_t i = 0; i < site->rate_count; i++) {
		char text[32];
		snprintf(text, sizeof text, "%u/%s", site->rates[i].count, unit_of(site->rates[i].per_ms));
		json_array_append_new(rates, json_string(text));
	}
	return json_pack("{s:s%, s:i, s:i, s:o}", "name", site->name.ptr, site->name.len, "connections",
		(int)site->connections, "messages_per_connection", (int)site->messages_per_connection, "rates", rates);
}

static void print_limit(const char *what, uint32_t n)
{
	if (n > 0)
		printf("%u %s", n, what);
	else
		printf("%s as configured", what);
}

static void print_site(const struct shaping_site *site)
{
	if (site == NULL) {
		puts("site: none of those that rules name; rules for all sites hold");
		return;
	}
	printf("site %.*s: ", VIEW_ARG(site->name));
	print_limit("connections", site->connections);
	fputs(", ", stdout);
	print_limit("messages per connection", site->messages_per_connection);
	for (size_t i = 0; i < site->rate_count; i++)
		printf(", %u/%s", site->rates[i].count, unit_of(site->rates[i].per_ms));
	putchar('\n');
}

struct verdict {
	const char *text; /* as it was given */
	unsigned code;
	char enhanced[16];
	struct shaping_action action;
};

static enum err judge(const struct rules *rules, const struct shaping_site *site, const char *text, struct verdict *ret)
{
	struct buf line = { 0 };
	struct smtp_reply reply;
	size_t used;
	enum err err = buf_append_cstr(&line, text);
	/* As the first line of several looks: the code is what counts. */
	if (err == ERR_OK && line.len > 3 && line.ptr[3] == '-')
		line.ptr[3] = ' ';
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] == '\r' || line.ptr[i] == '\n')
			line.ptr[i] = ' ';
	if (err == ERR_OK)
		err = buf_append_cstr(&line, "\r\n");
	if (err == ERR_OK)
		err = smtp_reply_parse(buf_view(&line), &reply, &used);
	buf_clear(&line);
	if (err != ERR_OK || smtp_reply_is_positive(&reply))
		return err_set(ERR_SYNTAX,
			"'%.100s' is no negative reply of a mail server: write it with its code, such as \"421 4.7.0 "
			"Try "
			"later\"",
			text);
	*ret = (struct verdict){ .text = text, .code = reply.code };
	if (reply.class != 0)
		snprintf(ret->enhanced, sizeof ret->enhanced, "%u.%u.%u", reply.class, reply.subject, reply.detail);
	ret->action = shaping_match(
		rules->shaping, site, reply.code, view_from_cstr(ret->enhanced), smtp_reply_text(&reply));
	return ERR_OK;
}

static const char *const action_names[] = {
	[SHAPING_NOTHING] = "nothing",
	[SHAPING_SLOW] = "slow",
	[SHAPING_SUSPEND] = "suspend",
	[SHAPING_NEXT_HOST] = "next-host",
};

static void where(const struct rules *rules, const struct shaping_action *action, char *text, size_t room)
{
	if (action->line > 0)
		snprintf(text, room, "%s:%u", rules->path, action->line);
	else
		snprintf(text, room, "built in");
}

static json_t *verdict_json(const struct rules *rules, const struct verdict *v)
{
	const struct shaping_action *a = &v->action;
	json_t *out = json_pack("{s:o, s:i, s:s, s:s}", "reply", cli_json_text(v->text), "code", (int)v->code,
		"enhanced", v->enhanced, "action", action_names[a->kind]);
	if (a->rule.len > 0) {
		char source[300];
		where(rules, a, source, sizeof source);
		json_object_set_new(out, "rule", json_stringn((const char *)a->rule.ptr, a->rule.len));
		json_object_set_new(out, "source", cli_json_text(source));
	}
	if (a->kind == SHAPING_SLOW)
		json_object_set_new(out, "percent", json_integer(a->percent));
	if (a->kind == SHAPING_SLOW || a->kind == SHAPING_SUSPEND)
		json_object_set_new(out, "for_s", json_integer(a->for_ms / 1000));
	return out;
}

static void print_verdict(const struct rules *rules, const struct verdict *v)
{
	const struct shaping_action *a = &v->action;
	json_t *shown = cli_json_text(v->text);
	printf("\n%s\n", cli_text(shown));
	json_decref(shown);
	if (a->rule.len > 0) {
		char source[300];
		where(rules, a, source, sizeof source);
		printf("  rule: %.*s (%s)\n", VIEW_ARG(a->rule), source);
	}
	switch (a->kind) {
	case SHAPING_SLOW:
		printf("  then: connections and rates to the site at %u%% for %s\n", a->percent,
			cli_duration(a->for_ms).text);
		break;
	case SHAPING_SUSPEND:
		printf("  then: nothing is sent to the site for %s\n", cli_duration(a->for_ms).text);
		break;
	case SHAPING_NEXT_HOST:
		puts("  then: this message tries the domain's next host");
		break;
	default:
		puts(a->rule.len > 0 ? "  then: nothing, only this message is tried again later or returned"
				     : "  no rule speaks of it: only this message is tried again later or returned");
	}
}

struct test {
	struct rules rules;
	struct arena arena;
	size_t host_count;
	struct view hosts[MX_HOSTS_MAX];
	const struct shaping_site *site;
};

/* The hosts that were given, or those that DNS names for the domain; or the site itself. */
static enum err find_site(struct test *test, const struct option_list *hosts, const char *domain, const char *site)
{
	if (site != NULL) {
		test->site = shaping_site_named(test->rules.shaping, view_from_cstr(site));
		return test->site != NULL ? ERR_OK : err_set(ERR_NOT_FOUND, "no rules name a site '%.60s'", site);
	}
	if (domain != NULL) {
		struct buf name = { 0 };
		struct mx_hosts found;
		enum err err = admin_normalise_domain(view_from_cstr(domain), &name);
		if (err == ERR_OK)
			err = mx_lookup(test->rules.config, buf_view(&name), &test->arena, &found);
		buf_clear(&name);
		if (err != ERR_OK)
			return err;
		for (size_t i = 0; i < found.count; i++)
			test->hosts[test->host_count++] = found.names[i];
	}
	for (size_t i = 0; i < hosts->count && test->host_count < MX_HOSTS_MAX; i++)
		test->hosts[test->host_count++] = view_from_cstr(hosts->items[i]);
	test->site = shaping_find_site(test->rules.shaping, test->host_count, test->hosts);
	return ERR_OK;
}

static enum err tell(struct test *test, const struct option_list *replies, bool json)
{
	json_t *verdicts = json_array(), *hosts = json_array();
	enum err err = ERR_OK;
	for (size_t i = 0; i < test->host_count; i++)
		json_array_append_new(hosts, json_stringn((const char *)test->hosts[i].ptr, test->hosts[i].len));
	struct verdict *list = mem_alloc_array(replies->count, sizeof *list);
	for (size_t i = 0; i < replies->count && err == ERR_OK; i++)
		err = judge(&test->rules, test->site, replies->items[i], &list[i]);
	if (err == ERR_OK && !json) {
		for (size_t i = 0; i < test->host_count; i++)
			printf("%s%.*s%s", i == 0 ? "hosts: " : ", ", VIEW_ARG(test->hosts[i]),
				i + 1 == test->host_count ? "\n" : "");
		print_site(test->site);
	}
	for (size_t i = 0; i < replies->count && err == ERR_OK; i++) {
		if (json)
			json_array_append_new(verdicts, verdict_json(&test->rules, &list[i]));
		else
			print_verdict(&test->rules, &list[i]);
	}
	if (err == ERR_OK && json) {
		json_t *out = json_pack(
			"{s:O, s:o, s:O}", "hosts", hosts, "site", site_json(test->site), "replies", verdicts);
		cli_print_json(out);
		json_decref(out);
	}
	mem_free(list);
	json_decref(hosts);
	json_decref(verdicts);
	return err;
}

static int run_test(int argc, char **argv)
{
	const char *config_path = NULL, *file = NULL, *domain = NULL, *site = NULL;
	struct option_list hosts = { 0 }, replies;
	bool json = false;
	const struct option_spec options[] = {
		{ .name = "file", .letter = 'f', .value_name = "FILE", .help = "rules to test", .ret_value = &file },
		{ .name = "host",
			.value_name = "HOST",
			.help = "an MX host of the domain; may be repeated",
			.ret_list = &hosts },
		{ .name = "domain", .value_name = "DOMAIN", .help = "ask DNS for its hosts", .ret_value = &domain },
		{ .name = "site", .value_name = "NAME", .help = "a site by its name", .ret_value = &site },
		CLI_CONFIG_OPTION(&config_path),
		CLI_JSON_OPTION(&json),
	};
	const struct usage usage = {
		.synopsis = "postrider shaping test [REPLY...] [--host HOST]... [--domain DOMAIN] [--site NAME] "
			    "[--file FILE] "
			    "[--json]",
		.text = "Says which site hosts belong to, what its limits are, and what would happen after each reply: "
			"which "
			"rule\nmatches, and what it calls for. Rules are those of --file, else those of the "
			"configuration; "
			"behind them\ncome the built-in ones. Nothing is sent.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	int code = cli_options(&usage, argc, argv, 0, OPTION_LIST_MAX, &replies);
	if (code < 0 && (hosts.count > 0) + (domain != NULL) + (site != NULL) > 1) {
		cli_error("--host, --domain and --site exclude each other");
		code = EX_USAGE;
	}
	if (code >= 0)
		return code;
	struct test test = { .host_count = 0 };
	code = load_rules(file, config_path, &test.rules);
	if (code >= 0)
		return code;
	arena_init(&test.arena, ARENA_BYTES);
	enum err err = find_site(&test, &hosts, domain, site);
	if (err == ERR_OK)
		err = tell(&test, &replies, json);
	code = err == ERR_OK ? EX_OK : cli_fail(err);
	arena_clear(&test.arena);
	rules_clear(&test.rules);
	return code;
}

static int check(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = {
		.synopsis = "postrider shaping check [FILE] [--config FILE] [--json]",
		.text = "Says whether a file of rules is fine, or what is wrong in it and what to write instead. "
			"Without "
			"FILE: that of\nthe configuration.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	struct config *config = NULL;
	int code = cli_options(&usage, argc, argv, 0, 1, &words);
	if (code >= 0)
		return code;
	if (words.count == 0 && (config = cli_load_config(config_path, &code)) == NULL)
		return code;
	const char *path = words.count > 0 ? words.items[0] : config->delivery.shaping;
	struct buf errors = { 0 };
	struct shaping *shaping = shaping_load(path, &errors);
	size_t sites = 0, rules = 0;
	if (shaping != NULL)
		shaping_count(shaping, &sites, &rules);
	if (json) {
		json_t *list = json_array();
		struct view rest = view_trim(buf_view(&errors)), line;
		while (view_split(&rest, '\n', &line)) {
			CLEANUP(mem_free_pointer) char *text = view_to_cstr(line);
			json_array_append_new(list, cli_json_text(text));
		}
		json_t *out = json_pack("{s:b, s:i, s:i, s:o}", "ok", shaping != NULL, "sites", (int)sites, "rules",
			(int)rules, "errors", list);
		cli_print_json(out);
		json_decref(out);
	} else if (shaping != NULL) {
		if (path != NULL)
			printf("%s is fine: %zu site%s, %zu rule%s\n", path, sites, sites == 1 ? "" : "s", rules,
				rules == 1 ? "" : "s");
		else
			puts("the configuration names no file of rules (`shaping` in section `delivery`): only the "
			     "built-in ones hold");
	} else {
		print_errors(&errors);
	}
	code = shaping != NULL ? EX_OK : EX_DATAERR;
	shaping_unref(shaping);
	config_unref(config);
	buf_clear(&errors);
	return code;
}

static void add_site(void *owner, const struct shaping_site *site)
{
	json_array_append_new(owner, site_json(site));
}

static int list(int argc, char **argv)
{
	const char *config_path = NULL, *file = NULL;
	bool json = false;
	const struct option_spec options[] = {
		{ .name = "file", .letter = 'f', .value_name = "FILE", .help = "rules to list", .ret_value = &file },
		CLI_CONFIG_OPTION(&config_path),
		CLI_JSON_OPTION(&json),
	};
	const struct usage usage = {
		.synopsis = "postrider shaping list [--file FILE] [--config FILE] [--json]",
		.text = "Prints all rules that hold, those of the file and the built-in ones, in the form of a file.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	struct rules rules;
	int code = cli_options(&usage, argc, argv, 0, 0, &words);
	if (code < 0)
		code = load_rules(file, config_path, &rules);
	if (code >= 0)
		return code;
	struct buf text = { 0 };
	enum err err = shaping_format(rules.shaping, &text);
	if (err == ERR_OK && json) {
		json_t *sites = json_array();
		shaping_each(rules.shaping, add_site, sites);
		json_t *out = json_pack("{s:o, s:s%}", "sites", sites, "rules", text.ptr, text.len);
		cli_print_json(out);
		json_decref(out);
	} else if (err == ERR_OK) {
		fputs(buf_cstr(&text), stdout);
	}
	buf_clear(&text);
	rules_clear(&rules);
	return err == ERR_OK ? EX_OK : cli_fail(err);
}

int cmd_shaping(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {
		{ "test", run_test, "what rules say of hosts and replies" },
		{ "check", check, "say whether a file of rules is fine" },
		{ "list", list, "print all rules that hold" },
	};
	return cli_group("shaping", sizeof subcommands / sizeof subcommands[0], subcommands, argc, argv);
}
