/*
 * Targets for benchmarks: many expositions with the same seed, over HTTP, gzip as asked.
 *
 *   bench_targets PORT TARGETS SERIES
 *
 * /t/I/metrics is target I (0 to TARGETS - 1) with SERIES series: half of them counters that grow
 * by a rate of their own, a quarter gauges that wander, a quarter histogram buckets; with the
 * labels of a small Kubernetes workload. Values follow from the second of the request, so every
 * scraper sees the same. One thread.
 */
#include "base/check.h"
#include "base/hash.h"
#include "codec/compress.h"
#include "http/router.h"
#include "io/loop.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct bench {
	struct loop *loop;
	uint64_t targets;
	uint64_t series;
};

/* A value that is the same for everybody who asks in the same second. */
static uint64_t value_of(uint64_t target, uint64_t series, int64_t second) {
	uint64_t rate = hash_mix(target * 1000003 + series, 17) % 900 + 1;
	if (series % 4 == 1) {
		return hash_mix(target * 7919 + series, (uint64_t)second / 5) % 1000;
	}
	return rate * (uint64_t)(second % 100000000);
}

static void put_series(uint64_t target, uint64_t series, int64_t second, struct buf *out) {
	static const char *const names[] = { "http_requests_total", "queue_depth",
		"rpc_duration_seconds_bucket", "bytes_sent_total" };
	uint64_t group = series / 4;
	buf_printf(out, "%s{", names[series % 4]);
	if (series % 4 == 2) {
		buf_printf(out, "le=\"%" PRIu64 "\",", group % 12 + 1);
	}
	buf_printf(out,
		"namespace=\"team-%" PRIu64 "\",pod=\"api-%" PRIu64 "-%04" PRIx64
		"\",container=\"main\",method=\"%s\",code=\"%d\",path=\"/v1/items/%" PRIu64
		"\"} %" PRIu64 "\n",
		target % 7, target, group & 0xffff, group % 2 == 0 ? "GET" : "POST",
		group % 3 == 0 ? 500 : 200, group, value_of(target, series, second));
}

static void handle(void *context, struct exchange *exchange, struct str param) {
	const struct bench *bench = context;
	AUTO(buf_deinit) struct buf text = { 0 };
	uint64_t target = 0;
	int64_t second = clock_now_ms(clock_system()) / MS_PER_S;
	if (!str_to_u64(param, &target) || target >= bench->targets) {
		exchange_respond_text(exchange, 404, "no such target\n");
		return;
	}
	for (uint64_t i = 0; i < bench->series; i++) {
		put_series(target, i, second, &text);
	}
	struct str accepted =
		http_headers_get(&exchange_request(exchange)->headers, STR("accept-encoding"));
	if (compression_negotiate(accepted, false) == COMPRESSION_GZIP) {
		struct buf packed = { 0 };
		compress_body(COMPRESSION_GZIP, 1, buf_str(&text), &packed);
		buf_deinit(&text);
		text = packed;
		exchange_header(exchange, STR("content-encoding"), STR("gzip"));
	}
	exchange_respond_buf(exchange, 200, STR("text/plain; version=0.0.4"), &text);
}

static void stop(void *context) {
	loop_stop(((struct bench *)context)->loop);
}

int main(int argc, char **argv) {
	uint64_t port = 0;
	struct bench bench = { 0 };
	struct err err = { 0 };
	if (argc != 4 || !str_to_u64(str_of(argv[1]), &port) || port > UINT16_MAX ||
		!str_to_u64(str_of(argv[2]), &bench.targets) ||
		!str_to_u64(str_of(argv[3]), &bench.series)) {
		(void)fprintf(stderr, "usage: bench_targets PORT TARGETS SERIES\n");
		return 2;
	}
	bench.loop = loop_new(clock_system());
	struct router *router = router_new();
	router_add(router, "GET", "/t/*/metrics", handle, &bench);
	struct http_server *server = NULL;
	const struct http_server_options options = { .host = "127.0.0.1",
		.port = (uint16_t)port,
		.handler = router_handle,
		.context = router };
	if (http_server_open(bench.loop, &options, &server, &err) < 0) {
		(void)fprintf(stderr, "bench_targets: %s\n", err.text);
		return 1;
	}
	loop_on_signal(bench.loop, SIGTERM, stop, &bench);
	loop_run(bench.loop);
	http_server_close(server);
	router_free(router);
	loop_free(bench.loop);
	return 0;
}
