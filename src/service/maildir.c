#include "service/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES 65536u
#define NAME_MAX_BYTES 255u
#define FOLDER_NAME_MAX_BYTES 200u
#define SUBSCRIPTIONS_MAX_BYTES (1024u * 1024)

static enum err append_name(struct buf *out, struct view part)
{
	enum err err = ERR_OK;
	for (size_t i = 0; i < part.len && err == ERR_OK; i++) {
		uint8_t c = ascii_lower(part.ptr[i]);
		bool plain = ascii_is_alnum(c) || c >= 0x80 || c == '_' || c == '-' || c == '+' || c == '=' ||
			(c == '.' && i > 0);
		err = plain ? buf_append_byte(out, c) : buf_append_format(out, "%%%02x", c);
	}
	return err;
}

enum err maildir_path(const char *mail_folder, struct view mailbox, struct buf *ret_path)
{
	size_t at = view_find_last(mailbox, '@');
	if (at == 0 || at >= mailbox.len - 1)
		return err_set(ERR_SYNTAX, "the mailbox has no local@domain name");
	enum err err = buf_append_cstr(ret_path, mail_folder);
	if (err == ERR_OK)
		err = buf_append_byte(ret_path, '/');
	if (err == ERR_OK)
		err = append_name(ret_path, view_from(mailbox, at + 1));
	if (err == ERR_OK)
		err = buf_append_byte(ret_path, '/');
	if (err == ERR_OK)
		err = append_name(ret_path, view_sub(mailbox, 0, at));
	return err;
}

static enum err failed(const char *what, const char *path)
{
	int e = errno;
	return err_set(err_from_errno(e), "cannot %s %s: %s", what, path, strerror(e));
}

static enum err sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return failed("open", path);
	enum err err = fsync(fd) == 0 ? ERR_OK : failed("sync", path);
	close(fd);
	return err;
}

/* mkdir -p; what was made is synced in its parent, so that a power cut can't take the folder with the message. */
static enum err make_folders(char *path)
{
	struct stat st;
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? ERR_OK : err_set(ERR_IO, "%s is no folder", path);
	char *slash = strrchr(path, '/');
	if (slash == NULL || slash == path)
		return mkdir(path, 0700) == 0 || errno == EEXIST ? ERR_OK : failed("create folder", path);
	*slash = '\0';
	enum err err = make_folders(path);
	*slash = '/';
	if (err == ERR_OK && mkdir(path, 0700) != 0 && errno != EEXIST)
		err = failed("create folder", path);
	if (err == ERR_OK) {
		*slash = '\0';
		err = sync_folder(path);
		*slash = '/';
	}
	return err;
}

static enum err make_maildir(const char *folder)
{
	static const char *const parts[] = { "tmp", "new", "cur" };
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		char path[PATH_MAX];
		int n = snprintf(path, sizeof path, "%s/%s", folder, parts[i]);
		if (n < 0 || (size_t)n >= sizeof path)
			return err_set(ERR_LIMIT, "the mailbox's path is too long: %s", folder);
		enum err err = make_folders(path);
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}

static bool is_folder_name(const char *name)
{
	struct view v = view_from_cstr(name);
	for (size_t i = 0; i < v.len; i++)
		if (!ascii_is_printable(v.ptr[i]) || v.ptr[i] == '/' || v.ptr[i] == '.' || v.ptr[i] == '~')
			return false;
	return v.len > 0 && v.len <= FOLDER_NAME_MAX_BYTES;
}

static bool is_subscribed(int fd, const char *name)
{
	struct buf text = { 0 };
	struct view rest, line;
	bool found = false;
	ssize_t n = 1;
	while (n > 0 && text.len < SUBSCRIPTIONS_MAX_BYTES && buf_reserve(&text, CHUNK_BYTES) == ERR_OK) {
		n = read(fd, text.ptr + text.len, CHUNK_BYTES);
		text.len += n > 0 ? (size_t)n : 0;
	}
	rest = buf_view(&text);
	while (!found && view_split(&rest, '\n', &line))
		found = view_eq(view_trim(line), view_from_cstr(name));
	buf_clear(&text);
	return found;
}

/* Mail programs show the folders that are subscribed to: one name a line, as Dovecot and others keep it. That it can't be written is no reason
 * to keep the mail back. */
static void subscribe(const char *mailbox, const char *name)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/subscriptions", mailbox);
	if (n < 0 || (size_t)n >= sizeof path)
		return;
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (!is_subscribed(fd, name) && dprintf(fd, "%s\n", name) > 0)
		(void)fdatasync(fd);
	close(fd);
}

/* Maildir++: ".Junk" beside new and cur, with an empty file that says what it is. */
static enum err make_subfolder(const char *mailbox, const char *name, char ret_path[PATH_MAX])
{
	char mark[PATH_MAX];
	int a = snprintf(ret_path, PATH_MAX, "%s/.%s", mailbox, name);
	int b = snprintf(mark, sizeof mark, "%s/.%s/maildirfolder", mailbox, name);
	if (a < 0 || b < 0 || a >= PATH_MAX || (size_t)b >= sizeof mark)
		return err_set(ERR_LIMIT, "the mailbox's path is too long: %s", mailbox);
	bool is_there = access(mark, F_OK) == 0;
	enum err err = make_maildir(ret_path);
	if (err != ERR_OK || is_there)
		return err;
	int fd = open(mark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed("create", mark);
	close(fd);
	subscribe(mailbox, name);
	return ERR_OK;
}

/* Bytes on their way into the file; a CR waits until it is known whether an LF follows it. */
struct writer {
	int fd;
	bool keep;
	bool cr_waits;
	size_t len;
	uint8_t bytes[CHUNK_BYTES];
};

static enum err flush(struct writer *w)
{
	size_t at = 0;
	while (at < w->len) {
		ssize_t n = write(w->fd, w->bytes + at, w->len - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err_from_errno(errno), "cannot write to the mailbox: %s", strerror(errno));
		at += (size_t)n;
	}
	w->len = 0;
	return ERR_OK;
}

static enum err put(struct writer *w, struct view bytes)
{
	while (bytes.len > 0) {
		if (w->len == sizeof w->bytes) {
			enum err err = flush(w);
			if (err != ERR_OK)
				return err;
		}
		size_t room = sizeof w->bytes - w->len;
		size_t n = bytes.len < room ? bytes.len : room;
		memcpy(w->bytes + w->len, bytes.ptr, n);
		w->len += n;
		bytes = view_from(bytes, n);
	}
	return ERR_OK;
}

static enum err put_text(struct writer *w, struct view text)
{
	enum err err = ERR_OK;
	if (w->keep)
		return put(w, text);
	while (text.len > 0 && err == ERR_OK) {
		if (w->cr_waits && text.ptr[0] != '\n')
			err = put(w, VIEW("\r"));
		w->cr_waits = false;
		size_t cr = view_find(text, '\r');
		if (err == ERR_OK)
			err = put(w, view_sub(text, 0, cr));
		w->cr_waits = cr < text.len;
		text = view_from(text, cr + 1);
	}
	return err;
}

static enum err put_file(struct writer *w, int fd)
{
	static _Thread_local uint8_t chunk[CHUNK_BYTES];
	off_t at = 0;
	for (;;) {
		ssize_t n = pread(fd, chunk, sizeof chunk, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err_from_errno(errno), "cannot read the spool file: %s", strerror(errno));
		if (n == 0)
			return ERR_OK;
		enum err err = put_text(w, view_of(chunk, (size_t)n));
		if (err != ERR_OK)
			return err;
		at += n;
	}
}

static enum err write_message(const struct maildir_message *message, const char *path)
{
	static _Thread_local struct writer writer;
	struct writer *w = &writer;
	w->len = 0;
	w->cr_waits = false;
	w->keep = message->keep_line_ends;
	/* A file of that name in tmp/ is what a crash left of the same delivery. */
	w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (w->fd < 0)
		return failed("create", path);
	enum err err = put_text(w, message->front);
	if (err == ERR_OK)
		err = message->body_fd >= 0 ? put_file(w, message->body_fd) : put_text(w, message->body);
	if (err == ERR_OK && w->cr_waits)
		err = put(w, VIEW("\r"));
	if (err == ERR_OK)
		err = flush(w);
	if (err == ERR_OK && fsync(w->fd) != 0)
		err = failed("sync", path);
	if (close(w->fd) != 0 && err == ERR_OK)
		err = failed("close", path);
	if (err != ERR_OK)
		unlink(path);
	return err;
}

static enum err format_name(const struct maildir_message *message, struct buf *out)
{
	enum err err = buf_append_format(out, "%lld.Q%sR%u.", (long long)(message->received_at_ms / 1000), message->id,
		(unsigned)message->index);
	/* '/' and ':' have a meaning in Maildir names. */
	for (const char *c = message->hostname; *c != '\0' && err == ERR_OK && out->len < NAME_MAX_BYTES - 8; c++)
		err = *c == '/'     ? buf_append_cstr(out, "\\057")
			: *c == ':' ? buf_append_cstr(out, "\\072")
				    : buf_append_byte(out, (uint8_t)*c);
	return err;
}

enum err maildir_deliver(const struct maildir_message *message)
{
	enum err err = make_maildir(message->folder);
	struct buf name = { 0 };
	char subfolder[PATH_MAX], from[PATH_MAX], to[PATH_MAX], folder[PATH_MAX];
	const char *base = message->folder;
	if (err == ERR_OK && message->subfolder != NULL) {
		base = subfolder;
		err = make_subfolder(
			message->folder, is_folder_name(message->subfolder) ? message->subfolder : "Junk", subfolder);
	}
	if (err == ERR_OK)
		err = format_name(message, &name);
	if (err == ERR_OK) {
		int a = snprintf(from, sizeof from, "%s/tmp/%s", base, buf_cstr(&name));
		int b = snprintf(to, sizeof to, "%s/new/%s", base, buf_cstr(&name));
		int c = snprintf(folder, sizeof folder, "%s/new", base);
		if (a < 0 || b < 0 || c < 0 || (size_t)a >= sizeof from || (size_t)b >= sizeof to)
			err = err_set(ERR_LIMIT, "the mailbox's path is too long: %s", message->folder);
	}
	buf_clear(&name);
	if (err == ERR_OK)
		err = write_message(message, from);
	if (err != ERR_OK)
		return err;
	if (rename(from, to) != 0) {
		err = failed("move into place", to);
		unlink(from);
		return err;
	}
	return sync_folder(folder);
}
