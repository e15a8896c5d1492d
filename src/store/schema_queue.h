#ifndef STORE_SCHEMA_QUEUE_H
#define STORE_SCHEMA_QUEUE_H

/*
 * Migration 2: what a recipient's way through the queue depends on, and what an operator suspended.
 * recipient.stream and the columns after it are on the recipient, not the message: a column behind the content would be read through all of the
 * content's overflow pages.
 * suspension: source is "operator" or "rule" (of shaping), kind is "domain", "site", "smarthost" or "stream"; stream belongs to a site; until_ms 0: until
 * resumed.
 * domain_site: the site that mail for a domain went to when it was last deferred: a row per domain instead of a column per recipient;
 *   noted_day: when (days since 1970, UTC), for rows that nothing needs any more are removed.
 */
#define MAIN_2(BYTES, KEY, SERIAL, CLUSTERED)                                                                          \
	"ALTER TABLE recipient ADD COLUMN stream TEXT NOT NULL DEFAULT '';"                                            \
	"ALTER TABLE recipient ADD COLUMN smarthost TEXT NOT NULL DEFAULT '';"                                         \
	"ALTER TABLE recipient ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;"                                        \
	"ALTER TABLE recipient ADD COLUMN deliver_by_ms BIGINT NOT NULL DEFAULT 0;"                                    \
	"ALTER TABLE recipient ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;"                                           \
	"CREATE TABLE suspension ("                                                                                    \
	" source TEXT NOT NULL,"                                                                                       \
	" kind TEXT NOT NULL,"                                                                                         \
	" name TEXT NOT NULL,"                                                                                         \
	" stream TEXT NOT NULL,"                                                                                       \
	" until_ms BIGINT NOT NULL,"                                                                                   \
	" reason TEXT NOT NULL,"                                                                                       \
	" PRIMARY KEY (source, kind, name, stream))" CLUSTERED ";"                                                     \
	"CREATE TABLE domain_site ("                                                                                   \
	" domain TEXT NOT NULL PRIMARY KEY,"                                                                           \
	" site TEXT NOT NULL,"                                                                                         \
	" noted_day INTEGER NOT NULL)" CLUSTERED ";"

/* Migration 8: FUTURERELEASE (RFC 4865) as it was asked for; hold_for_s 0: by a date. */
#define MAIN_8(BYTES, KEY, SERIAL, CLUSTERED)                                                                          \
	"ALTER TABLE recipient ADD COLUMN hold_until_ms BIGINT NOT NULL DEFAULT 0;"                                    \
	"ALTER TABLE recipient ADD COLUMN hold_for_s INTEGER NOT NULL DEFAULT 0;"

#endif
