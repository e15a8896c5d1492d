#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns/message.h"

#include "base/buf.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* A message is written as text: words separated by spaces.
 *   H<flags hex>,<questions>,<answers>   header        n<name>  uncompressed name ("n." is the root)
 *   q<type>       type and class IN                    r<type>,<ttl>,<length>  type, IN, ttl, rdlength (maybe a lie)
 *   r<type>,<ttl> the same with the length of what stands between this and the next ";"
 *   p<offset>     compression pointer                  b<byte> s<u16> d<u32>   numbers        x<hex>   raw bytes
 *   t<text>       length byte and text                 l<text>  a label (as t; the root does not follow) */
static void put(struct buf *wire, uint64_t n, unsigned bytes)
{
	while (bytes-- > 0)
		assert_int_equal(buf_append_byte(wire, (uint8_t)(n >> (8 * bytes))), ERR_OK);
}

static void put_string(struct buf *wire, struct view text)
{
	put(wire, text.len, 1);
	assert_int_equal(buf_append(wire, text), ERR_OK);
}

static void put_name(struct buf *wire, struct view name)
{
	struct view label;
	while (view_split(&name, '.', &label))
		if (label.len > 0)
			put_string(wire, label);
	put(wire, 0, 1);
}

static uint64_t number(struct view *rest)
{
	struct view digits;
	uint64_t n;
	assert_true(view_split(rest, ',', &digits));
	assert_int_equal(view_parse_u64(digits, UINT32_MAX, &n), ERR_OK);
	return n;
}

static void put_hex(struct buf *wire, struct view hex)
{
	for (size_t i = 0; i + 1 < hex.len; i += 2)
		put(wire, (uint64_t)(ascii_hex_value(hex.ptr[i]) << 4 | ascii_hex_value(hex.ptr[i + 1])), 1);
}

static void put_word(struct buf *wire, struct view word)
{
	static size_t length_at;
	struct view rest = view_from(word, 1);
	switch (word.ptr[0]) {
	case 'H':
		put(wire, 0x1234, 2);
		put_hex(wire, view_sub(rest, 0, 4));
		rest = view_from(rest, 5);
		put(wire, number(&rest), 2);
		put(wire, number(&rest), 2);
		put(wire, 0, 4);
		break;
	case 'n':
		put_name(wire, rest);
		break;
	case 'q':
		put(wire, number(&rest), 2);
		put(wire, 1, 2);
		break;
	case 'r':
		put(wire, number(&rest), 2);
		put(wire, 1, 2);
		put(wire, number(&rest), 4);
		if (rest.len == 0)
			length_at = wire->len;
		put(wire, rest.len > 0 ? number(&rest) : 0, 2);
		break;
	case ';':
		wire->ptr[length_at + 1] = (uint8_t)(wire->len - length_at - 2);
		break;
	case 'p':
		put(wire, 0xc000 | number(&rest), 2);
		break;
	case 'b':
		put(wire, number(&rest), 1);
		break;
	case 's':
		put(wire, number(&rest), 2);
		break;
	case 'd':
		put(wire, number(&rest), 4);
		break;
	case 't':
	case 'l':
		put_string(wire, rest);
		break;
	case 'x':
		put_hex(wire, rest);
		break;
	default:
		fail_msg("what is %.*s?", VIEW_ARG(word));
	}
}

static void build(struct buf *wire, const char *text)
{
	struct view rest = view_from_cstr(text), word;
	buf_reset(wire);
	while (view_split(&rest, ' ', &word))
		if (word.len > 0)
			put_word(wire, word);
}

/* The answer as one line, to compare with: "rcode final [cname] ttl: record; record". */
static void describe(const struct dns_answer *answer, struct buf *out)
{
	buf_reset(out);
	enum err err = buf_append_format(out, "%u %.*s %s%u:", answer->rcode, VIEW_ARG(answer->final_name),
		answer->had_cname ? "cname " : "", (unsigned)answer->ttl_s);
	for (size_t i = 0; i < answer->record_count && err == ERR_OK; i++) {
		const struct dns_record *r = &answer->records[i];
		assert_true(view_eq(r->owner, answer->final_name));
		err = buf_append_format(out, " %u/%u/%u/%u%u%u/%.*s/", (unsigned)r->type, (unsigned)r->ttl_s,
			(unsigned)r->preference, (unsigned)r->tlsa_usage, (unsigned)r->tlsa_selector,
			(unsigned)r->tlsa_matching, VIEW_ARG(r->name));
		if (err == ERR_OK)
			err = buf_append_escaped(out, r->data, 1000);
	}
	assert_int_equal(err, ERR_OK);
}

#define Q(type) "H8180,1,1 nexample.org q" #type " "
#define Q2(type) "H8180,1,2 nexample.org q" #type " "

static const struct {
	const char *name, *wire;
	uint16_t type;
	const char *answer; /* NULL: ERR_SYNTAX */
} cases[] = {
	/* Good ones, one per type. The question's name is at 12. */
	{ "A", Q(1) "p12 r1,300 xc0000201 ;", 1, "0 example.org 300: 1/300/0/000//\\xc0\\x00\\x02\\x01" },
	{ "two A, the smaller ttl", Q2(1) "p12 r1,300 x01020304 ; p12 r1,60 x05060708 ;", 1,
		"0 example.org 60: 1/300/0/000//\\x01\\x02\\x03\\x04 1/60/0/000//\\x05\\x06\\x07\\x08" },
	{ "AAAA", Q(28) "p12 r28,5 x20010db8000000000000000000000061 ;", 28,
		"0 example.org 5: 28/5/0/000// "
		"\\x01\\x0d\\xb8\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00a" },
	{ "MX", Q(15) "p12 r15,7 s10 lmail p12 ;", 15, "0 example.org 7: 15/7/10/000/mail.example.org/" },
	{ "MX, upper case", Q(15) "nEXAMPLE.Org r15,7 s10 nMX.Else.net ;", 15,
		"0 example.org 7: 15/7/10/000/mx.else.net/" },
	{ "null MX (RFC 7505)", Q(15) "p12 r15,7 s0 n. ;", 15, "0 example.org 7: 15/7/0/000//" },
	{ "NS", Q(2) "p12 r2,1 lns p12 ;", 2, "0 example.org 1: 2/1/0/000/ns.example.org/" },
	{ "PTR", Q(12) "p12 r12,1 p12 ;", 12, "0 example.org 1: 12/1/0/000/example.org/" },
	{ "SRV", Q(33) "p12 r33,1 s1 s2 s25 lmail p12 ;", 33,
		"0 example.org 1: 33/1/1/000/mail.example.org/\\x00\\x01\\x00\\x02\\x00\\x19\\x04mail\\xc0\\x0c" },
	{ "TXT of two strings", Q(16) "p12 r16,9 tv=spf1 b6 x2d616c6c2121 ;", 16,
		"0 example.org 9: 16/9/0/000//v=spf1-all!!" },
	{ "TXT, an empty string", Q(16) "p12 r16,9 b0 ;", 16, "0 example.org 9: 16/9/0/000//" },
	{ "TLSA", Q(52) "p12 r52,9 b3 b1 b1 x616263 ;", 52, "0 example.org 9: 52/9/0/311//abc" },
	{ "an unknown type is raw", Q(257) "p12 r257,9 x616263 ;", 257, "0 example.org 9: 257/9/0/000//abc" },
	{ "CNAME asked for", Q(5) "p12 r5,9 lx p12 ;", 5, "0 example.org 9: 5/9/0/000/x.example.org/" },
	{ "a large ttl is zero", Q(1) "p12 r1,2147483648 x01020304 ;", 1,
		"0 example.org 0: 1/0/0/000//\\x01\\x02\\x03\\x04" },
	/* Outcomes. */
	{ "no answer", "H8180,1,0 nexample.org q1", 1, "0 example.org 0:" },
	{ "NXDOMAIN", "H8183,1,0 nexample.org q1", 1, "3 example.org 0:" },
	{ "SERVFAIL", "H8182,1,0 nexample.org q1", 1, "2 example.org 0:" },
	{ "an answer about the root", "H8180,1,0 n. q2", 2, "0  0:" },
	{ "another owner is left out", Q2(1) "nevil.org r1,1 x01010101 ; p12 r1,9 x61626364 ;", 1,
		"0 example.org 9: 1/9/0/000//abcd" },
	{ "another type is left out", Q2(1) "p12 r46,1 x0000 ; p12 r1,9 x61626364 ;", 1,
		"0 example.org 9: 1/9/0/000//abcd" },
	{ "another class is left out", Q2(1) "p12 x00010003 d1 s4 x01010101 p12 r1,9 x61626364 ;", 1,
		"0 example.org 9: 1/9/0/000//abcd" },
	{ "what follows is not looked at", Q(1) "p12 r1,9 x61626364 ; xffffffff", 1,
		"0 example.org 9: 1/9/0/000//abcd" },
	/* CNAMEs. */
	{ "CNAME, then A", Q2(1) "p12 r5,3 lx p12 ; nx.example.org r1,9 x61626364 ;", 1,
		"0 x.example.org cname 3: 1/9/0/000//abcd" },
	{ "CNAME behind what it leads to", Q2(1) "nx.example.org r1,9 x61626364 ; p12 r5,30 lx p12 ;", 1,
		"0 x.example.org cname 9: 1/9/0/000//abcd" },
	{ "A beside a CNAME is not the answer", Q2(1) "p12 r1,1 x01010101 ; p12 r5,30 lx p12 ;", 1,
		"0 x.example.org cname 30:" },
	{ "CNAME to nowhere", "H8183,1,1 nexample.org q1 p12 r5,3 ngone.net ;", 1, "3 gone.net cname 3:" },
	{ "CNAME to itself", Q(1) "p12 r5,3 p12 ;", 1, NULL },
	{ "CNAMEs in a circle", Q2(1) "p12 r5,3 na.net ; na.net r5,3 p12 ;", 1, NULL },
	{ "CNAME with bytes behind", Q(1) "p12 r5,3 p12 b0 ;", 1, NULL },
	/* Names. The data of the first record is at 41. */
	{ "strange bytes in labels", Q(12) "p12 r12,1 b3 x612e62 b3 x5c00ff b0 ;", 12,
		"0 example.org 1: 12/1/0/000/a\\046b.\\092\\000\\255/" },
	{ "underscore and digits", "H8180,1,0 n_25._tcp.MX-1.example.org q52", 52, "0 _25._tcp.mx-1.example.org 0:" },
	{ "pointer to itself", Q(12) "p12 r12,1 p41 ;", 12, NULL },
	{ "pointer forward", Q(12) "p12 r12,1 p43 ; n.", 12, NULL },
	{ "pointer into its own part", Q(12) "p12 r12,1 la p41 ;", 12, NULL },
	{ "pointer into the header", Q(12) "p12 r12,1 p4 ;", 12, NULL },
	{ "reserved label type", Q(12) "p12 r12,1 x806100 ;", 12, NULL },
	{ "half a pointer", Q(12) "p12 r12,1 xc0 ;", 12, NULL },
	{ "name longer than its data", Q(12) "p12 r12,1,3 lmail p12", 12, NULL },
	{ "name shorter than its data", Q(12) "p12 r12,1 lmail p12 b0 ;", 12, NULL },
	/* Lies. */
	{ "empty", "", 1, NULL },
	{ "half a header", "x123481800001", 1, NULL },
	{ "a query", "H0100,1,0 nexample.org q1", 1, NULL },
	{ "truncated", "H8380,1,0 nexample.org q1", 1, NULL },
	{ "no question", "H8180,0,0", 1, NULL },
	{ "two questions", "H8180,2,0 nexample.org q1 nexample.org q1", 1, NULL },
	{ "another type's question", "H8180,1,0 nexample.org q1", 15, NULL },
	{ "question without class", "H8180,1,0 nexample.org s1", 1, NULL },
	{ "fewer records than counted", Q2(1) "p12 r1,9,4 x61626364", 1, NULL },
	{ "data longer than the message", Q(1) "p12 r1,9,5 x61626364", 1, NULL },
	{ "A of 3 bytes", Q(1) "p12 r1,9,3 x616263", 1, NULL },
	{ "AAAA of 4 bytes", Q(28) "p12 r28,9,4 x61626364", 28, NULL },
	{ "MX of 2 bytes", Q(15) "p12 r15,9,2 s10", 15, NULL },
	{ "SRV without target", Q(33) "p12 r33,1,6 s1 s2 s25", 33, NULL },
	{ "TXT without a string", Q(16) "p12 r16,9,0", 16, NULL },
	{ "TXT longer than its data", Q(16) "p12 r16,9,3 b3 x6162", 16, NULL },
	{ "TLSA of 2 bytes", Q(52) "p12 r52,9,2 b3 b1", 52, NULL },
	{ "malformed record of another type", Q2(1) "p12 r1,9 x61626364 ; p12 r16,9,200", 1, NULL },
};

static void answers_are_read(void **state)
{
	(void)state;
	struct buf wire = { 0 }, text = { 0 };
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct arena arena;
		struct dns_answer answer;
		memset(&answer, 0x55, sizeof answer);
		struct dns_answer before = answer;
		print_message("  %s\n", cases[i].name);
		arena_init(&arena, 100000);
		build(&wire, cases[i].wire);
		enum err err = dns_answer_parse(buf_view(&wire), cases[i].type, &arena, &answer);
		if (cases[i].answer == NULL) {
			assert_int_equal(err, ERR_SYNTAX);
			assert_memory_equal(&answer, &before, sizeof answer);
		} else {
			assert_int_equal(err, ERR_OK);
			describe(&answer, &text);
			assert_string_equal(buf_cstr(&text), cases[i].answer);
		}
		arena_clear(&arena);
	}
	buf_clear(&wire);
	buf_clear(&text);
}

/* A chain n0 → n1 → … → n<links>, and an A at its end. */
static enum err parse_chain(unsigned links, struct dns_answer *ret, struct arena *arena)
{
	struct buf wire = { 0 };
	char text[64];
	snprintf(text, sizeof text, "H8180,1,%u n0000 q1", links + 1);
	build(&wire, text);
	for (unsigned i = 0; i < links; i++) {
		struct buf record = { 0 };
		snprintf(text, sizeof text, "n%04u r5,9,6 n%04u", i, i + 1);
		build(&record, text);
		assert_int_equal(buf_append(&wire, buf_view(&record)), ERR_OK);
		buf_clear(&record);
	}
	struct buf record = { 0 };
	snprintf(text, sizeof text, "n%04u r1,9,4 x01020304", links);
	build(&record, text);
	assert_int_equal(buf_append(&wire, buf_view(&record)), ERR_OK);
	buf_clear(&record);
	enum err err = dns_answer_parse(buf_view(&wire), DNS_TYPE_A, arena, ret);
	buf_clear(&wire);
	return err;
}

static void chains_are_bounded(void **state)
{
	(void)state;
	static const struct {
		unsigned links;
		enum err err;
	} chains[] = { { 1, ERR_OK }, { 16, ERR_OK }, { 17, ERR_SYNTAX }, { 64, ERR_SYNTAX }, { 65, ERR_LIMIT } };
	for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++) {
		struct arena arena;
		struct dns_answer answer;
		arena_init(&arena, 10000);
		assert_int_equal(parse_chain(chains[i].links, &answer, &arena), chains[i].err);
		if (chains[i].err == ERR_OK)
			assert_int_equal(answer.record_count, 1);
		arena_clear(&arena);
	}
}

/* A name of exactly 255 bytes is read, one of 256 is not. */
static void long_names_are_bounded(void **state)
{
	(void)state;
	for (unsigned last = 61; last <= 62; last++) {
		struct buf wire = { 0 };
		struct arena arena;
		struct dns_answer answer;
		static const uint8_t letters[63] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
		arena_init(&arena, 10000);
		build(&wire, "H8180,1,0");
		for (int i = 0; i < 3; i++)
			put_string(&wire, view_of(letters, 63));
		put_string(&wire, view_of(letters, last));
		put(&wire, 0, 1);
		put(&wire, 0x00010001, 4);
		assert_int_equal(dns_answer_parse(buf_view(&wire), DNS_TYPE_A, &arena, &answer),
			last == 61 ? ERR_OK : ERR_SYNTAX);
		if (last == 61)
			assert_int_equal(answer.final_name.len, 253);
		arena_clear(&arena);
		buf_clear(&wire);
	}
}

/* Whatever the arena's budget is, the answer is whole or ERR_LIMIT. */
static void budgets_are_kept(void **state)
{
	(void)state;
	struct buf wire = { 0 };
	bool fitted = false;
	build(&wire, Q2(16) "p12 r16,9,7 tv=spf1 p12 r16,9,7 tv=spf2");
	for (size_t budget = 0; budget < 1000; budget++) {
		struct arena arena;
		struct dns_answer answer;
		arena_init(&arena, budget);
		enum err err = dns_answer_parse(buf_view(&wire), DNS_TYPE_TXT, &arena, &answer);
		assert_true(err == ERR_LIMIT || err == ERR_OK);
		assert_true(!fitted || err == ERR_OK);
		fitted = err == ERR_OK;
		assert_true(!fitted || answer.record_count == 2);
		arena_clear(&arena);
	}
	assert_true(fitted);
	buf_clear(&wire);
}

/* Any beginning of a message is malformed: nothing is read from beyond the end (which the sanitizers watch). */
static void beginnings_are_malformed(void **state)
{
	(void)state;
	struct buf wire = { 0 };
	build(&wire, Q2(15) "p12 r15,7,9 s10 lmail p12 p12 r15,7,9 s20 lback p12");
	for (size_t len = 0; len < wire.len; len++) {
		struct arena arena;
		struct dns_answer answer;
		uint8_t *exact = mem_alloc(len);
		memcpy(exact, wire.ptr, len);
		arena_init(&arena, 10000);
		assert_int_equal(dns_answer_parse(view_of(exact, len), DNS_TYPE_MX, &arena, &answer), ERR_SYNTAX);
		arena_clear(&arena);
		mem_free(exact);
	}
	buf_clear(&wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_read),
		cmocka_unit_test(chains_are_bounded),
		cmocka_unit_test(long_names_are_bounded),
		cmocka_unit_test(budgets_are_kept),
		cmocka_unit_test(beginnings_are_malformed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
