#include "io/system.h"

#include "base/str.h"
#include "io/file.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_FILE_MAX 65536

size_t system_cpu_count(void) {
	cpu_set_t set;
	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) {
		return (size_t)CPU_COUNT(&set);
	}
	long online = sysconf(_SC_NPROCESSORS_ONLN); /* More than CPU_SETSIZE processors. */
	return online > 0 ? (size_t)online : 1;
}

/* The number in a control group's file; UINT64_MAX for "max" and where there is none. */
static uint64_t read_limit(const char *path) {
	AUTO(buf_deinit) struct buf text = { 0 };
	uint64_t value = 0;
	if (file_read(path, SMALL_FILE_MAX, &text, NULL) < 0 ||
		!str_to_u64(str_trim(buf_str(&text)), &value)) {
		return UINT64_MAX;
	}
	return value;
}

/* The smallest limit on the way from the group 'name' up to the root of the tree at 'mount'. */
static uint64_t tree_limit(const char *mount, struct str name, const char *file) {
	uint64_t least = UINT64_MAX;
	AUTO(buf_deinit) struct buf path = { 0 };
	for (;;) {
		buf_reset(&path);
		buf_printf(&path, "%s%.*s/%s", mount, STR_ARG(name), file);
		uint64_t limit = read_limit(buf_text(&path));
		least = limit < least ? limit : least;
		if (name.len == 0) {
			return least;
		}
		while (name.len > 0 && name.ptr[name.len - 1] != '/') {
			name.len--;
		}
		name.len -= name.len > 0;
	}
}

static uint64_t group_limit(void) {
	AUTO(buf_deinit) struct buf groups = { 0 };
	uint64_t least = UINT64_MAX;
	if (file_read("/proc/self/cgroup", SMALL_FILE_MAX, &groups, NULL) < 0) {
		return least;
	}
	/* Lines "ID:CONTROLLERS:NAME"; version 2 has ID 0 and no controllers. */
	struct str rest = buf_str(&groups);
	while (rest.ptr && rest.len > 0) {
		struct str name = str_cut(&rest, '\n');
		struct str id = str_cut(&name, ':');
		struct str controllers = str_cut(&name, ':');
		uint64_t limit = UINT64_MAX;
		if (str_equal(controllers, STR("memory"))) {
			limit = tree_limit("/sys/fs/cgroup/memory", name, "memory.limit_in_bytes");
		} else if (str_equal(id, STR("0")) && controllers.len == 0) {
			limit = tree_limit("/sys/fs/cgroup", name, "memory.max");
		}
		least = limit < least ? limit : least;
	}
	return least;
}

uint64_t system_memory_bytes(void) {
	long pages = sysconf(_SC_PHYS_PAGES);
	long page = sysconf(_SC_PAGESIZE);
	uint64_t machine = (uint64_t)pages * (uint64_t)page;
	uint64_t group = group_limit();
	return group < machine ? group : machine;
}

void system_hostname(char *out, size_t size) {
	if (gethostname(out, size) != 0) {
		(void)snprintf(out, size, "localhost");
	}
	out[size - 1] = '\0';
}

void system_working_directory(char *out, size_t size) {
	if (!getcwd(out, size)) {
		out[0] = '\0';
	}
}

size_t system_thread_count(void) {
	struct dir_list tasks = { 0 };
	if (dir_list("/proc/self/task", &tasks, NULL) < 0) {
		return 0;
	}
	size_t count = tasks.count;
	dir_list_free(&tasks);
	return count;
}

void system_self_path(char *out, size_t size) {
	ssize_t len = readlink("/proc/self/exe", out, size - 1);
	out[len > 0 ? len : 0] = '\0';
}

static bool is_program(const char *path) {
	struct stat info;
	return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

bool system_find_program(const char *name, struct buf *out) {
	buf_reset(out);
	if (strchr(name, '/')) {
		buf_add_text(out, name);
		return is_program(name);
	}
	// NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
	const char *path = getenv("PATH");
	struct str rest = path ? str_of(path) : STR("/usr/local/bin:/usr/bin:/bin");
	while (rest.ptr) {
		struct str directory = str_cut(&rest, ':');
		buf_reset(out);
		buf_printf(out, "%.*s/%s", STR_ARG(directory.len > 0 ? directory : STR(".")), name);
		if (is_program(buf_text(out))) {
			return true;
		}
	}
	buf_reset(out);
	return false;
}

bool system_has_program(const char *name) {
	AUTO(buf_deinit) struct buf path = { 0 };
	return system_find_program(name, &path);
}

int system_absolute_path(const char *path, struct buf *out, struct err *err) {
	buf_reset(out);
	if (path[0] != '/') {
		char here[PATH_MAX];
		if (!getcwd(here, sizeof(here))) {
			return err_errno(err, errno, "current directory");
		}
		buf_printf(out, "%s/", here);
	}
	buf_add_text(out, path);
	while (out->len > 1 && out->ptr[out->len - 1] == '/') {
		out->ptr[--out->len] = '\0';
	}
	return 0;
}

uint64_t system_raise_file_limit(void) {
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		return 0;
	}
	rlim_t before = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}

bool system_is_terminal(int fd) {
	return isatty(fd) == 1;
}

size_t system_terminal_width(int fd) {
	struct winsize size = { 0 };
	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}
