#include "cmd/features.h"

#include "base/log.h"

static void enable(struct str name, struct parse_options *options, bool *delayed_name_removal) {
	bool is_always_on;
	const struct {
		const char *name;
		bool *option;
	} known[] = {
		{ "promql-experimental-functions", &options->experimental_functions },
		{ "promql-extended-range-selectors", &options->extended_range_selectors },
		{ "promql-binop-fill-modifiers", &options->binop_fill_modifiers },
		{ "promql-delayed-name-removal", delayed_name_removal },
		/* Always on, as in Prometheus, which takes its name still. */
		{ "promql-duration-expr", &is_always_on },
	};
	for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
		if (known[i].option && str_equal(name, str_of(known[i].name))) {
			*known[i].option = true;
			log_info("feature enabled", KV_STR("feature", name));
			return;
		}
	}
	if (name.len > 0) {
		log_warn("unknown option for --enable-feature", KV_STR("option", name));
	}
}

void features_enable(
	const struct flag_list *names, struct parse_options *options, bool *delayed_name_removal) {
	for (size_t i = 0; i < names->count; i++) {
		struct str rest = str_of(names->items[i]);
		while (rest.ptr) {
			enable(str_trim(str_cut(&rest, ',')), options, delayed_name_removal);
		}
	}
}
