/*
 * SRS, the Sender Rewriting Scheme: what leaves again through an alias of ours goes with a return address of ours, so that SPF passes at the next
 * server; a bounce to that address is led back to the sender. The address says itself where it leads to, with a day and a proof that we made it:
 *
 *   SRS0=proof=day=sender.example=joe@ours.example           from joe@sender.example
 *   SRS1=proof=forwarder.example==rest@ours.example           from SRS0=rest@forwarder.example, which has one already: bounces skip us two
 *
 * Pure: key and day are passed in. Proof and day are letters that survive a change of case.
 */
#ifndef POLICY_SRS_H
#define POLICY_SRS_H

#include "base/buf.h"

enum {
	SRS_DAYS = 1024, /* days are counted modulo this */
	SRS_VALID_DAYS = 21, /* longer than anybody tries to deliver (RFC 5321 §4.5.4.1: 4–5 days), and a bounce back */
};

/* Appends the rewritten form of `sender` at `domain`, one of ours. ERR_UNSUPPORTED for a sender that can't be (null, a quoted or international local
 * part, an address literal), ERR_LIMIT when the local part would be longer than RFC 5321 §4.5.3.1.1 allows: then it stays as it is. `day`: since 1970. */
enum err srs_forward(struct view key, int64_t day, struct view sender, struct view domain, struct buf *out) MUST_CHECK;

/* "SRS0=" or "SRS1=", in either case: an address of this kind, whoever made it. */
bool srs_is_address(struct view local);
/* Where a bounce to this local part goes: appends the address. ERR_REFUSED: not of our making, or too old; ERR_SYNTAX: no such address. */
enum err srs_reverse(struct view key, int64_t day, struct view local, struct buf *out) MUST_CHECK;

#endif
