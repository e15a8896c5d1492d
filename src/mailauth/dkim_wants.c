#include "mailauth/dkim_private.h"

#include "base/mem.h"
#include "mailauth/dkim_keys_private.h"

#include <string.h>

/* Records at one name that are looked at in search of keys. */
enum { RECORDS_PER_NAME = 16 };

void dkim_wants_init(struct dkim_wants *wants, size_t max, struct arena *arena, struct dkim_keys *keys)
{
	*wants = (struct dkim_wants){ .arena = arena, .keys = keys, .max = max };
	wants->list = mem_alloc_array(max, sizeof wants->list[0]);
}

void dkim_wants_clear(struct dkim_wants *wants)
{
	for (size_t i = 0; i < wants->count; i++)
		for (size_t k = 0; k < wants->list[i].key_count; k++)
			dkim_key_clear(&wants->list[i].keys[k]);
	mem_free(wants->list);
	*wants = (struct dkim_wants){ .count = 0 };
}

struct dkim_wanted *dkim_wants_key(struct dkim_wants *wants, const struct dkim_claim *claim)
{
	static const char middle[] = "._domainkey.";
	uint8_t name[2 * 253 + sizeof middle];
	size_t len = claim->selector.len;
	memcpy(name, claim->selector.ptr, len);
	memcpy(name + len, middle, sizeof middle - 1);
	len += sizeof middle - 1;
	memcpy(name + len, claim->domain.ptr, claim->domain.len);
	len += claim->domain.len;
	if (len > 253)
		return NULL;
	for (size_t i = 0; i < wants->count; i++)
		if (view_eq(wants->list[i].name, view_of(name, len)))
			return &wants->list[i];
	ASSERT(wants->count < wants->max);
	struct dkim_wanted *wanted = &wants->list[wants->count];
	if (arena_dup(wants->arena, view_of(name, len), &wanted->name) != ERR_OK)
		return NULL;
	wants->count++;
	return wanted;
}

bool dkim_wants_next(struct dkim_wants *wants, struct dkim_need *ret)
{
	for (size_t i = 0; i < wants->count; i++)
		if (!wants->list[i].is_told && !wants->list[i].is_answered) {
			wants->list[i].is_told = true;
			*ret = (struct dkim_need){ .token = i + 1, .name = wants->list[i].name };
			return true;
		}
	return false;
}

static void take_records(struct dkim_wants *wants, struct dkim_wanted *wanted, const struct dns_answer *answer)
{
	size_t count = answer->record_count < RECORDS_PER_NAME ? answer->record_count : RECORDS_PER_NAME;
	for (size_t i = 0; i < count && wanted->key_count < DKIM_KEYS_PER_NAME; i++) {
		if (answer->records[i].type != DNS_TYPE_TXT)
			continue;
		struct dkim_key *key = &wanted->keys[wanted->key_count];
		const char *wrong = dkim_keys_parse(wants->keys, answer->records[i].data, key);
		if (wrong == NULL)
			wanted->key_count++;
		else
			wanted->problem.reason = wrong;
	}
}

enum err dkim_wants_answer(
	struct dkim_wants *wants, uint64_t token, enum dkim_dns_status status, const struct dns_answer *answer)
{
	if (token == 0 || token > wants->count || !wants->list[token - 1].is_told || wants->list[token - 1].is_answered)
		return err_set(ERR_NOT_FOUND, "no key is wanted with this token");
	struct dkim_wanted *wanted = &wants->list[token - 1];
	wanted->is_answered = true;
	wanted->problem = status == DKIM_DNS_FAILED
		? (struct dkim_judgement){ DKIM_TEMPERROR, "no answer from DNS about the key" }
		: (struct dkim_judgement){ DKIM_PERMERROR, "no key is published" };
	if (status == DKIM_DNS_OK && answer != NULL)
		take_records(wants, wanted, answer);
	return ERR_OK;
}

void dkim_wants_give_up(struct dkim_wants *wants)
{
	for (size_t i = 0; i < wants->count; i++)
		if (!wants->list[i].is_answered) {
			wants->list[i].is_answered = true;
			wants->list[i].problem = (struct dkim_judgement){ DKIM_TEMPERROR,
				"no answer from DNS in time" };
		}
}

bool dkim_wants_are_answered(const struct dkim_wants *wants)
{
	for (size_t i = 0; i < wants->count; i++)
		if (!wants->list[i].is_answered)
			return false;
	return true;
}
