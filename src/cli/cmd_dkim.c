#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/dkim_lookup.h"

#include "base/mem.h"
#include "crypto/signature.h"

#include <string.h>

#define NEW_RSA_BITS 2048u
#define KEY_FILE_MAX_BYTES (64u * 1024)

static const char *text(const json_t *object, const char *key)
{
	return cli_text(json_object_get(object, key));
}

static bool is_text(const json_t *object, const char *key, const char *want)
{
	return strcmp(text(object, key), want) == 0;
}

/* "rsa 2048", "ed25519" */
static void print_kind(const json_t *key)
{
	char kind[32];
	snprintf(kind, sizeof kind, "%s", text(key, "algorithm"));
	if (is_text(key, "algorithm", "rsa"))
		snprintf(kind, sizeof kind, "rsa %lld", (long long)json_integer_value(json_object_get(key, "bits")));
	printf("%-8s", kind);
}

/* The record as a line of a zone file. */
static void print_record(const json_t *key)
{
	const json_t *record = json_object_get(key, "record");
	struct buf quoted = { 0 };
	if (dkim_record_quote(view_of(json_string_value(record), json_string_length(record)), &quoted) == ERR_OK)
		printf("%s. 3600 IN TXT %s\n", text(key, "name"), buf_cstr(&quoted));
	buf_clear(&quoted);
}

/* Makes a key and appends its PEM text. The text goes into the request only. */
static enum err append_new(enum signature_kind kind, json_t *private_keys)
{
	struct signature_private *key = NULL;
	struct buf pem = { 0 };
	enum err err = signature_generate(kind, NEW_RSA_BITS, &key);
	if (err == ERR_OK)
		err = signature_private_write_pem(key, &pem);
	if (err == ERR_OK)
		json_array_append_new(private_keys, json_stringn((const char *)pem.ptr, pem.len));
	signature_private_free(key);
	cli_forget(&pem);
	return err;
}

static enum err append_file(const char *path, json_t *private_keys)
{
	struct buf pem;
	buf_init(&pem, KEY_FILE_MAX_BYTES);
	enum err err = cli_read_file(path, &pem);
	if (err == ERR_OK) {
		json_t *made = json_stringn((const char *)pem.ptr, pem.len);
		if (made == NULL)
			err = err_set(ERR_SYNTAX, "%s is no PEM file", path);
		else
			json_array_append_new(private_keys, made);
	}
	cli_forget(&pem);
	return err;
}

static bool is_algorithm(const char *name)
{
	return strcmp(name, "both") == 0 || strcmp(name, "rsa") == 0 || strcmp(name, "ed25519") == 0;
}

static enum err append_algorithms(const char *algorithm, json_t *private_keys)
{
	enum err err = ERR_OK;
	if (strcmp(algorithm, "ed25519") != 0)
		err = append_new(SIGNATURE_RSA, private_keys);
	if (err == ERR_OK && strcmp(algorithm, "rsa") != 0)
		err = append_new(SIGNATURE_ED25519, private_keys);
	return err;
}

/* What to publish, and what comes then. */
static void print_added(const json_t *result, const char *domain)
{
	const json_t *keys = json_object_get(result, "keys");
	bool waits = false;
	for (size_t i = 0; i < json_array_size(keys); i++)
		waits |= is_text(json_array_get(keys, i), "state", "new");
	if (waits)
		printf("; To publish. Each key signs once its record is seen: the server looks every few minutes,\n"
		       "; and at once with: postrider dkim check %s\n",
			domain);
	else
		puts("; To publish. These keys sign from now on.");
	for (size_t i = 0; i < json_array_size(keys); i++)
		print_record(json_array_get(keys, i));
	if (!json_is_true(json_object_get(result, "ours")))
		fprintf(stderr,
			"postrider: %s is not one of our domains: its keys sign only where a stream's dkim_domain "
			"names "
			"it\n",
			domain);
}

static int new_key(int argc, char **argv)
{
	const char *config_path = NULL, *selector = NULL, *algorithm = "both", *file = NULL;
	bool json = false;
	const struct option_spec options[] = {
		{ .name = "selector",
			.value_name = "NAME",
			.help = "instead of one made of the date; for two keys -rsa and -ed25519 are put behind it",
			.ret_value = &selector },
		{ .name = "algorithm",
			.value_name = "NAME",
			.help = "rsa (2048 bits), ed25519, or both, which is the default",
			.ret_value = &algorithm },
		{ .name = "key",
			.value_name = "FILE",
			.help = "take this private key (PEM), in use elsewhere, instead of making one",
			.ret_value = &file },
		CLI_CONFIG_OPTION(&config_path),
		CLI_JSON_OPTION(&json),
	};
	const struct usage usage = {
		.synopsis = "postrider dkim new DOMAIN [--selector NAME] [--algorithm NAME] [--key FILE] [--config "
			    "FILE] [--json]",
		.text = "Makes keys that sign the domain's mail, and prints the DNS records to publish as lines of a "
			"zone file.\n"
			"A key signs once its record is published; the private half never leaves the data folder.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 1, 1, &words);
	if (code < 0 && !is_algorithm(algorithm)) {
		cli_error("--algorithm is rsa, ed25519 or both");
		code = EX_USAGE;
	}
	if (code >= 0)
		return code;
	json_t *private_keys = json_array(), *result = NULL;
	json_t *arguments = json_pack(
		"{s:o, s:o}", "domain", cli_json_text(words.items[0]), "private_keys", private_keys);
	if (selector != NULL)
		json_object_set_new(arguments, "selector", cli_json_text(selector));
	enum err err = file != NULL ? append_file(file, private_keys) : append_algorithms(algorithm, private_keys);
	if (err != ERR_OK) {
		json_decref(arguments);
		return cli_fail(err);
	}
	code = admin_client_once(config_path, "dkim.new", arguments, &result);
	if (code >= 0)
		return code;
	if (json)
		cli_print_json(result);
	else
		print_added(result, words.items[0]);
	json_decref(result);
	return EX_OK;
}

/* One key a line: domain, selector, kind, state and since when. */
static void print_key(const json_t *key)
{
	bool active = is_text(key, "state", "active"), retired = is_text(key, "state", "retired");
	const char *since = active ? "activated_ms" : retired ? "retired_ms" : "created_ms";
	printf("%s  %-14s ", text(key, "domain"), text(key, "selector"));
	print_kind(key);
	printf("  %s since %s\n", text(key, "state"), cli_time(json_integer_value(json_object_get(key, since))).text);
}

static int list(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false, records = false;
	const struct option_spec options[] = {
		{ .name = "records", .help = "the records, as lines of a zone file", .ret_flag = &records },
		CLI_CONFIG_OPTION(&config_path),
		CLI_JSON_OPTION(&json),
	};
	const struct usage usage = {
		.synopsis = "postrider dkim list [DOMAIN] [--records] [--config FILE] [--json]",
		.text = "Lists the keys: new ones wait for their record to be published, active ones sign, retired "
			"ones "
			"sign no more\n"
			"(their records should stay for a week, for mail that is on its way).\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	json_t *result = NULL;
	int code = cli_options(&usage, argc, argv, 0, 1, &words);
	if (code < 0)
		code = admin_client_once(config_path, "dkim.list",
			words.count > 0 ? json_pack("{s:o}", "domain", cli_json_text(words.items[0])) : NULL, &result);
	if (code >= 0)
		return code;
	const json_t *keys = json_object_get(result, "keys");
	for (size_t i = 0; !json && i < json_array_size(keys); i++) {
		if (records)
			print_record(json_array_get(keys, i));
		else
			print_key(json_array_get(keys, i));
	}
	if (json)
		cli_print_json(result);
	else if (json_array_size(keys) == 0)
		fputs("There are no keys yet: postrider dkim new example.com\n", stderr);
	json_decref(result);
	return EX_OK;
}

/* Keys of a domain, through a client that stays open for what follows. */
static enum err ask_keys(struct admin_client *client, const char *domain, json_t **ret_keys)
{
	json_t *result = NULL;
	enum err err = admin_client_call(
		client, "dkim.list", json_pack("{s:o}", "domain", cli_json_text(domain)), &result);
	if (err != ERR_OK)
		return err;
	*ret_keys = json_incref(json_object_get(result, "keys"));
	json_decref(result);
	return json_array_size(*ret_keys) > 0
		? ERR_OK
		: err_set(ERR_NOT_FOUND, "%.200s has no keys: postrider dkim new %.200s", domain, domain);
}

struct rotation {
	json_t *selectors, *private_keys;
};

static enum err rotate_active(const json_t *keys, struct rotation *rotation)
{
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < json_array_size(keys); i++) {
		const json_t *key = json_array_get(keys, i);
		if (!is_text(key, "state", "active"))
			continue;
		json_array_append(rotation->selectors, json_object_get(key, "selector"));
		err = append_new(
			is_text(key, "algorithm", "rsa") ? SIGNATURE_RSA : SIGNATURE_ED25519, rotation->private_keys);
	}
	if (err == ERR_OK && json_array_size(rotation->selectors) == 0)
		err = err_set(ERR_STATE, "there is no active key to take the place of");
	return err;
}

static enum err rotate_domain(struct admin_client *client, const char *domain, json_t **ret_result)
{
	json_t *keys = NULL;
	struct rotation rotation = { json_array(), json_array() };
	json_t *arguments = json_pack("{s:o, s:o, s:o}", "domain", cli_json_text(domain), "selectors",
		rotation.selectors, "private_keys", rotation.private_keys);
	enum err err = ask_keys(client, domain, &keys);
	if (err == ERR_OK)
		err = rotate_active(keys, &rotation);
	json_decref(keys);
	if (err != ERR_OK) {
		json_decref(arguments);
		return err;
	}
	return admin_client_call(client, "dkim.rotate", arguments, ret_result);
}

static int rotate(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = {
		.synopsis = "postrider dkim rotate DOMAIN [--config FILE] [--json]",
		.text = "Makes a new key for each active one, and prints the records to publish. The old ones go on "
			"signing until the\n"
			"record of the new one is seen; then they retire.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 1, 1, &words);
	struct config *config = code < 0 ? cli_load_config(config_path, &code) : NULL;
	if (config == NULL)
		return code;
	struct admin_client client;
	json_t *result = NULL;
	admin_client_init(&client, config);
	enum err err = rotate_domain(&client, words.items[0], &result);
	code = err == ERR_OK ? EX_OK : cli_fail(err);
	if (err == ERR_OK && json)
		cli_print_json(result);
	else if (err == ERR_OK)
		print_added(result, words.items[0]);
	json_decref(result);
	admin_client_clear(&client);
	config_unref(config);
	return code;
}

/* The new keys among them that are published sign from now on. */
static enum err activate_published(
	struct admin_client *client, const char *domain, const json_t *keys, const enum dkim_publication *found)
{
	json_t *selectors = json_array(), *result = NULL;
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *key = json_array_get(keys, i);
		if (is_text(key, "state", "new") && found[i] == DKIM_PUBLISHED)
			json_array_append(selectors, json_object_get(key, "selector"));
	}
	enum err err = ERR_OK;
	if (json_array_size(selectors) > 0)
		err = admin_client_call(client, "dkim.activate",
			json_pack("{s:o, s:O}", "domain", cli_json_text(domain), "selectors", selectors), &result);
	json_decref(selectors);
	json_decref(result);
	return err;
}

/* What was found out of each; false if a key that should be published is not. */
static bool print_checked(const json_t *keys, const enum dkim_publication *found, bool json)
{
	json_t *shown = json_array();
	bool fine = true;
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *key = json_array_get(keys, i);
		const char *words = dkim_publication_text(found[i]);
		bool activated = is_text(key, "state", "new") && found[i] == DKIM_PUBLISHED;
		json_array_append_new(shown,
			json_pack("{s:O, s:s, s:b, s:s}", "selector", json_object_get(key, "selector"), "state",
				activated ? "active" : text(key, "state"), "published", found[i] == DKIM_PUBLISHED,
				"reason", words));
		if (!json)
			printf("%s: %s%s\n", text(key, "name"), words, activated ? "; it signs from now on" : "");
		if (found[i] == DKIM_PUBLISHED || is_text(key, "state", "retired"))
			continue;
		fine = false;
		if (!json) {
			fputs("    should be: ", stdout);
			print_record(key);
		}
	}
	if (json)
		cli_print_json(shown);
	json_decref(shown);
	return fine;
}

static int check_keys(struct admin_client *client, const char *domain, bool json)
{
	json_t *keys = NULL;
	enum dkim_publication *found = NULL;
	enum err err = ask_keys(client, domain, &keys);
	if (err == ERR_OK) {
		found = mem_alloc_array(json_array_size(keys), sizeof *found);
		/* DNS may take its time: the store is not kept from others meanwhile. */
		const struct config *config = client->config;
		admin_client_clear(client);
		admin_client_init(client, config);
		err = dkim_lookup(config, keys, found);
	}
	if (err == ERR_OK)
		err = activate_published(client, domain, keys, found);
	int code = err != ERR_OK ? cli_fail(err) : print_checked(keys, found, json) ? EX_OK : EX_TEMPFAIL;
	mem_free(found);
	json_decref(keys);
	return code;
}

static int check(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = {
		.synopsis = "postrider dkim check DOMAIN [--config FILE] [--json]",
		.text = "Asks DNS for the keys' records. New keys that are published sign from now on, and those whose "
			"place they take\n"
			"retire. Ends with 75 if a key that signs, or waits, is not published as it should be.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 1, 1, &words);
	struct config *config = code < 0 ? cli_load_config(config_path, &code) : NULL;
	if (config == NULL)
		return code;
	struct admin_client client;
	admin_client_init(&client, config);
	code = check_keys(&client, words.items[0], json);
	admin_client_clear(&client);
	config_unref(config);
	return code;
}

static int change(const char *command, const char *synopsis, const char *help, const char *done, int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = { synopsis, help, sizeof options / sizeof options[0], options };
	struct option_list words;
	int code = cli_options(&usage, argc, argv, 2, 64, &words);
	if (code >= 0)
		return code;
	json_t *selectors = json_array(), *result = NULL;
	for (size_t i = 1; i < words.count; i++)
		json_array_append_new(selectors, cli_json_text(words.items[i]));
	code = admin_client_once(config_path, command,
		json_pack("{s:o, s:o}", "domain", cli_json_text(words.items[0]), "selectors", selectors), &result);
	if (code >= 0)
		return code;
	if (json)
		cli_print_json(result);
	else
		for (size_t i = 1; i < words.count; i++)
			printf("%s of %s: %s\n", words.items[i], words.items[0], done);
	json_decref(result);
	return EX_OK;
}

static int activate(int argc, char **argv)
{
	return change("dkim.activate", "postrider dkim activate DOMAIN SELECTOR... [--config FILE] [--json]",
		"Makes keys sign without a look into DNS, also ones that were retired. Mail signed with a key that is "
		"not\n"
		"published is mail with a broken signature: postrider dkim check is the careful way.\n",
		"signs from now on", argc, argv);
}

static int retire(int argc, char **argv)
{
	return change("dkim.retire", "postrider dkim retire DOMAIN SELECTOR... [--config FILE] [--json]",
		"Makes keys sign no more. Their records should stay published for a week, for mail that is on its "
		"way.\n",
		"signs no more", argc, argv);
}

static int remove_key(int argc, char **argv)
{
	return change("dkim.remove", "postrider dkim remove DOMAIN SELECTOR... [--config FILE] [--json]",
		"Removes keys for good. Those that sign must be retired first.\n", "removed", argc, argv);
}

int cmd_dkim(int argc, char **argv)
{
	static const struct subcommand subcommands[] = {
		{ "new", new_key, "make keys, and say what to publish" },
		{ "list", list, "list the keys" },
		{ "check", check, "look whether they are published; new ones that are sign from then on" },
		{ "rotate", rotate, "make keys that take the place of the active ones" },
		{ "activate", activate, "make a key sign, come what may" },
		{ "retire", retire, "make a key sign no more" },
		{ "remove", remove_key, "remove a key that signs no more" },
	};
	return cli_group("dkim", sizeof subcommands / sizeof subcommands[0], subcommands, argc, argv);
}
