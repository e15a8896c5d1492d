#include "service/domains.h"

#include "base/buf.h"
#include "base/mem.h"
#include "store/directory_store.h"

#include <idn2.h>
#include <pthread.h>
#include <string.h>

struct domains {
	pthread_mutex_t load_lock; /* over reading and replacing: an older reading never replaces a newer one */
	pthread_rwlock_t lock;
	size_t count;
	size_t bucket_count;
	struct entry {
		struct entry *next;
		char *name;
	} * *buckets;
	char *first;
};

struct load {
	size_t count, room;
	char **names;
};

struct domains *domains_new(void)
{
	struct domains *domains = mem_alloc(sizeof *domains);
	pthread_mutex_init(&domains->load_lock, NULL);
	pthread_rwlock_init(&domains->lock, NULL);
	return domains;
}

static void clear(struct domains *domains)
{
	for (size_t i = 0; i < domains->bucket_count; i++) {
		struct entry *e = domains->buckets[i];
		while (e != NULL) {
			struct entry *next = e->next;
			mem_free(e->name);
			mem_free(e);
			e = next;
		}
	}
	mem_free(domains->buckets);
	domains->buckets = NULL;
	domains->bucket_count = domains->count = 0;
	domains->first = NULL;
}

void domains_free(struct domains *domains)
{
	if (domains == NULL)
		return;
	clear(domains);
	pthread_rwlock_destroy(&domains->lock);
	pthread_mutex_destroy(&domains->load_lock);
	mem_free(domains);
}

static void collect(void *owner, struct view domain)
{
	struct load *load = owner;
	if (load->count == load->room) {
		load->room = load->room * 2 + 16;
		load->names = mem_resize(load->names, load->room * sizeof *load->names);
	}
	load->names[load->count++] = view_to_cstr(domain);
}

static enum err load_all(struct domains *domains, struct db *db)
{
	struct load load = { 0 };
	enum err err = directory_domain_list(db, collect, &load);
	if (err != ERR_OK) {
		for (size_t i = 0; i < load.count; i++)
			mem_free(load.names[i]);
		mem_free(load.names);
		return err;
	}
	pthread_rwlock_wrlock(&domains->lock);
	clear(domains);
	domains->bucket_count = load.count * 2 + 1;
	domains->buckets = mem_alloc_array(domains->bucket_count, sizeof(struct entry *));
	for (size_t i = 0; i < load.count; i++) {
		struct entry *e = mem_alloc(sizeof *e);
		e->name = load.names[i];
		struct entry **bucket =
			&domains->buckets[view_hash_nocase(view_from_cstr(e->name)) % domains->bucket_count];
		e->next = *bucket;
		*bucket = e;
		if (i == 0)
			domains->first = e->name;
	}
	domains->count = load.count;
	pthread_rwlock_unlock(&domains->lock);
	mem_free(load.names);
	return ERR_OK;
}

enum err domains_load(struct domains *domains, struct db *db)
{
	pthread_mutex_lock(&domains->load_lock);
	enum err err = load_all(domains, db);
	pthread_mutex_unlock(&domains->load_lock);
	return err;
}

static bool contains_a_label(struct domains *domains, struct view domain)
{
	bool found = false;
	pthread_rwlock_rdlock(&domains->lock);
	if (domains->bucket_count > 0) {
		struct entry *e = domains->buckets[view_hash_nocase(domain) % domains->bucket_count];
		while (e != NULL && !view_eq_nocase(view_from_cstr(e->name), domain))
			e = e->next;
		found = e != NULL;
	}
	pthread_rwlock_unlock(&domains->lock);
	return found;
}

bool domains_contain(struct domains *domains, struct view domain)
{
	if (view_is_ascii(domain))
		return contains_a_label(domains, domain);
	char *utf8 = view_to_cstr(domain);
	char *a_labels = NULL;
	bool found = idn2_to_ascii_8z(utf8, &a_labels, IDN2_NONTRANSITIONAL) == IDN2_OK &&
		contains_a_label(domains, view_from_cstr(a_labels));
	idn2_free(a_labels);
	mem_free(utf8);
	return found;
}

bool domains_first(struct domains *domains, char *ret_text, size_t room)
{
	pthread_rwlock_rdlock(&domains->lock);
	bool found = domains->first != NULL && strlen(domains->first) < room;
	if (found)
		memcpy(ret_text, domains->first, strlen(domains->first) + 1);
	pthread_rwlock_unlock(&domains->lock);
	return found;
}
