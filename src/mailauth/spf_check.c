#include "mailauth/spf_private.h"

#include "base/mem.h"

#include <string.h>

/*
 * check_host() of RFC 7208 §4 as a machine that can stop at every question. What the RFC writes as recursion is a stack
 * of frames, one per domain whose record is being evaluated; `include` adds one, `redirect` replaces one. run() does
 * one step after the other until a question is open or the result is there. Every frame but the first costs a
 * look-up, so there are never more than the limit allows.
 */

struct spf_frame *spf_check_top(struct spf_check *check)
{
	return &check->frames[check->frame_count - 1];
}

static void decide(struct spf_check *check, enum spf_result result)
{
	check->verdict.result = result;
	check->is_decided = true;
	check->step = SPF_STEP_DONE;
}

void spf_check_error(struct spf_check *check, enum spf_result result, const char *problem)
{
	struct spf_frame *frame = spf_check_top(check);
	check->verdict.problem = problem;
	check->verdict.term = frame->term.text;
	check->verdict.term_domain = frame->domain;
	decide(check, result);
}

void spf_check_matched(struct spf_check *check)
{
	struct spf_frame *frame = spf_check_top(check);
	check->verdict.term = frame->term.text;
	check->verdict.term_domain = frame->domain;
	check->outcome = frame->term.qualifier;
	check->step = SPF_STEP_FRAME_ENDS;
}

bool spf_check_keep(struct spf_check *check, struct view bytes, struct view *ret)
{
	if (arena_dup(&check->arena, bytes, ret) == ERR_OK)
		return true;
	/* Without a result there is no explanation to lose. */
	if (!check->is_decided)
		spf_check_error(check, SPF_PERMERROR, "its records need too much memory");
	check->step = SPF_STEP_DONE;
	return false;
}

void spf_check_ask(struct spf_check *check, uint16_t type, enum spf_purpose purpose)
{
	check->need.token++;
	check->need.type = type;
	check->need.name = buf_view(&check->name);
	check->purpose = purpose;
	check->is_open = true;
	check->verdict.questions++;
}

bool spf_check_expand(struct spf_check *check, struct view domain_spec, enum spf_step step, enum spf_step otherwise)
{
	struct spf_frame *frame = spf_check_top(check);
	if (frame->validated.len == 0 && spf_macro_needs_validated(domain_spec)) {
		check->client.for_macro = true;
		check->client.back = step;
		check->step = SPF_STEP_VALIDATE;
		/* It is a name: its record was asked for. */
		if (spf_name_format(frame->domain, &check->base) != ERR_OK)
			buf_reset(&check->base);
		return false;
	}
	check->values.domain = frame->domain;
	check->values.validated = frame->validated;
	if (spf_macro_expand_domain(domain_spec, &check->values, &check->target) == ERR_OK)
		return true;
	check->step = otherwise;
	return false;
}

/* Records */

/* §4.3: malformed, or not multi-label. Literals and names that are not in A-labels have no records either. */
static bool may_have_record(struct view domain)
{
	return domain.len > 0 && domain.ptr[0] != '[' && view_is_ascii(domain) && view_find(domain, '.') < domain.len;
}

static void frame_ends(struct spf_check *check, enum spf_result outcome)
{
	check->outcome = outcome;
	check->step = SPF_STEP_FRAME_ENDS;
}

static void step_record(struct spf_check *check)
{
	struct view domain = spf_check_top(check)->domain;
	if (may_have_record(domain) && spf_name_format(domain, &check->name) == ERR_OK)
		spf_check_ask(check, DNS_TYPE_TXT, SPF_FOR_RECORD);
	else
		frame_ends(check, SPF_NONE);
}

/* §4.5: the only one that begins with the version. The number of those. */
static size_t select_record(const struct dns_answer *answer, struct view *ret)
{
	size_t found = 0;
	for (size_t i = 0; i < answer->record_count; i++) {
		if (answer->records[i].type != DNS_TYPE_TXT || !spf_record_is_spf(answer->records[i].data))
			continue;
		if (found++ == 0)
			*ret = answer->records[i].data;
	}
	return found;
}

static void use_record(struct spf_check *check, struct view text)
{
	struct spf_frame *frame = spf_check_top(check);
	struct spf_fault fault;
	if (text.len > check->limits.record_max_bytes) {
		spf_check_error(check, SPF_PERMERROR, "the SPF record is too long");
		return;
	}
	if (!spf_check_keep(check, text, &text))
		return;
	if (!spf_record_parse(text, &frame->record, &fault)) {
		frame->term = (struct spf_term){ .text = fault.term };
		spf_check_error(check, SPF_PERMERROR, fault.problem);
		return;
	}
	frame->rest = frame->record.terms;
	check->step = SPF_STEP_TERM;
}

static void took_record(struct spf_check *check, enum spf_dns_status status, const struct dns_answer *answer)
{
	struct view text = VIEW_NONE;
	size_t found = status == SPF_DNS_OK ? select_record(answer, &text) : 0;
	spf_check_top(check)->term = (struct spf_term){ 0 };
	if (status == SPF_DNS_FAILED)
		spf_check_error(check, SPF_TEMPERROR, "the DNS gave no answer about the SPF record");
	else if (found == 0)
		frame_ends(check, SPF_NONE);
	else if (found > 1)
		spf_check_error(check, SPF_PERMERROR, "there is more than one SPF record");
	else
		use_record(check, text);
}

/* Terms */

/* §4.6.4. */
static bool count_lookup(struct spf_check *check)
{
	if (++check->verdict.lookups <= check->limits.lookups_max)
		return true;
	spf_check_error(check, SPF_PERMERROR, "too many terms of its records need the DNS");
	return false;
}

static bool matches_address(const struct spf_check *check, const struct spf_term *term)
{
	bool is_v6 = term->mechanism == SPF_IP6;
	return check->values.ip.len == (is_v6 ? 16 : 4) &&
		spf_address_same_prefix(
			check->values.ip.ptr, term->address, is_v6 ? term->prefix6_bits : term->prefix4_bits);
}

/* §4.7, §6.1: what holds when no mechanism has matched. */
static void step_behind_terms(struct spf_check *check)
{
	struct spf_frame *frame = spf_check_top(check);
	frame->term = (struct spf_term){ .text = frame->record.redirect_text };
	check->verdict.term = check->verdict.term_domain = VIEW_NONE;
	if (frame->record.redirect.len > 0) {
		if (count_lookup(check))
			check->step = SPF_STEP_REDIRECT;
		return;
	}
	frame_ends(check, SPF_NEUTRAL);
}

static void step_term(struct spf_check *check)
{
	struct spf_frame *frame = spf_check_top(check);
	if (!spf_record_next(&frame->rest, &frame->term)) {
		step_behind_terms(check);
		return;
	}
	if (spf_mechanism_needs_dns(frame->term.mechanism)) {
		if (count_lookup(check))
			check->step = SPF_STEP_TARGET;
		return;
	}
	if (frame->term.mechanism == SPF_ALL || matches_address(check, &frame->term))
		spf_check_matched(check);
}

void spf_check_include(struct spf_check *check)
{
	struct view domain;
	if (!spf_check_keep(check, buf_view(&check->target), &domain))
		return;
	ASSERT(check->frame_count <= check->limits.lookups_max);
	check->frames[check->frame_count++] = (struct spf_frame){ .domain = domain };
	check->step = SPF_STEP_RECORD;
}

static void step_redirect(struct spf_check *check)
{
	struct spf_frame *frame = spf_check_top(check);
	struct view domain;
	/* No target for want of an ASCII local part: then it is as if there were no redirect. */
	check->outcome = SPF_NEUTRAL;
	if (!spf_check_expand(check, frame->record.redirect, SPF_STEP_REDIRECT, SPF_STEP_FRAME_ENDS))
		return;
	if (!spf_check_keep(check, buf_view(&check->target), &domain))
		return;
	*frame = (struct spf_frame){ .domain = domain, .is_redirected = true };
	check->step = SPF_STEP_RECORD;
}

/* The end */

/* §6.2: only for fail, and only the exp= of the record that was asked for first, or to which that redirected. */
static void conclude(struct spf_check *check)
{
	decide(check, check->outcome);
	if (check->outcome == SPF_FAIL && spf_check_top(check)->record.explain.len > 0)
		check->step = SPF_STEP_EXPLAIN;
}

/* §5.2's table, for the frame of an include; errors never come here, since they end the check wherever they happen. */
static void step_frame_ends(struct spf_check *check)
{
	if (check->outcome == SPF_NONE && spf_check_top(check)->is_redirected) {
		spf_check_error(check, SPF_PERMERROR, "the domain that \"redirect=\" names has no SPF record");
	} else if (check->frame_count == 1) {
		conclude(check);
	} else {
		check->frame_count--;
		if (check->outcome == SPF_PASS)
			spf_check_matched(check);
		else if (check->outcome == SPF_NONE)
			spf_check_error(check, SPF_PERMERROR, "the domain that \"include:\" names has no SPF record");
		else
			check->step = SPF_STEP_TERM;
	}
}

/* §6.2: whatever goes wrong from here on, there is just no explanation. */
static void step_explain(struct spf_check *check)
{
	if (!spf_check_expand(check, spf_check_top(check)->record.explain, SPF_STEP_EXPLAIN, SPF_STEP_DONE))
		return;
	check->step = SPF_STEP_DONE;
	if (spf_name_format(buf_view(&check->target), &check->name) == ERR_OK)
		spf_check_ask(check, DNS_TYPE_TXT, SPF_FOR_EXPLANATION);
}

static void took_explanation(struct spf_check *check, enum spf_dns_status status, const struct dns_answer *answer)
{
	if (status != SPF_DNS_OK || answer->record_count != 1 || answer->records[0].type != DNS_TYPE_TXT)
		return;
	struct view text = answer->records[0].data;
	if (text.len <= check->limits.record_max_bytes && spf_macro_is_string(text, true) &&
		spf_check_keep(check, text, &check->explanation_text))
		check->step = SPF_STEP_EXPLAIN_TEXT;
}

static bool is_printable(struct view text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_printable(text.ptr[i]))
			return false;
	return true;
}

static void step_explain_text(struct spf_check *check)
{
	/* Only for its %{p}: what it expands to as a domain is of no use. */
	struct view spec = spf_macro_needs_validated(check->explanation_text) ? VIEW("%{p}") : VIEW_NONE;
	if (!spf_check_expand(check, spec, SPF_STEP_EXPLAIN_TEXT, SPF_STEP_DONE))
		return;
	check->step = SPF_STEP_DONE;
	struct buf text = { 0 };
	buf_init(&text, SPF_EXPLANATION_MAX_BYTES);
	if (spf_macro_expand_explanation(check->explanation_text, &check->values, &text) == ERR_OK &&
		is_printable(buf_view(&text)))
		spf_check_keep(check, buf_view(&text), &check->verdict.explanation);
	buf_clear(&text);
}

/* Running */

typedef void step_function(struct spf_check *check);

static void run(struct spf_check *check)
{
	static step_function *const steps[SPF_STEP_DONE] = {
		[SPF_STEP_RECORD] = step_record,
		[SPF_STEP_TERM] = step_term,
		[SPF_STEP_TARGET] = spf_mechanism_begin,
		[SPF_STEP_MX_HOST] = spf_mechanism_mx_host,
		[SPF_STEP_REDIRECT] = step_redirect,
		[SPF_STEP_VALIDATE] = spf_mechanism_validate,
		[SPF_STEP_FRAME_ENDS] = step_frame_ends,
		[SPF_STEP_EXPLAIN] = step_explain,
		[SPF_STEP_EXPLAIN_TEXT] = step_explain_text,
	};
	while (!check->is_open && check->step != SPF_STEP_DONE)
		steps[check->step](check);
}

static unsigned at_most(unsigned asked, unsigned max)
{
	return asked == 0 || asked > max ? max : asked;
}

static void set_limits(struct spf_check *check, const struct spf_limits *asked)
{
	struct spf_limits *limits = &check->limits;
	limits->lookups_max = at_most(asked->lookups_max, SPF_LOOKUPS_MAX);
	limits->void_lookups_max = at_most(asked->void_lookups_max, SPF_VOID_LOOKUPS_MAX);
	limits->names_max = at_most(asked->names_max, SPF_NAMES_MAX);
	limits->record_max_bytes = asked->record_max_bytes == 0 || asked->record_max_bytes > SPF_RECORD_MAX_BYTES
		? SPF_RECORD_MAX_BYTES
		: asked->record_max_bytes;
	limits->memory_max_bytes = asked->memory_max_bytes == 0 || asked->memory_max_bytes > SPF_MEMORY_MAX_BYTES
		? SPF_MEMORY_MAX_BYTES
		: asked->memory_max_bytes;
}

static struct view keep_field(struct spf_check *check, struct view field)
{
	struct view kept = VIEW_NONE;
	/* An arena without room even for this has no room for a record either; that ends the check in good order. */
	if (arena_dup(&check->arena, view_sub(field, 0, SPF_FIELD_MAX_BYTES), &kept) != ERR_OK)
		kept = VIEW_NONE;
	return kept;
}

/* RFC 7208 §5: an IPv4-mapped address is an IPv4 address. */
static void set_address(struct spf_check *check, struct view ip)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	ASSERT(ip.len == 4 || ip.len == 16);
	if (ip.len == 16 && memcmp(ip.ptr, mapped, sizeof mapped) == 0)
		ip = view_from(ip, sizeof mapped);
	memcpy(check->ip, ip.ptr, ip.len);
	check->values.ip = view_of(check->ip, ip.len);
}

static struct view without_trailing_dot(struct view domain)
{
	return domain.len > 0 && domain.ptr[domain.len - 1] == '.' ? view_sub(domain, 0, domain.len - 1) : domain;
}

static void set_values(struct spf_check *check, const struct spf_question *question)
{
	struct spf_values *values = &check->values;
	bool is_helo = question->identity == SPF_HELO || question->domain.len == 0;
	set_address(check, question->ip);
	values->now_s = question->now_s;
	values->helo = keep_field(check, question->helo);
	values->receiver = question->receiver.len > 0 ? keep_field(check, question->receiver) : VIEW("unknown");
	/* §4.1, §4.3: "postmaster" where there is no local part. */
	values->local = is_helo || question->local.len == 0 ? VIEW("postmaster") : keep_field(check, question->local);
	values->sender_domain = without_trailing_dot(is_helo ? values->helo : keep_field(check, question->domain));
	check->verdict.identity = is_helo ? SPF_HELO : SPF_MAIL_FROM;
	check->verdict.domain = values->sender_domain;
}

struct spf_check *spf_check_new(const struct spf_question *question)
{
	struct spf_check *check = mem_alloc(sizeof *check);
	set_limits(check, &question->limits);
	arena_init(&check->arena, check->limits.memory_max_bytes);
	buf_init(&check->name, SPF_NAME_TEXT_MAX_BYTES);
	buf_init(&check->base, SPF_NAME_TEXT_MAX_BYTES);
	buf_init(&check->target, SPF_TARGET_MAX_BYTES);
	check->frames = mem_alloc_array(check->limits.lookups_max + 1u, sizeof *check->frames);
	set_values(check, question);
	check->frames[check->frame_count++] = (struct spf_frame){ .domain = check->values.sender_domain };
	run(check);
	return check;
}

void spf_check_free(struct spf_check *check)
{
	if (check == NULL)
		return;
	arena_clear(&check->arena);
	buf_clear(&check->name);
	buf_clear(&check->base);
	buf_clear(&check->target);
	mem_free(check->frames);
	mem_free(check);
}

bool spf_check_next(const struct spf_check *check, struct spf_need *ret)
{
	if (check->is_open)
		*ret = check->need;
	return check->is_open;
}

enum err spf_check_answer(
	struct spf_check *check, uint64_t token, enum spf_dns_status status, const struct dns_answer *answer)
{
	static spf_answer_handler *const handlers[] = {
		[SPF_FOR_RECORD] = took_record,
		[SPF_FOR_ADDRESS] = spf_mechanism_address,
		[SPF_FOR_MX] = spf_mechanism_mx,
		[SPF_FOR_MX_HOST] = spf_mechanism_address,
		[SPF_FOR_EXISTS] = spf_mechanism_exists,
		[SPF_FOR_PTR] = spf_mechanism_ptr,
		[SPF_FOR_PTR_HOST] = spf_mechanism_ptr_host,
		[SPF_FOR_EXPLANATION] = took_explanation,
	};
	static const struct dns_answer nothing = { 0 };
	if (!check->is_open || token != check->need.token)
		return err_set(ERR_STATE, "no such SPF question is open");
	check->is_open = false;
	handlers[check->purpose](check, status, status == SPF_DNS_OK && answer != NULL ? answer : &nothing);
	run(check);
	return ERR_OK;
}

void spf_check_give_up(struct spf_check *check)
{
	check->is_open = false;
	if (!check->is_decided)
		spf_check_error(check, SPF_TEMPERROR, "the DNS was too slow");
	check->step = SPF_STEP_DONE;
}

bool spf_check_result(const struct spf_check *check, struct spf_verdict *ret)
{
	if (check->is_open)
		return false;
	*ret = check->verdict;
	return true;
}

size_t spf_check_memory_bytes(const struct spf_check *check)
{
	return sizeof *check + (check->limits.lookups_max + 1u) * sizeof *check->frames + check->arena.used_bytes +
		check->name.cap + check->base.cap + check->target.cap;
}

struct view spf_result_name(enum spf_result result)
{
	static const char *const names[SPF_RESULT_COUNT] = { "none", "neutral", "pass", "fail", "softfail", "temperror",
		"permerror" };
	return view_from_cstr(names[result]);
}
