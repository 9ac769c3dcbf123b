/*
 * The seeded data set of ./dev bench promql, as OpenMetrics text on stdout, series after series.
 *
 *   bench_promql_set estate|flat SERIES STEPS seconds|milliseconds
 *
 * An estate is about SERIES series of web services, nodes and what Kubernetes says about them: six
 * of ten are histogram buckets. Scrapes are 15 s apart; each target's lie at an offset of its own
 * that is no whole second, so that no sample falls on a query's step or a window's edge. Targets
 * restart (counters begin at 0), miss scrapes, vanish for a while, and pods come and go. 'flat' is
 * SERIES counters of one name, x.
 *
 * Prometheus 3 extrapolates otherwise than 2.42 where the first sample of a window is far from its
 * start and about one increment above zero. There is no such window here: what begins, begins with
 * a scraped 0, and what was there before has a large value.
 *
 * With milliseconds the timestamps are those of the older text format, for VictoriaMetrics' import.
 * The same arguments give the same bytes. What was made goes to stderr, a line for each metric
 * name: the name, its series, its samples.
 */
#include "base/buf.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/rand.h"
#include "cxx/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STEP_MS = 15000,
	STEPS_MAX = 1 << 20,
	DIMENSIONS_MAX = 3,
	BUCKETS = 15,
	HANDLERS = 4,
	CALM = 4, /* No scrape is missed in so many from a counter's beginning. */
	TOTAL_MIN = 100,
	WRITE_BYTES = 1 << 20,
	NAMES_MAX = 64,
};

static const int64_t START_MS = 1767225600000; /* 2026-01-01, where blocks of 6 h begin, too. */

enum kind {
	KIND_API,
	KIND_NODE,
	KIND_POD_INFO,
	KIND_CONTAINER,
	KIND_COUNT
};

/* One scraped thing: its labels, its times and when it was there. */
struct target {
	uint64_t seed;
	char labels[256];
	int64_t offset_ms;
	size_t first, end;         /* Steps of its life. */
	size_t gap_first, gap_end; /* Steps that nobody scraped. */
	size_t restart;            /* Where its counters begin again; 0: never. */
	double phase;
};

enum shape {
	SHAPE_COUNT,
	SHAPE_SECONDS,
	SHAPE_BYTES,
	SHAPE_GAUGE,
	SHAPE_CONSTANT,
	SHAPE_BORN
};

/* All combinations of its dimensions' values are series of each target of its kind. */
struct dimension {
	const char *name;
	const char *const *values; /* Ends with NULL. */
};

struct family {
	const char *name;
	const char *type;
	const char *suffix; /* Of its samples. */
	enum kind kind;
	enum shape shape;
	double low, high; /* A counter's rate per second, a gauge's range. */
	double unit;      /* Values are multiples of it. */
	struct dimension dimensions[DIMENSIONS_MAX];
};

#define LIST(...)                                                                                  \
	(const char *const[]) {                                                                    \
		__VA_ARGS__, NULL                                                                  \
	}

static const char *const handlers[] = { "/api/v1/items", "/api/v1/orders", "/api/v1/search",
	"/healthz", NULL };
static const char *const mounts[] = { "/", "/boot", "/var/lib/data", "/var/log", NULL };
static const char *const bounds[BUCKETS] = { "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05",
	"0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "+Inf" };

static const struct family families[] = {
	{ "container_cpu_usage_seconds", "counter", "_total", KIND_CONTAINER, SHAPE_SECONDS, 0.01,
		1.5, 1e-6, { { "container", LIST("main") } } },
	{ "container_memory_working_set_bytes", "gauge", "", KIND_CONTAINER, SHAPE_GAUGE, 5e7, 2e9,
		4096, { { "container", LIST("main") } } },
	{ "go_goroutines", "gauge", "", KIND_API, SHAPE_GAUGE, 20, 900, 1 },
	{ "http_requests", "counter", "_total", KIND_API, SHAPE_COUNT, 0.05, 30, 1,
		{ { "code", LIST("200", "500") }, { "method", LIST("GET", "POST") },
			{ "handler", handlers } } },
	{ "kube_pod_container_resource_limits", "gauge", "", KIND_POD_INFO, SHAPE_CONSTANT, 1e9,
		4e9, 1048576, { { "resource", LIST("memory") }, { "unit", LIST("byte") } } },
	{ "kube_pod_info", "gauge", "", KIND_POD_INFO, SHAPE_CONSTANT, 1, 1, 1,
		{ { "created_by_kind", LIST("ReplicaSet") } } },
	{ "node_boot_time_seconds", "gauge", "", KIND_NODE, SHAPE_BORN, 0, 0, 1 },
	{ "node_cpu_seconds", "counter", "_total", KIND_NODE, SHAPE_SECONDS, 0.01, 0.3, 0.01,
		{ { "cpu", LIST("0", "1", "2", "3") },
			{ "mode", LIST("idle", "iowait", "irq", "nice", "softirq", "steal",
					  "system", "user") } } },
	{ "node_disk_io_time_seconds", "counter", "_total", KIND_NODE, SHAPE_SECONDS, 0.01, 0.8,
		0.001, { { "device", LIST("nvme0n1", "nvme1n1") } } },
	{ "node_filesystem_avail_bytes", "gauge", "", KIND_NODE, SHAPE_GAUGE, 1e9, 2e11, 4096,
		{ { "mountpoint", mounts }, { "fstype", LIST("ext4") } } },
	{ "node_filesystem_size_bytes", "gauge", "", KIND_NODE, SHAPE_CONSTANT, 2e11, 1e12, 4096,
		{ { "mountpoint", mounts }, { "fstype", LIST("ext4") } } },
	{ "node_hwmon_temp_celsius", "gauge", "", KIND_NODE, SHAPE_GAUGE, 28, 95, 0.125,
		{ { "chip", LIST("platform_coretemp_0") },
			{ "sensor", LIST("temp1", "temp2", "temp3", "temp4") } } },
	{ "node_load1", "gauge", "", KIND_NODE, SHAPE_GAUGE, 0, 12, 0.01 },
	{ "node_load5", "gauge", "", KIND_NODE, SHAPE_GAUGE, 0, 12, 0.01 },
	{ "node_memory_Buffers_bytes", "gauge", "", KIND_NODE, SHAPE_GAUGE, 1e7, 1e9, 4096 },
	{ "node_memory_Cached_bytes", "gauge", "", KIND_NODE, SHAPE_GAUGE, 1e9, 2e10, 4096 },
	{ "node_memory_MemAvailable_bytes", "gauge", "", KIND_NODE, SHAPE_GAUGE, 2e9, 5e10, 4096 },
	{ "node_memory_MemFree_bytes", "gauge", "", KIND_NODE, SHAPE_GAUGE, 1e8, 1e10, 4096 },
	{ "node_memory_MemTotal_bytes", "gauge", "", KIND_NODE, SHAPE_CONSTANT, 6.4e10, 6.9e10,
		4096 },
	{ "node_network_receive_bytes", "counter", "_total", KIND_NODE, SHAPE_BYTES, 1e4, 5e7, 1,
		{ { "device", LIST("eth0", "eth1") } } },
	{ "node_network_transmit_bytes", "counter", "_total", KIND_NODE, SHAPE_BYTES, 1e4, 5e7, 1,
		{ { "device", LIST("eth0", "eth1") } } },
	{ "node_uname_info", "gauge", "", KIND_NODE, SHAPE_CONSTANT, 1, 1, 1,
		{ { "release", LIST("6.1.0-18-amd64") }, { "sysname", LIST("Linux") } } },
	{ "process_cpu_seconds", "counter", "_total", KIND_API, SHAPE_SECONDS, 0.01, 1.5, 0.01 },
	{ "process_resident_memory_bytes", "gauge", "", KIND_API, SHAPE_GAUGE, 3e7, 1.5e9, 4096 },
	{ "up", "gauge", "", KIND_API, SHAPE_CONSTANT, 1, 1, 1 },
	{ "up", "gauge", "", KIND_NODE, SHAPE_CONSTANT, 1, 1, 1 },
};

/* Series of an API target with what is said of its pod elsewhere, and of a node. */
enum {
	SERIES_API = 16 + 4 + HANDLERS * (BUCKETS + 2) + 4,
	SERIES_NODE = 60
};

/* What was written of a metric. */
struct made {
	char name[64];
	size_t series;
	uint64_t samples;
};

struct set {
	size_t steps;
	bool milliseconds;
	struct target *targets[KIND_COUNT];
	size_t target_count[KIND_COUNT];
	double *values; /* A series' 'steps', or the buckets' one after the other. */
	struct buf out;
	struct made made[NAMES_MAX];
	size_t made_count;
};

static void flush(struct set *set) {
	if (fwrite(set->out.ptr, 1, set->out.len, stdout) != set->out.len) {
		perror("bench_promql_set: stdout");
		exit(1);
	}
	buf_reset(&set->out);
}

static bool is_scraped(const struct target *target, size_t step) {
	return step >= target->first && step < target->end &&
	       (step < target->gap_first || step >= target->gap_end) &&
	       hash_mix(target->seed, step) % 1000 != 0;
}

static char *put_digits(char *out, uint64_t value) {
	char text[20];
	size_t at = sizeof(text);
	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	memcpy(out, text + at, sizeof(text) - at);
	return out + (sizeof(text) - at);
}

static char *put_value(char *out, double value) {
	if (value >= 0 && value < 1e15 && value == floor(value)) {
		return put_digits(out, (uint64_t)value);
	}
	return out + number_format_json(value, out);
}

static char *put_time(char *out, int64_t ms, bool milliseconds) {
	if (milliseconds) {
		return put_digits(out, (uint64_t)ms);
	}
	out = put_digits(out, (uint64_t)ms / 1000);
	*out++ = '.';
	*out++ = (char)('0' + ms / 100 % 10);
	*out++ = (char)('0' + ms / 10 % 10);
	*out++ = (char)('0' + ms % 10);
	return out;
}

/* The entry of what 'name' begins with, up to its labels. */
static struct made *find_made(struct set *set, const char *name) {
	size_t len = strcspn(name, "{");
	for (size_t i = set->made_count; i-- > 0;) {
		struct made *made = &set->made[i];
		if (strlen(made->name) == len && memcmp(made->name, name, len) == 0) {
			return made;
		}
	}
	CHECK(set->made_count < NAMES_MAX && len < sizeof(set->made->name));
	struct made *made = &set->made[set->made_count++];
	memcpy(made->name, name, len);
	return made;
}

/* One line per scrape. 'name' is the whole of it up to the value: x{a="b"} */
static void put_series(
	struct set *set, const struct target *target, const char *name, const double *values) {
	size_t len = strlen(name);
	struct made *made = find_made(set, name);
	for (size_t i = target->first; i < target->end; i++) {
		if (!is_scraped(target, i)) {
			continue;
		}
		char *to = buf_reserve(&set->out, len + NUMBER_TEXT_MAX + 32);
		char *begin = to;
		memcpy(to, name, len);
		to = put_value(to + len, values[i]);
		*to++ = ' ';
		to = put_time(
			to, START_MS + (int64_t)i * STEP_MS + target->offset_ms, set->milliseconds);
		*to++ = '\n';
		set->out.len += (size_t)(to - begin);
		made->samples++;
		if (set->out.len >= WRITE_BYTES) {
			flush(set);
		}
	}
	made->series++;
}

/* What a target is asked to do rises and falls over six hours. */
static double load_at(const struct target *target, size_t step) {
	return 1 + 0.5 * sin((double)step * (2 * M_PI / 1440) + target->phase);
}

static double between(struct rand *rand, double low, double high) {
	return low + rand_unit(rand) * (high - low);
}

/* Rates differ by orders of magnitude between series. */
static double rate_between(struct rand *rand, double low, double high) {
	return exp(between(rand, log(low), log(high)));
}

static double round_to(double value, double unit) {
	return unit < 1 ? round(value / unit) / round(1 / unit) : round(value / unit) * unit;
}

/* Whether its counters are 0 at this step. */
static bool begins(const struct target *target, size_t step) {
	return step > 0 && (step == target->first || step == target->restart);
}

static void fill_counter(const struct set *set, const struct target *target,
	const struct family *family, struct rand *rand) {
	double per_step = rate_between(rand, family->low, family->high) * STEP_MS / 1000;
	double total = per_step * (double)(1000 + rand_below(rand, 100000));
	for (size_t i = 0; i < set->steps; i++) {
		total += per_step * load_at(target, i) * between(rand, 0.5, 1.5);
		if (begins(target, i)) {
			total = 0;
		}
		set->values[i] = family->unit < 1 ? round_to(total, family->unit) : floor(total);
	}
}

static void fill_gauge(const struct set *set, const struct family *family, struct rand *rand) {
	double mean = between(rand, family->low, family->high);
	double reach = fmin(mean - family->low, family->high - mean);
	double at = 0;
	for (size_t i = 0; i < set->steps; i++) {
		at = at * 0.98 + between(rand, -0.2, 0.2);
		set->values[i] = round_to(mean + reach * at / (1 + fabs(at)), family->unit);
	}
}

static void fill_constant(const struct set *set, const struct family *family, struct rand *rand) {
	double value = round_to(between(rand, family->low, family->high), family->unit);
	for (size_t i = 0; i < set->steps; i++) {
		set->values[i] = value;
	}
}

/* When it last started, as seconds since 1970. */
static void fill_born(const struct set *set, const struct target *target, struct rand *rand) {
	double value = (double)(START_MS / 1000 - (int64_t)rand_below(rand, 30 * 86400));
	for (size_t i = 0; i < set->steps; i++) {
		if (begins(target, i)) {
			value = (double)(START_MS + (int64_t)i * STEP_MS) / 1000;
		}
		set->values[i] = value;
	}
}

static void fill(const struct set *set, const struct target *target, const struct family *family,
	struct rand *rand) {
	switch (family->shape) {
	case SHAPE_COUNT:
	case SHAPE_SECONDS:
	case SHAPE_BYTES:
		fill_counter(set, target, family, rand);
		break;
	case SHAPE_GAUGE:
		fill_gauge(set, family, rand);
		break;
	case SHAPE_CONSTANT:
		fill_constant(set, family, rand);
		break;
	case SHAPE_BORN:
		fill_born(set, target, rand);
		break;
	}
}

/* The 'variant'th combination of the family's values, as labels; false when there are no more. */
static bool combine(const struct family *family, size_t variant, struct buf *out) {
	for (size_t i = 0; i < DIMENSIONS_MAX && family->dimensions[i].name; i++) {
		const struct dimension *dimension = &family->dimensions[i];
		size_t count = 0;
		while (dimension->values[count]) {
			count++;
		}
		buf_printf(out, ",%s=\"%s\"", dimension->name, dimension->values[variant % count]);
		variant /= count;
	}
	return variant == 0;
}

static void put_family(struct set *set, size_t number) {
	const struct family *family = &families[number];
	AUTO(buf_deinit) struct buf name = { 0 };
	if (number == 0 || strcmp(family->name, families[number - 1].name) != 0) {
		buf_printf(&set->out, "# TYPE %s %s\n", family->name, family->type);
	}
	for (size_t i = 0; i < set->target_count[family->kind]; i++) {
		const struct target *target = &set->targets[family->kind][i];
		for (size_t variant = 0;; variant++) {
			struct rand rand;
			buf_reset(&name);
			buf_printf(&name, "%s%s{%s", family->name, family->suffix, target->labels);
			if (!combine(family, variant, &name)) {
				break;
			}
			buf_add_text(&name, "} ");
			rand_init(&rand, hash_mix(target->seed, number * 1000 + variant));
			fill(set, target, family, &rand);
			put_series(set, target, buf_text(&name), set->values);
		}
	}
}

/* How much of a handler's requests end in each bucket: log-normal around its median. */
static void weigh_buckets(struct rand *rand, double *weights) {
	double median = log(rate_between(rand, 0.004, 0.8));
	double width = between(rand, 0.5, 1.3);
	double below = 0;
	for (size_t i = 0; i < BUCKETS; i++) {
		double share =
			i + 1 == BUCKETS ? 1 : 0.5 * erfc((median - log(atof(bounds[i]))) / width);
		weights[i] = share - below;
		below = share;
	}
}

/* Buckets, then sum, then count, each 'steps' values. */
static void fill_histogram(const struct set *set, const struct target *target, struct rand *rand) {
	double weights[BUCKETS];
	double totals[BUCKETS];
	double per_step = rate_between(rand, 0.05, 60) * STEP_MS / 1000;
	weigh_buckets(rand, weights);
	double mean = between(rand, 0.01, 0.5);
	double sum = per_step * mean * 1000;
	for (size_t i = 0; i < BUCKETS; i++) {
		totals[i] =
			floor(weights[i] * per_step * (double)(1000 + rand_below(rand, 100000)));
		totals[i] = totals[i] < TOTAL_MIN ? 0 : totals[i];
	}
	for (size_t step = 0; step < set->steps; step++) {
		double count = 0;
		double requests = per_step * load_at(target, step) * between(rand, 0.6, 1.4);
		if (begins(target, step)) {
			memset(totals, 0, sizeof(totals));
			requests = sum = 0;
		}
		for (size_t i = 0; i < BUCKETS; i++) {
			totals[i] +=
				requests > 0 ? floor(requests * weights[i] + rand_unit(rand)) : 0;
			count += totals[i];
			set->values[i * set->steps + step] = count;
		}
		sum += requests * mean * between(rand, 0.8, 1.2);
		set->values[BUCKETS * set->steps + step] = round_to(sum, 1e-9);
		set->values[(BUCKETS + 1) * set->steps + step] = count;
	}
}

static void put_histograms(struct set *set) {
	static const char name[] = "http_request_duration_seconds";
	char text[512];
	buf_printf(&set->out, "# TYPE %s histogram\n", name);
	for (size_t i = 0; i < set->target_count[KIND_API] * HANDLERS; i++) {
		const struct target *target = &set->targets[KIND_API][i / HANDLERS];
		const char *handler = handlers[i % HANDLERS];
		struct rand rand;
		rand_init(&rand, hash_mix(target->seed, 777 + i % HANDLERS));
		fill_histogram(set, target, &rand);
		for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
			(void)snprintf(text, sizeof(text),
				"%s_bucket{%s,handler=\"%s\",le=\"%s\"} ", name, target->labels,
				handler, bounds[bucket]);
			put_series(set, target, text, set->values + bucket * set->steps);
		}
		for (size_t part = 0; part < 2; part++) {
			(void)snprintf(text, sizeof(text), "%s_%s{%s,handler=\"%s\"} ", name,
				part == 0 ? "sum" : "count", target->labels, handler);
			put_series(set, target, text, set->values + (BUCKETS + part) * set->steps);
		}
	}
}

static struct target target_of(uint64_t seed, size_t steps) {
	struct rand rand;
	rand_init(&rand, hash_mix(seed, 42));
	struct target target = { .seed = hash_mix(seed, 43), .end = steps };
	do {
		target.offset_ms = 1 + (int64_t)rand_below(&rand, STEP_MS - 1);
	} while (target.offset_ms % 1000 == 0);
	target.phase = rand_unit(&rand) * 2 * M_PI;
	if (rand_below(&rand, 10) < 3) {
		target.restart = 1 + rand_below(&rand, steps);
	}
	if (rand_below(&rand, 20) == 0) {
		target.gap_first = rand_below(&rand, steps);
		target.gap_end = target.gap_first + 8 + rand_below(&rand, 72);
	}
	if (target.restart + CALM >= target.gap_first && target.restart < target.gap_end + CALM) {
		target.restart = 0;
	}
	return target;
}

/* One pod of ten ends within the time, and the next one takes its place. */
static void limit_life(struct target *target, size_t number, size_t steps) {
	size_t turn = steps / 8 + hash_mix(number / 10, 44) % (steps * 3 / 4 + 1);
	if (number % 10 == 3) {
		target->end = turn;
	} else if (number % 10 == 4) {
		target->first = turn;
		target->gap_first = target->gap_end = target->restart = 0;
	}
}

static const char *const jobs[] = { "cart", "catalog", "checkout", "gateway", "mail", "payments",
	"search", "users" };

static void add_pod(struct set *set, size_t number, size_t nodes) {
	struct target api = target_of(number, set->steps);
	const char *job = jobs[number % ARRAY_COUNT(jobs)];
	char pod[128];
	limit_life(&api, number, set->steps);
	(void)snprintf(pod, sizeof(pod),
		"namespace=\"shop-%zu\",pod=\"%s-7d9f%04" PRIx64 "-%05zu\"", number % 5, job,
		hash_mix(number % ARRAY_COUNT(jobs), 3) & 0xffff, number);
	(void)snprintf(api.labels, sizeof(api.labels),
		"job=\"%s\",instance=\"10.%zu.%zu.%zu:8080\",%s", job, 1 + number / 60000,
		number / 250 % 240, number % 250 + 1, pod);
	struct target info = api;
	struct target container = api;
	size_t node = number % nodes;
	/* One exporter tells of all pods, each node of its own. */
	info.offset_ms = target_of(1 << 20, set->steps).offset_ms;
	container.offset_ms = target_of((2 << 20) + node, set->steps).offset_ms;
	(void)snprintf(info.labels, sizeof(info.labels),
		"job=\"kube-state-metrics\",instance=\"10.0.0.2:8080\",%s,node=\"node-%zu\"", pod,
		node);
	(void)snprintf(container.labels, sizeof(container.labels),
		"job=\"cadvisor\",instance=\"node-%zu\",%s", node, pod);
	set->targets[KIND_API][number] = api;
	set->targets[KIND_POD_INFO][number] = info;
	set->targets[KIND_CONTAINER][number] = container;
}

static void add_targets(struct set *set, size_t series) {
	size_t nodes = 1 + series * 8 / 100 / SERIES_NODE;
	size_t pods =
		series > nodes * SERIES_NODE ? (series - nodes * SERIES_NODE) / SERIES_API : 0;
	for (size_t kind = 0; kind < KIND_COUNT; kind++) {
		set->target_count[kind] = kind == KIND_NODE ? nodes : pods;
		set->targets[kind] = MEMORY_NEW(struct target, set->target_count[kind] + 1);
	}
	for (size_t i = 0; i < pods; i++) {
		add_pod(set, i, nodes);
	}
	for (size_t i = 0; i < nodes; i++) {
		struct target *node = &set->targets[KIND_NODE][i];
		*node = target_of((2 << 20) + i, set->steps);
		(void)snprintf(node->labels, sizeof(node->labels),
			"job=\"node\",instance=\"node-%zu:9100\",node=\"node-%zu\",zone=\"zone-%"
			"c\"",
			i, i, (char)('a' + i % 3));
	}
}

static void put_estate(struct set *set, size_t series) {
	bool has_histograms = false;
	add_targets(set, series);
	for (size_t i = 0; i < ARRAY_COUNT(families); i++) {
		if (!has_histograms && strcmp(families[i].name, "http_request_duration") > 0) {
			put_histograms(set);
			has_histograms = true;
		}
		put_family(set, i);
	}
	for (size_t kind = 0; kind < KIND_COUNT; kind++) {
		free(set->targets[kind]);
	}
}

static void put_flat(struct set *set, size_t series) {
	static const struct family family = { .low = 0.05, .high = 1000, .unit = 1 };
	char text[512];
	buf_add_text(&set->out, "# TYPE x unknown\n");
	for (size_t i = 0; i < series; i++) {
		struct target target = target_of(i / 100, set->steps);
		/* A gap may be longer than the set; what began again is near zero for all of it. */
		target.gap_first = target.gap_end = target.restart = 0;
		struct rand rand;
		rand_init(&rand, hash_mix(i, 45));
		fill_counter(set, &target, &family, &rand);
		(void)snprintf(text, sizeof(text),
			"x{job=\"%s-%zu\",instance=\"10.1.%zu.%zu:8080\",item=\"%zu\"} ",
			jobs[i / 100 % ARRAY_COUNT(jobs)], i / 800 % 10, i / 25600 % 250,
			i / 100 % 256, i % 100);
		put_series(set, &target, text, set->values);
	}
}

int main(int argc, char **argv) {
	uint64_t series = 0;
	uint64_t steps = 0;
	bool is_flat = argc == 5 && strcmp(argv[1], "flat") == 0;
	struct set set = { .milliseconds = argc == 5 && strcmp(argv[4], "milliseconds") == 0 };
	if (argc != 5 || (!is_flat && strcmp(argv[1], "estate") != 0) ||
		!str_to_u64(str_of(argv[2]), &series) || !str_to_u64(str_of(argv[3]), &steps) ||
		steps == 0 || steps > STEPS_MAX ||
		(!set.milliseconds && strcmp(argv[4], "seconds") != 0)) {
		(void)fprintf(stderr,
			"usage: bench_promql_set estate|flat SERIES STEPS seconds|milliseconds\n");
		return 2;
	}
	set.steps = steps;
	set.values = memory_alloc(steps * (BUCKETS + 2), sizeof(*set.values));
	if (is_flat) {
		put_flat(&set, series);
	} else {
		put_estate(&set, series);
	}
	buf_add_text(&set.out, "# EOF\n");
	flush(&set);
	for (size_t i = 0; i < set.made_count; i++) {
		const struct made *made = &set.made[i];
		(void)fprintf(
			stderr, "%s %zu %" PRIu64 "\n", made->name, made->series, made->samples);
	}
	free(set.values);
	buf_deinit(&set.out);
	return fclose(stdout) == 0 ? 0 : 1;
}
