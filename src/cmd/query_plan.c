/*
 * The plan of a query as a table.
 */
#include "cmd/query.h"

#include <inttypes.h>
#include <string.h>

/* Deeper ones are not indented further. */
#define INDENT_MAX 40

static int64_t count_of(struct json_value node, const char *key) {
	struct json_value value;
	return json_member(node, str_of(key), &value) ? json_int(value) : 0;
}

static double number_of(struct json_value node, const char *key) {
	struct json_value value;
	return json_member(node, str_of(key), &value) ? json_double(value) : 0;
}

static struct str text_of(struct json_value node, const char *key) {
	struct json_value value;
	return json_member(node, str_of(key), &value) ? json_string(value) : STR_EMPTY;
}

/* Bytes as people read them. */
static void put_size(int64_t bytes, struct buf *out) {
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	double size = (double)bytes;
	size_t unit = 0;
	while (size >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		size /= 1000;
		unit++;
	}
	buf_printf(out, "%7.*f %-2s", unit > 0 ? 1 : 0, size, units[unit]);
}

static void put_nodes(struct json_value nodes, size_t level, struct buf *out) {
	struct json_iterator walk = json_iterate(nodes);
	struct json_value node;
	while (json_next(&walk, &node, NULL)) {
		struct str text = text_of(node, "node");
		struct json_value operands;
		buf_printf(out, "%10" PRId64 " %12" PRId64 " %12" PRId64 " ",
			count_of(node, "series"), count_of(node, "values"),
			count_of(node, "samples"));
		put_size(count_of(node, "bytes"), out);
		buf_printf(out, " %10.3f %6" PRId64 "  ", number_of(node, "ms"),
			count_of(node, "steps"));
		for (size_t i = 0; i < level && i < INDENT_MAX; i++) {
			buf_add_text(out, "  ");
		}
		buf_printf(out, "%.*s%s\n", STR_ARG(text),
			json_member(node, STR("again"), &operands) ? " (as above)" : "");
		if (json_member(node, STR("operands"), &operands)) {
			put_nodes(operands, level + 1, out);
		}
	}
}

static void put_clusters(struct json_value clusters, struct buf *out) {
	struct json_iterator walk = json_iterate(clusters);
	struct json_value share;
	buf_printf(out, "\n%12s %10s %10s  %s\n", "received", "fragments", "wait ms", "cluster");
	while (json_next(&walk, &share, NULL)) {
		struct str error = text_of(share, "error");
		put_size(count_of(share, "receivedBytes"), out);
		buf_printf(out, "   %10" PRId64 " %10.3f  %.*s", count_of(share, "fragments"),
			number_of(share, "waitMs"), STR_ARG(text_of(share, "cluster")));
		if (error.len > 0) {
			buf_printf(out, ": %.*s", STR_ARG(error));
		}
		buf_add_byte(out, '\n');
	}
}

void query_format_plan(struct json_value explain, struct buf *out) {
	struct json_value part;
	buf_printf(out, "%10s %12s %12s %10s %10s %6s  %s\n", "series", "values", "samples",
		"memory", "ms", "steps", "node");
	if (json_member(explain, STR("plan"), &part)) {
		put_nodes(part, 0, out);
	}
	if (json_member(explain, STR("clusters"), &part)) {
		put_clusters(part, out);
	}
}
