#include "store/faulty_vfs.h"

#include "base/mem.h"
#include "base/view.h"

#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

#define SECTOR 512u
#define DISKS_MAX 64u

/* What would survive. */
struct disk {
	char path[256];
	uint8_t *bytes; /* `sectors` × SECTOR, the durable content */
	bool *dirty; /* written, not synced */
	size_t sectors;
	uint64_t durable_len, len;
};

struct faulty_file {
	sqlite3_file base; /* first */
	sqlite3_file *real; /* behind this struct */
	struct disk *disk; /* NULL: a temporary file */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct disk *disks[DISKS_MAX];
static size_t disk_count;
static struct faulty_plan plan;
static bool planned;
static uint64_t failures, wal_syncs, db_syncs;
static sqlite3_vfs *real_vfs;
static uint32_t random_state = 1;

static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static bool has_suffix(const char *path, const char *suffix)
{
	return view_ends_with_nocase(view_from_cstr(path), view_from_cstr(suffix));
}

static struct disk *find_disk(const char *path)
{
	for (size_t i = 0; i < disk_count; i++)
		if (strcmp(disks[i]->path, path) == 0)
			return disks[i];
	return NULL;
}

static void resize(struct disk *disk, uint64_t len)
{
	size_t sectors = (size_t)((len + SECTOR - 1) / SECTOR);
	if (sectors > disk->sectors) {
		size_t cap = sectors + sectors / 2;
		disk->bytes = mem_resize(disk->bytes, cap * SECTOR);
		disk->dirty = mem_resize(disk->dirty, cap);
		memset(disk->bytes + disk->sectors * SECTOR, 0, (cap - disk->sectors) * SECTOR);
		memset(disk->dirty + disk->sectors, 0, cap - disk->sectors);
		disk->sectors = cap;
	}
}

static struct disk *add_disk(const char *path)
{
	ASSERT(disk_count < DISKS_MAX);
	struct disk *disk = mem_alloc(sizeof *disk);
	snprintf(disk->path, sizeof disk->path, "%s", path);
	resize(disk, 1);
	disks[disk_count++] = disk;
	return disk;
}

/* Whether the plan wants this to fail. With the lock held. */
static bool fails(const char *path, unsigned chance)
{
	if (!planned || chance == 0 || !has_suffix(path, plan.suffix) || random_next(&random_state) % 100 >= chance)
		return false;
	failures++;
	if (plan.limit > 0 && --plan.limit == 0)
		planned = false;
	return true;
}

static struct faulty_file *file_of(sqlite3_file *file)
{
	return (struct faulty_file *)(void *)file;
}

static int f_close(sqlite3_file *file)
{
	struct faulty_file *f = file_of(file);
	return f->real->pMethods != NULL ? f->real->pMethods->xClose(f->real) : SQLITE_OK;
}

static int f_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at)
{
	sqlite3_file *real = file_of(file)->real;
	return real->pMethods->xRead(real, out, len, at);
}

static int f_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
	struct faulty_file *f = file_of(file);
	struct disk *disk = f->disk;
	pthread_mutex_lock(&lock);
	int code = SQLITE_OK;
	if (disk != NULL && fails(disk->path, plan.write_chance))
		code = plan.writes_are_full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
	else
		code = f->real->pMethods->xWrite(f->real, bytes, len, at);
	if (code == SQLITE_OK && disk != NULL) {
		uint64_t end = (uint64_t)at + (uint64_t)len;
		resize(disk, end);
		for (uint64_t s = (uint64_t)at / SECTOR; s * SECTOR < end; s++)
			disk->dirty[s] = true;
		if (end > disk->len)
			disk->len = end;
	}
	pthread_mutex_unlock(&lock);
	return code;
}

static int f_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct faulty_file *f = file_of(file);
	pthread_mutex_lock(&lock);
	int code = f->real->pMethods->xTruncate(f->real, size);
	if (code == SQLITE_OK && f->disk != NULL && (uint64_t)size < f->disk->len) {
		f->disk->len = (uint64_t)size;
		for (size_t s = (size_t)(((uint64_t)size + SECTOR - 1) / SECTOR); s < f->disk->sectors; s++)
			f->disk->dirty[s] = false;
	}
	pthread_mutex_unlock(&lock);
	return code;
}

/* One sector of the file as readers see it. */
static void copy_sector(sqlite3_file *real, uint64_t len, size_t sector, uint8_t *out)
{
	uint64_t at = (uint64_t)sector * SECTOR;
	uint64_t left = at < len ? len - at : 0;
	memset(out, 0, SECTOR);
	if (left > 0)
		ASSERT(real->pMethods->xRead(real, out, (int)(left < SECTOR ? left : SECTOR), (sqlite3_int64)at) ==
			SQLITE_OK);
}

static void shrink_durable(struct disk *disk, uint64_t len)
{
	if (len < disk->durable_len) {
		resize(disk, disk->durable_len);
		memset(disk->bytes + len, 0, (size_t)(disk->durable_len - len));
	}
	disk->durable_len = len;
}

static int f_sync(sqlite3_file *file, int flags)
{
	struct faulty_file *f = file_of(file);
	struct disk *disk = f->disk;
	pthread_mutex_lock(&lock);
	int code = SQLITE_OK;
	if (disk == NULL) {
		code = f->real->pMethods->xSync(f->real, flags);
	} else if (fails(disk->path, plan.sync_chance)) {
		/* The kernel reports once, and takes the pages for clean. */
		memset(disk->dirty, 0, disk->sectors);
		code = SQLITE_IOERR_FSYNC;
	} else {
		shrink_durable(disk, disk->len);
		for (size_t s = 0; s < disk->sectors; s++)
			if (disk->dirty[s]) {
				copy_sector(f->real, disk->len, s, disk->bytes + s * SECTOR);
				disk->dirty[s] = false;
			}
		if (has_suffix(disk->path, "-wal"))
			wal_syncs++;
		else
			db_syncs++;
	}
	pthread_mutex_unlock(&lock);
	return code;
}

static int f_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	sqlite3_file *real = file_of(file)->real;
	return real->pMethods->xFileSize(real, ret);
}
static int f_lock(sqlite3_file *file, int level)
{
	sqlite3_file *real = file_of(file)->real;
	return real->pMethods->xLock(real, level);
}
static int f_unlock(sqlite3_file *file, int level)
{
	sqlite3_file *real = file_of(file)->real;
	return real->pMethods->xUnlock(real, level);
}
static int f_check_lock(sqlite3_file *file, int *ret)
{
	sqlite3_file *real = file_of(file)->real;
	return real->pMethods->xCheckReservedLock(real, ret);
}
static int f_control(sqlite3_file *file, int what, void *arg)
{
	sqlite3_file *real = file_of(file)->real;
	return real->pMethods->xFileControl(real, what, arg);
}
static int f_sector_size(sqlite3_file *file)
{
	sqlite3_file *real = file_of(file)->real;
	return real->pMethods->xSectorSize(real);
}
static int f_characteristics(sqlite3_file *file)
{
	sqlite3_file *real = file_of(file)->real;
	return real->pMethods->xDeviceCharacteristics(real);
}
static int f_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
	sqlite3_file *real = file_of(file)->real;
	return real->pMethods->xShmMap(real, page, size, extend, ret);
}
static int f_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	sqlite3_file *real = file_of(file)->real;
	return real->pMethods->xShmLock(real, offset, n, flags);
}
static void f_shm_barrier(sqlite3_file *file)
{
	sqlite3_file *real = file_of(file)->real;
	real->pMethods->xShmBarrier(real);
}
static int f_shm_unmap(sqlite3_file *file, int remove)
{
	sqlite3_file *real = file_of(file)->real;
	return real->pMethods->xShmUnmap(real, remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = f_close,
	.xRead = f_read,
	.xWrite = f_write,
	.xTruncate = f_truncate,
	.xSync = f_sync,
	.xFileSize = f_size,
	.xLock = f_lock,
	.xUnlock = f_unlock,
	.xCheckReservedLock = f_check_lock,
	.xFileControl = f_control,
	.xSectorSize = f_sector_size,
	.xDeviceCharacteristics = f_characteristics,
	.xShmMap = f_shm_map,
	.xShmLock = f_shm_lock,
	.xShmBarrier = f_shm_barrier,
	.xShmUnmap = f_shm_unmap,
};

static int v_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *ret_flags)
{
	(void)vfs;
	struct faulty_file *f = file_of(file);
	f->real = (sqlite3_file *)(void *)(f + 1);
	f->disk = NULL;
	int code = real_vfs->xOpen(real_vfs, path, f->real, flags, ret_flags);
	f->base.pMethods = f->real->pMethods != NULL ? &methods : NULL;
	if (code != SQLITE_OK || path == NULL || (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) == 0)
		return code;
	pthread_mutex_lock(&lock);
	f->disk = find_disk(path);
	if (f->disk == NULL) {
		/* What was there before we looked is taken for durable. */
		f->disk = add_disk(path);
		sqlite3_int64 size = 0;
		ASSERT(f->real->pMethods->xFileSize(f->real, &size) == SQLITE_OK);
		f->disk->len = f->disk->durable_len = (uint64_t)size;
		resize(f->disk, (uint64_t)size);
		for (size_t s = 0; s * SECTOR < (uint64_t)size; s++)
			copy_sector(f->real, (uint64_t)size, s, f->disk->bytes + s * SECTOR);
	}
	pthread_mutex_unlock(&lock);
	return code;
}

static int v_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
	(void)vfs;
	pthread_mutex_lock(&lock);
	struct disk *disk = find_disk(path);
	if (disk != NULL) {
		shrink_durable(disk, 0);
		disk->len = 0;
		memset(disk->dirty, 0, disk->sectors);
	}
	pthread_mutex_unlock(&lock);
	return real_vfs->xDelete(real_vfs, path, sync_folder);
}

void faulty_vfs_register(void)
{
	static sqlite3_vfs vfs;
	real_vfs = sqlite3_vfs_find(NULL);
	vfs = *real_vfs;
	vfs.zName = "faulty";
	vfs.pNext = NULL;
	vfs.szOsFile = (int)sizeof(struct faulty_file) + real_vfs->szOsFile;
	vfs.xOpen = v_open;
	vfs.xDelete = v_delete;
	ASSERT(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}

void faulty_vfs_plan(struct faulty_plan new_plan)
{
	pthread_mutex_lock(&lock);
	plan = new_plan;
	planned = true;
	random_state = plan.seed != 0 ? plan.seed : 1;
	pthread_mutex_unlock(&lock);
}

void faulty_vfs_heal(void)
{
	pthread_mutex_lock(&lock);
	planned = false;
	pthread_mutex_unlock(&lock);
}

uint64_t faulty_vfs_failures(void)
{
	pthread_mutex_lock(&lock);
	uint64_t n = failures;
	pthread_mutex_unlock(&lock);
	return n;
}

uint64_t faulty_vfs_syncs(const char *suffix)
{
	pthread_mutex_lock(&lock);
	uint64_t n = strcmp(suffix, "-wal") == 0 ? wal_syncs : db_syncs;
	pthread_mutex_unlock(&lock);
	return n;
}

static bool is_in(const char *path, const char *folder)
{
	size_t len = strlen(folder);
	return strncmp(path, folder, len) == 0 && path[len] == '/';
}

/* The whole of a real file. */
static uint8_t *read_file(const char *path, uint64_t len)
{
	uint8_t *bytes = mem_alloc((size_t)len);
	FILE *file = fopen(path, "rbe");
	ASSERT(len == 0 || (file != NULL && fread(bytes, 1, (size_t)len, file) == len));
	if (file != NULL)
		fclose(file);
	return bytes;
}

static void write_file(const char *from_path, const char *to, const uint8_t *bytes, uint64_t len, char ret_path[256])
{
	snprintf(ret_path, 256, "%s%s", to, strrchr(from_path, '/'));
	FILE *file = fopen(ret_path, "wbe");
	ASSERT(file != NULL && (len == 0 || fwrite(bytes, 1, (size_t)len, file) == len) && fclose(file) == 0);
}

void faulty_vfs_cut_power(const char *from, const char *to, uint32_t seed)
{
	uint32_t state = seed != 0 ? seed : 1;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < disk_count; i++) {
		struct disk *disk = disks[i];
		if (!is_in(disk->path, from) || (disk->durable_len == 0 && disk->len == 0))
			continue;
		uint64_t len = disk->durable_len > disk->len ? disk->durable_len : disk->len;
		uint8_t *now = read_file(disk->path, disk->len);
		uint8_t *left = mem_alloc((size_t)len + SECTOR);
		memcpy(left, disk->bytes, (size_t)disk->durable_len);
		uint64_t left_len = disk->durable_len;
		for (uint64_t s = 0; s < disk->sectors && s * SECTOR < disk->len; s++) {
			if (!disk->dirty[s] || random_next(&state) % 2 == 0)
				continue;
			uint64_t at = s * SECTOR, n = disk->len - at < SECTOR ? disk->len - at : SECTOR;
			memcpy(left + at, now + at, (size_t)n);
			if (at + n > left_len)
				left_len = at + n;
		}
		char path[256];
		write_file(disk->path, to, left, left_len, path);
		mem_free(now);
		mem_free(left);
	}
	pthread_mutex_unlock(&lock);
}

void faulty_vfs_kill(const char *from, const char *to)
{
	pthread_mutex_lock(&lock);
	size_t count = disk_count;
	for (size_t i = 0; i < count; i++) {
		struct disk *disk = disks[i];
		if (!is_in(disk->path, from) || (disk->durable_len == 0 && disk->len == 0))
			continue;
		uint8_t *now = read_file(disk->path, disk->len);
		char path[256];
		write_file(disk->path, to, now, disk->len, path);
		mem_free(now);
		struct disk *copy = add_disk(path);
		resize(copy, disk->sectors * SECTOR);
		memcpy(copy->bytes, disk->bytes, disk->sectors * SECTOR);
		memcpy(copy->dirty, disk->dirty, disk->sectors);
		copy->len = disk->len;
		copy->durable_len = disk->durable_len;
	}
	pthread_mutex_unlock(&lock);
}

void faulty_vfs_forget(void)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < disk_count; i++) {
		mem_free(disks[i]->bytes);
		mem_free(disks[i]->dirty);
		mem_free(disks[i]);
	}
	disk_count = 0;
	pthread_mutex_unlock(&lock);
}
