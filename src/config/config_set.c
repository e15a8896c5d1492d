/* One value into its field: a table of types. */
#include "config/config_private.h"

#include "config/config_value.h"

#include <string.h>

struct target {
	const struct config_set_context *context;
	const struct config_key *key;
	void *field;
	struct view value;
	struct buf why; /* what is wrong with the value, when it is not just its form */
};

typedef bool (*set_function)(struct target *);

static bool in_range(const struct target *t, uint64_t n)
{
	return n >= t->key->minimum && n <= t->key->maximum;
}

static bool set_u16(struct target *t)
{
	uint64_t n;
	if (view_parse_u64(t->value, UINT16_MAX, &n) != ERR_OK || !in_range(t, n))
		return false;
	*(uint16_t *)t->field = (uint16_t)n;
	return true;
}

static bool set_u32(struct target *t)
{
	uint64_t n;
	if (view_parse_u64(t->value, UINT32_MAX, &n) != ERR_OK || !in_range(t, n))
		return false;
	*(uint32_t *)t->field = (uint32_t)n;
	return true;
}

static bool set_duration_u32(struct target *t)
{
	uint64_t n;
	if (config_parse_duration(t->value, &n) != ERR_OK || !in_range(t, n) || n > UINT32_MAX)
		return false;
	*(uint32_t *)t->field = (uint32_t)n;
	return true;
}

static bool set_duration_i64(struct target *t)
{
	uint64_t n;
	if (config_parse_duration(t->value, &n) != ERR_OK || !in_range(t, n))
		return false;
	*(int64_t *)t->field = (int64_t)n;
	return true;
}

static bool set_size(struct target *t)
{
	uint64_t n;
	if (config_parse_size(t->value, &n) != ERR_OK || !in_range(t, n))
		return false;
	*(uint64_t *)t->field = n;
	return true;
}

static bool set_bool(struct target *t)
{
	return config_parse_bool(t->value, t->field) == ERR_OK;
}

/* Index among the key's choices, or -1; offers the nearest. */
static int find_choice(struct target *t)
{
	struct config_nearest nearest;
	config_nearest_init(&nearest, t->value);
	for (int i = 0; t->key->choices[i] != NULL; i++) {
		struct view choice = view_from_cstr(t->key->choices[i]);
		if (view_eq_nocase(choice, t->value))
			return i;
		config_nearest_offer(&nearest, choice);
	}
	if (nearest.best.len > 0 &&
		buf_append_format(&t->why, "; did you mean `%.*s`?", VIEW_ARG(nearest.best)) != ERR_OK)
		buf_reset(&t->why);
	return -1;
}

_Static_assert(
	sizeof(enum config_tls_policy) == sizeof(int) && sizeof(enum log_level) == sizeof(int), "enums are ints");

static bool set_choice(struct target *t)
{
	int i = find_choice(t);
	if (i < 0)
		return false;
	memcpy(t->field, &i, sizeof i);
	return true;
}

static bool set_word(struct target *t)
{
	int i = find_choice(t);
	if (i < 0)
		return false;
	*(const char **)t->field = t->key->choices[i];
	return true;
}

static bool value_is_fine(struct target *t)
{
	const char *valid = t->key->check != NULL ? t->key->check(t->value) : NULL;
	if (valid != NULL && buf_append_cstr(&t->why, valid) != ERR_OK)
		buf_reset(&t->why);
	return valid == NULL;
}

static bool set_text(struct target *t)
{
	if (!value_is_fine(t))
		return false;
	*(const char **)t->field = config_copy(t->context->arena, t->value);
	return true;
}

static bool set_ip(struct target *t, bool v6)
{
	struct net_address address;
	if (net_address_parse(t->value, 0, &address) != ERR_OK || net_address_is_v6(&address) != v6)
		return false;
	*(struct net_address *)t->field = address;
	return true;
}

static bool set_ipv4(struct target *t)
{
	return set_ip(t, false);
}

static bool set_ipv6(struct target *t)
{
	return set_ip(t, true);
}

/* The list's array, made at its first value with room for `each` elements per value of the file. */
static void *list_array(struct target *t, size_t each, size_t size)
{
	void **array = t->field;
	if (t->context->setting->index == 0)
		*array = config_alloc(t->context->arena, t->context->list_count * each * size);
	return *array;
}

static size_t *list_count(struct target *t)
{
	return (size_t *)(void *)((char *)t->context->base + t->key->count_offset);
}

static bool set_text_list(struct target *t)
{
	const char **array = list_array(t, 1, sizeof *array);
	if (!value_is_fine(t))
		return false;
	array[(*list_count(t))++] = config_copy(t->context->arena, t->value);
	return true;
}

static bool set_listen_list(struct target *t)
{
	struct net_address *array = list_array(t, 2, sizeof *array), found[2];
	size_t count;
	if (net_address_parse_listen(t->value, found, &count) != ERR_OK)
		return false;
	ASSERT(count <= 2);
	for (size_t i = 0; i < count; i++)
		array[(*list_count(t))++] = found[i];
	return true;
}

/* Networks so wide that they are (or several of them together) the whole Internet. The widest private one is fc00::/7. */
#define WIDEST_IPV4_BITS 8u
#define WIDEST_IPV6_BITS 7u

static bool set_range_list(struct target *t)
{
	struct net_range *array = list_array(t, 1, sizeof *array), range;
	if (net_range_parse(t->value, &range) != ERR_OK)
		return false;
	if (range.prefix_bits < (net_address_is_v6(&range.base) ? WIDEST_IPV6_BITS : WIDEST_IPV4_BITS)) {
		if (buf_append_cstr(&t->why,
			    "this would make the server an open relay: anybody there could send mail through it; "
			    "write only networks whose machines you trust") != ERR_OK)
			buf_reset(&t->why);
		return false;
	}
	array[(*list_count(t))++] = range;
	return true;
}

static bool set_i32(struct target *t)
{
	bool negative = t->value.len > 0 && t->value.ptr[0] == '-';
	uint64_t n;
	if (view_parse_u64(view_from(t->value, negative ? 1 : 0), t->key->maximum, &n) != ERR_OK)
		return false;
	*(int32_t *)t->field = negative ? -(int32_t)n : (int32_t)n;
	return true;
}

static bool set_date(struct target *t)
{
	return config_parse_date(t->value, t->field) == ERR_OK;
}

static bool set_u32_list(struct target *t)
{
	uint32_t *array = list_array(t, 1, sizeof *array);
	uint64_t n;
	if (view_parse_u64(t->value, UINT32_MAX, &n) != ERR_OK || !in_range(t, n))
		return false;
	array[(*list_count(t))++] = (uint32_t)n;
	return true;
}

#define RATES_MAX 4u

static bool set_rate_list(struct target *t)
{
	struct config_rate *array = list_array(t, 1, sizeof *array), rate;
	if (config_parse_rate(t->value, &rate.count, &rate.per_ms) != ERR_OK)
		return false;
	if (*list_count(t) == RATES_MAX) {
		if (buf_append_format(&t->why, "there are more than %u rates here", RATES_MAX) != ERR_OK)
			buf_reset(&t->why);
		return false;
	}
	array[(*list_count(t))++] = rate;
	return true;
}

static const set_function set_functions[CONFIG_TYPES] = {
	[CONFIG_U16] = set_u16,
	[CONFIG_U32] = set_u32,
	[CONFIG_DURATION_U32] = set_duration_u32,
	[CONFIG_DURATION_I64] = set_duration_i64,
	[CONFIG_SIZE] = set_size,
	[CONFIG_BOOL] = set_bool,
	[CONFIG_CHOICE] = set_choice,
	[CONFIG_WORD] = set_word,
	[CONFIG_TEXT] = set_text,
	[CONFIG_PASSWORD_FILE] = set_text,
	[CONFIG_IPV4] = set_ipv4,
	[CONFIG_IPV6] = set_ipv6,
	[CONFIG_I32] = set_i32,
	[CONFIG_DATE] = set_date,
	[CONFIG_U32_LIST] = set_u32_list,
	[CONFIG_RATE_LIST] = set_rate_list,
	[CONFIG_TEXT_LIST] = set_text_list,
	[CONFIG_LISTEN_LIST] = set_listen_list,
	[CONFIG_RANGE_LIST] = set_range_list,
};

static void report(struct target *t)
{
	const struct config_setting *setting = t->context->setting;
	struct config_shown shown = config_show(t->value);
	const char *dot = t->key->section[0] != '\0' ? "." : "";
	const char *why = buf_cstr(&t->why);
	if (why[0] != '\0' && why[0] != ';') {
		config_errors_add(t->context->errors, setting->line, "`%s%s%s` can't be \"%s\": %s", t->key->section,
			dot, t->key->name, shown.text, why);
		return;
	}
	struct buf valid = { 0 };
	if (config_key_describe_values(t->key, &valid) == ERR_OK)
		config_errors_add(t->context->errors, setting->line, "`%s%s%s` can't be \"%s\": write %s%s",
			t->key->section, dot, t->key->name, shown.text, buf_cstr(&valid), why);
	buf_clear(&valid);
}

bool config_set(const struct config_set_context *context)
{
	const struct config_key *key = context->setting->key;
	struct target t = { .context = context,
		.key = key,
		.field = (char *)context->base + key->offset,
		.value = context->setting->value };
	bool good = set_functions[key->type](&t);
	if (!good)
		report(&t);
	buf_clear(&t.why);
	return good;
}
