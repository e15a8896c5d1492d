#include "cli/certificate.h"
#include "cli/cli.h"
#include "cli/commands.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/privilege.h"
#include "net/tls.h"
#include "service/shaping_file.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct findings {
	json_t *errors;
	json_t *warnings;
};

static void add(json_t *list, const char *format, ...) PRINTF_LIKE(2, 3);
static void add(json_t *list, const char *format, ...)
{
	char sentence[700];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	json_array_append_new(list, cli_json_text(sentence));
}

static void check_certificate(const struct config *config, struct findings *findings)
{
	struct certificate_facts facts;
	if (config->tls_certificate == NULL) {
		add(findings->warnings, "there is no certificate (section `tls`): nobody can log in");
		return;
	}
	struct tls_server_options options = { config->tls_certificate, config->tls_key, config->tls_minimum };
	struct tls_context *tls = tls_context_new_server(&options);
	if (tls == NULL) {
		add(findings->errors, "%s", err_detail());
		return;
	}
	tls_context_unref(tls);
	struct stat st;
	if (stat(config->tls_key, &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)) != 0)
		add(findings->warnings, "others may read the private key %s: chmod o= %s", config->tls_key,
			config->tls_key);
	if (certificate_read(config->tls_certificate, config->hostname, &facts) != ERR_OK) {
		add(findings->errors, "%s", err_detail());
		return;
	}
	int64_t now_s = clock_wall_ms() / 1000;
	if (facts.not_after_s < now_s)
		add(findings->warnings, "the certificate %s has expired on %s", config->tls_certificate,
			cli_time(facts.not_after_s * 1000).text);
	else if (facts.not_after_s - now_s < (int64_t)14 * 86400)
		add(findings->warnings, "the certificate %s expires on %s", config->tls_certificate,
			cli_time(facts.not_after_s * 1000).text);
	if (facts.not_before_s > now_s)
		add(findings->warnings, "the certificate %s is not valid before %s", config->tls_certificate,
			cli_time(facts.not_before_s * 1000).text);
	if (!facts.names_host)
		add(findings->warnings, "the certificate %s is not for the name %s", config->tls_certificate,
			config->hostname);
	if (facts.self_signed)
		add(findings->warnings,
			"the certificate %s is self-signed: other servers accept that, mail programs will ask their "
			"users",
			config->tls_certificate);
}

/* Who will run the server: the configured user when it is started as root, else whoever asks. */
static void check_folder(const struct config *config, struct findings *findings)
{
	struct stat st;
	const struct passwd *user = privilege_is_root() ? getpwnam(config->user) : getpwuid(geteuid());
	if (privilege_is_root() && user == NULL)
		add(findings->errors, "there is no user '%s' to run as (`user`): useradd --system %s", config->user,
			config->user);
	if (stat(config->data, &st) != 0) {
		if (errno == ENOENT)
			add(findings->errors, "the data folder %s does not exist: postrider init creates it",
				config->data);
		else
			add(findings->errors, "cannot look at the data folder %s: %s", config->data, strerror(errno));
		return;
	}
	if (!S_ISDIR(st.st_mode)) {
		add(findings->errors, "%s (`data`) is not a folder", config->data);
		return;
	}
	if (user != NULL && st.st_uid != user->pw_uid)
		add(findings->errors, "the data folder %s does not belong to the user %s: chown -R %s %s", config->data,
			user->pw_name, user->pw_name, config->data);
	else if (!privilege_is_root() && access(config->data, R_OK | W_OK | X_OK) != 0)
		add(findings->errors, "cannot write to the data folder %s: %s", config->data, strerror(errno));
	if ((st.st_mode & (S_IWGRP | S_IWOTH | S_IROTH)) != 0)
		add(findings->warnings, "others may look into the data folder %s or change it: chmod 711 %s",
			config->data, config->data);
}

static void check_listeners(const struct config *config, struct findings *findings)
{
	size_t enabled = 0;
	for (size_t i = 0; i < LISTENER_KINDS; i++)
		enabled += config->listeners[i].enabled;
	if (enabled == 0)
		add(findings->warnings, "nothing listens: there is no section `listen`");
	bool logins = config->listeners[LISTENER_SUBMISSION].enabled || config->listeners[LISTENER_SUBMISSIONS].enabled;
	if (logins && config->tls_certificate == NULL)
		add(findings->errors,
			"mail programs can't log in without TLS: set `certificate` and `key` in section `tls`");
}

static void check_shaping(const struct config *config, struct findings *findings)
{
	struct buf errors = { 0 };
	shaping_unref(shaping_load(config->delivery.shaping, &errors));
	struct view rest = view_trim(buf_view(&errors)), line;
	while (view_split(&rest, '\n', &line))
		add(findings->errors, "%.*s", VIEW_ARG(line));
	buf_clear(&errors);
}

static void print_list(const json_t *list, const char *label)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		fprintf(stderr, "postrider: %s%s\n", label, cli_text(json_array_get(list, i)));
}

static int tell(const struct config *config, const struct findings *findings, bool json)
{
	bool fine = json_array_size(findings->errors) == 0;
	if (json) {
		json_t *out = json_pack("{s:b, s:s, s:O, s:O}", "ok", fine, "file", config->path, "errors",
			findings->errors, "warnings", findings->warnings);
		cli_print_json(out);
		json_decref(out);
	} else {
		print_list(findings->errors, "");
		print_list(findings->warnings, "note: ");
		if (fine)
			printf("configuration is fine: %s (hostname %s, data in %s)\n", config->path, config->hostname,
				config->data);
	}
	return fine ? EX_OK : EX_CONFIG;
}

/* A file that does not even load: its errors, one a line, are all there is to tell. */
static int tell_load_errors(struct buf *errors, const char *path)
{
	json_t *list = json_array();
	struct view rest = view_trim(buf_view(errors));
	struct view line;
	while (view_split(&rest, '\n', &line)) {
		CLEANUP(mem_free_pointer) char *text = view_to_cstr(line);
		json_array_append_new(list, cli_json_text(text));
	}
	json_t *out = json_pack(
		"{s:b, s:o, s:o, s:[]}", "ok", 0, "file", cli_json_text(path), "errors", list, "warnings");
	cli_print_json(out);
	json_decref(out);
	return EX_CONFIG;
}

int cmd_check(int argc, char **argv)
{
	const char *config_path = NULL;
	bool json = false;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path), CLI_JSON_OPTION(&json) };
	const struct usage usage = {
		.synopsis = "postrider check [--config FILE] [--json]",
		.text = "Reads the configuration as the server would, and looks whether the certificate and its key "
			"belong together,\n"
			"the data folder is there, and the user exists. Exits 0 when all is fine, else 78.\n",
		.option_count = sizeof options / sizeof options[0],
		.options = options,
	};
	struct option_list words;
	struct buf errors = { 0 };
	int code = cli_options(&usage, argc, argv, 0, 0, &words);
	if (code >= 0)
		return code;
	struct config *config = json ? config_load(config_default_path(config_path), &errors)
				     : cli_load_config(config_path, &code);
	if (config == NULL && json)
		code = tell_load_errors(&errors, config_default_path(config_path));
	buf_clear(&errors);
	if (config == NULL)
		return code;
	struct findings findings = { json_array(), json_array() };
	check_certificate(config, &findings);
	check_folder(config, &findings);
	check_listeners(config, &findings);
	check_shaping(config, &findings);
	code = tell(config, &findings, json);
	json_decref(findings.errors);
	json_decref(findings.warnings);
	config_unref(config);
	return code;
}
