#include "service/authenticate_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "mail/address.h"

#include <idn2.h>

#define ARENA_BYTES 8192u
#define DEFAULT_TIMEOUT_MS 20000u /* RFC 7208 §4.6.4: SPF should have at least this long */

static void look(struct authenticate *a);

static int64_t deadline(const struct authenticate *a)
{
	uint32_t timeout_ms = a->options.config->authentication.timeout_ms;
	return loop_now_ms(a->options.loop) + (timeout_ms > 0 ? timeout_ms : DEFAULT_TIMEOUT_MS);
}

static void set_timer(struct authenticate *a)
{
	int64_t due_ms = a->spf_deadline_ms;
	if (a->keys_deadline_ms < due_ms)
		due_ms = a->keys_deadline_ms;
	if (a->end_deadline_ms < due_ms)
		due_ms = a->end_deadline_ms;
	loop_timer_set(&a->timer, due_ms);
}

/* SPF */

static void spf_ask(struct authenticate_spf *spf)
{
	struct spf_need need;
	if (spf_check_next(spf->check, &need))
		dns_question_ask(
			&spf->question, spf->owner->options.resolver, spf->owner->options.share, need.name, need.type);
}

static void spf_answered(struct dns_question *question, enum dns_outcome outcome, const struct dns_answer *answer)
{
	static const enum spf_dns_status status[] = {
		[DNS_OUTCOME_OK] = SPF_DNS_OK,
		[DNS_OUTCOME_NXDOMAIN] = SPF_DNS_NXDOMAIN,
		[DNS_OUTCOME_FAILED] = SPF_DNS_FAILED,
	};
	struct authenticate_spf *spf = LIST_ENTRY(question, struct authenticate_spf, question);
	struct spf_need need;
	bool is_open = spf_check_next(spf->check, &need);
	ASSERT(is_open);
	enum err err = spf_check_answer(spf->check, need.token, status[outcome], answer);
	ASSERT(err == ERR_OK);
	spf_ask(spf);
	look(spf->owner);
}

static bool spf_is_done(const struct authenticate_spf *spf)
{
	return spf->check == NULL || !dns_question_is_open(&spf->question);
}

static void spf_give_up(struct authenticate_spf *spf)
{
	if (spf_is_done(spf))
		return;
	dns_question_cancel(&spf->question);
	spf_check_give_up(spf->check);
}

static void spf_begin(struct authenticate *a, size_t which)
{
	struct authenticate_spf *spf = &a->spf[which];
	spf->check = spf_check_new(&spf->asked);
	spf->question.answered = spf_answered;
	spf_ask(spf);
}

static struct view keep(struct authenticate *a, struct view bytes)
{
	struct view copy = VIEW_NONE;
	/* What does not fit is longer than any name. */
	if (arena_dup(&a->arena, view_sub(bytes, 0, 1024), &copy) != ERR_OK)
		return VIEW_NONE;
	return copy;
}

/* SPF is asked about A-labels (RFC 8616 §4). */
static struct view keep_domain(struct authenticate *a, struct view domain)
{
	if (view_is_ascii(domain))
		return keep(a, domain);
	char *utf8 = view_to_cstr(domain), *a_labels = NULL;
	struct view kept = domain;
	if (idn2_to_ascii_8z(utf8, &a_labels, IDN2_NONTRANSITIONAL) == IDN2_OK)
		kept = view_from_cstr(a_labels);
	kept = keep(a, kept);
	idn2_free(a_labels);
	mem_free(utf8);
	return kept;
}

static void take_sender(struct authenticate *a, struct spf_question *asked)
{
	struct address address;
	struct buf local = { 0 };
	if (address_parse(a->options.envelope->reverse_path, ADDRESS_ALLOW_UTF8, &address) != ERR_OK)
		return;
	if (address_local_value(&address, &local) == ERR_OK)
		asked->local = keep(a, buf_view(&local));
	asked->domain = keep_domain(a, address.domain);
	buf_clear(&local);
}

/* HELO names that can have no record are not asked about. */
static bool is_name(struct view helo)
{
	return helo.len > 0 && helo.ptr[0] != '[' && view_find(helo, '.') < helo.len;
}

static void begin(struct authenticate *a)
{
	struct spf_question asked = {
		.ip = iprev_address_bytes(&a->options.client),
		.identity = SPF_MAIL_FROM,
		.helo = keep(a, a->options.helo),
		.receiver = view_from_cstr(a->options.config->hostname),
		.now_s = (uint64_t)clock_wall_ms() / 1000,
	};
	a->facts.helo = asked.helo;
	take_sender(a, &asked);
	a->spf[SPF_OF_SENDER].asked = a->spf[SPF_OF_HELO].asked = asked;
	a->spf[SPF_OF_HELO].asked.identity = SPF_HELO;
	spf_begin(a, SPF_OF_SENDER);
	/* Without a sender that one was about HELO. */
	if (asked.domain.len > 0 && is_name(asked.helo))
		spf_begin(a, SPF_OF_HELO);
}

/* DKIM and ARC */

static void ask_keys(struct authenticate *a);

static void key_answered(struct dns_question *question, enum dns_outcome outcome, const struct dns_answer *answer)
{
	static const enum dkim_dns_status status[] = {
		[DNS_OUTCOME_OK] = DKIM_DNS_OK,
		[DNS_OUTCOME_NXDOMAIN] = DKIM_DNS_NXDOMAIN,
		[DNS_OUTCOME_FAILED] = DKIM_DNS_FAILED,
	};
	struct authenticate_key *key = LIST_ENTRY(question, struct authenticate_key, question);
	struct authenticate *a = key->owner;
	enum err err = key->is_arc ? arc_verifier_answer(a->arc, key->token, status[outcome], answer)
				   : dkim_verifier_answer(a->verifier, key->token, status[outcome], answer);
	ASSERT(err == ERR_OK);
	ask_keys(a);
	look(a);
}

static void cancel_keys(struct authenticate *a)
{
	for (size_t i = 0; i < KEYS_AT_ONCE; i++)
		dns_question_cancel(&a->keys[i].question);
}

static void keys_give_up(struct authenticate *a)
{
	cancel_keys(a);
	if (a->verifier != NULL)
		dkim_verifier_give_up(a->verifier);
	if (a->arc != NULL)
		arc_verifier_give_up(a->arc);
}

static void ask_keys(struct authenticate *a)
{
	for (size_t i = 0; i < KEYS_AT_ONCE; i++) {
		struct authenticate_key *key = &a->keys[i];
		struct dkim_need need;
		if (dns_question_is_open(&key->question))
			continue;
		key->is_arc = !dkim_verifier_next(a->verifier, &need);
		if (key->is_arc && (a->arc == NULL || !arc_verifier_next(a->arc, &need)))
			return;
		key->token = need.token;
		key->owner = a;
		key->question.answered = key_answered;
		dns_question_ask(&key->question, a->options.resolver, a->options.share, need.name, DNS_TYPE_TXT);
	}
}

static bool keys_are_done(const struct authenticate *a)
{
	return dkim_verifier_is_done(a->verifier) && (a->arc == NULL || arc_verifier_is_done(a->arc));
}

static void on_header(struct intake_tap *tap, const struct intake_header *header)
{
	struct authenticate *a = LIST_ENTRY(tap, struct authenticate, tap);
	struct dkim_verify_options options = {
		.now_s = (uint64_t)clock_wall_ms() / 1000,
		.signatures_max = DKIM_SIGNATURES_DEFAULT,
		.refuses_unsigned_body = !a->options.config->authentication.dkim_partial_body,
		.keys = a->options.keys,
	};
	enum err err = author_find(header->received, &a->author);
	/* A bound that a section of this size can't pass. */
	ASSERT(err == ERR_OK);
	a->verifier = dkim_verifier_new(&options);
	err = dkim_verifier_headers(a->verifier, header->received);
	ASSERT(err == ERR_OK);
	if (a->options.config->authentication.arc != CONFIG_ARC_OFF) {
		a->arc = arc_verifier_new(&options);
		err = arc_verifier_headers(a->arc, header->received);
		ASSERT(err == ERR_OK);
	}
	a->keys_deadline_ms = deadline(a);
	set_timer(a);
	ask_keys(a);
}

static void on_body(struct intake_tap *tap, struct view piece)
{
	struct authenticate *a = LIST_ENTRY(tap, struct authenticate, tap);
	enum err err = dkim_verifier_body(a->verifier, piece);
	if (err == ERR_OK && a->arc != NULL)
		err = arc_verifier_body(a->arc, piece);
	ASSERT(err == ERR_OK);
}

static void on_end(struct intake_tap *tap)
{
	struct authenticate *a = LIST_ENTRY(tap, struct authenticate, tap);
	enum err err = dkim_verifier_end(a->verifier);
	if (err == ERR_OK && a->arc != NULL)
		err = arc_verifier_end(a->arc);
	ASSERT(err == ERR_OK);
}

/* DMARC */

static void dmarc_ask(struct authenticate *a)
{
	struct dmarc_need need;
	if (dmarc_check_next(a->dmarc, &need))
		dns_question_ask(&a->dmarc_question, a->options.resolver, a->options.share, need.name, need.type);
}

static void dmarc_answered(struct dns_question *question, enum dns_outcome outcome, const struct dns_answer *answer)
{
	static const enum dmarc_dns_status status[] = {
		[DNS_OUTCOME_OK] = DMARC_DNS_OK,
		[DNS_OUTCOME_NXDOMAIN] = DMARC_DNS_NXDOMAIN,
		[DNS_OUTCOME_FAILED] = DMARC_DNS_FAILED,
	};
	struct authenticate *a = LIST_ENTRY(question, struct authenticate, dmarc_question);
	struct dmarc_need need;
	bool is_open = dmarc_check_next(a->dmarc, &need);
	ASSERT(is_open);
	enum err err = dmarc_check_answer(a->dmarc, need.token, status[outcome], answer);
	ASSERT(err == ERR_OK);
	dmarc_ask(a);
	look(a);
}

static void begin_dmarc(struct authenticate *a)
{
	a->dmarc = authenticate_dmarc_new(a);
	a->dmarc_question.answered = dmarc_answered;
	dmarc_ask(a);
}

static void conclude(struct authenticate *a)
{
	authenticate_decide(a);
	a->is_done = true;
	loop_timer_clear(&a->timer);
	a->done(a->owner);
}

/* After anything that brought it on. The last thing that its callers do: done() may free the object. */
static void look(struct authenticate *a)
{
	if (a->done == NULL || a->is_done)
		return;
	if (a->dmarc == NULL && spf_is_done(&a->spf[SPF_OF_HELO]) && spf_is_done(&a->spf[SPF_OF_SENDER]) &&
		keys_are_done(a))
		begin_dmarc(a);
	if (a->dmarc != NULL && !dns_question_is_open(&a->dmarc_question) &&
		(a->iprev_given_up || iprev_is_done(a->options.iprev)))
		conclude(a);
}

static void on_deadline(void *owner)
{
	struct authenticate *a = owner;
	int64_t now_ms = loop_now_ms(a->options.loop);
	bool is_over = now_ms >= a->end_deadline_ms;
	if (is_over || now_ms >= a->spf_deadline_ms) {
		a->spf_deadline_ms = INT64_MAX;
		spf_give_up(&a->spf[SPF_OF_HELO]);
		spf_give_up(&a->spf[SPF_OF_SENDER]);
	}
	if (is_over || now_ms >= a->keys_deadline_ms) {
		a->keys_deadline_ms = INT64_MAX;
		keys_give_up(a);
	}
	if (is_over) {
		a->iprev_given_up = true;
		if (a->dmarc == NULL)
			begin_dmarc(a);
		dns_question_cancel(&a->dmarc_question);
		dmarc_check_give_up(a->dmarc);
	} else {
		set_timer(a);
	}
	look(a);
}

/* Its life */

struct authenticate *authenticate_new(const struct authenticate_options *options)
{
	struct authenticate *a = mem_alloc(sizeof *a);
	a->options = *options;
	arena_init(&a->arena, ARENA_BYTES);
	a->tap.header = on_header;
	a->tap.body = on_body;
	a->tap.end = on_end;
	list_init(&a->tap.link);
	for (size_t i = 0; i < SPF_CHECKS; i++)
		a->spf[i].owner = a;
	a->facts.envelope = options->envelope;
	a->facts.client = options->client;
	a->keys_deadline_ms = a->end_deadline_ms = INT64_MAX;
	a->spf_deadline_ms = deadline(a);
	loop_timer_init(&a->timer, options->loop, on_deadline, a);
	begin(a);
	set_timer(a);
	return a;
}

void authenticate_free(struct authenticate *a)
{
	if (a == NULL)
		return;
	list_remove(&a->tap.link);
	loop_timer_clear(&a->timer);
	for (size_t i = 0; i < SPF_CHECKS; i++) {
		dns_question_cancel(&a->spf[i].question);
		spf_check_free(a->spf[i].check);
	}
	cancel_keys(a);
	dkim_verifier_free(a->verifier);
	arc_verifier_free(a->arc);
	dns_question_cancel(&a->dmarc_question);
	dmarc_check_free(a->dmarc);
	author_clear(&a->author);
	arena_clear(&a->arena);
	mem_free(a);
}

struct intake_tap *authenticate_tap(struct authenticate *a)
{
	return &a->tap;
}

size_t authenticate_memory_bytes(const struct authenticate *a)
{
	return (a->verifier != NULL ? dkim_verifier_memory_bytes(a->verifier) : 0) +
		(a->arc != NULL ? arc_verifier_memory_bytes(a->arc) : 0);
}

void authenticate_finish(struct authenticate *a, void (*done)(void *owner), void *owner)
{
	ASSERT(a->done == NULL && a->verifier != NULL);
	a->done = done;
	a->owner = owner;
	a->end_deadline_ms = deadline(a);
	set_timer(a);
	look(a);
}

void authenticate_iprev_finished(struct authenticate *a)
{
	look(a);
}

const struct authentication_facts *authenticate_facts(const struct authenticate *a)
{
	ASSERT(a->is_done);
	return &a->facts;
}
