#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/local_socket.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A server answers on its control socket; a command that holds the lock for a moment does not, and must not be signalled. */
static enum err find_server(const char *data, pid_t *ret_pid)
{
	struct buf path = { 0 };
	struct buf text = { .max_bytes = 64 };
	uint64_t pid = 0;
	int fd;
	enum err err = buf_append_format(&path, "%s/control.sock", data);
	if (err == ERR_OK)
		err = local_socket_connect(buf_cstr(&path), &fd);
	if (err == ERR_OK) {
		close(fd);
		buf_reset(&path);
		err = buf_append_format(&path, "%s/postrider.lock", data);
		if (err == ERR_OK)
			err = cli_read_file(buf_cstr(&path), &text);
		if (err == ERR_OK && (view_parse_u64(view_trim(buf_view(&text)), INT32_MAX, &pid) != ERR_OK || pid < 2))
			err = err_set(ERR_STATE, "%s names no process", buf_cstr(&path));
	} else if (err != ERR_PERMISSION) {
		err = err_set(ERR_STATE, "no server runs on %s: postrider serve starts one", data);
	}
	buf_clear(&path);
	buf_clear(&text);
	if (err == ERR_OK)
		*ret_pid = (pid_t)pid;
	return err;
}

int cmd_reload(int argc, char **argv)
{
	const char *config_path = NULL;
	const struct option_spec options[] = { CLI_CONFIG_OPTION(&config_path) };
	const struct usage usage = {
		.synopsis = "postrider reload [--config FILE]",
		.text = "Checks the configuration file and makes the running server apply it, without dropping a "
			"connection.\n"
			"A file with errors changes nothing.\n",
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
	pid_t pid = 0;
	enum err err = find_server(config->data, &pid);
	if (err == ERR_OK && kill(pid, SIGHUP) != 0)
		err = err_set(
			err_from_errno(errno), "cannot signal the server (process %d): %s", (int)pid, strerror(errno));
	code = err == ERR_OK ? EX_OK : cli_fail(err);
	if (err == ERR_OK)
		printf("the server (process %d) reads %s again\n", (int)pid, config->path);
	config_unref(config);
	return code;
}
