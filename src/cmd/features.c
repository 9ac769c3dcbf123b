#include "cmd/features.h"

#include "base/log.h"

static void enable(struct str name, struct features *features) {
	bool is_always_on;
	const struct {
		const char *name;
		bool *option;
	} known[] = {
		{ "promql-experimental-functions", &features->parse.experimental_functions },
		{ "promql-extended-range-selectors", &features->parse.extended_range_selectors },
		{ "promql-binop-fill-modifiers", &features->parse.binop_fill_modifiers },
		{ "promql-delayed-name-removal", &features->delayed_name_removal },
		{ "promql-per-step-stats", &features->per_step_stats },
		{ "use-start-timestamps", &features->use_start_timestamps },
		/* Always on, as in Prometheus, which takes its name still. */
		{ "promql-duration-expr", &is_always_on },
	};
	for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
		if (str_equal(name, str_of(known[i].name))) {
			*known[i].option = true;
			log_info("feature enabled", KV_STR("feature", name));
			return;
		}
	}
	if (name.len > 0) {
		log_warn("unknown option for --enable-feature", KV_STR("option", name));
	}
}

struct features features_read(const struct flag_list *names) {
	struct features features = { 0 };
	for (size_t i = 0; i < names->count; i++) {
		struct str rest = str_of(names->items[i]);
		while (rest.ptr) {
			enable(str_trim(str_cut(&rest, ',')), &features);
		}
	}
	return features;
}
