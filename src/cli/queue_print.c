#include "cli/queue_print.h"

#include "cli/cli.h"

#include <string.h>

static int64_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
	return cli_text(json_object_get(object, key));
}

static const char *sender_of(const json_t *message)
{
	const char *sender = text(message, "sender");
	return sender[0] != '\0' ? sender : "<> (a bounce)";
}

static void print_recipient(const json_t *recipient, int64_t now_ms)
{
	const char *state = text(recipient, "state");
	int64_t attempts = number(recipient, "attempts");
	int64_t wait_ms = number(recipient, "due_at_ms") - now_ms;
	printf("    to %s: %s", text(recipient, "address"), state);
	if (json_is_true(json_object_get(recipient, "returning")))
		printf(", to be returned");
	if (attempts > 0)
		printf(", tried %lld time%s", (long long)attempts, attempts == 1 ? "" : "s");
	if (strcmp(state, "held") != 0 && wait_ms > 0)
		printf(", next in %s", cli_duration(wait_ms).text);
	else if (strcmp(state, "held") != 0)
		printf(", due now");
	if (json_object_get(recipient, "stream") != NULL)
		printf(", stream %s", text(recipient, "stream"));
	if (json_object_get(recipient, "smarthost") != NULL)
		printf(", to smart host %s", text(recipient, "smarthost"));
	putchar('\n');
	if (json_object_get(recipient, "last_reply") != NULL) {
		const char *host = text(recipient, "last_host");
		printf("       %s%s%s%s\n", text(recipient, "last_reply"), host[0] != '\0' ? "  (" : "", host,
			host[0] != '\0' ? ")" : "");
	}
}

void queue_print_message(const json_t *message, int64_t now_ms)
{
	const json_t *recipients = json_object_get(message, "recipients");
	int64_t received_ms = number(message, "received_at_ms");
	printf("%s  %s (%s ago)  %s  from %s\n", text(message, "id"), cli_time(received_ms).text,
		cli_duration(now_ms - received_ms).text, cli_size((uint64_t)number(message, "size_bytes")).text,
		sender_of(message));
	for (size_t i = 0; i < json_array_size(recipients); i++)
		print_recipient(json_array_get(recipients, i), now_ms);
}

/* Header lines of a message, each made safe by itself. */
static void print_lines(const json_t *lines)
{
	struct view rest = view_of(json_string_value(lines), json_string_length(lines));
	struct view line;
	while (view_split(&rest, '\n', &line)) {
		json_t *one = json_stringn((const char *)line.ptr, view_trim(line).len > 0 ? line.len : 0);
		const char *safe = cli_text(one);
		size_t len = strlen(safe);
		/* cli_text() shows the CR as '?'. */
		if (len > 0 && line.len > 0 && line.ptr[line.len - 1] == '\r')
			len--;
		printf("    %.*s\n", (int)len, safe);
		json_decref(one);
	}
}

void queue_print_details(const json_t *message, int64_t now_ms)
{
	static const struct {
		const char *key;
		const char *label;
	} lines[] = {
		{ "source", "came by" },
		{ "account", "submitted by" },
		{ "client", "client address" },
		{ "envid", "envelope id" },
	};
	queue_print_message(message, now_ms);
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if (json_object_get(message, lines[i].key) != NULL)
			printf("%s: %s\n", lines[i].label, text(message, lines[i].key));
	puts("added here:");
	print_lines(json_object_get(message, "head"));
	puts("header:");
	print_lines(json_object_get(message, "header"));
}

void queue_print_summary(const json_t *summary, int64_t now_ms)
{
	int64_t messages = number(summary, "messages");
	int64_t recipients = number(summary, "recipients");
	if (messages == 0) {
		puts("The queue is empty.");
		return;
	}
	if (json_is_false(json_object_get(summary, "complete"))) {
		printf("More than %lld recipients wait; postrider queue summary counts them.\n", (long long)recipients);
		return;
	}
	char suspended[48] = "";
	if (number(summary, "suspended") > 0)
		snprintf(suspended, sizeof suspended, ", %lld suspended", (long long)number(summary, "suspended"));
	printf("%lld message%s for %lld recipient%s (%lld deferred, %lld held%s), %s; the oldest came %s ago.\n",
		(long long)messages, messages == 1 ? "" : "s", (long long)recipients, recipients == 1 ? "" : "s",
		(long long)number(summary, "deferred"), (long long)number(summary, "held"), suspended,
		cli_size((uint64_t)number(summary, "bytes")).text,
		cli_duration(now_ms - number(summary, "oldest_ms")).text);
}
