/* A refresh token that took the place of another is written where that one was read. */
#include "service/oauth_private.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct keep {
	struct worker_job work; /* first */
	char *smarthost, *path;
	struct buf content; /* the token and a line end */
	int error; /* errno; 0: it is kept */
};

static int write_all(int fd, struct view bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);
		if (n < 0 && errno != EINTR)
			return errno;
		if (n > 0)
			bytes = view_from(bytes, (size_t)n);
	}
	return fsync(fd) != 0 ? errno : 0;
}

static int write_file(const char *path, int flags, struct view bytes)
{
	int fd = open(path, flags | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno;
	int error = write_all(fd, bytes);
	if (error == 0 && ftruncate(fd, (off_t)bytes.len) != 0)
		error = errno;
	if (close(fd) != 0 && error == 0)
		error = errno;
	return error;
}

/* Beside it and then in its place, so that there is a whole token at any moment. In a folder that is not ours, but with a file that is, there is only
 * the file itself to write to. */
static void keep(struct worker_job *work)
{
	struct keep *k = (struct keep *)(void *)work;
	struct buf beside = { 0 };
	if (buf_append_format(&beside, "%s.new", k->path) != ERR_OK) {
		k->error = ENOMEM;
		return;
	}
	const char *name = buf_cstr(&beside);
	(void)unlink(name);
	k->error = write_file(name, O_CREAT | O_EXCL, buf_view(&k->content));
	if (k->error == 0 && rename(name, k->path) != 0)
		k->error = errno;
	if (k->error == EACCES || k->error == EPERM || k->error == EROFS)
		k->error = write_file(k->path, 0, buf_view(&k->content));
	buf_clear(&beside);
}

static void log_loss(const char *smarthost, const char *reason)
{
	LOG(LOG_LEVEL_WARNING, "oauth-token-not-kept", LOG_CSTR("smarthost", smarthost), LOG_CSTR("reason", reason),
		LOG_CSTR("hint",
			"the new refresh token is known to this process only; make oauth_refresh_token_file writable "
			"to the "
			"server's user"));
}

static void kept(struct worker_job *work)
{
	struct keep *k = (struct keep *)(void *)work;
	if (k->error != 0)
		log_loss(k->smarthost, strerror(k->error));
	else
		LOG(LOG_LEVEL_INFO, "oauth-token-kept", LOG_CSTR("smarthost", k->smarthost), LOG_CSTR("file", k->path));
	explicit_bzero(k->content.ptr, k->content.cap);
	buf_clear(&k->content);
	mem_free(k->smarthost);
	mem_free(k->path);
	mem_free(k);
}

void oauth_keep(struct server *server, struct loop *loop, const char *smarthost, const char *path, struct view token)
{
	if (path == NULL) {
		log_loss(smarthost, "the one before it came from the environment");
		return;
	}
	struct keep *k = mem_alloc(sizeof *k);
	k->smarthost = view_to_cstr(view_from_cstr(smarthost));
	k->path = view_to_cstr(view_from_cstr(path));
	enum err err = buf_reserve(&k->content, token.len + 2);
	if (err == ERR_OK)
		err = buf_append(&k->content, token);
	if (err == ERR_OK)
		err = buf_append_byte(&k->content, '\n');
	ASSERT(err == ERR_OK); /* a token is bounded */
	k->work.work = keep;
	k->work.done = kept;
	if (worker_pool_run(server->workers, loop, &k->work) != ERR_OK) {
		k->error = EAGAIN;
		kept(&k->work);
	}
}
