/* The short proofs in addresses of our making. Pure. */
#ifndef POLICY_PROOF_H
#define POLICY_PROOF_H

#include "base/buf.h"

/* 30 bits: to guess one takes a thousand million tries, each a refused recipient. */
#define PROOF_CHARS 6u

/* Of the text, without regard to case: for this purpose only ("srs", "bounce"). */
void proof_make(struct view key, const char *purpose, struct view text, char ret[PROOF_CHARS]);
bool proof_matches(struct view key, const char *purpose, struct view text, struct view proof);

/* `chars` letters of base 32 (a–z, 2–7), the highest first. */
enum err proof_append_number(uint32_t number, unsigned chars, struct buf *out) MUST_CHECK;
/* In either case. ERR_SYNTAX. */
enum err proof_parse_number(struct view text, uint32_t *ret) MUST_CHECK;

#endif
