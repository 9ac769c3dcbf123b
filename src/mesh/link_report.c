#include "mesh/link_report.h"

#include "base/check.h"
#include "http/router.h"
#include "mesh/link_internal.h"
#include "mesh/trust_report.h"

static void put_time(struct json_writer *writer, const char *name, int64_t ms) {
	AUTO(buf_deinit) struct buf text = { 0 };
	time_format_rfc3339(ms, &text);
	json_key(writer, str_of(name));
	json_put_str(writer, buf_str(&text));
}

static void put_text(struct json_writer *writer, const char *name, const char *value) {
	json_key(writer, str_of(name));
	json_put_text(writer, value);
}

static void put_int(struct json_writer *writer, const char *name, int64_t value) {
	json_key(writer, str_of(name));
	json_put_int(writer, value);
}

void status_begin(
	struct json_writer *writer, const struct trust_identity *own, const struct clock *clock) {
	json_begin_object(writer);
	put_text(writer, "status", "success");
	json_key(writer, STR("data"));
	json_begin_object(writer);
	put_text(writer, "identity", trust_identity_name(own));
	put_int(writer, "time_ms", clock_now_ms(clock));
	put_time(writer, "certificate_not_after", trust_identity_not_after_ms(own));
	json_key(writer, STR("trust"));
	trust_facts_format(trust_identity_facts(own), writer);
}

void status_end(struct json_writer *writer) {
	json_end_object(writer);
	json_end_object(writer);
}

static void write_addresses(const struct link *link, struct json_writer *writer) {
	json_key(writer, STR("addresses"));
	json_begin_array(writer);
	for (size_t i = 0; i < link->config.address_count; i++) {
		json_put_str(writer, link->config.addresses[i].text);
	}
	json_end_array(writer);
}

static void write_exports(const struct link *link, struct json_writer *writer) {
	json_key(writer, STR("exports"));
	json_begin_array(writer);
	for (size_t i = 0; i < link->export_count; i++) {
		json_begin_object(writer);
		json_key(writer, STR("name"));
		json_put_str(writer, link->exports[i].name);
		json_key(writer, STR("kind"));
		json_put_str(writer, link->exports[i].kind);
		json_end_object(writer);
	}
	json_end_array(writer);
}

/* What is known once it has been up. */
static void write_known(const struct link *link, struct json_writer *writer) {
	int64_t now_ns = clock_mono_ns(loop_clock(link->links->loop));
	if (link->cert_not_after_ms > 0) {
		put_time(writer, "certificate_not_after", link->cert_not_after_ms);
	}
	if (link->rtt_ns > 0) {
		json_key(writer, STR("rtt_seconds"));
		json_put_double(writer, (double)link->rtt_ns / (double)NS_PER_S);
	}
	if (link->has_skew) {
		json_key(writer, STR("clock_skew_seconds"));
		json_put_double(writer, (double)link->skew_ms / (double)MS_PER_S);
	}
	if (link->confirmed_ns > 0) {
		put_int(writer, "catalogue_age_ms", (now_ns - link->confirmed_ns) / NS_PER_MS);
	}
	if (link->has_trust) {
		json_key(writer, STR("trust"));
		trust_facts_format(&link->trust, writer);
	}
}

static void write_link(const struct link *link, struct json_writer *writer) {
	static const char *const states[] = { "connecting", "up", "down" };
	json_begin_object(writer);
	put_text(writer, "cluster", link->config.cluster.ptr);
	put_text(writer, "file", link->file);
	put_text(writer, "identity", link->config.identity.ptr);
	put_text(writer, "dials", link->config.is_dialled_by_gateway ? "gateway" : "hub");
	write_addresses(link, writer);
	put_text(writer, "state", states[link->state]);
	put_time(writer, "since", link->since_ms);
	put_text(writer, "address", link_address_text(link));
	put_text(writer, "last_error", link->last_error);
	put_int(writer, "received_bytes", (int64_t)link->received_bytes);
	put_int(writer, "sent_bytes", (int64_t)link->sent_bytes);
	write_known(link, writer);
	write_exports(link, writer);
	json_key(writer, STR("failures"));
	failures_write(&link->failures, writer);
	json_end_object(writer);
}

/* On the loop, which is the only one that writes: no lock is needed to read. */
static void serve_links(void *context, struct exchange *exchange, struct str param) {
	struct links *links = context;
	struct buf body = { 0 };
	struct json_writer writer;
	(void)param;
	json_writer_init(&writer, &body);
	status_begin(&writer, links->own, loop_clock(links->loop));
	put_text(&writer, "directory", links->directory);
	put_text(&writer, "complaints", buf_text(&links->complaint_text));
	json_key(&writer, STR("links"));
	json_begin_array(&writer);
	for (const struct link *link = links->first; link; link = link->next) {
		write_link(link, &writer);
	}
	json_end_array(&writer);
	json_key(&writer, STR("refusals"));
	failures_write(&links->refused, &writer);
	status_end(&writer);
	exchange_respond_buf(exchange, 200, STR("application/json"), &body);
}

void links_register(
	struct links *links, const struct trust_identity *identity, struct router *router) {
	CHECK(!links->own);
	links->own = identity;
	router_add(router, "GET", "/atoll/v1/links", serve_links, links);
}
