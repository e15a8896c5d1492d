#include "mail/date.h"

static const char *const day_names[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const month_names[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
	"Dec" };

enum { YEAR_MIN = 1900, YEAR_MAX = 9999, DAY_SECONDS = 86400 };

/* Days since 1970-01-01 of a date in the Gregorian calendar. Years are counted from March, so that the leap day is a year's last, and
 * in eras of 400 years, which all have 146,097 days. */
static int64_t days_from_date(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = year / 400, year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void date_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
	days += 719468;
	int64_t era = days / 146097, day_of_era = days - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153;
	*ret_day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
	*ret_month = (int)(month < 10 ? month + 3 : month - 9);
	*ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

enum err date_format(int64_t wall_ms, int zone_minutes, struct buf *out)
{
	if (zone_minutes <= -24 * 60 || zone_minutes >= 24 * 60)
		return err_set(ERR_LIMIT, "the zone is a day or more away");
	/* Rounds down, also before 1970. */
	int64_t seconds = wall_ms / 1000 - (wall_ms % 1000 < 0) + zone_minutes * 60;
	int64_t days = seconds / DAY_SECONDS - (seconds % DAY_SECONDS < 0);
	if (days < days_from_date(YEAR_MIN, 1, 1) || days > days_from_date(YEAR_MAX, 12, 31))
		return err_set(ERR_LIMIT, "the date has no year of four digits");
	int64_t year, of_day = seconds - days * DAY_SECONDS;
	int month, day;
	date_from_days(days, &year, &month, &day);
	unsigned zone = (unsigned)(zone_minutes < 0 ? -zone_minutes : zone_minutes);
	/* 1970-01-01 was a Thursday; the sum is positive since 1900. */
	return buf_append_format(out, "%s, %d %s %d %02d:%02d:%02d %c%02u%02u", day_names[(days + 4 + 7 * 4000) % 7],
		day, month_names[month - 1], (int)year, (int)(of_day / 3600), (int)(of_day / 60 % 60),
		(int)(of_day % 60), zone_minutes < 0 ? '-' : '+', zone / 60, zone % 60);
}

/* Skips blanks, folds and comments (RFC 5322 §3.2.2); an unclosed comment reaches to the end. */
static void skip_cfws(struct view *rest)
{
	unsigned depth = 0;
	size_t i = 0;
	for (; i < rest->len; i++) {
		uint8_t c = rest->ptr[i];
		if (c == '(')
			depth++;
		else if (depth > 0 && c == '\\')
			i++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n')
			break;
	}
	*rest = view_from(*rest, i);
}

static struct view take_run(struct view *rest, bool digits)
{
	size_t n = 0;
	while (n < rest->len && (digits ? ascii_is_digit(rest->ptr[n]) : ascii_is_alpha(rest->ptr[n])))
		n++;
	struct view run = view_sub(*rest, 0, n);
	*rest = view_from(*rest, n);
	return run;
}

static bool take_byte(struct view *rest, uint8_t byte)
{
	skip_cfws(rest);
	if (rest->len == 0 || rest->ptr[0] != byte)
		return false;
	*rest = view_from(*rest, 1);
	return true;
}

/* A number of min_digits–max_digits digits, at most `max`. */
static bool take_number(
	struct view *rest, size_t min_digits, size_t max_digits, uint64_t max, int64_t *ret, size_t *ret_len)
{
	skip_cfws(rest);
	struct view digits = take_run(rest, true);
	uint64_t n;
	if (digits.len < min_digits || digits.len > max_digits || view_parse_u64(digits, max, &n) != ERR_OK)
		return false;
	*ret = (int64_t)n;
	if (ret_len != NULL)
		*ret_len = digits.len;
	return true;
}

static bool take_name(struct view *rest, const char *const *names, int count, int *ret)
{
	skip_cfws(rest);
	struct view word = take_run(rest, false);
	/* Full names are not in any grammar, but they are seen, and their first three letters say all. */
	for (int i = 0; i < count && word.len >= 3; i++)
		if (view_eq_nocase(view_sub(word, 0, 3), view_from_cstr(names[i]))) {
			*ret = i;
			return true;
		}
	return false;
}

static bool take_year(struct view *rest, int64_t *ret)
{
	size_t digits;
	if (!take_number(rest, 2, 4, YEAR_MAX, ret, &digits))
		return false;
	/* RFC 5322 §4.3 */
	if (digits == 2)
		*ret += *ret < 50 ? 2000 : 1900;
	else if (digits == 3)
		*ret += 1900;
	return *ret >= YEAR_MIN;
}

/* The zone as minutes east of UTC. */
static bool take_zone(struct view *rest, int64_t *ret)
{
	static const struct {
		struct view name;
		int hours;
	} zones[] = {
		{ { (const uint8_t *)"EDT", 3 }, -4 },
		{ { (const uint8_t *)"EST", 3 }, -5 },
		{ { (const uint8_t *)"CDT", 3 }, -5 },
		{ { (const uint8_t *)"CST", 3 }, -6 },
		{ { (const uint8_t *)"MDT", 3 }, -6 },
		{ { (const uint8_t *)"MST", 3 }, -7 },
		{ { (const uint8_t *)"PDT", 3 }, -7 },
		{ { (const uint8_t *)"PST", 3 }, -8 },
	};
	*ret = 0;
	skip_cfws(rest);
	bool minus = rest->len > 0 && rest->ptr[0] == '-';
	if (minus || (rest->len > 0 && rest->ptr[0] == '+')) {
		int64_t n;
		*rest = view_from(*rest, 1);
		if (!take_number(rest, 4, 4, 9959, &n, NULL) || n % 100 > 59)
			return false;
		*ret = (n / 100 * 60 + n % 100) * (minus ? -1 : 1);
		return true;
	}
	struct view name = take_run(rest, false);
	/* "EST5EDT" is seen: what it says first is meant. */
	size_t tail = 0;
	while (name.len > 0 && tail < rest->len && ascii_is_alnum(rest->ptr[tail]))
		tail++;
	*rest = view_from(*rest, tail);
	for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++)
		if (view_eq_nocase(name, zones[i].name))
			*ret = zones[i].hours * 60;
	return true;
}

static int days_in_month(int64_t year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return days[month - 1] + (month == 2 && leap);
}

enum err date_parse(struct view text, int64_t *ret_ms)
{
	struct view rest = text;
	int name, month;
	int64_t day, year, hour, minute, second = 0, zone;
	skip_cfws(&rest);
	if (rest.len > 0 && ascii_is_alpha(rest.ptr[0])) {
		if (!take_name(&rest, day_names, 7, &name))
			return err_set(ERR_SYNTAX, "the date's day name is unknown");
		(void)take_byte(&rest, ',');
	}
	if (!take_number(&rest, 1, 2, 31, &day, NULL) || day == 0)
		return err_set(ERR_SYNTAX, "the date has no day of the month");
	/* "1-Jan-2026" is seen in old mail. */
	(void)take_byte(&rest, '-');
	if (!take_name(&rest, month_names, 12, &month))
		return err_set(ERR_SYNTAX, "the date's month is unknown");
	(void)take_byte(&rest, '-');
	if (!take_year(&rest, &year))
		return err_set(ERR_SYNTAX, "the date has no year");
	if (day > days_in_month(year, month + 1))
		return err_set(ERR_SYNTAX, "the date's month has no such day");
	if (!take_number(&rest, 1, 2, 23, &hour, NULL) || !take_byte(&rest, ':') ||
		!take_number(&rest, 1, 2, 59, &minute, NULL))
		return err_set(ERR_SYNTAX, "the date has no time of day");
	if (take_byte(&rest, ':') && !take_number(&rest, 1, 2, 60, &second, NULL))
		return err_set(ERR_SYNTAX, "the date's seconds are malformed");
	if (!take_zone(&rest, &zone))
		return err_set(ERR_SYNTAX, "the date's zone is malformed");
	skip_cfws(&rest);
	if (rest.len > 0)
		return err_set(ERR_SYNTAX, "the date is followed by something else");
	int64_t days = days_from_date(year, month + 1, (int)day);
	*ret_ms = (days * DAY_SECONDS + hour * 3600 + minute * 60 + second - zone * 60) * 1000;
	return ERR_OK;
}

/* ---- RFC 3339 ---- */

enum err date_format_rfc3339(int64_t wall_ms, struct buf *out)
{
	int64_t seconds = wall_ms / 1000 - (wall_ms % 1000 < 0);
	int64_t days = seconds / DAY_SECONDS - (seconds % DAY_SECONDS < 0);
	if (days < days_from_date(YEAR_MIN, 1, 1) || days > days_from_date(YEAR_MAX, 12, 31))
		return err_set(ERR_LIMIT, "the date has no year of four digits");
	int64_t year, of_day = seconds - days * DAY_SECONDS;
	int month, day;
	date_from_days(days, &year, &month, &day);
	return buf_append_format(out, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)year, month, day, (int)(of_day / 3600),
		(int)(of_day / 60 % 60), (int)(of_day % 60));
}

/* Exactly so many digits, and then one of the bytes of `ends` (none: nothing is taken behind them). */
static bool take_fixed(struct view *rest, size_t digits, int64_t min, int64_t max, const char *ends, int64_t *ret)
{
	uint64_t n;
	if (rest->len < digits || view_parse_u64(view_sub(*rest, 0, digits), (uint64_t)max, &n) != ERR_OK ||
		(int64_t)n < min)
		return false;
	*ret = (int64_t)n;
	*rest = view_from(*rest, digits);
	struct view allowed = view_from_cstr(ends);
	if (allowed.len == 0)
		return true;
	if (rest->len == 0 || view_find(allowed, rest->ptr[0]) == allowed.len)
		return false;
	*rest = view_from(*rest, 1);
	return true;
}

static bool take_fraction(struct view *rest, int64_t *ret_ms)
{
	*ret_ms = 0;
	if (rest->len == 0 || rest->ptr[0] != '.')
		return true;
	*rest = view_from(*rest, 1);
	struct view digits = take_run(rest, true);
	for (size_t i = 0; i < 3; i++)
		*ret_ms = *ret_ms * 10 + (i < digits.len ? digits.ptr[i] - '0' : 0);
	return digits.len > 0;
}

static bool take_offset(struct view *rest, int64_t *ret_minutes)
{
	int64_t hours = 0, minutes = 0;
	uint8_t sign = rest->len > 0 ? rest->ptr[0] : 0;
	*rest = view_from(*rest, 1);
	*ret_minutes = 0;
	if (sign == 'Z' || sign == 'z')
		return true;
	if ((sign != '+' && sign != '-') || !take_fixed(rest, 2, 0, 23, ":", &hours) ||
		!take_fixed(rest, 2, 0, 59, "", &minutes))
		return false;
	*ret_minutes = (hours * 60 + minutes) * (sign == '-' ? -1 : 1);
	return true;
}

enum err date_parse_rfc3339(struct view text, int64_t *ret_ms)
{
	int64_t year, month, day, hour, minute, second, fraction_ms, offset_minutes;
	struct view rest = text;
	bool fine = take_fixed(&rest, 4, YEAR_MIN, YEAR_MAX, "-", &year) && take_fixed(&rest, 2, 1, 12, "-", &month) &&
		take_fixed(&rest, 2, 1, 31, "Tt", &day) && take_fixed(&rest, 2, 0, 23, ":", &hour) &&
		take_fixed(&rest, 2, 0, 59, ":", &minute) && take_fixed(&rest, 2, 0, 60, "", &second) &&
		take_fraction(&rest, &fraction_ms) && take_offset(&rest, &offset_minutes) && rest.len == 0;
	if (!fine)
		return err_set(ERR_SYNTAX, "not a date-time of RFC 3339");
	if (day > days_in_month(year, (int)month))
		return err_set(ERR_SYNTAX, "there is no such day");
	int64_t days = days_from_date(year, (int)month, (int)day);
	int64_t seconds = days * DAY_SECONDS + hour * 3600 + minute * 60 + (second < 60 ? second : 59);
	*ret_ms = (seconds - offset_minutes * 60) * 1000 + fraction_ms;
	return ERR_OK;
}
