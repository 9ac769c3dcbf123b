#include "base/metric.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/thread.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Values are doubles kept as bits in atomics. Each is a statistic by itself and publishes nothing:
 * relaxed order everywhere. A reader may see a histogram's sum before its count.
 */
struct metric {
	struct metric_family *family;
	char *values[METRIC_LABELS_MAX];
	uint64_t hash;
	_Atomic uint64_t value;     /* A histogram's sum. */
	_Atomic uint64_t buckets[]; /* Not cumulative; the last is +Inf. */
};

struct metric_family {
	struct metric_registry *registry;
	const char *name;
	const char *help;
	enum metric_kind kind;
	size_t label_count;
	const char *labels[METRIC_LABELS_MAX];
	double *bounds;
	size_t bound_count;
	struct metric *other GUARDED; /* Stands for all past the bound; NULL until then. */
	struct map children GUARDED;
};

struct collector {
	metric_collect_fn *run;
	void *context;
};

struct metric_registry {
	struct lock lock;
	struct metric_family **families GUARDED; /* By name. */
	size_t family_count GUARDED;
	struct collector *collectors GUARDED;
	size_t collector_count GUARDED;
	void **owned GUARDED;
	size_t owned_count GUARDED;
};

struct metric_registry *metric_registry_new(void) {
	struct metric_registry *registry = MEMORY_NEW(struct metric_registry, 1);
	lock_init(&registry->lock, LOCK_RANK_METRIC);
	return registry;
}

static void child_free(struct metric *metric) {
	for (size_t i = 0; metric && i < METRIC_LABELS_MAX; i++) {
		free(metric->values[i]);
	}
	free(metric);
}

NO_THREAD_ANALYSIS static void family_free(struct metric_family *family) {
	size_t cursor = 0;
	uint64_t child = 0;
	while (map_next(&family->children, &cursor, &child)) {
		child_free(map_pointer(child));
	}
	child_free(family->other);
	map_deinit(&family->children);
	free(family->bounds);
	free(family);
}

NO_THREAD_ANALYSIS void metric_registry_free(struct metric_registry *registry) {
	if (!registry) {
		return;
	}
	for (size_t i = 0; i < registry->family_count; i++) {
		family_free(registry->families[i]);
	}
	for (size_t i = 0; i < registry->owned_count; i++) {
		free(registry->owned[i]);
	}
	free(registry->owned);
	free(registry->families);
	free(registry->collectors);
	lock_deinit(&registry->lock);
	free(registry);
}

/* Where 'name' is among the families, or belongs. */
static size_t family_place(const struct metric_registry *registry, const char *name)
	REQUIRES(registry->lock) {
	size_t low = 0;
	size_t high = registry->family_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(registry->families[middle]->name, name) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static struct metric_family *family_new(struct metric_registry *registry, enum metric_kind kind,
	const char *name, const char *help, const char *const *labels) {
	struct metric_family *family = MEMORY_NEW(struct metric_family, 1);
	family->registry = registry;
	family->kind = kind;
	family->name = name;
	family->help = help;
	while (labels && labels[family->label_count]) {
		CHECK(family->label_count < METRIC_LABELS_MAX);
		family->labels[family->label_count] = labels[family->label_count];
		family->label_count++;
	}
	return family;
}

static bool same_labels(const struct metric_family *family, const char *const *labels) {
	size_t count = 0;
	while (labels && labels[count]) {
		if (count >= family->label_count ||
			strcmp(family->labels[count], labels[count]) != 0) {
			return false;
		}
		count++;
	}
	return count == family->label_count;
}

static void insert_family(struct metric_registry *registry, size_t at, struct metric_family *family)
	REQUIRES(registry->lock) {
	const size_t item = sizeof(struct metric_family *); // NOLINT(bugprone-sizeof-expression)
	registry->families = memory_resize(registry->families, registry->family_count + 1, item);
	memmove(&registry->families[at + 1], &registry->families[at],
		(registry->family_count - at) * item);
	registry->families[at] = family;
	registry->family_count++;
}

static void set_bounds(struct metric_family *family, const double *bounds, size_t count) {
	family->bounds = MEMORY_NEW(double, count);
	family->bound_count = count;
	for (size_t i = 0; i < count; i++) {
		CHECK(i == 0 || bounds[i - 1] < bounds[i]);
		family->bounds[i] = bounds[i];
	}
}

/* Takes 'family', or frees it when there is one of that name, which must be alike. */
static struct metric_family *declare(
	struct metric_registry *registry, struct metric_family *family, const char *const *labels) {
	struct metric_family *known = NULL;
	lock_take(&registry->lock);
	size_t at = family_place(registry, family->name);
	if (at < registry->family_count &&
		strcmp(registry->families[at]->name, family->name) == 0) {
		known = registry->families[at];
	} else {
		insert_family(registry, at, family);
	}
	lock_drop(&registry->lock);
	if (!known) {
		return family;
	}
	CHECK(known->kind == family->kind && same_labels(known, labels));
	CHECK(known->bound_count == family->bound_count);
	family_free(family);
	return known;
}

struct metric_family *metric_declare(struct metric_registry *registry, enum metric_kind kind,
	const char *name, const char *help, const char *const *labels) {
	CHECK(kind != METRIC_HISTOGRAM);
	return declare(registry, family_new(registry, kind, name, help, labels), labels);
}

struct metric_family *metric_declare_histogram(struct metric_registry *registry, const char *name,
	const char *help, const char *const *labels, const double *bounds, size_t bound_count) {
	struct metric_family *family = family_new(registry, METRIC_HISTOGRAM, name, help, labels);
	set_bounds(family, bounds, bound_count);
	return declare(registry, family, labels);
}

static uint64_t values_hash(const struct metric_family *family, const char *const *values) {
	CHECK(values || family->label_count == 0);
	uint64_t hash = 0;
	for (size_t i = 0; i < family->label_count; i++) {
		hash = hash_str(str_of(values[i]), hash);
	}
	return hash;
}

/* A child and the values it is compared with. */
struct wanted {
	size_t count;
	const char *const *values;
};

static bool child_equal(uint64_t value, const void *key) {
	const struct metric *metric = map_pointer(value);
	const struct wanted *wanted = key;
	for (size_t i = 0; i < wanted->count; i++) {
		if (strcmp(metric->values[i], wanted->values[i]) != 0) {
			return false;
		}
	}
	return true;
}

static struct metric *child_new(
	struct metric_family *family, const char *const *values, uint64_t hash) {
	CHECK(values || family->label_count == 0);
	size_t bucket_count = family->kind == METRIC_HISTOGRAM ? family->bound_count + 1 : 0;
	struct metric *metric =
		memory_alloc(1, sizeof(*metric) + bucket_count * sizeof(metric->buckets[0]));
	metric->family = family;
	metric->hash = hash;
	for (size_t i = 0; i < family->label_count; i++) {
		metric->values[i] = strdup(values[i]);
		CHECK(metric->values[i]);
	}
	return metric;
}

/* The one child that stands for all those past the bound. */
static struct metric *other_child(struct metric_family *family) REQUIRES(family->registry->lock) {
	static const char *const others[METRIC_LABELS_MAX] = { "other", "other", "other", "other" };
	if (!family->other) {
		family->other = child_new(family, others, 0);
	}
	return family->other;
}

struct metric *metric_child(struct metric_family *family, const char *const *values) {
	uint64_t hash = values_hash(family, values);
	struct wanted wanted = { .count = family->label_count, .values = values };
	uint64_t found = 0;
	struct metric *metric = NULL;

	lock_take(&family->registry->lock);
	if (map_find(&family->children, hash, child_equal, &wanted, &found)) {
		metric = map_pointer(found);
	} else if (family->children.count >= METRIC_CHILDREN_MAX) {
		metric = other_child(family);
	} else {
		metric = child_new(family, values, hash);
		map_add(&family->children, hash, map_value(metric));
	}
	lock_drop(&family->registry->lock);
	return metric;
}

struct metric *metric_single(struct metric_family *family) {
	CHECK(family->label_count == 0);
	return metric_child(family, NULL);
}

void metric_remove(struct metric_family *family, const char *const *values) {
	uint64_t hash = values_hash(family, values);
	struct wanted wanted = { .count = family->label_count, .values = values };
	uint64_t found = 0;

	lock_take(&family->registry->lock);
	if (map_find(&family->children, hash, child_equal, &wanted, &found)) {
		(void)map_remove(&family->children, hash, found);
		child_free(map_pointer(found));
	}
	lock_drop(&family->registry->lock);
}

static double bits_to_double(uint64_t bits) {
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static uint64_t double_to_bits(double value) {
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static void add(_Atomic uint64_t *to, double value) {
	uint64_t before = atomic_load_explicit(to, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(to, &before,
		double_to_bits(bits_to_double(before) + value), memory_order_relaxed,
		memory_order_relaxed)) {
	}
}

void metric_add(struct metric *metric, double value) {
	CHECK(metric->family->kind == METRIC_GAUGE ||
		(metric->family->kind == METRIC_COUNTER && value >= 0));
	add(&metric->value, value);
}

void metric_inc(struct metric *metric) {
	metric_add(metric, 1);
}

void metric_set(struct metric *metric, double value) {
	CHECK(metric->family->kind != METRIC_HISTOGRAM);
	atomic_store_explicit(&metric->value, double_to_bits(value), memory_order_relaxed);
}

void metric_observe(struct metric *metric, double value) {
	const struct metric_family *family = metric->family;
	CHECK(family->kind == METRIC_HISTOGRAM);
	size_t at = 0;
	while (at < family->bound_count && !(value <= family->bounds[at])) {
		at++;
	}
	(void)atomic_fetch_add_explicit(&metric->buckets[at], 1, memory_order_relaxed);
	add(&metric->value, value);
}

double metric_value(const struct metric *metric) {
	return bits_to_double(atomic_load_explicit(&metric->value, memory_order_relaxed));
}

void metric_on_collect(
	struct metric_registry *registry, metric_collect_fn *collect, void *context) {
	lock_take(&registry->lock);
	registry->collectors = memory_resize(registry->collectors, registry->collector_count + 1,
		sizeof(registry->collectors[0]));
	registry->collectors[registry->collector_count++] =
		(struct collector){ .run = collect, .context = context };
	lock_drop(&registry->lock);
}

void *metric_registry_own(struct metric_registry *registry, size_t size) {
	void *ptr = memory_alloc(1, size);
	lock_take(&registry->lock);
	registry->owned = memory_resize(
		registry->owned, registry->owned_count + 1, sizeof(registry->owned[0]));
	registry->owned[registry->owned_count++] = ptr;
	lock_drop(&registry->lock);
	return ptr;
}

/* Collectors may use the registry, so they run without its lock. */
static void collect(struct metric_registry *registry) {
	for (size_t i = 0;; i++) {
		lock_take(&registry->lock);
		bool found = i < registry->collector_count;
		struct collector collector = { 0 };
		if (found) {
			collector = registry->collectors[i];
		}
		lock_drop(&registry->lock);
		if (!found) {
			return;
		}
		collector.run(collector.context);
	}
}

/* The shortest text that reads back to the same double. */
static void write_double(struct buf *out, double value) {
	if (isnan(value)) {
		buf_add_text(out, "NaN");
		return;
	}
	if (isinf(value)) {
		buf_add_text(out, value > 0 ? "+Inf" : "-Inf");
		return;
	}
	char text[32] = "";
	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value) {
			break;
		}
	}
	buf_add_text(out, text);
}

/* Help and label values: what the format escapes, and U+FFFD for what is not UTF-8. */
static void write_escaped(struct buf *out, struct str text, bool escape_quotes) {
	size_t at = 0;
	while (at < text.len) {
		uint32_t code_point = 0;
		size_t len = str_utf8_next(str_from(text, at), &code_point);
		if (len == 0) {
			buf_add_text(out, "\xef\xbf\xbd");
			len = 1;
		} else if (code_point == '\n') {
			buf_add_text(out, "\\n");
		} else if (code_point == '\\' || (code_point == '"' && escape_quotes)) {
			buf_add_byte(out, '\\');
			buf_add_byte(out, (char)code_point);
		} else {
			buf_append(out, text.ptr + at, len);
		}
		at += len;
	}
}

static void write_label(struct buf *out, const char *name, const char *value, bool is_first) {
	buf_printf(out, "%s%s=\"", is_first ? "{" : ",", name);
	write_escaped(out, str_of(value), true);
	buf_add_byte(out, '"');
}

/* Name and labels of one line; 'bound' is the text for le, or NULL. */
static void write_series(
	struct buf *out, const struct metric *metric, const char *suffix, const char *bound) {
	const struct metric_family *family = metric->family;
	buf_printf(out, "%s%s", family->name, suffix);
	for (size_t i = 0; i < family->label_count; i++) {
		write_label(out, family->labels[i], metric->values[i], i == 0);
	}
	if (bound) {
		write_label(out, "le", bound, family->label_count == 0);
	}
	buf_add_text(out, family->label_count > 0 || bound ? "} " : " ");
}

static void write_histogram(struct buf *out, const struct metric *metric) {
	const struct metric_family *family = metric->family;
	uint64_t count = 0;
	for (size_t i = 0; i <= family->bound_count; i++) {
		count += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
		AUTO(buf_deinit) struct buf bound = { 0 };
		write_double(
			&bound, i < family->bound_count ? family->bounds[i] : (double)INFINITY);
		write_series(out, metric, "_bucket", buf_text(&bound));
		write_double(out, (double)count);
		buf_add_byte(out, '\n');
	}
	write_series(out, metric, "_sum", NULL);
	write_double(out, metric_value(metric));
	buf_add_byte(out, '\n');
	write_series(out, metric, "_count", NULL);
	write_double(out, (double)count);
	buf_add_byte(out, '\n');
}

static void write_child(struct buf *out, const struct metric *metric) {
	if (metric->family->kind == METRIC_HISTOGRAM) {
		write_histogram(out, metric);
		return;
	}
	write_series(out, metric, "", NULL);
	write_double(out, metric_value(metric));
	buf_add_byte(out, '\n');
}

static int child_order(const void *a, const void *b) {
	const struct metric *left = *(const struct metric *const *)a;
	const struct metric *right = *(const struct metric *const *)b;
	int order = 0;
	for (size_t i = 0; order == 0 && i < left->family->label_count; i++) {
		order = strcmp(left->values[i], right->values[i]);
	}
	return order;
}

/* The caller holds the registry's lock, which clang cannot see to be this family's. */
NO_THREAD_ANALYSIS static void write_family_locked(
	struct buf *out, const struct metric_family *family) {
	static const char *const kinds[] = { "counter", "gauge", "histogram" };
	if (family->children.count == 0) {
		return;
	}
	buf_printf(out, "# HELP %s ", family->name);
	write_escaped(out, str_of(family->help), false);
	buf_printf(out, "\n# TYPE %s %s\n", family->name, kinds[family->kind]);

	size_t count = 0;
	const struct metric **children = MEMORY_NEW(const struct metric *, family->children.count);
	size_t cursor = 0;
	uint64_t child = 0;
	while (map_next(&family->children, &cursor, &child)) {
		children[count++] = map_pointer(child);
	}
	qsort(children, count, sizeof(const struct metric *), child_order);
	for (size_t i = 0; i < count; i++) {
		write_child(out, children[i]);
	}
	if (family->other) {
		write_child(out, family->other);
	}
	free(children);
}

void metric_write(struct metric_registry *registry, struct buf *out) {
	collect(registry);
	lock_take(&registry->lock);
	for (size_t i = 0; i < registry->family_count; i++) {
		write_family_locked(out, registry->families[i]);
	}
	lock_drop(&registry->lock);
}
