/* The steps of `postrider init`, once everything is known. */
#include "cli/init_plan.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/admin_client.h"
#include "cli/certificate.h"
#include "cli/cli.h"
#include "cli/init_files.h"
#include "cli/init_text.h"
#include "config/config_keys.h"
#include "net/privilege.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#define NO_GROUP ((gid_t)-1)

/* Whom the server will run as: NULL when not started as root. */
static const char *service_user(const struct init_plan *plan)
{
	if (!plan->root)
		return NULL;
	return plan->user != NULL ? plan->user : config_key_find(VIEW_NONE, VIEW("user"))->default_text;
}

static enum err make_user(const struct init_plan *plan, gid_t *ret_group)
{
	const char *user = service_user(plan);
	*ret_group = NO_GROUP;
	if (user == NULL)
		return ERR_OK;
	const struct passwd *known = getpwnam(user);
	if (known == NULL) {
		enum err err = init_make_user(user, plan->data);
		if (err != ERR_OK)
			return err;
		known = getpwnam(user);
	}
	if (known == NULL)
		return err_set(ERR_NOT_FOUND, "there is no user '%s', even after making it", user);
	*ret_group = known->pw_gid;
	return ERR_OK;
}

static enum err make_certificate(const struct init_plan *plan, gid_t group)
{
	struct buf certificate = { 0 };
	struct buf key = { 0 };
	enum err err = certificate_make_self_signed(plan->hostname, clock_wall_ms() / 1000, &certificate, &key);
	/* The key may be read by the service's group: a reload reads it again, without root. */
	if (err == ERR_OK)
		err = init_write_file(plan->key, buf_view(&key), group == NO_GROUP ? 0600 : 0640, group, plan->force);
	if (err == ERR_OK)
		err = init_write_file(plan->certificate, buf_view(&certificate), 0644, NO_GROUP, plan->force);
	cli_forget(&key);
	buf_clear(&certificate);
	return err;
}

static enum err make_config(const struct init_plan *plan)
{
	struct init_text text = {
		.hostname = plan->hostname,
		.data = plan->data,
		.certificate = plan->certificate,
		.key = plan->key,
		.user = plan->user,
		.postmaster = plan->account,
		.high_ports = plan->high_ports,
	};
	struct buf content = { 0 };
	enum err err = init_text_make(&text, &content);
	/* Readable for everybody: `sendmail` run by other users looks up the socket in it. Secrets are in files of their own. */
	if (err == ERR_OK)
		err = init_write_file(plan->config, buf_view(&content), 0644, NO_GROUP, plan->force);
	buf_clear(&content);
	return err;
}

static enum err make_data_folder(const struct init_plan *plan)
{
	CLEANUP(mem_free_pointer) char *parent = init_folder_of(plan->data);
	enum err err = init_make_parents(parent);
	if (err == ERR_OK)
		err = privilege_make_folder(plan->data, service_user(plan));
	/* Others may walk through to the submission socket, and see nothing else: every file and folder inside is the owner's alone. */
	if (err == ERR_OK && chmod(plan->data, 0711) != 0)
		err = err_set(err_from_errno(errno), "cannot set the rights of %s: %s", plan->data, strerror(errno));
	return err;
}

/* With --force they may be there already. */
static enum err add(struct admin_client *client, const char *command, json_t *arguments)
{
	json_t *result = NULL;
	enum err err = admin_client_call(client, command, arguments, &result);
	json_decref(result);
	return err;
}

static enum err fill_directory(const struct init_plan *plan)
{
	int code;
	struct buf hash = { 0 };
	struct admin_client client;
	struct config *config = cli_load_config(plan->config, &code);
	if (config == NULL)
		return err_set(ERR_CONFIG, "the configuration that was just written has errors");
	admin_client_init(&client, config);
	enum err err = add(&client, "domain.add", json_pack("{s:o}", "domain", cli_json_text(plan->domain)));
	if (err == ERR_EXISTS)
		err = ERR_OK;
	if (err == ERR_OK && plan->account != NULL) {
		err = buf_append(&hash, buf_view(&plan->password_hash));
		if (err == ERR_OK)
			err = add(&client, "account.add",
				json_pack("{s:o, s:s}", "address", cli_json_text(plan->account), "password_hash",
					buf_cstr(&hash)));
		if (err == ERR_EXISTS)
			err = add(&client, "account.password",
				json_pack("{s:o, s:s}", "address", cli_json_text(plan->account), "password_hash",
					buf_cstr(&hash)));
	}
	buf_clear(&hash);
	admin_client_clear(&client);
	config_unref(config);
	return err;
}

enum err init_plan_carry_out(struct init_plan *plan)
{
	gid_t group;
	CLEANUP(mem_free_pointer) char *folder = init_folder_of(plan->config);
	enum err err = make_user(plan, &group);
	if (err == ERR_OK)
		err = init_make_parents(folder);
	if (err == ERR_OK)
		err = make_data_folder(plan);
	if (err == ERR_OK && plan->own_certificate)
		err = make_certificate(plan, group);
	if (err == ERR_OK)
		err = make_config(plan);
	/* Last, since opening the store gives root up. */
	if (err == ERR_OK && plan->domain != NULL)
		err = fill_directory(plan);
	return err;
}

static void tell_dns(const struct init_plan *plan, const char *option, const char *file)
{
	if (plan->domain == NULL)
		return;
	puts("\nSo that others find it and believe it:");
	printf("  postrider dkim new %s%s%s   makes the keys that sign its mail\n", plan->domain, option, file);
	printf("  postrider dns %s%s%s        prints the DNS records to publish\n", plan->domain, option, file);
	printf("  postrider doctor %s%s%s     says whether the world sees them\n", plan->domain, option, file);
	printf("and the owner of this machine's address has to set its name (PTR) to %s.\n", plan->hostname);
}

void init_plan_tell_next(const struct init_plan *plan)
{
	bool default_file = strcmp(plan->config, config_default_path(NULL)) == 0;
	const char *option = default_file ? "" : " --config ";
	const char *file = default_file ? "" : plan->config;
	puts("Done:");
	printf("  %s  the configuration, every key explained\n", plan->config);
	printf("  %s  the certificate%s\n", plan->certificate,
		plan->own_certificate ? ", self-signed: replace it by one that mail programs trust" : "");
	printf("  %s  queue, directory and mail\n", plan->data);
	if (plan->domain != NULL)
		printf("  the domain %s%s%s\n", plan->domain, plan->account != NULL ? " with the account " : "",
			plan->account != NULL ? plan->account : "");
	puts("\nNext:");
	printf("  postrider check%s%s\n", option, file);
	printf("  postrider serve%s%s%s\n", option, file,
		plan->root && default_file ? "     (or: systemctl enable --now postrider)" : "");
	if (plan->domain == NULL)
		printf("  postrider domain add example.com%s%s\n", option, file);
	if (plan->account == NULL)
		printf("  postrider account add you@%s%s%s\n", plan->domain != NULL ? plan->domain : "example.com",
			option, file);
	if (plan->high_ports)
		puts("It listens on the ports 8025 (mail from others), 8587 and 8465 (mail programs), which need no "
		     "root.");
	else
		tell_dns(plan, option, file);
}
