#include "cli/init_plan.h"

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/init_files.h"
#include "config/config.h"
#include "config/config_keys.h"
#include "crypto/password.h"
#include "net/privilege.h"
#include "service/admin.h"

#include <netdb.h>
#include <string.h>
#include <unistd.h>

void init_plan_clear(struct init_plan *plan)
{
	buf_clear(&plan->password_hash);
	for (size_t i = 0; i < plan->kept_count; i++)
		mem_free(plan->kept[i]);
	plan->kept_count = 0;
}

/* The plan owns the text from now on. */
static const char *keep(struct init_plan *plan, char *text)
{
	ASSERT(plan->kept_count < sizeof plan->kept / sizeof plan->kept[0]);
	plan->kept[plan->kept_count++] = text;
	return text;
}

static const char *keep_buf(struct init_plan *plan, struct buf *text)
{
	const char *kept = keep(plan, mem_dup_cstr(buf_cstr(text)));
	buf_clear(text);
	return kept;
}

/* "folder/name" */
static const char *keep_path(struct init_plan *plan, const char *folder, const char *name)
{
	struct buf path = { 0 };
	if (buf_append_format(&path, "%s/%s", folder, name) != ERR_OK)
		buf_reset(&path);
	return keep_buf(plan, &path);
}

/* One answer from the terminal; the default for an empty line. NULL when the input ends. */
static const char *ask(struct init_plan *plan, const char *question, const char *fallback)
{
	char line[300];
	fprintf(stderr, "%s%s%s%s: ", question, fallback != NULL ? " [" : "", fallback != NULL ? fallback : "",
		fallback != NULL ? "]" : "");
	if (fgets(line, sizeof line, stdin) == NULL)
		return NULL;
	struct view answer = view_trim(view_from_cstr(line));
	return answer.len == 0 ? fallback : keep(plan, view_to_cstr(answer));
}

/* The name under which the system knows itself, if it is a full one. */
static const char *own_hostname(struct init_plan *plan)
{
	char name[256] = "";
	if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
		return NULL;
	if (strchr(name, '.') != NULL)
		return keep(plan, mem_dup_cstr(name));
	struct addrinfo hints = { .ai_flags = AI_CANONNAME };
	struct addrinfo *found = NULL;
	const char *full = NULL;
	if (getaddrinfo(name, NULL, &hints, &found) == 0) {
		if (found->ai_canonname != NULL && strchr(found->ai_canonname, '.') != NULL)
			full = keep(plan, mem_dup_cstr(found->ai_canonname));
		freeaddrinfo(found);
	}
	return full;
}

static void default_paths(struct init_plan *plan)
{
	const char *home = getenv("HOME");
	if (plan->config == NULL && (plan->root || getenv("POSTRIDER_CONFIG") != NULL || home == NULL))
		plan->config = config_default_path(NULL);
	if (plan->config == NULL)
		plan->config = keep_path(plan, home, ".config/postrider/postrider.conf");
	if (plan->data == NULL && (plan->root || home == NULL))
		plan->data = config_key_find(VIEW_NONE, VIEW("data"))->default_text;
	if (plan->data == NULL)
		plan->data = keep_path(plan, home, ".local/share/postrider");
}

/* The domain of mail.example.com is, most often, example.com. */
static const char *guess_domain(const char *hostname)
{
	const char *dot = strchr(hostname, '.');
	return dot != NULL && strchr(dot + 1, '.') != NULL ? dot + 1 : hostname;
}

static enum err ask_questions(struct init_plan *plan)
{
	if (plan->hostname == NULL)
		plan->hostname = ask(plan, "This server's full name", own_hostname(plan));
	if (plan->hostname == NULL)
		return err_set(ERR_SYNTAX, "a name is needed, such as mail.example.com");
	if (plan->domain == NULL)
		plan->domain = ask(
			plan, "A domain to take mail for (further ones later)", guess_domain(plan->hostname));
	if (plan->account == NULL && plan->domain != NULL)
		plan->account = ask(plan, "The first mailbox, as a mail address (empty: none yet)", NULL);
	return ERR_OK;
}

static enum err check_names(struct init_plan *plan)
{
	struct buf text = { 0 };
	enum err err = admin_normalise_domain(view_from_cstr(plan->hostname), &text);
	if (err != ERR_OK)
		return err;
	plan->hostname = keep_buf(plan, &text);
	if (plan->account != NULL) {
		err = admin_normalise_address(view_from_cstr(plan->account), &text);
		if (err != ERR_OK)
			return err;
		plan->account = keep_buf(plan, &text);
		if (plan->account[0] == '"')
			return err_set(ERR_SYNTAX, "the first mailbox's name can't need quotes");
		if (plan->domain == NULL)
			plan->domain = strrchr(plan->account, '@') + 1;
	}
	if (plan->domain != NULL) {
		err = admin_normalise_domain(view_from_cstr(plan->domain), &text);
		if (err != ERR_OK)
			return err;
		plan->domain = keep_buf(plan, &text);
	}
	if (plan->account != NULL && strcmp(strrchr(plan->account, '@') + 1, plan->domain) != 0)
		return err_set(ERR_SYNTAX, "the account %s is not in the domain %s", plan->account, plan->domain);
	return ERR_OK;
}

static enum err check_free(const struct init_plan *plan)
{
	const char *const paths[] = { plan->config, plan->own_certificate ? plan->certificate : NULL,
		plan->own_certificate ? plan->key : NULL };
	for (size_t i = 0; !plan->force && i < sizeof paths / sizeof paths[0]; i++)
		if (paths[i] != NULL && init_exists(paths[i]))
			return err_set(ERR_EXISTS,
				"%s exists already: nothing was changed (--force overwrites it, --config names another "
				"file)",
				paths[i]);
	return ERR_OK;
}

/* Relative paths would mean another place wherever the server is started. */
static const char *absolute(struct init_plan *plan, const char *path)
{
	char *folder = path[0] == '/' ? NULL : getcwd(NULL, 0);
	if (folder == NULL)
		return path;
	const char *made = keep_path(plan, folder, path);
	mem_free(folder);
	return made;
}

static enum err read_password(struct init_plan *plan)
{
	char prompt[300];
	struct buf password = { 0 };
	snprintf(prompt, sizeof prompt, "Password for %.200s", plan->account);
	enum err err = cli_read_password(prompt, true, &password);
	if (err == ERR_OK)
		err = password_hash(buf_view(&password), &plan->password_hash);
	cli_forget(&password);
	return err;
}

enum err init_plan_complete(struct init_plan *plan)
{
	plan->root = privilege_is_root();
	plan->high_ports = plan->high_ports || !plan->root;
	default_paths(plan);
	plan->config = absolute(plan, plan->config);
	plan->data = absolute(plan, plan->data);
	if ((plan->certificate == NULL) != (plan->key == NULL))
		return err_set(ERR_SYNTAX, "--certificate and --key go together");
	plan->own_certificate = plan->certificate == NULL;
	if (plan->own_certificate) {
		CLEANUP(mem_free_pointer) char *folder = init_folder_of(plan->config);
		plan->certificate = keep_path(plan, folder, "certificate.pem");
		plan->key = keep_path(plan, folder, "key.pem");
	} else {
		plan->certificate = absolute(plan, plan->certificate);
		plan->key = absolute(plan, plan->key);
	}
	enum err err = check_free(plan);
	if (err == ERR_OK && isatty(STDIN_FILENO))
		err = ask_questions(plan);
	if (err == ERR_OK && plan->hostname == NULL)
		plan->hostname = own_hostname(plan);
	if (err == ERR_OK && plan->hostname == NULL)
		err = err_set(ERR_SYNTAX, "say this server's full name: --hostname mail.example.com");
	if (err == ERR_OK)
		err = check_names(plan);
	return err == ERR_OK && plan->account != NULL ? read_password(plan) : err;
}
