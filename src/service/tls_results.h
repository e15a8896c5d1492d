/*
 * What sessions with other servers showed of TLS, for the reports of RFC 8460: counted in memory, written to the store (store/tls_result_store.h)
 * in batches, off the mail's way. Lives on one loop.
 */
#ifndef SERVICE_TLS_RESULTS_H
#define SERVICE_TLS_RESULTS_H

#include "service/server_private.h"
#include "store/tls_result_store.h"

struct tls_results;

struct tls_results *tls_results_new(struct server *server, struct loop *loop);
/* What is not written yet is lost: flush before. NULL is fine. */
void tls_results_free(struct tls_results *results);
/* One session more; `day` is filled in here. Everything is copied. Bounded: beyond what is kept in memory, or in a row's texts, it is left out. NULL
 * results is fine: nothing is counted. */
void tls_result_add(struct tls_results *results, const struct tls_result *result);
/* Writes what there is now; false: nothing. server->dispatcher, if there is one, waits for it when it stops. NULL is fine. */
bool tls_results_flush(struct tls_results *results);

#endif
