/*
 * What every exporter tells of its process, read from /proc when metrics are written.
 */
#include "base/check.h"
#include "base/metric.h"
#include "base/str.h"
#include "base/time.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct process {
	struct metric *cpu;
	struct metric *resident;
	struct metric *virtual;
	struct metric *open_fds;
	struct metric *max_fds;
	struct metric *threads;
};

/* Reads a small file of /proc. Returns whether there was something. */
static bool read_proc(const char *path, char *text, size_t size) {
	FILE *file = fopen(path, "re");
	if (!file) {
		return false;
	}
	size_t len = fread(text, 1, size - 1, file);
	text[len] = '\0';
	(void)fclose(file);
	return len > 0;
}

static bool count_fds(size_t *count) {
	DIR *dir = opendir("/proc/self/fd");
	if (!dir) {
		return false;
	}
	*count = 0;
	// NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone
	for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		*count += entry->d_name[0] != '.';
	}
	(void)closedir(dir);
	*count -= 1; /* The stream's own. */
	return true;
}

/* The word with that index, from 0, as a number. */
static bool word_number(struct str text, size_t index, uint64_t *out) {
	for (size_t i = 0; i < index; i++) {
		(void)str_cut(&text, ' ');
	}
	return text.ptr && str_to_u64(str_trim(str_cut(&text, ' ')), out);
}

/* Counts the words of /proc/self/stat from the third on: the name in the second may hold anything.
 */
static bool read_stat(uint64_t *threads, uint64_t *start_ticks) {
	char text[1024];
	if (!read_proc("/proc/self/stat", text, sizeof(text))) {
		return false;
	}
	const char *name_end = strrchr(text, ')');
	if (!name_end || name_end[1] != ' ') {
		return false;
	}
	struct str rest = str_of(name_end + 2);
	return word_number(rest, 17, threads) && word_number(rest, 19, start_ticks);
}

/* Seconds since 1970 when this process began, or 0 when /proc does not say. */
static double start_seconds(void) {
	char text[256];
	uint64_t threads = 0;
	uint64_t ticks = 0;
	if (!read_stat(&threads, &ticks) || !read_proc("/proc/uptime", text, sizeof(text))) {
		return 0;
	}
	double uptime = strtod(text, NULL);
	double age = uptime - (double)ticks / (double)sysconf(_SC_CLK_TCK);
	return (double)clock_now_ms(clock_system()) / (double)MS_PER_S - age;
}

static void collect(void *context) {
	const struct process *process = context;
	char text[256];
	uint64_t pages_virtual = 0;
	uint64_t pages_resident = 0;
	uint64_t threads = 0;
	uint64_t start_ticks = 0;
	size_t open_fds = 0;
	struct rlimit fds = { 0 };
	double page = (double)sysconf(_SC_PAGESIZE);

	metric_set(process->cpu, (double)time_cpu_process_ns() / (double)NS_PER_S);
	if (read_proc("/proc/self/statm", text, sizeof(text)) &&
		word_number(str_of(text), 0, &pages_virtual) &&
		word_number(str_of(text), 1, &pages_resident)) {
		metric_set(process->virtual, (double)pages_virtual * page);
		metric_set(process->resident, (double)pages_resident * page);
	}
	if (read_stat(&threads, &start_ticks)) {
		metric_set(process->threads, (double)threads);
	}
	if (count_fds(&open_fds)) {
		metric_set(process->open_fds, (double)open_fds);
	}
	if (getrlimit(RLIMIT_NOFILE, &fds) == 0) {
		metric_set(process->max_fds, (double)fds.rlim_cur);
	}
}

static struct metric *single(struct metric_registry *registry, enum metric_kind kind,
	const char *name, const char *help) {
	return metric_single(metric_declare(registry, kind, name, help, NULL));
}

void metric_register_process(struct metric_registry *registry) {
	static const char *const build_labels[] = { "version", NULL };
	static const char *const build_values[] = { ATOLL_VERSION };

	struct process *process = metric_registry_own(registry, sizeof(*process));
	process->cpu = single(registry, METRIC_COUNTER, "process_cpu_seconds_total",
		"Total user and system CPU time spent in seconds.");
	process->resident = single(registry, METRIC_GAUGE, "process_resident_memory_bytes",
		"Resident memory size in bytes.");
	process->virtual = single(registry, METRIC_GAUGE, "process_virtual_memory_bytes",
		"Virtual memory size in bytes.");
	process->open_fds = single(
		registry, METRIC_GAUGE, "process_open_fds", "Number of open file descriptors.");
	process->max_fds = single(registry, METRIC_GAUGE, "process_max_fds",
		"Maximum number of open file descriptors.");
	process->threads = single(registry, METRIC_GAUGE, "process_threads", "Number of threads.");
	metric_set(single(registry, METRIC_GAUGE, "process_start_time_seconds",
			   "Start time of the process since unix epoch in seconds."),
		start_seconds());
	metric_set(
		metric_child(metric_declare(registry, METRIC_GAUGE, "atoll_build_info",
				     "What this program was built from; always 1.", build_labels),
			build_values),
		1);
	metric_on_collect(registry, collect, process);
}
