#include "route/mx.h"

#include "base/mem.h"

struct candidate {
	struct view name;
	uint16_t preference;
	uint64_t lot; /* orders equal preferences */
};

struct own {
	size_t count;
	const struct view *names;
};

/* SplitMix64: a good shuffle from one number; no secret. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static int by_preference(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return x->lot < y->lot ? -1 : x->lot > y->lot;
}

/* The hosts of the MX records in order of trial, without root names; *ret_null: there was such a name. */
static size_t gather(const struct dns_answer *answer, uint64_t random, struct candidate *candidates, bool *ret_null)
{
	size_t count = 0;
	for (size_t i = 0; i < answer->record_count; i++) {
		const struct dns_record *r = &answer->records[i];
		if (r->type != DNS_TYPE_MX)
			continue;
		if (r->name.len == 0)
			*ret_null = true;
		else
			candidates[count++] = (struct candidate){ r->name, r->preference, next_random(&random) };
	}
	qsort(candidates, count, sizeof *candidates, by_preference);
	return count;
}

static bool is_own(const struct own *own, struct view name)
{
	for (size_t i = 0; i < own->count; i++)
		if (view_eq_nocase(own->names[i], name))
			return true;
	return false;
}

/* The preference from which on hosts are left out, because we are one of them; 65536 when we are not. */
static uint32_t own_preference(const struct candidate *candidates, size_t count, const struct own *own)
{
	for (size_t i = 0; i < count; i++)
		if (is_own(own, candidates[i].name))
			return candidates[i].preference;
	return 65536;
}

static bool is_listed(const struct mx_hosts *hosts, struct view name)
{
	for (size_t i = 0; i < hosts->count; i++)
		if (view_eq_nocase(hosts->names[i], name))
			return true;
	return false;
}

static void add(struct mx_hosts *hosts, struct view name, uint16_t preference)
{
	if (hosts->count == MX_HOSTS_MAX || is_listed(hosts, name))
		return;
	hosts->names[hosts->count] = name;
	hosts->preferences[hosts->count++] = preference;
}

/* RFC 5321 §5.1: without MX records the domain is its own host; behind a CNAME, the name it leads to is the domain. */
static void use_domain(
	struct mx_hosts *hosts, const struct dns_answer *answer, struct view domain, const struct own *own)
{
	struct view host = answer->had_cname && answer->final_name.len > 0 ? answer->final_name : domain;
	hosts->is_implicit = true;
	if (is_own(own, host)) {
		hosts->result = MX_LOOP;
		return;
	}
	hosts->result = MX_HOSTS;
	add(hosts, host, 0);
}

static void use_records(struct mx_hosts *hosts, const struct dns_answer *answer, struct view domain,
	const struct own *own, uint64_t random)
{
	struct candidate *candidates = mem_alloc_array(answer->record_count + 1, sizeof *candidates);
	bool null = false;
	size_t count = gather(answer, random, candidates, &null);
	uint32_t limit = own_preference(candidates, count, own);
	for (size_t i = 0; i < count && candidates[i].preference < limit; i++)
		add(hosts, candidates[i].name, candidates[i].preference);
	mem_free(candidates);
	if (hosts->count > 0)
		hosts->result = MX_HOSTS;
	else if (count > 0)
		hosts->result = MX_LOOP;
	else if (null)
		hosts->result = MX_NULL;
	else
		use_domain(hosts, answer, domain, own);
}

void mx_order(const struct dns_answer *answer, struct view domain, size_t own_count, const struct view *own_names,
	uint64_t random, struct mx_hosts *ret)
{
	struct own own = { own_count, own_names };
	*ret = (struct mx_hosts){ .result = MX_TEMPORARY };
	if (answer == NULL)
		return;
	if (answer->rcode == DNS_RCODE_NXDOMAIN)
		ret->result = MX_NO_DOMAIN;
	else if (answer->rcode == DNS_RCODE_NOERROR)
		use_records(ret, answer, domain, &own, random);
}

void mx_shuffle(struct mx_hosts *hosts, uint64_t random)
{
	for (size_t first = 0, end; first < hosts->count; first = end) {
		for (end = first + 1; end < hosts->count && hosts->preferences[end] == hosts->preferences[first];)
			end++;
		for (size_t left = end - first; left > 1; left--) {
			size_t chosen = first + (size_t)(next_random(&random) % left);
			struct view name = hosts->names[chosen];
			hosts->names[chosen] = hosts->names[first + left - 1];
			hosts->names[first + left - 1] = name;
		}
	}
}
