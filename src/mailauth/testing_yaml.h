/*
 * For tests: as much of YAML as the suites are written in. Block mappings and sequences, plain, quoted, literal and
 * folded scalars, flow sequences of scalars, comments, several documents; no anchors, tags or flow mappings. "\xNN" in
 * double quotes is a byte.
 */
#ifndef MAILAUTH_TESTING_YAML_H
#define MAILAUTH_TESTING_YAML_H

#include "base/arena.h"

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };
struct yaml {
	enum yaml_kind kind;
	struct view key; /* of a map's member */
	struct view text; /* a scalar's */
	struct yaml *first, *next; /* members; the next one of the same parent or document */
	size_t line; /* where it begins, from 1 */
};

/* The documents, linked by `next`; aborts with the line on what it does not know. All memory from the arena. */
struct yaml *yaml_parse(struct view text, struct arena *arena);
/* The member of a map with that key; NULL if there is none, or it is no map, or NULL. */
const struct yaml *yaml_get(const struct yaml *map, const char *key);
/* The text of that member; "" if there is none. */
struct view yaml_text(const struct yaml *map, const char *key);

#endif
