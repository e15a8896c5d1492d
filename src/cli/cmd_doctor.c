#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/doctor.h"
#include "service/admin.h"

#include "base/mem.h"

#include <stdio.h>
#include <unistd.h>

static void print_finding(void *owner, const struct doctor_finding *finding)
{
	(void)owner;
	printf("%-8s %-10s %s\n", doctor_level_name(finding->level), finding->topic, finding->text);
	if (finding->publish != NULL)
		printf("         publish:   %s\n", finding->publish);
	fflush(stdout);
}

static void print_all_json(const struct doctor *doctor)
{
	json_t *list = json_array();
	for (size_t i = 0; i < doctor->finding_count; i++) {
		const struct doctor_finding *f = &doctor->findings[i];
		json_t *one = json_pack("{s:s, s:s, s:o}", "level", doctor_level_name(f->level), "topic", f->topic,
			"text", cli_json_text(f->text));
		if (f->publish != NULL)
			json_object_set_new(one, "publish", cli_json_text(f->publish));
		json_array_append_new(list, one);
	}
	json_t *result = json_pack("{s:s, s:s, s:o}", "domain", doctor->domain, "worst",
		doctor_level_name(doctor_worst(doctor)), "findings", list);
	cli_print_json(result);
	json_decref(result);
}

static int examine(const struct config *config, const char *domain, const json_t *keys, bool may_connect, bool json)
{
	struct dns_plan plan;
	struct doctor *doctor = mem_alloc(sizeof *doctor);
	doctor->config = config;
	doctor->domain = domain;
	doctor->plan = &plan;
	doctor->keys = keys;
	doctor->may_connect = may_connect;
	doctor->found = json ? NULL : print_finding;
	enum err err = dns_plan_make(config, domain, keys, &plan);
	if (err == ERR_OK)
		err = doctor_run(doctor);
	if (err == ERR_OK && json)
		print_all_json(doctor);
	int code = err != ERR_OK ? cli_fail(err) : doctor_worst(doctor) == DOCTOR_FAILURE ? 1 : EX_OK;
	doctor_clear(doctor);
	dns_plan_clear(&plan);
	mem_free(doctor);
	return code;
}

int cmd_doctor(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false, offline = false;
	const struct option_spec options[] = {
		{ .name = "dns-only", .help = "ask DNS only, connect to nobody", .ret_flag = &offline },
		CLI_CONFIG_OPTION(&config_path),
		CLI_JSON_OPTION(&json),
	};
	const struct usage usage = {
		.synopsis = "postrider doctor DOMAIN [--dns-only] [--config FILE] [--json]",
		.text = "Looks at the domain as the world sees it: its mail hosts, their TLS, the names of our "
			"addresses, SPF, DKIM, DMARC, "
			"MTA-STS, DANE and block lists.\n"
			"Each failure comes with the record to publish. Ends with 0 if there is none, else with 1.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 1, 1, &words);
	if (code >= 0)
		return code;
	struct buf domain = { 0 };
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
	if (config != NULL && code < 0)
		code = examine(config, buf_cstr(&domain), json_object_get(keys, "keys"), !offline, json);
	json_decref(keys);
	config_unref(config);
	buf_clear(&domain);
	return code;
}
