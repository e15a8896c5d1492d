#include "config/config_value.h"

#include <stdint.h>

#define NAME_MAX_BYTES 64u

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit duration_units[] = {
	{ "w", 7 * 86400000u },
	{ "d", 86400000u },
	{ "h", 3600000u },
	{ "m", 60000u },
	{ "s", 1000u },
	{ "ms", 1u },
};

static const struct unit size_units[] = {
	{ "GiB", 1024u * 1024 * 1024 },
	{ "G", 1024u * 1024 * 1024 },
	{ "MiB", 1024u * 1024 },
	{ "M", 1024u * 1024 },
	{ "KiB", 1024u },
	{ "k", 1024u },
	{ "B", 1u },
	{ "", 1u },
};

static const struct unit *find_unit(const struct unit *units, size_t count, struct view name)
{
	for (size_t i = 0; i < count; i++)
		if (view_eq_nocase(view_from_cstr(units[i].name), name))
			return &units[i];
	return NULL;
}

/* Digits, spaces, and letters as the unit, off the front of *rest. */
static enum err take_amount(struct view *rest, const struct unit *units, size_t count, uint64_t maximum, uint64_t *ret)
{
	size_t digits = 0;
	while (digits < rest->len && ascii_is_digit(rest->ptr[digits]))
		digits++;
	struct view number = view_sub(*rest, 0, digits);
	*rest = view_trim(view_from(*rest, digits));
	size_t letters = 0;
	while (letters < rest->len && ascii_is_alpha(rest->ptr[letters]))
		letters++;
	const struct unit *unit = find_unit(units, count, view_sub(*rest, 0, letters));
	*rest = view_trim(view_from(*rest, letters));
	uint64_t n;
	enum err err = view_parse_u64(number, UINT64_MAX, &n);
	if (err != ERR_OK)
		return err;
	if (unit == NULL)
		return ERR_SYNTAX;
	if (n > maximum / unit->factor)
		return ERR_LIMIT;
	*ret = n * unit->factor;
	return ERR_OK;
}

enum err config_parse_duration(struct view text, uint64_t *ret_ms)
{
	struct view rest = view_trim(text);
	if (view_eq(rest, VIEW("0"))) {
		*ret_ms = 0;
		return ERR_OK;
	}
	if (rest.len == 0)
		return ERR_SYNTAX;
	uint64_t sum = 0;
	while (rest.len > 0) {
		uint64_t part;
		enum err err = take_amount(&rest, duration_units, sizeof duration_units / sizeof duration_units[0],
			(uint64_t)INT64_MAX - sum, &part);
		if (err != ERR_OK)
			return err;
		sum += part;
	}
	*ret_ms = sum;
	return ERR_OK;
}

enum err config_parse_size(struct view text, uint64_t *ret_bytes)
{
	struct view rest = view_trim(text);
	uint64_t n;
	enum err err = take_amount(
		&rest, size_units, sizeof size_units / sizeof size_units[0], (uint64_t)INT64_MAX, &n);
	if (err != ERR_OK)
		return err;
	if (rest.len > 0)
		return ERR_SYNTAX;
	*ret_bytes = n;
	return ERR_OK;
}

enum err config_parse_bool(struct view text, bool *ret)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {
		{ "yes", true },
		{ "no", false },
		{ "true", true },
		{ "false", false },
		{ "on", true },
		{ "off", false },
	};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (view_eq_nocase(view_from_cstr(words[i].word), text)) {
			*ret = words[i].value;
			return ERR_OK;
		}
	return ERR_SYNTAX;
}

static unsigned days_of_month(unsigned year, unsigned month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (leap && month == 2 ? 1u : 0u);
}

enum err config_parse_date(struct view text, int64_t *ret_s)
{
	uint64_t year, month, day;
	if (text.len != 10 || text.ptr[4] != '-' || text.ptr[7] != '-' ||
		view_parse_u64(view_sub(text, 0, 4), 9999, &year) != ERR_OK ||
		view_parse_u64(view_sub(text, 5, 2), 12, &month) != ERR_OK ||
		view_parse_u64(view_sub(text, 8, 2), 31, &day) != ERR_OK)
		return ERR_SYNTAX;
	if (year < 1970 || month == 0 || day == 0 || day > days_of_month((unsigned)year, (unsigned)month))
		return ERR_SYNTAX;
	int64_t days = (int64_t)day - 1;
	for (unsigned y = 1970; y < year; y++)
		days += 337 + days_of_month(y, 2);
	for (unsigned m = 1; m < month; m++)
		days += days_of_month((unsigned)year, m);
	*ret_s = days * 86400;
	return ERR_OK;
}

enum err config_parse_rate(struct view text, uint32_t *ret_count, uint32_t *ret_per_ms)
{
	size_t slash = view_find(text, '/');
	uint64_t n;
	const struct unit *unit = find_unit(duration_units, sizeof duration_units / sizeof duration_units[0],
		view_trim(view_from(text, slash + 1)));
	if (slash >= text.len || unit == NULL || unit->factor < 1000 || unit->factor > 86400000u)
		return ERR_SYNTAX;
	enum err err = view_parse_u64(view_trim(view_sub(text, 0, slash)), 1000000000, &n);
	if (err != ERR_OK || n == 0)
		return err != ERR_OK ? err : ERR_SYNTAX;
	*ret_count = (uint32_t)n;
	*ret_per_ms = (uint32_t)unit->factor;
	return ERR_OK;
}

static enum err append_amount(struct buf *out, uint64_t n, const char *unit)
{
	enum err err = buf_append_u64(out, n);
	return err != ERR_OK ? err : buf_append_cstr(out, unit);
}

enum err config_format_duration(uint64_t ms, struct buf *out)
{
	if (ms == 0)
		return buf_append_byte(out, '0');
	/* Weeks read badly: 60d rather than 8w4d. */
	for (size_t i = 1; i < sizeof duration_units / sizeof duration_units[0]; i++)
		if (ms % duration_units[i].factor == 0)
			return append_amount(out, ms / duration_units[i].factor, duration_units[i].name);
	return ERR_OK;
}

enum err config_format_size(uint64_t bytes, struct buf *out)
{
	static const struct unit shown[] = {
		{ "G", 1024u * 1024 * 1024 },
		{ "M", 1024u * 1024 },
		{ "k", 1024u },
	};
	for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
		if (bytes > 0 && bytes % shown[i].factor == 0)
			return append_amount(out, bytes / shown[i].factor, shown[i].name);
	return buf_append_u64(out, bytes);
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;
	return m < c ? m : c;
}

unsigned config_edit_distance(struct view a, struct view b)
{
	if (a.len > NAME_MAX_BYTES || b.len > NAME_MAX_BYTES)
		return UINT32_MAX;
	/* Three rows of the usual matrix: two back for the swap of neighbours. */
	unsigned rows[3][NAME_MAX_BYTES + 1];
	for (unsigned j = 0; j <= b.len; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		unsigned *now = rows[i % 3], *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
		now[0] = i;
		for (unsigned j = 1; j <= b.len; j++) {
			uint8_t x = ascii_lower(a.ptr[i - 1]), y = ascii_lower(b.ptr[j - 1]);
			now[j] = least(before[j] + 1, now[j - 1] + 1, before[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == ascii_lower(b.ptr[j - 2]) && ascii_lower(a.ptr[i - 2]) == y &&
				two_before[j - 2] + 1 < now[j])
				now[j] = two_before[j - 2] + 1;
		}
	}
	return rows[a.len % 3][b.len];
}

void config_nearest_init(struct config_nearest *nearest, struct view written)
{
	*nearest = (struct config_nearest){ .written = written, .distance = UINT32_MAX };
}

void config_nearest_offer(struct config_nearest *nearest, struct view candidate)
{
	unsigned distance = config_edit_distance(nearest->written, candidate);
	/* A word that starts the other ("conn", "connections_total") is meant too, but a true typing slip goes first. */
	size_t shorter = nearest->written.len < candidate.len ? nearest->written.len : candidate.len;
	if (shorter >= 3 && distance > 2 &&
		(view_starts_with_nocase(candidate, nearest->written) ||
			view_starts_with_nocase(nearest->written, candidate)))
		distance = 3;
	size_t longer = nearest->written.len > candidate.len ? nearest->written.len : candidate.len;
	if (distance > 3 || distance * 2 > longer || distance >= nearest->distance)
		return;
	nearest->best = candidate;
	nearest->distance = distance;
}
