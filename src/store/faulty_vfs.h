/*
 * For tests: a layer under SQLite that can fail, and that knows what a power cut would leave. Files are real; beside each, a `disk` image holds what
 * was synced. A sync copies what was written since into the image; a sync that is made to fail drops it from the image's queue, though readers
 * go on seeing it: what Linux does with pages it could not write.
 */
#ifndef STORE_FAULTY_VFS_H
#define STORE_FAULTY_VFS_H

#include <stdbool.h>
#include <stdint.h>

/* Becomes SQLite's default; before any database is opened. */
void faulty_vfs_register(void);

/* What fails from now on, on files whose name ends so. A chance is in percent. */
struct faulty_plan {
	const char *suffix; /* "-wal", ".db", "" for all */
	unsigned sync_chance, write_chance;
	bool writes_are_full; /* "disk full", else I/O error */
	uint64_t limit; /* so many failures, then healed; 0: no limit */
	uint32_t seed;
};
void faulty_vfs_plan(struct faulty_plan plan);
void faulty_vfs_heal(void);
uint64_t faulty_vfs_failures(void);
uint64_t faulty_vfs_syncs(const char *suffix);

/* What a power cut at this moment leaves of the files in `from`, written to `to`: what was synced, and of the rest whatever the disk happened to have
 * got to (by `seed`). */
void faulty_vfs_cut_power(const char *from, const char *to, uint32_t seed);
/* What a killed process leaves: all that was written, in files in `to`, whose images remember what is not on the disk. Index files (-shm) are
 * left behind, as after a kill of the last process. */
void faulty_vfs_kill(const char *from, const char *to);
/* Forgets all images. */
void faulty_vfs_forget(void);

#endif
