/* Sessions to resume: a hash table by key, and a list by age of use, of which the oldest goes when there are too many. */
#include "net/tls_private.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"

#include <pthread.h>
#include <string.h>

/* What was found about a certificate counts for so long; it may have been revoked, replaced or have expired since. */
#define AGE_MAX_MS 3600000

struct kept {
	struct list link; /* least recently used first */
	struct kept *next;
	struct view key;
	SSL_SESSION *session;
	struct tls_facts facts;
	int64_t since_ms;
};

struct tls_sessions {
	pthread_mutex_t lock;
	struct list kept;
	size_t count, max, bucket_count;
	struct kept **buckets;
};

struct tls_sessions *tls_sessions_new(size_t max)
{
	struct tls_sessions *sessions = mem_alloc(sizeof *sessions);
	pthread_mutex_init(&sessions->lock, NULL);
	list_init(&sessions->kept);
	sessions->max = max;
	sessions->bucket_count = max / 2 + 1;
	sessions->buckets = mem_alloc_array(sessions->bucket_count, sizeof *sessions->buckets);
	return sessions;
}

/* The place that points to the entry of this key, or to NULL. */
static struct kept **find(struct tls_sessions *sessions, struct view key)
{
	struct kept **at = &sessions->buckets[view_hash(key) % sessions->bucket_count];
	while (*at != NULL && !view_eq((*at)->key, key))
		at = &(*at)->next;
	return at;
}

static void forget(struct tls_sessions *sessions, struct kept **at)
{
	struct kept *kept = *at;
	*at = kept->next;
	list_remove(&kept->link);
	SSL_SESSION_free(kept->session);
	mem_free((void *)(uintptr_t)kept->key.ptr);
	mem_free(kept);
	sessions->count--;
}

static void forget_oldest(struct tls_sessions *sessions)
{
	forget(sessions, find(sessions, LIST_ENTRY(sessions->kept.next, struct kept, link)->key));
}

void tls_sessions_free(struct tls_sessions *sessions)
{
	if (sessions == NULL)
		return;
	while (sessions->count > 0)
		forget_oldest(sessions);
	mem_free(sessions->buckets);
	pthread_mutex_destroy(&sessions->lock);
	mem_free(sessions);
}

void tls_sessions_put(struct tls_sessions *sessions, struct view key, SSL_SESSION *session,
	const struct tls_facts *facts, int64_t since_ms)
{
	pthread_mutex_lock(&sessions->lock);
	struct kept **at = find(sessions, key);
	if (*at != NULL)
		forget(sessions, at);
	if (sessions->count >= sessions->max)
		forget_oldest(sessions);
	struct kept *kept = mem_alloc(sizeof *kept);
	kept->key = view_of((const uint8_t *)view_to_cstr(key), key.len);
	kept->session = session;
	kept->facts = *facts;
	kept->since_ms = since_ms;
	at = find(sessions, key); /* forgetting may have moved the end of its chain */
	*at = kept;
	list_append(&sessions->kept, &kept->link);
	sessions->count++;
	pthread_mutex_unlock(&sessions->lock);
}

SSL_SESSION *tls_sessions_get(
	struct tls_sessions *sessions, struct view key, struct tls_facts *ret_facts, int64_t *ret_since_ms)
{
	SSL_SESSION *session = NULL;
	pthread_mutex_lock(&sessions->lock);
	struct kept **at = find(sessions, key);
	struct kept *kept = *at;
	if (kept != NULL &&
		(clock_monotonic_ms() - kept->since_ms > AGE_MAX_MS || SSL_SESSION_is_resumable(kept->session) != 1)) {
		forget(sessions, at);
	} else if (kept != NULL) {
		session = SSL_SESSION_dup(kept->session);
		*ret_facts = kept->facts;
		*ret_since_ms = kept->since_ms;
		list_remove(&kept->link);
		list_append(&sessions->kept, &kept->link);
	}
	pthread_mutex_unlock(&sessions->lock);
	return session;
}
