#include "config/config_private.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PASSWORD_MAX_BYTES 1024u

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
	for (size_t i = 0; i < config->smarthost_count; i++)
		wipe(config->smarthosts[i].password);
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

static void load_password(struct config *config, size_t i, struct config_errors *errors)
{
	struct config_memory *memory = config_memory(config);
	const char *path = memory->password_files[i];
	unsigned line = memory->smarthost_lines[i];
	struct buf content = { 0 };
	/* Room at once: growing would leave copies behind. */
	if (buf_reserve(&content, PASSWORD_MAX_BYTES + 1) != ERR_OK)
		return;
	int error = read_file(path, PASSWORD_MAX_BYTES, &content);
	struct view password = view_sub(buf_view(&content), 0, view_find(buf_view(&content), '\n'));
	if (password.len > 0 && password.ptr[password.len - 1] == '\r')
		password.len--;
	if (error != 0)
		config_errors_add(errors, line, "the password file %.200s of smarthost `%.64s` can't be read: %s", path,
			config->smarthosts[i].name, strerror(error));
	else if (content.len > PASSWORD_MAX_BYTES)
		config_errors_add(
			errors, line, "the password file %.200s is larger than %u bytes", path, PASSWORD_MAX_BYTES);
	else if (password.len == 0)
		config_errors_add(errors, line, "the password file %.200s has an empty first line", path);
	else if (view_find(password, '\0') < password.len)
		config_errors_add(errors, line, "the password file %.200s has a NUL byte in it", path);
	else
		config->smarthosts[i].password = config_copy(&memory->arena, password);
	explicit_bzero(content.ptr, content.cap);
	buf_clear(&content);
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
		if (config_memory(config)->password_files[i] != NULL)
			load_password(config, i, &errors);
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

static const struct config_smarthost *find_route(const struct config_memory *memory, struct view domain)
{
	size_t from = 0, to = memory->route_count;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = view_compare(memory->routes[middle].domain, domain);
		if (order == 0)
			return memory->routes[middle].smarthost;
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

const struct config_smarthost *config_find_smarthost(const struct config *config, struct view domain)
{
	const struct config_memory *memory = config_memory(config);
	uint8_t lower[256];
	if (memory->route_count == 0)
		return NULL;
	const struct config_smarthost *found = NULL;
	if (domain.len <= sizeof lower) {
		for (size_t i = 0; i < domain.len; i++)
			lower[i] = ascii_lower(domain.ptr[i]);
		struct view rest = view_of(lower, domain.len);
		found = find_route(memory, rest);
		/* ".example.com" is for what is below example.com, the nearest parent first. */
		for (size_t i = 1; found == NULL && i < rest.len; i++)
			if (rest.ptr[i] == '.')
				found = find_route(memory, view_from(rest, i));
	}
	return found != NULL ? found : find_route(memory, VIEW("*"));
}
