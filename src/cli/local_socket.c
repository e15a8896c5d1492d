#include "cli/local_socket.h"

#include "config/config.h"
#include "config/config_keys.h"
#include "mail/address.h"

#include <confuse.h>
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

static void be_quiet(cfg_t *cfg, const char *format, va_list args)
{
	(void)cfg;
	(void)format;
	(void)args;
}

/* NULL when this user can't read the file, or when it is no configuration at all. */
static cfg_t *read_some_keys(const char *path)
{
	cfg_opt_t keys[] = {
		CFG_STR("socket", NULL, CFGF_NONE),
		CFG_STR("data", NULL, CFGF_NONE),
		CFG_STR("hostname", NULL, CFGF_NONE),
		CFG_STR("postmaster", NULL, CFGF_NONE),
		CFG_END(),
	};
	cfg_t *cfg = cfg_init(keys, CFGF_IGNORE_UNKNOWN);
	if (cfg == NULL)
		return NULL;
	cfg_set_error_function(cfg, be_quiet);
	if (cfg_parse(cfg, path) != CFG_SUCCESS) {
		cfg_free(cfg);
		return NULL;
	}
	return cfg;
}

static const char *key(cfg_t *cfg, const char *name)
{
	return cfg != NULL ? cfg_getstr(cfg, name) : NULL;
}

static enum err find_socket(cfg_t *cfg, struct buf *out)
{
	const char *environment = getenv("POSTRIDER_SOCKET");
	if (environment != NULL && environment[0] != '\0')
		return buf_append_cstr(out, environment);
	if (key(cfg, "socket") != NULL)
		return buf_append_cstr(out, key(cfg, "socket"));
	const char *data = key(cfg, "data");
	if (data == NULL)
		data = config_key_find(VIEW_NONE, VIEW("data"))->default_text;
	return buf_append_format(out, "%s/submit.sock", data);
}

static enum err find_hostname(cfg_t *cfg, struct buf *out)
{
	char own[256] = "";
	const char *hostname = key(cfg, "hostname");
	if (hostname == NULL && gethostname(own, sizeof own - 1) == 0)
		hostname = own;
	if (hostname == NULL || !address_domain_is_valid(view_from_cstr(hostname), 0))
		hostname = "localhost";
	return buf_append_cstr(out, hostname);
}

enum err local_facts_read(const char *config_argument, struct local_facts *ret)
{
	struct local_facts facts = { 0 };
	cfg_t *cfg = read_some_keys(config_default_path(config_argument));
	enum err err = find_socket(cfg, &facts.socket);
	if (err == ERR_OK)
		err = find_hostname(cfg, &facts.hostname);
	if (err == ERR_OK) {
		struct view postmaster = view_from_cstr(key(cfg, "postmaster"));
		struct view domain = view_from(postmaster, view_find_last(postmaster, '@') + 1);
		err = buf_append(&facts.domain, domain.len > 0 ? domain : buf_view(&facts.hostname));
	}
	if (cfg != NULL)
		cfg_free(cfg);
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
