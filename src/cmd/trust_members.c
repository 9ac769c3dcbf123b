#include "cmd/trust_members.h"

#include "io/fetch.h"
#include "mesh/trust_report.h"

#define ASK_TIMEOUT_MS 10000
#define REPORT_BYTES_MAX (UINT64_C(64) << 20)

/* A request on its way. */
struct asking {
	struct loop *loop;
	struct buf *body;
	struct err *err;
	int rc;
};

static void on_done(struct fetch *fetch, const struct fetch_result *result) {
	struct asking *asking = fetch_context(fetch);
	if (result->failure) {
		*asking->err = *result->failure;
		asking->rc = result->failure->code;
	} else if (result->status != 200) {
		asking->rc = err_set(asking->err, ERR_IO, "it answered %d", result->status);
	} else {
		buf_add_str(asking->body, result->body);
	}
	loop_stop(asking->loop);
}

static int fetch_report(const char *hub, struct buf *body, struct err *err) {
	AUTO(buf_deinit) struct buf url = { 0 };
	struct str base = str_of(hub);
	while (str_ends(base, STR("/"))) {
		base.len--;
	}
	buf_printf(&url, "%.*s/api/v1/atoll/trust", STR_ARG(base));
	struct asking asking = { .loop = loop_new(clock_system()), .body = body, .err = err };
	struct fetcher *fetcher = fetcher_new(asking.loop);
	(void)fetch_start(fetcher, &(struct fetch_request){
					   .url = buf_text(&url),
					   .timeout_ms = ASK_TIMEOUT_MS,
					   .body_bytes_max = REPORT_BYTES_MAX,
					   .decode = true,
					   .context = &asking,
					   .on_done = on_done,
				   });
	loop_run(asking.loop);
	fetcher_free(fetcher);
	loop_free(asking.loop);
	return asking.rc;
}

static struct rotation_member *ask_hub(const char *hub, struct arena *arena, size_t *count) {
	struct trust_report report = { 0 };
	AUTO(buf_deinit) struct buf body = { 0 };
	struct err err = { 0 };
	int rc = fetch_report(hub, &body, &err);
	if (rc == 0) {
		rc = trust_report_parse(arena, buf_str(&body), &report, &err);
	}
	struct rotation_member *members =
		ARENA_NEW(arena, struct rotation_member, report.link_count + 1);
	members[0] = (struct rotation_member){ .name = str_of(hub) };
	if (rc < 0) {
		members[0].trouble = arena_printf(arena, "the hub cannot be asked: %s", err.text);
		*count = 1;
		return members;
	}
	struct trust_facts *own = ARENA_NEW(arena, struct trust_facts, 1);
	*own = report.facts;
	members[0].facts = own;
	for (size_t i = 0; i < report.link_count; i++) {
		members[i + 1] = (struct rotation_member){ .name = report.links[i].cluster,
			.trouble = report.links[i].trouble,
			.facts = report.links[i].facts };
	}
	*count = report.link_count + 1;
	return members;
}

void trust_members_ask(const struct rotation *rotation, struct arena *arena,
	struct rotation_member **out, size_t *count) {
	struct rotation_member *of_hub[ROTATION_NAMES_MAX];
	size_t counts[ROTATION_NAMES_MAX];
	size_t total = 0;
	for (size_t i = 0; i < rotation->hubs.count; i++) {
		of_hub[i] = ask_hub(rotation->hubs.items[i], arena, &counts[i]);
		total += counts[i];
	}
	struct rotation_member *members = ARENA_NEW(arena, struct rotation_member, total + 1);
	struct rotation_member *at = members;
	for (size_t i = 0; i < rotation->hubs.count; i++) {
		for (size_t j = 0; j < counts[i]; j++) {
			*at++ = of_hub[i][j];
		}
	}
	*out = members;
	*count = total;
}
