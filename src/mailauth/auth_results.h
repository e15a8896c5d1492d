/*
 * The field "Authentication-Results" (RFC 8601): what was found out about a message, for those who read it here. Two
 * halves: writing ours, and finding in what came in the fields that pretend to be ours. Pure.
 *
 * A result is text such as "spf=pass smtp.mailfrom=joe@example.org": spf_format_result(), dkim_format_result(),
 * dmarc_format_result(), auth_iprev_format() and auth_result_format() write them; auth_results_format() makes the field
 * of them.
 */
#ifndef MAILAUTH_AUTH_RESULTS_H
#define MAILAUTH_AUTH_RESULTS_H

#include "base/buf.h"
#include "mail/header.h"

/* A property, such as smtp.auth=joe. The value may be outside bytes. */
struct auth_property {
	struct view type, name; /* "smtp", "auth": letters, digits and "-" */
	struct view value;
};
struct auth_result {
	struct view method, result; /* "auth", "pass": letters, digits and "-" */
	struct view reason; /* may be outside bytes; empty: none */
	const struct auth_property *properties;
	size_t property_count;
};
/* Appends one result, without ";" or fold. Values that are not names or addresses are quoted; control characters and
 * bytes outside ASCII become "?"; each is cut to 320 bytes. */
enum err auth_result_format(const struct auth_result *result, struct buf *out) MUST_CHECK;

enum auth_iprev { AUTH_IPREV_PASS, AUTH_IPREV_FAIL, AUTH_IPREV_TEMPERROR, AUTH_IPREV_PERMERROR }; /* RFC 8601 §2.7.3 */
enum { AUTH_IPREV_COUNT = AUTH_IPREV_PERMERROR + 1 };
/* "iprev=pass reason=… policy.iprev=192.0.2.1": the client's address as text, and its verified name, if it has one, as
 * reason. */
enum err auth_iprev_format(enum auth_iprev result, struct view address, struct view name, struct buf *out) MUST_CHECK;

/* Appends the field "Authentication-Results: id; result; result" with its CRLF, a line each and folded at spaces; "id;
 * none" without results. ERR_SYNTAX, and nothing changes, if a result could not stand in the field as one: it is empty,
 * has bytes that are not printable ASCII, quotes that don't end, a ";" or parenthesis outside them, or a word of more
 * than 990 bytes. The id is quoted if it is more than a name. */
enum err auth_results_format(
	struct view authserv_id, const struct view *results, size_t count, struct buf *out) MUST_CHECK;

/* What a field's value begins with. */
enum auth_serv_id {
	AUTH_ID_PRESENT,
	AUTH_ID_ABSENT, /* it begins with a result, as some servers write it */
	AUTH_ID_UNCLEAR /* comments or quotes that don't end, control characters: readers may take it for any */
};
/* The id (RFC 8601 §2.2), unquoted, appended to *out. */
enum err auth_results_read_id(struct view value, struct buf *out, enum auth_serv_id *ret) MUST_CHECK;

/* Takes the next field off the front of *rest, a header section, that has to go (RFC 8601 §5): an
 * Authentication-Results whose id is one of `ids` (without case or trailing dot), or is unclear. What stands before it
 * is passed over. False when there is none left. Ask for the incoming message before our own field is put on top.
 * ret->whole is what to leave out. */
bool auth_results_next_forged(struct view *rest, const struct view *ids, size_t id_count, struct header_field *ret);

#endif
