/* Rule files, and replies held against them. Laws:
 *   - a file is refused with at least one sentence, or taken with none;
 *   - rules that were read are printed so that they read the same: printed again they are the same text, and every reply calls for the same;
 *   - what a reply calls for is within its bounds, and a site that is found has a name. */
#include "queue/shaping_private.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_action(struct shaping_action a, struct shaping_action b)
{
	must(a.kind == b.kind && a.percent == b.percent && a.for_ms == b.for_ms);
	must(a.kind != SHAPING_SLOW || (a.percent >= 1 && a.percent <= 99));
	if (a.kind == SHAPING_SLOW || a.kind == SHAPING_SUSPEND)
		must(a.for_ms > 0 && a.for_ms <= SHAPING_FOR_MAX_MS);
}

static void check_replies(const struct shaping *a, const struct shaping *b, struct view text)
{
	static const struct {
		unsigned code;
		struct view enhanced;
	} codes[] = {
		{ 421, { (const uint8_t *)"4.7.28", 6 } },
		{ 450, { (const uint8_t *)"4.2.1", 5 } },
		{ 554, { NULL, 0 } },
	};
	for (const struct shaping_site_rules *s = a->sites; s != NULL; s = s->next) {
		must(s->site.name.len > 0 && s->site.rate_count <= SHAPING_RATES_MAX);
		const struct shaping_site *site = shaping_is_for_all(s) ? NULL : &s->site;
		const struct shaping_site *same = site != NULL ? shaping_site_named(b, site->name) : NULL;
		must((site == NULL) == (same == NULL));
		for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
			check_action(shaping_match(a, site, codes[i].code, codes[i].enhanced, text),
				shaping_match(b, same, codes[i].code, codes[i].enhanced, text));
	}
	struct view host = VIEW("mx.a.example");
	const struct shaping_site *x = shaping_find_site(a, 1, &host), *y = shaping_find_site(b, 1, &host);
	must((x == NULL) == (y == NULL) && (x == NULL || view_eq(x->name, y->name)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A line of dashes parts the rules from a reply's text. */
	struct view all = view_of(data, size), reply = VIEW_NONE;
	for (size_t i = 0; i + 4 <= size; i++)
		if (view_eq(view_sub(all, i, 4), VIEW("\n--\n"))) {
			reply = view_sub(all, i + 4, 2000);
			all = view_sub(all, 0, i + 1);
			break;
		}
	struct buf errors = { 0 }, first = { 0 }, second = { 0 };
	struct shaping *shaping = shaping_parse_with(all, "f", false, &errors);
	must((shaping == NULL) == (errors.len > 0));
	if (shaping != NULL) {
		must(shaping_format(shaping, &first) == ERR_OK);
		struct shaping *again = shaping_parse_with(buf_view(&first), "again", false, &errors);
		must(again != NULL && errors.len == 0);
		must(shaping_format(again, &second) == ERR_OK);
		must(view_eq(buf_view(&first), buf_view(&second)));
		check_replies(shaping, again, reply);
		shaping_unref(again);
		shaping_unref(shaping);
	}
	buf_clear(&errors);
	buf_clear(&first);
	buf_clear(&second);
	return 0;
}
