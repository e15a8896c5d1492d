/* The rules themselves: when a reply looks so, do that. */
#include "queue/shaping_read.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool read_code(struct shaping_reader *r, struct view text, uint8_t code[3])
{
	if (view_eq(text, VIEW("*")))
		text = VIEW("xxx");
	bool ok = text.len == 3;
	for (size_t i = 0; i < 3 && ok; i++) {
		code[i] = ascii_lower(text.ptr[i]);
		ok = ascii_is_digit(code[i]) || code[i] == 'x';
	}
	/* Only those tell of trouble. */
	ok = ok && (code[0] == '4' || code[0] == '5' || code[0] == 'x');
	if (!ok)
		shaping_fail(r, "`%s` is no code of a negative reply: write `421`, `45x`, `4xx`, `5xx` or `*`",
			shaping_show(r, text));
	return ok;
}

static bool is_enhanced(struct view text)
{
	struct view part;
	size_t parts = 0;
	uint64_t n;
	if (text.len == 0 || text.ptr[text.len - 1] == '.')
		return false;
	while (view_split(&text, '.', &part)) {
		parts++;
		if (parts > 1 && view_eq(part, VIEW("*")))
			continue;
		if (view_parse_u64(part, 999, &n) != ERR_OK || (part.len > 1 && part.ptr[0] == '0'))
			return false;
		if (parts == 1 && n != 4 && n != 5)
			return false;
	}
	return parts == 3;
}

static bool read_duration(struct shaping_reader *r, size_t at, int64_t *ret_ms)
{
	uint64_t n;
	if (at < r->count) {
		struct view text = r->tokens[at].text;
		int64_t ms = text.len > 0 ? shaping_unit_ms(view_from(text, text.len - 1)) : 0;
		if (ms > 0 && view_parse_u64(view_sub(text, 0, text.len - 1), 1000000, &n) == ERR_OK && n > 0 &&
			(int64_t)n * ms <= SHAPING_FOR_MAX_MS) {
			*ret_ms = (int64_t)n * ms;
			return true;
		}
	}
	shaping_fail(r, "for how long? Write `30s`, `10m`, `2h` or `1d` (at most 7d)");
	return false;
}

static bool read_slow(struct shaping_reader *r, size_t *at, struct shaping_action *action)
{
	uint64_t n;
	struct view text = *at < r->count ? r->tokens[*at].text : VIEW_NONE;
	bool has_sign = text.len > 0 && text.ptr[text.len - 1] == '%';
	if (!has_sign || view_parse_u64(view_sub(text, 0, text.len - 1), 99, &n) != ERR_OK || n == 0) {
		shaping_fail(r, "slow to how much? Write `slow 50%% for 10m` (1%% to 99%%)");
		return false;
	}
	action->percent = (uint32_t)n;
	++*at;
	if (*at >= r->count || !view_eq_nocase(r->tokens[*at].text, VIEW("for"))) {
		shaping_fail(r, "slow for how long? Write `slow %u%% for 10m`", action->percent);
		return false;
	}
	++*at;
	return read_duration(r, (*at)++, &action->for_ms);
}

static bool read_suspend(struct shaping_reader *r, size_t *at, struct shaping_action *action)
{
	if (*at < r->count && view_eq_nocase(r->tokens[*at].text, VIEW("for")))
		++*at;
	return read_duration(r, (*at)++, &action->for_ms);
}

static bool read_bare(struct shaping_reader *r, size_t *at, struct shaping_action *action)
{
	(void)r;
	(void)at;
	(void)action;
	return true;
}

static const struct {
	const char *name;
	enum shaping_action_kind kind;
	bool (*read)(struct shaping_reader *r, size_t *at, struct shaping_action *action);
} actions[] = {
	{ "slow", SHAPING_SLOW, read_slow },
	{ "suspend", SHAPING_SUSPEND, read_suspend },
	{ "next-host", SHAPING_NEXT_HOST, read_bare },
	{ "nothing", SHAPING_NOTHING, read_bare },
};

static bool read_action(struct shaping_reader *r, size_t at, struct shaping_action *action)
{
	struct view word = at < r->count && !r->tokens[at].is_quoted ? r->tokens[at].text : VIEW_NONE;
	const char *names[COUNT(actions)];
	for (size_t i = 0; i < COUNT(actions); i++) {
		names[i] = actions[i].name;
		if (!view_eq_nocase(word, view_from_cstr(actions[i].name)))
			continue;
		at++;
		action->kind = actions[i].kind;
		if (!actions[i].read(r, &at, action))
			return false;
		if (at < r->count)
			shaping_fail(r, "`%s` stands behind the end of the rule: words come before the action",
				shaping_show(r, r->tokens[at].text));
		return at >= r->count;
	}
	if (word.len == 0) {
		shaping_fail(r,
			"what is to be done? End the rule with `slow 50%% for 10m`, `suspend 1h`, `next-host` or "
			"`nothing`");
		return false;
	}
	shaping_fail(r,
		"`%s` is no action%s (slow N%% for TIME, suspend TIME, next-host, nothing); words of a reply need "
		"quotes",
		shaping_show(r, word), shaping_did_you_mean(r, word, COUNT(actions), names));
	return false;
}

void shaping_read_when(struct shaping_reader *r)
{
	struct shaping_rule *rule = shaping_get(r, sizeof *rule);
	if (r->count < 2 || r->tokens[1].is_quoted) {
		shaping_fail(
			r, "`when` needs the code of a reply: write `when 421 4.7.* \"too many\" slow 50%% for 10m`");
		return;
	}
	if (!read_code(r, r->tokens[1].text, rule->code))
		return;
	size_t at = 2;
	struct view third = at < r->count && !r->tokens[at].is_quoted ? r->tokens[at].text : VIEW_NONE;
	if (view_eq(third, VIEW("*"))) {
		at++;
	} else if (third.len > 0 && (ascii_is_digit(third.ptr[0]) || view_find(third, '.') < third.len)) {
		if (!is_enhanced(third)) {
			shaping_fail(r, "`%s` is no enhanced code: write `4.7.28`, `4.7.*`, `4.*.*` or `*`",
				shaping_show(r, third));
			return;
		}
		if (rule->code[0] != 'x' && rule->code[0] != third.ptr[0]) {
			shaping_fail(r, "%.3s and `%s` never come together: both begin with the same digit",
				(const char *)rule->code, shaping_show(r, third));
			return;
		}
		rule->enhanced = shaping_keep(r, third);
		at++;
	}
	for (; at < r->count && r->tokens[at].is_quoted; at++) {
		if (rule->word_count == SHAPING_WORDS_MAX) {
			shaping_fail(r, "more than %u quoted words in one rule", SHAPING_WORDS_MAX);
			return;
		}
		rule->words[rule->word_count++] = shaping_keep(r, r->tokens[at].text);
	}
	if (!read_action(r, at, &rule->action))
		return;
	rule->action.rule = shaping_keep(r, r->rule);
	rule->action.line = r->source == SHAPING_FILE ? r->line : 0;
	struct shaping_layer *layer = shaping_layer_of(r);
	*layer->rules_end = rule;
	layer->rules_end = &rule->next;
}
