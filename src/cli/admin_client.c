#include "cli/admin_client.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/local_socket.h"
#include "service/admin.h"
#include "store/spool.h"
#include "store/store.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX_BYTES (64u * 1024 * 1024)
/* A server that is starting or stopping holds the lock without listening: worth a short wait. */
#define BUSY_TRIES 20
#define BUSY_WAIT_MS 250
#define WAITING_EVERY_MS 500

void admin_client_init(struct admin_client *client, const struct config *config)
{
	*client = (struct admin_client){ .config = config };
}

void admin_client_clear(struct admin_client *client)
{
	if (client->store != NULL)
		store_close(client->store);
	*client = (struct admin_client){ 0 };
}

static int append_json(const char *text, size_t len, void *data)
{
	return buf_append(data, view_of(text, len)) == ERR_OK ? 0 : -1;
}

static enum err write_all(int fd, struct view bytes)
{
	while (bytes.len > 0) {
		ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(
				err_from_errno(errno), "the server closed its control socket: %s", strerror(errno));
		bytes = view_from(bytes, (size_t)n);
	}
	return ERR_OK;
}

static void wait_for_input(const struct admin_client *client, int fd, int64_t since_ms)
{
	if (client->waiting == NULL)
		return;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	while (poll(&poll_fd, 1, WAITING_EVERY_MS) == 0)
		client->waiting(client->owner, clock_monotonic_ms() - since_ms);
}

static enum err read_line(const struct admin_client *client, int fd, struct buf *out)
{
	int64_t since_ms = clock_monotonic_ms();
	for (;;) {
		size_t seen = out->len;
		enum err err = buf_reserve(out, 65536);
		if (err != ERR_OK)
			return err_set(err, "the server's answer is too long");
		wait_for_input(client, fd, since_ms);
		ssize_t n = read(fd, out->ptr + out->len, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(ERR_CLOSED, "the server closed its control socket without an answer");
		out->len += (size_t)n;
		if (view_find(view_from(buf_view(out), seen), '\n') < (size_t)n)
			return ERR_OK;
	}
}

/* The code is err_name()'s word; back to the value. */
static enum err err_from_name(const char *name)
{
	for (enum err err = ERR_AGAIN; name != NULL && err <= ERR_CANCELLED; err++)
		if (strcmp(err_name(err), name) == 0)
			return err;
	return ERR_IO;
}

static enum err understand(struct view line, json_t **ret_result)
{
	json_t *answer = json_loadb((const char *)line.ptr, line.len, JSON_ALLOW_NUL, NULL);
	enum err err = ERR_OK;
	if (!json_is_object(answer)) {
		err = err_set(ERR_IO, "the server's answer makes no sense (is it of another version?)");
	} else if (json_is_true(json_object_get(answer, "ok"))) {
		*ret_result = json_incref(json_object_get(answer, "result"));
	} else {
		const char *sentence = json_string_value(json_object_get(answer, "error"));
		err = err_set(err_from_name(json_string_value(json_object_get(answer, "code"))), "%s",
			sentence != NULL ? sentence : "the server refused without a reason");
	}
	json_decref(answer);
	return err;
}

static enum err call_server(const struct admin_client *client, int fd, const json_t *request, json_t **ret_result)
{
	struct buf line = { 0 };
	struct buf answer = { .max_bytes = ANSWER_MAX_BYTES };
	enum err err = ERR_OK;
	if (json_dump_callback(request, append_json, &line, JSON_COMPACT) != 0 ||
		buf_append_byte(&line, '\n') != ERR_OK || line.len > ADMIN_REQUEST_MAX_BYTES)
		err = err_set(ERR_LIMIT, "this request is too long: name fewer things at once");
	if (err == ERR_OK)
		err = write_all(fd, buf_view(&line));
	if (err == ERR_OK)
		err = read_line(client, fd, &answer);
	if (err == ERR_OK)
		err = understand(buf_view(&answer), ret_result);
	buf_clear(&line);
	buf_clear(&answer);
	return err;
}

/* What is done is done: a trace that can't be written is told about, and no more. */
static void write_event(void *owner, const struct store_event *event)
{
	if (store_event_write(owner, event) != ERR_OK)
		cli_error("the trace does not tell of this: %s", err_detail());
}

static enum err call_store(struct admin_client *client, const json_t *request, json_t **ret_result)
{
	struct db *db = store_db(client->store);
	struct admin_context context = {
		.now_ms = clock_wall_ms(),
		.data_folder = client->config->data,
		.postmaster = client->config->postmaster,
		.config = client->config,
		.dkim_unchecked = !client->config->dkim.check_published,
	};
	struct admin_effects effects = { 0 };
	json_t *result = NULL;
	enum err err = db_begin(db);
	if (err != ERR_OK)
		return err;
	err = admin_run(db, &context, request, &result, &effects);
	if (err == ERR_OK) {
		err = db_commit(db);
	} else {
		CLEANUP(mem_free_pointer) char *why = mem_dup_cstr(err_detail());
		db_rollback(db);
		err = err_set(err, "%s", why);
	}
	if (err == ERR_OK)
		for (size_t i = 0; i < effects.spool_count; i++)
			spool_remove(client->config->data, effects.spools[i].name);
	if (err == ERR_OK)
		admin_effects_events(&effects, context.now_ms, write_event, client->store);
	admin_effects_clear(&effects);
	if (err != ERR_OK) {
		json_decref(result);
		return err;
	}
	*ret_result = result;
	return ERR_OK;
}

static enum err open_store(struct admin_client *client)
{
	struct stat st;
	const char *folder = client->config->data;
	if (stat(folder, &st) != 0 && errno == ENOENT)
		return err_set(ERR_NOT_FOUND, "the data folder %s does not exist: postrider init creates it", folder);
	/* What root would create here, the server could not open later. */
	enum err err = cli_become_owner(folder);
	if (err != ERR_OK)
		return err;
	struct store_options options = { .folder = folder };
	return store_open(&options, &client->store);
}

static enum err call_request(struct admin_client *client, const json_t *request, json_t **ret_result)
{
	struct buf path = { 0 };
	enum err err = buf_append_format(&path, "%s/control.sock", client->config->data);
	for (int tries = 0; err == ERR_OK; tries++) {
		int fd;
		if (client->store != NULL) {
			err = call_store(client, request, ret_result);
			break;
		}
		err = local_socket_connect(buf_cstr(&path), &fd);
		if (err == ERR_OK) {
			err = call_server(client, fd, request, ret_result);
			close(fd);
			break;
		}
		if (err == ERR_PERMISSION) {
			err = err_set(err,
				"you may not administer %s: run this as root, or as the owner of that folder",
				client->config->data);
			break;
		}
		err = open_store(client);
		if (err == ERR_BUSY && tries < BUSY_TRIES) {
			nanosleep(&(struct timespec){ .tv_nsec = BUSY_WAIT_MS * 1000000L }, NULL);
			err = ERR_OK;
		}
	}
	buf_clear(&path);
	return err;
}

enum err admin_client_call(struct admin_client *client, const char *command, json_t *arguments, json_t **ret_result)
{
	json_t *request = json_object();
	json_object_set_new(request, "command", json_string(command));
	if (arguments != NULL)
		json_object_set_new(request, "arguments", arguments);
	enum err err = call_request(client, request, ret_result);
	json_decref(request);
	return err;
}

int admin_client_once(const char *config_argument, const char *command, json_t *arguments, json_t **ret_result)
{
	int code = EX_CONFIG;
	struct config *config = cli_load_config(config_argument, &code);
	if (config == NULL) {
		json_decref(arguments);
		return code;
	}
	struct admin_client client;
	admin_client_init(&client, config);
	enum err err = admin_client_call(&client, command, arguments, ret_result);
	code = err == ERR_OK ? -1 : cli_fail(err);
	admin_client_clear(&client);
	config_unref(config);
	return code;
}
