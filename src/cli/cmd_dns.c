#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/dns_plan.h"
#include "service/admin.h"

#include <stdio.h>

static void print_json(const struct dns_plan *plan, const char *domain)
{
	json_t *records = json_array(), *notes = json_array();
	for (size_t i = 0; i < plan->count; i++) {
		const struct dns_entry *e = &plan->entries[i];
		json_array_append_new(records,
			json_pack("{s:s, s:s, s:o}", "name", e->name, "type", e->type, "data", cli_json_text(e->data)));
	}
	for (unsigned topic = 0; topic < DNS_TOPICS; topic++)
		if (plan->notes[topic] != NULL)
			json_array_append_new(notes, cli_json_text(plan->notes[topic]));
	json_t *result = json_pack("{s:s, s:o, s:o}", "domain", domain, "records", records, "notes", notes);
	cli_print_json(result);
	json_decref(result);
}

static enum err print_plan(const struct dns_plan *plan, const char *domain, bool json)
{
	struct buf text = { 0 };
	enum err err = ERR_OK;
	if (json)
		print_json(plan, domain);
	else
		err = dns_plan_format(plan, domain, &text);
	if (err == ERR_OK && !json)
		fputs(buf_cstr(&text), stdout);
	buf_clear(&text);
	return err;
}

int cmd_dns(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = {
		.synopsis = "postrider dns DOMAIN [--config FILE] [--json]",
		.text = "Prints every DNS record that the domain needs, as lines of a zone file: where its mail goes "
			"(MX), who sends "
			"for it (SPF, DKIM, DMARC),\n"
			"how it is encrypted (MTA-STS, TLSA, TLS reports), and where mail programs find their "
			"servers.\n"
			"postrider doctor DOMAIN compares them with what is published.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 1, 1, &words);
	if (code >= 0)
		return code;
	struct buf domain = { 0 };
	struct dns_plan plan;
	json_t *keys = NULL;
	enum err err = admin_normalise_domain(view_from_cstr(words.items[0]), &domain);
	if (err != ERR_OK) {
		buf_clear(&domain);
		return cli_fail(err);
	}
	struct config *config = cli_load_config(config_path, &code);
	if (config != NULL)
		code = admin_client_once(
			config_path, "dkim.list", json_pack("{s:s}", "domain", buf_cstr(&domain)), &keys);
	if (config != NULL && code < 0) {
		err = dns_plan_make(config, buf_cstr(&domain), json_object_get(keys, "keys"), &plan);
		if (err == ERR_OK)
			err = print_plan(&plan, buf_cstr(&domain), json);
		code = err == ERR_OK ? EX_OK : cli_fail(err);
		dns_plan_clear(&plan);
	}
	json_decref(keys);
	config_unref(config);
	buf_clear(&domain);
	return code;
}
