/*
 * bounce_classify() against the classification rules that operators of KumoMTA share: regular expressions for servers' replies, by class. Each is
 * turned into a reply that it matches (the shortest of the plain kind), which is then classified. Theirs has fewer classes, so each stands for a set of
 * ours. Printed are the precision per class of ours and what was met per class of theirs; it fails when fewer are right than before.
 */
#include "mail/bounce_class.h"
#include "mail/conformance.h"

#define MUST_BE_RIGHT 121u

#define B(class) (1u << (class))
static struct theirs {
	const char *name;
	unsigned classes; /* bits */
	unsigned total, right;
} theirs[] = {
	{ "InvalidRecipient", B(BOUNCE_BAD_MAILBOX), 0, 0 },
	{ "BadDomain", B(BOUNCE_BAD_DOMAIN), 0, 0 },
	/* One of its rules is a mailbox that has been over quota for so long that nobody is there. */
	{ "InactiveMailbox", B(BOUNCE_INACTIVE) | B(BOUNCE_FULL), 0, 0 },
	{ "InvalidSender", B(BOUNCE_BAD_SENDER), 0, 0 },
	{ "QuotaIssues", B(BOUNCE_FULL) | B(BOUNCE_TOO_LARGE) | B(BOUNCE_SYSTEM), 0, 0 },
	{ "NoAnswerFromHost", B(BOUNCE_NETWORK), 0, 0 },
	{ "BadConnection", B(BOUNCE_NETWORK), 0, 0 },
	{ "DNSFailure", B(BOUNCE_DNS) | B(BOUNCE_BAD_DOMAIN), 0, 0 },
	{ "RoutingErrors", B(BOUNCE_RELAY) | B(BOUNCE_LOOP) | B(BOUNCE_BAD_DOMAIN) | B(BOUNCE_DNS), 0, 0 },
	{ "TransientFailure", B(BOUNCE_SYSTEM) | B(BOUNCE_RATE) | B(BOUNCE_GREYLIST) | B(BOUNCE_NETWORK), 0, 0 },
	{ "MessageExpired", B(BOUNCE_EXPIRED), 0, 0 },
	{ "ProtocolErrors", B(BOUNCE_PROTOCOL) | B(BOUNCE_CONTENT), 0, 0 },
	/* Ours is about SPF, DKIM and DMARC; theirs also about senders whose domain is not there, missing logins, and 5.7.30, which asks for
	 * TLS. */
	{ "AuthenticationFailed",
		B(BOUNCE_AUTHENTICATION) | B(BOUNCE_POLICY) | B(BOUNCE_BAD_SENDER) | B(BOUNCE_PTR) | B(BOUNCE_TLS), 0,
		0 },
	{ "PolicyRelated", B(BOUNCE_POLICY) | B(BOUNCE_RATE) | B(BOUNCE_CONTENT), 0, 0 },
	{ "TooManyRecipients", B(BOUNCE_RATE) | B(BOUNCE_POLICY) | B(BOUNCE_PROTOCOL), 0, 0 },
	{ "SpamBlock", B(BOUNCE_REPUTATION) | B(BOUNCE_CONTENT) | B(BOUNCE_POLICY), 0, 0 },
	{ "SpamContent", B(BOUNCE_CONTENT) | B(BOUNCE_VIRUS), 0, 0 },
};
static unsigned verdicts[BOUNCE_CLASSES], verdicts_right[BOUNCE_CLASSES];

static struct theirs *find_theirs(struct view name)
{
	for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++)
		if (view_eq(name, view_from_cstr(theirs[i].name)))
			return &theirs[i];
	printf("WRONG: the class %.*s is not known here\n", VIEW_ARG(name));
	exit(1);
}

static void put(struct buf *out, struct view text)
{
	if (buf_append(out, text) != ERR_OK)
		abort();
}

/* One character of a reply that the next element of the expression matches, without its quantifier. Takes the element off the front. */
static char take_element(struct view *rest, const struct buf *before)
{
	char c = (char)rest->ptr[0];
	size_t len = 1;
	if (c == '\\' && rest->len > 1) {
		bool is_escaped = rest->ptr[1] == '\\' && rest->len > 2; /* TOML's own backslash */
		c = (char)rest->ptr[is_escaped ? 2 : 1];
		len = is_escaped ? 3 : 2;
		/* A digit: of 550, or of an enhanced code. */
		c = c != 'd' ? c : before->len == 2 ? '0' : '5';
	} else if (c == '[') {
		c = (char)rest->ptr[1];
		/* [45]: the class of the enhanced code is that of the code. */
		if (c == '4' && before->len > 0 && before->ptr[0] == '5' && rest->ptr[2] == '5')
			c = '5';
		len = view_find(*rest, ']') + 1;
	} else if (c == '.') {
		c = ' ';
	}
	*rest = view_from(*rest, len);
	return c;
}

/* A reply that the expression matches. Of alternatives the first, or the last where that agrees with the rest ("(451|550) [45]…"). */
static void make_reply(struct view pattern, struct buf *out)
{
	while (pattern.len > 0) {
		char c = (char)pattern.ptr[0];
		if (c == '^' || c == '$' || c == ')') {
			pattern = view_from(pattern, 1);
			continue;
		}
		if (c == '(') {
			struct view inside = view_sub(pattern, 1, view_find(pattern, ')') - 1);
			size_t last = view_find_last(inside, '|');
			pattern = view_from(pattern, last < inside.len ? last + 2 : 1);
			continue;
		}
		char one = take_element(&pattern, out);
		size_t times = 1;
		if (pattern.len > 2 && pattern.ptr[0] == '{') {
			times = (size_t)(pattern.ptr[1] - '0');
			pattern = view_from(pattern, 3);
		} else if (pattern.len > 0 && (pattern.ptr[0] == '+' || pattern.ptr[0] == '*')) {
			pattern = view_from(pattern, 1);
		}
		put(out, view_of(&one, 1));
		for (; times > 1; times--)
			put(out, VIEW("0"));
	}
}

static void check(struct theirs *class, struct view pattern)
{
	struct buf text = { 0 };
	make_reply(pattern, &text);
	struct bounce_reply reply = bounce_reply_from(buf_view(&text));
	struct bounce_verdict verdict = bounce_classify(&reply);
	bool right = (class->classes & B(verdict.class)) != 0;
	class->total++;
	verdicts[verdict.class]++;
	class->right += right;
	verdicts_right[verdict.class] += right;
	if (!right)
		printf("%.*s instead of %s: %s\n", VIEW_ARG(bounce_class_name(verdict.class)), class->name,
			buf_cstr(&text));
	buf_clear(&text);
}

/* Of TOML just what the two files have: `Class = [`, then a string per line. */
static void check_file(const char *name)
{
	struct buf rules = { 0 };
	struct theirs *class = NULL;
	read_suite(__FILE__, name, &rules);
	struct view rest = buf_view(&rules), line;
	while (view_split(&rest, '\n', &line)) {
		line = view_trim(line);
		size_t equals = view_find(line, '=');
		if (line.len > 1 && line.ptr[0] == '"' && class != NULL) {
			struct view inside = view_from(line, 1);
			size_t comment = 0;
			/* To the last quote before a comment. */
			while (comment < inside.len && inside.ptr[comment] != '#')
				comment++;
			inside = view_sub(inside, 0, comment);
			check(class, view_sub(inside, 0, view_find_last(inside, '"')));
		} else if (line.len > 0 && line.ptr[0] != '#' && equals < line.len) {
			class = find_theirs(view_trim(view_sub(line, 0, equals)));
		}
	}
	buf_clear(&rules);
}

int main(void)
{
	unsigned right = 0, total = 0;
	check_file("bounce-kumomta/assets/bounce_classifier/iana.toml");
	check_file("bounce-kumomta/assets/community/bounces.toml");
	for (size_t i = 0; i < BOUNCE_CLASSES; i++) {
		if (verdicts[i] > 0)
			printf("precision %-16.*s %3u/%u\n", VIEW_ARG(bounce_class_name((enum bounce_class)i)),
				verdicts_right[i], verdicts[i]);
		right += verdicts_right[i];
		total += verdicts[i];
	}
	for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++)
		if (theirs[i].total > 0)
			printf("met       %-20s %3u/%u\n", theirs[i].name, theirs[i].right, theirs[i].total);
	printf("CONFORMANCE bounce-patterns-kumomta %u/%u\n", right, total);
	return right >= MUST_BE_RIGHT && total > 0 ? 0 : 1;
}
