/* What the files of the SPF engine share: addresses, macros, and the check's inside. */
#ifndef MAILAUTH_SPF_PRIVATE_H
#define MAILAUTH_SPF_PRIVATE_H

#include "mailauth/spf.h"
#include "mailauth/spf_record.h"

enum {
	SPF_FIELD_MAX_BYTES = 512, /* what is kept of what a client said */
	SPF_NAME_MAX_BYTES = 253, /* of a domain name, RFC 7208 §7.3 */
	SPF_LABEL_MAX_BYTES = 63,
	SPF_NAME_TEXT_MAX_BYTES = 4 * SPF_NAME_MAX_BYTES, /* each byte as \DDD */
	SPF_TARGET_MAX_BYTES = 2048, /* of a domain while it is expanded */
};

/* Addresses (spf_address.c) */

/* §12: ip4-network and ip6-network; the latter as RFC 4291 §2.2. */
bool spf_address_parse4(struct view text, uint8_t ret[4]);
bool spf_address_parse6(struct view text, uint8_t ret[16]);
/* The first `bits` bits are the same. */
bool spf_address_same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits);
/* %{c}: "192.0.2.1", and RFC 5952. %{i}: "192.0.2.1", and nibbles with dots between (§7.3). */
enum err spf_address_format(struct view ip, struct buf *out) MUST_CHECK;
enum err spf_address_format_dotted(struct view ip, struct buf *out) MUST_CHECK;
/* The name of its PTR records. */
enum err spf_address_format_reverse(struct view ip, struct buf *out) MUST_CHECK;

/* Names (spf_address.c) */

/* A name to ask for, as dns/message.h writes it, into *out, which is emptied first. ERR_SYNTAX if it is none: an
 * empty or too long label, too long, nothing. */
enum err spf_name_format(struct view domain, struct buf *out) MUST_CHECK;

/* Macros (spf_macro.c), RFC 7208 §7 */

struct spf_values {
	struct view ip;
	struct view local, sender_domain; /* of <sender> */
	struct view domain; /* <domain> */
	struct view validated; /* %{p} */
	struct view helo, receiver;
	uint64_t now_s;
};

/* True if it is a domain-spec. */
bool spf_macro_is_domain_spec(struct view text);
/* True if it is a macro-string; with `is_explanation`, an explain-string. %{c}, %{r}, %{t} may stand in both. */
bool spf_macro_is_string(struct view text, bool is_explanation);
/* True if a valid text has %{p}. */
bool spf_macro_needs_validated(struct view text);
/* Replaces *out. Domains are cut from the left to 253 bytes and lose their trailing dot (SPF_TARGET_MAX_BYTES are
 * enough for it); ERR_UNSUPPORTED if a local part outside ASCII would go into one (RFC 8616 §4: no such term
 * matches). ERR_SYNTAX if the text is not valid, ERR_LIMIT from *out. */
enum err spf_macro_expand_domain(struct view text, const struct spf_values *values, struct buf *out) MUST_CHECK;
enum err spf_macro_expand_explanation(struct view text, const struct spf_values *values, struct buf *out) MUST_CHECK;

/* The check (spf_check.c, spf_mechanism.c) */

/* One record under evaluation; the one above it in the stack is what its `include` names. */
struct spf_frame {
	struct view domain;
	struct view validated; /* %{p} for this domain; empty: not known yet */
	struct spf_record record;
	struct view rest; /* terms not taken yet */
	struct spf_term term; /* the one taken */
	bool is_redirected; /* a frame of another domain stood here before */
};

/* What is done next when no question is open. */
enum spf_step {
	SPF_STEP_RECORD, /* ask for the top frame's record */
	SPF_STEP_TERM, /* take its next term */
	SPF_STEP_TARGET, /* find the term's target, and begin with it */
	SPF_STEP_MX_HOST, /* the next of the MX hosts */
	SPF_STEP_REDIRECT,
	SPF_STEP_VALIDATE, /* look for a validated name of the address */
	SPF_STEP_FRAME_ENDS, /* with check->outcome */
	SPF_STEP_EXPLAIN, /* find the explanation's name */
	SPF_STEP_EXPLAIN_TEXT,
	SPF_STEP_DONE
};
/* What the answer to the open question is for. */
enum spf_purpose {
	SPF_FOR_RECORD,
	SPF_FOR_ADDRESS,
	SPF_FOR_MX,
	SPF_FOR_MX_HOST,
	SPF_FOR_EXISTS,
	SPF_FOR_PTR,
	SPF_FOR_PTR_HOST,
	SPF_FOR_EXPLANATION
};

enum spf_name_state { SPF_NAME_UNKNOWN, SPF_NAME_VALID, SPF_NAME_INVALID };
/* The names that the client's address claims (§5.5), asked for once in a check, each looked up only when it matters. */
struct spf_client_names {
	bool asked;
	size_t count, current;
	struct view names[SPF_NAMES_MAX];
	enum spf_name_state states[SPF_NAMES_MAX];
	/* The search under way: a name equal to or below `base`, for a "ptr" term; or the best there is, for %{p},
	 * and then `back` is done. */
	bool for_macro;
	enum spf_step back;
};

struct spf_check {
	struct arena arena;
	struct spf_limits limits;
	struct spf_values values;
	uint8_t ip[16];
	struct spf_frame *frames;
	size_t frame_count;
	enum spf_step step;
	enum spf_result outcome; /* of the frame that ends */
	bool is_decided; /* only the explanation may come yet */

	bool is_open;
	struct spf_need need;
	enum spf_purpose purpose;
	struct buf name; /* need.name */
	struct buf target; /* of the term, macros expanded, as is */
	struct buf base; /* the name below which `ptr` looks */

	struct view mx_names[SPF_NAMES_MAX];
	size_t mx_count, mx_next;
	struct spf_client_names client;
	struct view explanation_text;
	struct spf_verdict verdict;
};

struct spf_frame *spf_check_top(struct spf_check *check);
/* Ends the check; the top frame's term is at fault. */
void spf_check_error(struct spf_check *check, enum spf_result result, const char *problem);
/* The term at hand has matched. */
void spf_check_matched(struct spf_check *check);
/* Puts a frame for check->target on top, for an `include`. */
void spf_check_include(struct spf_check *check);
/* Copies into the check's memory; false if there is none left: then the check has ended. */
bool spf_check_keep(struct spf_check *check, struct view bytes, struct view *ret);
/* Opens a question for check->name. */
void spf_check_ask(struct spf_check *check, uint16_t type, enum spf_purpose purpose);
/* Expands a domain-spec into check->target, or sees to it that %{p} is known first, and then `step` is done again:
 * false. False also when there will be no target: then the step is `otherwise`. */
bool spf_check_expand(struct spf_check *check, struct view domain_spec, enum spf_step step, enum spf_step otherwise);

void spf_mechanism_begin(struct spf_check *check);
void spf_mechanism_mx_host(struct spf_check *check);
void spf_mechanism_validate(struct spf_check *check);

typedef void spf_answer_handler(struct spf_check *check, enum spf_dns_status status, const struct dns_answer *answer);
spf_answer_handler spf_mechanism_address, spf_mechanism_mx, spf_mechanism_exists, spf_mechanism_ptr,
	spf_mechanism_ptr_host;

#endif
