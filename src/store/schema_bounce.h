#ifndef STORE_SCHEMA_BOUNCE_H
#define STORE_SCHEMA_BOUNCE_H

/* Migration 6: what became of recipients, as far as replies, bounces and complaints tell. */
#define MAIN_6(BYTES, KEY, SERIAL, CLUSTERED)                                                                          \
	"CREATE TABLE bounce ("                                                                                        \
	" address_key TEXT NOT NULL,"                                                                                  \
	" address TEXT NOT NULL,"                                                                                      \
	" hard BIGINT NOT NULL,"                                                                                       \
	" soft BIGINT NOT NULL,"                                                                                       \
	" complaints BIGINT NOT NULL,"                                                                                 \
	" last_class TEXT NOT NULL,"                                                                                   \
	" last_text TEXT NOT NULL,"                                                                                    \
	" last_ms BIGINT NOT NULL,"                                                                                    \
	" PRIMARY KEY (address_key))" CLUSTERED ";"

#endif
