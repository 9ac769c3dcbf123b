#include "io/append_file.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int map_new(
	int fd, const char *what, size_t capacity, struct append_file *out, struct err *err) {
	void *ptr = mmap(NULL, capacity, PROT_READ, MAP_SHARED, fd, 0);

	if (ptr == MAP_FAILED) {
		int reason = errno;
		(void)close(fd);
		return err_errno(err, reason, "map %s", what);
	}
	*out = (struct append_file){ .ptr = ptr, .capacity = capacity, .fd_plus_one = fd + 1 };
	return 0;
}

int append_file_create(
	const char *path, size_t capacity, mode_t mode, struct append_file *out, struct err *err) {
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0) {
		return err_errno(err, errno, "create %s", path);
	}
	return map_new(fd, path, capacity, out, err);
}

int append_file_create_unnamed(
	const char *dir, size_t capacity, struct append_file *out, struct err *err) {
	char path[4096];
	int fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd < 0) {
		/* Not every file system can do that. */
		(void)snprintf(path, sizeof(path), "%s/.unnamed.XXXXXX", dir);
		fd = mkostemp(path, O_CLOEXEC);
		if (fd < 0) {
			return err_errno(err, errno, "create a file in %s", dir);
		}
		(void)unlink(path);
	}
	return map_new(fd, dir, capacity, out, err);
}

static int write_at(int fd, size_t at, struct str bytes, struct err *err) {
	while (bytes.len > 0) {
		ssize_t done = pwrite(fd, bytes.ptr, bytes.len, (off_t)at);
		if (done < 0 && errno == EINTR) {
			continue;
		}
		if (done <= 0) {
			return err_errno(err, done < 0 ? errno : EIO, "write");
		}
		bytes = str_from(bytes, (size_t)done);
		at += (size_t)done;
	}
	return 0;
}

int append_file_write(struct append_file *file, struct str bytes, struct err *err) {
	int fd = file->fd_plus_one - 1;
	int rc;

	CHECK(fd >= 0);
	CHECK(bytes.len <= file->capacity - file->size);
	rc = write_at(fd, file->size, bytes, err);
	if (rc >= 0) {
		file->size += bytes.len;
	} else if (ftruncate(fd, (off_t)file->size) != 0) {
		return rc; /* What got in stays until the next one is written over it. */
	}
	return rc;
}

int append_file_patch(struct append_file *file, size_t at, struct str bytes, struct err *err) {
	CHECK(at + bytes.len <= file->size);
	return write_at(file->fd_plus_one - 1, at, bytes, err);
}

int append_file_sync(struct append_file *file, struct err *err) {
	if (fdatasync(file->fd_plus_one - 1) != 0) {
		return err_errno(err, errno, "sync");
	}
	return 0;
}

void append_file_finish(struct append_file *file) {
	if (file->fd_plus_one > 0) {
		(void)close(file->fd_plus_one - 1);
		file->fd_plus_one = 0;
	}
}

void append_file_close(struct append_file *file) {
	append_file_finish(file);
	if (file->ptr) {
		(void)munmap((void *)(uintptr_t)file->ptr, file->capacity);
	}
	*file = (struct append_file){ 0 };
}
