#include "service/dns_question.h"

#include "base/mem.h"

#define ANSWER_ARENA_BYTES (512u * 1024) /* the largest message there is, in records */

static enum dns_outcome outcome_of(
	const struct resolver_answer *from, uint16_t type, struct arena *arena, struct dns_answer *ret)
{
	if (from->err != ERR_OK || from->bogus)
		return DNS_OUTCOME_FAILED;
	if (from->rcode == DNS_RCODE_NXDOMAIN)
		return DNS_OUTCOME_NXDOMAIN;
	if (from->rcode != DNS_RCODE_NOERROR || dns_answer_parse(from->wire, type, arena, ret) != ERR_OK)
		return DNS_OUTCOME_FAILED;
	return DNS_OUTCOME_OK;
}

static void on_answer(void *owner, const struct resolver_answer *from)
{
	struct dns_question *question = owner;
	struct arena arena;
	struct dns_answer answer = { 0 };
	question->query = NULL;
	arena_init(&arena, ANSWER_ARENA_BYTES);
	enum dns_outcome outcome = outcome_of(from, question->type, &arena, &answer);
	if (outcome != DNS_OUTCOME_OK)
		answer = (struct dns_answer){ 0 };
	question->answered(question, outcome, &answer);
	arena_clear(&arena);
}

void dns_question_ask(struct dns_question *question, struct resolver *resolver, struct places_key share,
	struct view name, uint16_t type)
{
	ASSERT(question->query == NULL);
	char *text = view_to_cstr(name);
	question->type = type;
	question->query = resolver_ask(resolver, share, text, type, on_answer, question);
	mem_free(text);
}

void dns_question_cancel(struct dns_question *question)
{
	resolver_cancel(question->query);
	question->query = NULL;
}
