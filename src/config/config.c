#include "config/config_private.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SECRET_MAX_BYTES 8192u

struct config_memory *config_memory(const struct config *config)
{
	return config->memory;
}

static struct config *config_new(const char *name)
{
	struct config *config = mem_alloc(sizeof *config);
	struct config_memory *memory = mem_alloc(sizeof *memory);
	arena_init(&memory->arena, CONFIG_ARENA_BYTES);
	config->references = 1;
	config->memory = memory;
	config->path = config_copy(&memory->arena, view_from_cstr(name));
	return config;
}

struct config *config_ref(struct config *config)
{
	__atomic_add_fetch(&config->references, 1, __ATOMIC_RELAXED);
	return config;
}

/* A password must not stay readable in freed memory. */
static void wipe(const char *secret)
{
	if (secret != NULL)
		explicit_bzero((void *)(uintptr_t)secret, strlen(secret));
}

void config_unref(struct config *config)
{
	if (config == NULL || __atomic_sub_fetch(&config->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < config->smarthost_count; i++) {
		wipe(config->smarthosts[i].password);
		wipe(config->smarthosts[i].oauth_client_secret);
		wipe(config->smarthosts[i].oauth_refresh_token);
	}
	struct config_memory *memory = config_memory(config);
	arena_clear(&memory->arena);
	mem_free(memory);
	mem_free(config);
}

/* NULL when there were errors. */
static struct config *parse(struct view text, const char *name, struct config_errors *errors)
{
	if (text.len > CONFIG_FILE_MAX_BYTES) {
		config_errors_add(errors, 0, "the file is larger than %u KiB", CONFIG_FILE_MAX_BYTES / 1024);
		return NULL;
	}
	struct buf prepared = { 0 };
	if (!config_text_prepare(text, errors, &prepared)) {
		buf_clear(&prepared);
		return NULL;
	}
	struct config_source source;
	config_source_init(&source);
	config_source_read(&source, &prepared, errors);
	buf_clear(&prepared);
	struct config *config = config_new(name);
	config_build(config, &source, errors);
	config_source_clear(&source);
	/* What is missing or does not fit can only be said when everything that is there was understood. */
	if (errors->count == 0)
		config_check(config, errors);
	if (errors->count > 0) {
		config_unref(config);
		return NULL;
	}
	return config;
}

static struct config *finish(struct config *config, struct config_errors *errors, struct buf *ret_errors)
{
	config_errors_write(errors, ret_errors);
	config_errors_clear(errors);
	return config;
}

struct config *config_parse(struct view text, const char *name, struct buf *ret_errors)
{
	struct config_errors errors;
	config_errors_init(&errors, name);
	struct config *config = parse(text, name, &errors);
	return finish(config, &errors, ret_errors);
}

/* The file's bytes, at most `max` + 1 of them. Errno, or 0. */
static int read_file(const char *path, size_t max, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int result = 0;
	while (result == 0 && out->len <= max) {
		uint8_t piece[4096];
		size_t want = max + 1 - out->len;
		ssize_t n = read(fd, piece, want < sizeof piece ? want : sizeof piece);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			result = errno;
		else if (n > 0 && buf_append(out, view_of(piece, (size_t)n)) != ERR_OK)
			result = EFBIG;
		explicit_bzero(piece, sizeof piece);
		if (n == 0)
			break;
	}
	close(fd);
	return result;
}

/* A secret that goes with a smart host: the first line of a file, or an environment variable. */
struct secret {
	const char *what; /* "password" */
	const char *file, *variable; /* NULL: not there */
	const char **ret;
};

static bool check_secret(const struct secret *secret, const char *kind, const char *name, struct view value,
	unsigned line, struct config_errors *errors)
{
	const char *problem = value.len == 0         ? "is empty"
		: value.len > SECRET_MAX_BYTES       ? "is too long"
		: view_find(value, '\0') < value.len ? "has a NUL byte in it"
						     : NULL;
	if (problem != NULL)
		config_errors_add(errors, line, "the %s in %s %.200s %s", secret->what, kind, name, problem);
	return problem == NULL;
}

static void load_secret_file(struct config *config, size_t i, const struct secret *secret, struct config_errors *errors)
{
	struct config_memory *memory = config_memory(config);
	unsigned line = memory->smarthost_lines[i];
	struct buf content = { 0 };
	/* Room at once: growing would leave copies behind. */
	if (buf_reserve(&content, SECRET_MAX_BYTES + 1) != ERR_OK)
		return;
	int error = read_file(secret->file, SECRET_MAX_BYTES, &content);
	struct view value = view_sub(buf_view(&content), 0, view_find(buf_view(&content), '\n'));
	if (value.len > 0 && value.ptr[value.len - 1] == '\r')
		value.len--;
	if (error != 0)
		config_errors_add(errors, line, "the %s file %.200s of smarthost `%.64s` can't be read: %s",
			secret->what, secret->file, config->smarthosts[i].name, strerror(error));
	else if (content.len > SECRET_MAX_BYTES)
		config_errors_add(errors, line, "the %s file %.200s is larger than %u bytes", secret->what,
			secret->file, SECRET_MAX_BYTES);
	else if (check_secret(secret, "the first line of file", secret->file, value, line, errors))
		*secret->ret = config_copy(&memory->arena, value);
	explicit_bzero(content.ptr, content.cap);
	buf_clear(&content);
}

static void load_secret_variable(
	struct config *config, size_t i, const struct secret *secret, struct config_errors *errors)
{
	struct config_memory *memory = config_memory(config);
	unsigned line = memory->smarthost_lines[i];
	const char *value = getenv(secret->variable);
	if (value == NULL)
		config_errors_add(errors, line,
			"the environment variable %.128s, with the %s of smarthost `%.64s`, is not set",
			secret->variable, secret->what, config->smarthosts[i].name);
	else if (check_secret(secret, "environment variable", secret->variable, view_from_cstr(value), line, errors))
		*secret->ret = config_copy(&memory->arena, view_from_cstr(value));
}

static void load_secrets(struct config *config, size_t i, struct config_errors *errors)
{
	const struct config_secrets *files = &config_memory(config)->secrets[i];
	struct config_smarthost *s = &config->smarthosts[i];
	const struct secret secrets[] = {
		{ "password", files->password_file, s->password_env, &s->password },
		{ "client secret", files->oauth_client_secret_file, s->oauth_client_secret_env,
			&s->oauth_client_secret },
		{ "refresh token", files->oauth_refresh_token_file, s->oauth_refresh_token_env,
			&s->oauth_refresh_token },
	};
	for (size_t n = 0; n < sizeof secrets / sizeof secrets[0]; n++)
		if (secrets[n].file != NULL)
			load_secret_file(config, i, &secrets[n], errors);
		else if (secrets[n].variable != NULL)
			load_secret_variable(config, i, &secrets[n], errors);
}

struct config *config_load(const char *path, struct buf *ret_errors)
{
	struct config_errors errors;
	config_errors_init(&errors, path);
	struct buf text = { 0 };
	struct config *config = NULL;
	int error = read_file(path, CONFIG_FILE_MAX_BYTES, &text);
	if (error == ENOENT)
		config_errors_add(&errors, 0, "no such file; create one with `postrider init`");
	else if (error == EISDIR)
		config_errors_add(&errors, 0, "this is a folder; the configuration is a file");
	else if (error != 0)
		config_errors_add(&errors, 0, "can't be read: %s", strerror(error));
	else
		config = parse(buf_view(&text), path, &errors);
	buf_clear(&text);
	for (size_t i = 0; config != NULL && i < config->smarthost_count; i++)
		load_secrets(config, i, &errors);
	if (errors.count > 0) {
		config_unref(config);
		config = NULL;
	}
	return finish(config, &errors, ret_errors);
}

const char *config_default_path(const char *argument)
{
	if (argument != NULL)
		return argument;
	const char *environment = getenv("POSTRIDER_CONFIG");
	return environment != NULL && environment[0] != '\0' ? environment : "/etc/postrider/postrider.conf";
}
