#include "io/file.h"

#include "base/check.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP 65536
/* A tree deeper than this is not removed: each level holds a descriptor. */
#define TREE_DEPTH_MAX 128

void file_close(int fd) {
	if (fd >= 0) {
		(void)close(fd); /* What must not be lost was synced before. */
	}
}

/* Reads to the end. Asks for one byte more than 'max' to see whether there is more. */
static int read_all(int fd, const char *path, size_t max, struct buf *out, struct err *err) {
	size_t begin = out->len;
	for (;;) {
		size_t room = max - (out->len - begin) + 1;
		size_t step = room < READ_STEP ? room : READ_STEP;
		ssize_t got = read(fd, buf_reserve(out, step), step);
		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got < 0) {
			return err_errno(err, errno, "read %s", path);
		}
		if (got == 0) {
			return 0;
		}
		out->len += (size_t)got;
		out->ptr[out->len] = '\0';
		if (out->len - begin > max) {
			return err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", path, max);
		}
	}
}

int file_read(const char *path, size_t max, struct buf *out, struct err *err) {
	CHECK(max < SIZE_MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return err_errno(err, errno, "open %s", path);
	}
	size_t begin = out->len;
	int rc = read_all(fd, path, max, out, err);
	file_close(fd);
	if (rc < 0 && out->ptr) {
		out->len = begin;
		out->ptr[begin] = '\0';
	}
	return rc;
}

int file_read_tail(const char *path, size_t max, struct buf *out, struct err *err) {
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return err_errno(err, errno, "open %s", path);
	}
	uint64_t size = 0;
	int rc = file_size(fd, &size, err);
	while (rc == 0 && max > 0) {
		uint64_t from = size > max ? size - max : 0;
		ssize_t got = pread(fd, buf_reserve(out, max), max, (off_t)from);
		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got < 0) {
			rc = err_errno(err, errno, "read %s", path);
			break;
		}
		out->len += (size_t)got;
		out->ptr[out->len] = '\0';
		break;
	}
	file_close(fd);
	return rc;
}

int file_write_all(int fd, struct str bytes, struct err *err) {
	while (bytes.len > 0) {
		ssize_t put = write(fd, bytes.ptr, bytes.len);
		if (put < 0 && errno == EINTR) {
			continue;
		}
		if (put < 0) {
			return err_errno(err, errno, "write");
		}
		bytes = str_from(bytes, (size_t)put);
	}
	return 0;
}

int file_sync(int fd, struct err *err) {
	return fdatasync(fd) == 0 ? 0 : err_errno(err, errno, "sync");
}

int dir_sync(const char *path, struct err *err) {
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		return err_errno(err, errno, "open %s", path);
	}
	int rc = fsync(fd) == 0 ? 0 : err_errno(err, errno, "sync %s", path);
	file_close(fd);
	return rc;
}

/* Writes, syncs and closes 'fd', which is a new file beside 'path', and puts it in its place. */
static int fill_and_rename(
	int fd, const char *temporary, const char *path, struct str bytes, struct err *err) {
	int rc = file_write_all(fd, bytes, err);
	if (rc == 0) {
		rc = file_sync(fd, err);
	}
	if (rc == 0 && rename(temporary, path) != 0) {
		rc = err_errno(err, errno, "rename");
	}
	file_close(fd);
	return rc;
}

int file_write_atomic(const char *path, struct str bytes, mode_t mode, struct err *err) {
	AUTO(buf_deinit) struct buf temporary = { 0 };
	AUTO(buf_deinit) struct buf folder = { 0 };
	buf_printf(&temporary, "%s.XXXXXX", path);
	int fd = mkostemp(temporary.ptr, O_CLOEXEC);
	if (fd < 0) {
		return err_errno(err, errno, "create a file beside %s", path);
	}
	int rc = fchmod(fd, mode) == 0 ? 0 : err_errno(err, errno, "mode %o", (unsigned)mode);
	if (rc == 0) {
		rc = fill_and_rename(fd, temporary.ptr, path, bytes, err);
	} else {
		file_close(fd);
	}
	if (rc < 0) {
		(void)unlink(temporary.ptr); /* The failure to report is the first. */
		return err_wrap(err, rc, "%s", path);
	}
	const char *slash = strrchr(path, '/');
	buf_append(&folder, path, slash ? (size_t)(slash - path) + 1 : 0);
	return dir_sync(slash ? buf_text(&folder) : ".", err);
}

int dir_make(const char *path, mode_t mode, struct err *err) {
	AUTO(buf_deinit) struct buf part = { 0 };
	struct str rest = str_of(path);
	while (rest.ptr) {
		struct str name = str_cut(&rest, '/');
		buf_add_str(&part, name);
		if (name.len > 0 && mkdir(part.ptr, mode) != 0 && errno != EEXIST) {
			return err_errno(err, errno, "create directory %s", part.ptr);
		}
		buf_add_byte(&part, '/');
	}
	struct stat info;
	if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
		return err_set(err, ERR_IO, "%s is there, but is no directory", path);
	}
	return 0;
}

static int remove_entries(int fd, unsigned depth, struct err *err);

/* Removes one name below the directory 'fd'. */
static int remove_entry(int fd, const char *name, unsigned depth, struct err *err) {
	if (unlinkat(fd, name, 0) == 0 || errno == ENOENT) {
		return 0;
	}
	if (errno != EISDIR && errno != EPERM) {
		return err_errno(err, errno, "remove %s", name);
	}
	int inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (inner < 0) {
		return err_errno(err, errno, "open %s", name);
	}
	int rc = remove_entries(inner, depth + 1, err);
	if (rc == 0 && unlinkat(fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
		rc = err_errno(err, errno, "remove %s", name);
	}
	return rc;
}

/* Empties the directory and closes 'fd'. */
static int remove_entries(int fd, unsigned depth, struct err *err) {
	DIR *dir = depth <= TREE_DEPTH_MAX ? fdopendir(fd) : NULL;
	if (!dir) {
		file_close(fd);
		return err_set(err, ERR_LIMIT, "directories nest deeper than %d", TREE_DEPTH_MAX);
	}
	int rc = 0;
	struct dirent *entry;
	// NOLINTNEXTLINE(concurrency-mt-unsafe): 'dir' is this thread's own
	while (rc == 0 && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			rc = remove_entry(fd, entry->d_name, depth, err);
		}
	}
	(void)closedir(dir);
	return rc;
}

int dir_remove_tree(const char *path, struct err *err) {
	int rc = remove_entry(AT_FDCWD, path, 0, err);
	return rc < 0 ? err_wrap(err, rc, "remove %s", path) : 0;
}

static int compare_names(const void *a, const void *b) {
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int dir_list(const char *path, struct dir_list *out, struct err *err) {
	DIR *dir = opendir(path);
	if (!dir) {
		return err_errno(err, errno, "open directory %s", path);
	}
	struct dir_list list = { 0 };
	size_t capacity = 0;
	struct dirent *entry;
	errno = 0;
	// NOLINTNEXTLINE(concurrency-mt-unsafe): 'dir' is this thread's own
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
			continue;
		}
		if (list.count == capacity) {
			capacity = capacity > 0 ? capacity * 2 : 16;
			list.names = memory_resize(list.names, capacity, sizeof(list.names[0]));
		}
		size_t size = strlen(entry->d_name) + 1;
		list.names[list.count] = memory_alloc(1, size);
		memcpy(list.names[list.count++], entry->d_name, size);
	}
	int failure = errno;
	(void)closedir(dir);
	if (failure) {
		dir_list_free(&list);
		return err_errno(err, failure, "read directory %s", path);
	}
	if (list.count > 1) {
		qsort(list.names, list.count, sizeof(list.names[0]), compare_names);
	}
	*out = list;
	return 0;
}

void dir_list_free(struct dir_list *list) {
	for (size_t i = 0; i < list->count; i++) {
		free(list->names[i]);
	}
	free(list->names);
	*list = (struct dir_list){ 0 };
}

bool path_exists(const char *path) {
	return access(path, F_OK) == 0;
}

int file_open_append(const char *path, mode_t mode, int *out, struct err *err) {
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, mode);
	if (fd < 0) {
		return err_errno(err, errno, "open %s", path);
	}
	*out = fd;
	return 0;
}

int file_truncate(int fd, uint64_t size, struct err *err) {
	return ftruncate(fd, (off_t)size) == 0 ? 0 : err_errno(err, errno, "truncate");
}

int file_size(int fd, uint64_t *size, struct err *err) {
	struct stat info;
	if (fstat(fd, &info) != 0) {
		return err_errno(err, errno, "stat");
	}
	*size = (uint64_t)info.st_size;
	return 0;
}

int file_remove(const char *path, struct err *err) {
	return unlink(path) == 0 ? 0 : err_errno(err, errno, "remove %s", path);
}

int file_rename(const char *from, const char *to, struct err *err) {
	return rename(from, to) == 0 ? 0 : err_errno(err, errno, "rename %s to %s", from, to);
}

static int locked_by_another(const char *path, struct err *err) {
	AUTO(buf_deinit) struct buf holder = { 0 };
	uint64_t pid = 0;
	if (file_read(path, 64, &holder, NULL) == 0 &&
		str_to_u64(str_trim(buf_str(&holder)), &pid)) {
		return err_set(err, ERR_IO, "%s is locked by process %" PRIu64, path, pid);
	}
	return err_set(err, ERR_IO, "%s is locked by another process", path);
}

static int write_holder(int fd, const char *path, struct err *err) {
	char pid[32];
	int len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	int rc = file_truncate(fd, 0, err);
	if (rc == 0) {
		rc = file_write_all(fd, (struct str){ pid, (size_t)len }, err);
	}
	return rc < 0 ? err_wrap(err, rc, "%s", path) : 0;
}

int file_lock(const char *path, int *out, struct err *err) {
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0) {
		return err_errno(err, errno, "open %s", path);
	}
	int rc = 0;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		rc = errno == EWOULDBLOCK ? locked_by_another(path, err)
					  : err_errno(err, errno, "lock %s", path);
	}
	if (rc == 0) {
		rc = write_holder(fd, path, err);
	}
	if (rc < 0) {
		file_close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

int file_map(const char *path, struct mapping *out, struct err *err) {
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return err_errno(err, errno, "open %s", path);
	}
	uint64_t size = 0;
	int rc = file_size(fd, &size, err);
	void *ptr = NULL;
	if (rc == 0 && size > 0) {
		ptr = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
		if (ptr == MAP_FAILED) {
			rc = err_errno(err, errno, "map %s", path);
		}
	}
	file_close(fd);
	if (rc == 0) {
		*out = (struct mapping){ ptr, (size_t)size };
	}
	return rc < 0 ? rc : 0;
}

void file_unmap(struct mapping *mapping) {
	if (mapping->size > 0) {
		/* The mapping is ours and was whole; const only keeps readers honest. */
		// NOLINTNEXTLINE(performance-no-int-to-ptr)
		void *ptr = (void *)(uintptr_t)mapping->ptr;
		CHECK(munmap(ptr, mapping->size) == 0);
	}
	*mapping = (struct mapping){ 0 };
}
