#include "cmd/trust_members.h"

#include "cmd/ask.h"
#include "mesh/trust_report.h"

static struct rotation_member *ask_hub(const char *hub, struct arena *arena, size_t *count) {
	struct trust_report report = { 0 };
	AUTO(buf_deinit) struct buf body = { 0 };
	struct err err = { 0 };
	int rc = ask_text(hub, "/api/v1/atoll/trust", &body, &err);
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
