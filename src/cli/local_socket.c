#include "cli/local_socket.h"

#include "cli/cli.h"
#include "config/config.h"
#include "config/config_keys.h"
#include "mail/address.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum err local_socket_connect(const char *path, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	if (len >= sizeof address.sun_path)
		return err_set(ERR_LIMIT, "the path of the socket %s is too long (at most %zu bytes)", path,
			sizeof address.sun_path - 1);
	memcpy(address.sun_path, path, len + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err_from_errno(errno), "cannot make a socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
		int why = errno;
		close(fd);
		return err_set(err_from_errno(why), "cannot reach %s: %s", path, strerror(why));
	}
	*ret_fd = fd;
	return ERR_OK;
}

/* As config_load(), but for the password files, which these users may not read. NULL in *ret: the file itself can't be read. */
static enum err read_config(const char *path, struct config **ret)
{
	struct buf text = { .max_bytes = 1024 * 1024 };
	struct buf errors = { 0 };
	*ret = NULL;
	enum err err = ERR_OK;
	if (cli_read_file(path, &text) == ERR_OK) {
		*ret = config_parse(buf_view(&text), path, &errors);
		struct view first = view_sub(buf_view(&errors), 0, view_find(buf_view(&errors), '\n'));
		if (*ret == NULL)
			err = err_set(ERR_CONFIG, "%.*s", VIEW_ARG(first));
	}
	buf_clear(&errors);
	buf_clear(&text);
	return err;
}

static enum err find_socket(const struct config *config, struct buf *out)
{
	const char *environment = getenv("POSTRIDER_SOCKET");
	if (environment != NULL && environment[0] != '\0')
		return buf_append_cstr(out, environment);
	if (config != NULL)
		return buf_append_cstr(out, config->socket);
	return buf_append_format(out, "%s/submit.sock", config_key_find(VIEW_NONE, VIEW("data"))->default_text);
}

static enum err find_hostname(const struct config *config, struct buf *out)
{
	char own[256] = "";
	if (config != NULL)
		return buf_append_cstr(out, config->hostname);
	bool known = gethostname(own, sizeof own - 1) == 0 && address_domain_is_valid(view_from_cstr(own), 0);
	return buf_append_cstr(out, known ? own : "localhost");
}

enum err local_facts_read(const char *config_argument, struct local_facts *ret)
{
	struct local_facts facts = { 0 };
	struct config *config;
	enum err err = read_config(config_default_path(config_argument), &config);
	if (err == ERR_OK)
		err = find_socket(config, &facts.socket);
	if (err == ERR_OK)
		err = find_hostname(config, &facts.hostname);
	if (err == ERR_OK) {
		struct view postmaster = view_from_cstr(config != NULL ? config->postmaster : NULL);
		struct view domain = view_from(postmaster, view_find_last(postmaster, '@') + 1);
		err = buf_append(&facts.domain, domain.len > 0 ? domain : buf_view(&facts.hostname));
	}
	config_unref(config);
	if (err != ERR_OK) {
		local_facts_clear(&facts);
		return err;
	}
	*ret = facts;
	return ERR_OK;
}

void local_facts_clear(struct local_facts *facts)
{
	buf_clear(&facts->socket);
	buf_clear(&facts->hostname);
	buf_clear(&facts->domain);
}

enum err local_socket_connect_submission(struct local_facts *facts, int *ret_fd)
{
	const char *path = buf_cstr(&facts->socket);
	enum err err = local_socket_connect(path, ret_fd);
	if (err == ERR_OK || err == ERR_LIMIT)
		return err;
	if (err == ERR_PERMISSION)
		return err_set(err, "this user may not use %s: see `socket` in the configuration", path);
	return err_set(ERR_AGAIN,
		"the mail server is not running (nobody answers at %s): systemctl start postrider, or postrider serve",
		path);
}
