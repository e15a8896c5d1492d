#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define VALUE_MAX_BYTES 1024u
#define GATHER_BYTES 32768u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum log_target target = LOG_TARGET_STDERR;
static enum log_format format = LOG_FORMAT_LOGFMT;
static _Atomic int level_max = LOG_LEVEL_INFO;
static struct buf waiting;

static const char *const level_names[] = { "error", "warning", "info", "debug" };
static const int syslog_levels[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

void log_setup(enum log_target new_target, enum log_format new_format, enum log_level level)
{
	log_flush();
	pthread_mutex_lock(&lock);
	target = new_target;
	format = new_format;
	pthread_mutex_unlock(&lock);
	atomic_store(&level_max, (int)level);
	if (new_target == LOG_TARGET_SYSLOG)
		openlog("postrider", LOG_PID, LOG_MAIL);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

/* A failed append can only mean a line beyond the buffer's bound: the line is cut, the log goes on. */
static void add(struct buf *line, struct view v)
{
	if (buf_append(line, v) != ERR_OK)
		return;
}

static void add_cstr(struct buf *line, const char *s)
{
	add(line, view_from_cstr(s));
}

static void add_time(struct buf *line)
{
	/* Formatting a date costs more than the rest of a line; within one second only the milliseconds change. */
	static _Thread_local time_t known_second = -1;
	static _Thread_local char known_text[32];
	int64_t now_ms = clock_wall_ms();
	time_t second = (time_t)(now_ms / 1000);
	if (second != known_second) {
		struct tm tm;
		gmtime_r(&second, &tm);
		strftime(known_text, sizeof known_text, "%Y-%m-%dT%H:%M:%S", &tm);
		known_second = second;
	}
	if (buf_append_format(line, "%s.%03dZ", known_text, (int)(now_ms % 1000)) != ERR_OK)
		return;
}

static bool is_plain(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if (!ascii_is_printable(v.ptr[i]) || v.ptr[i] == ' ' || v.ptr[i] == '"' || v.ptr[i] == '=' ||
			v.ptr[i] == '\\')
			return false;
	return true;
}

static void add_json_text(struct buf *line, struct view v)
{
	v = view_sub(v, 0, VALUE_MAX_BYTES);
	bool utf8 = view_is_utf8(v);
	add(line, VIEW("\""));
	for (size_t i = 0; i < v.len; i++) {
		uint8_t c = v.ptr[i];
		char code[8];
		if (c == '"' || c == '\\')
			snprintf(code, sizeof code, "\\%c", c);
		else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
			snprintf(code, sizeof code, "\\u%04x", c);
		else
			snprintf(code, sizeof code, "%c", c);
		add_cstr(line, code);
	}
	add(line, VIEW("\""));
}

static void add_logfmt_text(struct buf *line, struct view v)
{
	if (is_plain(v) && v.len <= VALUE_MAX_BYTES) {
		add(line, v);
		return;
	}
	add(line, VIEW("\""));
	if (buf_append_escaped(line, v, VALUE_MAX_BYTES) != ERR_OK)
		return;
	add(line, VIEW("\""));
}

void log_format_fields(struct buf *out, size_t field_count, const struct log_field *fields)
{
	for (size_t i = 0; i < field_count; i++) {
		const struct log_field *f = &fields[i];
		if (!f->is_number && f->text.len == 0)
			continue;
		if (out->len > 0)
			add(out, VIEW(" "));
		add_cstr(out, f->name);
		add(out, VIEW("="));
		if (!f->is_number)
			add_logfmt_text(out, f->text);
		else if (buf_append_format(out, "%lld", (long long)f->number) != ERR_OK)
			return;
	}
}

static void format_line(struct buf *line, enum log_level level, const char *event, size_t count,
	const struct log_field *fields, enum log_format as)
{
	bool json = as == LOG_FORMAT_JSON;
	add_cstr(line, json ? "{\"time\":\"" : "time=");
	add_time(line);
	add_cstr(line, json ? "\",\"level\":\"" : " level=");
	add_cstr(line, level_names[level]);
	add_cstr(line, json ? "\",\"event\":\"" : " event=");
	add_cstr(line, event);
	add_cstr(line, json ? "\"" : "");
	for (size_t i = 0; i < count; i++) {
		const struct log_field *f = &fields[i];
		if (!f->is_number && f->text.len == 0)
			continue;
		add_cstr(line, json ? ",\"" : " ");
		add_cstr(line, f->name);
		add_cstr(line, json ? "\":" : "=");
		if (f->is_number) {
			if (buf_append_format(line, "%lld", (long long)f->number) != ERR_OK)
				return;
		} else if (json) {
			add_json_text(line, f->text);
		} else {
			add_logfmt_text(line, f->text);
		}
	}
	add_cstr(line, json ? "}\n" : "\n");
}

static void write_all(const uint8_t *ptr, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, ptr, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nobody reads our stderr: there is nowhere left to say so */
		ptr += n;
		len -= (size_t)n;
	}
}

static void flush_locked(void)
{
	write_all(waiting.ptr, waiting.len);
	buf_reset(&waiting);
}

static void send_journald(struct view line, int priority)
{
	static int fd = -1;
	if (fd < 0)
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
	struct buf datagram = { 0 };
	if (buf_append_format(&datagram, "PRIORITY=%d\nSYSLOG_IDENTIFIER=postrider\nMESSAGE=", priority) == ERR_OK &&
		buf_append(&datagram, line) == ERR_OK &&
		sendto(fd, datagram.ptr, datagram.len, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to) <
			0)
		write_all(line.ptr, line.len); /* no journal here: stderr is better than silence */
	buf_clear(&datagram);
}

void log_event(enum log_level level, const char *event, size_t field_count, const struct log_field *fields)
{
	if (!log_enabled(level))
		return;
	pthread_mutex_lock(&lock);
	if (target == LOG_TARGET_STDERR) {
		format_line(&waiting, level, event, field_count, fields, format);
		if (waiting.len >= GATHER_BYTES || level <= LOG_LEVEL_WARNING)
			flush_locked();
	} else {
		static struct buf line;
		buf_reset(&line);
		format_line(&line, level, event, field_count, fields, format);
		if (target == LOG_TARGET_SYSLOG)
			syslog(syslog_levels[level], "%.*s", VIEW_ARG(buf_view(&line)));
		else
			send_journald(buf_view(&line), syslog_levels[level]);
	}
	pthread_mutex_unlock(&lock);
}

void log_flush(void)
{
	pthread_mutex_lock(&lock);
	if (waiting.len > 0)
		flush_locked();
	pthread_mutex_unlock(&lock);
}
