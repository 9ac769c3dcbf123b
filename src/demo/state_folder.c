#include "demo/state_folder.h"

#include "io/file.h"
#include "io/system.h"

#include <string.h>

#define MARK "atoll-demo"
#define MARK_TEXT                                                                                  \
	"The state of an atoll demo. It can be removed: atoll demo --clean --state=<this "         \
	"folder>\n"
/* sun_path, which the kernel fixes, less its NUL. */
#define SOCKET_PATH_MAX 107

static void join(const char *folder, const char *name, struct buf *out) {
	buf_reset(out);
	buf_printf(out, "%s/%s", folder, name);
}

void state_folder_socket(const char *path, struct buf *out) {
	join(path, "control", out);
}

static bool is_marked(const char *path) {
	AUTO(buf_deinit) struct buf mark = { 0 };
	join(path, MARK, &mark);
	return path_exists(buf_text(&mark));
}

static int check_empty(const char *path, struct err *err) {
	struct dir_list list = { 0 };
	int rc = dir_list(path, &list, err);
	if (rc == 0 && list.count > 0) {
		rc = err_set(err, ERR_INVAL,
			"%s holds something that is not a demo's; choose another folder with "
			"--state",
			path);
	}
	dir_list_free(&list);
	return rc;
}

static int check_socket_path(const char *path, struct err *err) {
	AUTO(buf_deinit) struct buf socket = { 0 };
	state_folder_socket(path, &socket);
	if (socket.len > SOCKET_PATH_MAX) {
		return err_set(err, ERR_INVAL,
			"%s is too long a path: a socket in it may have %d bytes; choose another "
			"folder with --state",
			path, SOCKET_PATH_MAX);
	}
	return 0;
}

static int take_lock(const char *path, int *out, struct err *err) {
	AUTO(buf_deinit) struct buf lock = { 0 };
	struct err reason = { 0 };
	join(path, "lock", &lock);
	if (file_lock(buf_text(&lock), out, &reason) < 0) {
		return err_set(err, ERR_IO, "a demo runs on %s already (%s)", path, reason.text);
	}
	return 0;
}

/* Makes what a new folder needs. */
static int mark(const char *path, struct err *err) {
	AUTO(buf_deinit) struct buf file = { 0 };
	if (is_marked(path)) {
		return 0;
	}
	int rc = check_empty(path, err);
	if (rc == 0) {
		join(path, MARK, &file);
		rc = file_write_atomic(buf_text(&file), STR(MARK_TEXT), 0600, err);
	}
	return rc;
}

int state_folder_open(const char *path, struct state_folder *out, struct err *err) {
	*out = (struct state_folder){ .lock = -1 };
	int rc = system_absolute_path(path, &out->path, err);
	if (rc == 0) {
		rc = check_socket_path(buf_text(&out->path), err);
	}
	if (rc == 0) {
		rc = dir_make(buf_text(&out->path), 0700, err);
	}
	if (rc == 0) {
		rc = mark(buf_text(&out->path), err);
	}
	return rc == 0 ? take_lock(buf_text(&out->path), &out->lock, err) : rc;
}

void state_folder_close(struct state_folder *folder) {
	file_close(folder->lock);
	folder->lock = -1;
	buf_deinit(&folder->path);
}

int state_folder_remove(const char *path, struct err *err) {
	int lock = -1;
	if (!path_exists(path)) {
		return 0;
	}
	if (!is_marked(path)) {
		return err_set(err, ERR_INVAL,
			"%s is not a demo's state: it has no file \"" MARK "\"", path);
	}
	int rc = take_lock(path, &lock, err);
	if (rc == 0) {
		rc = dir_remove_tree(path, err);
	}
	file_close(lock);
	return rc;
}
