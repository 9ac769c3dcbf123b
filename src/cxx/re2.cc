extern "C" {
#include "cxx/re2.h"
}

#include <re2/re2.h>

#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <vector>

namespace {

/* One pattern's compiled form and its caches; Prometheus' users write long alternations. */
const int64_t memory_max_bytes = int64_t{ 16 } << 20;

/* More groups than this are taken from the heap. */
const size_t groups_on_stack = 16;

RE2::Options options() {
	RE2::Options options;
	options.set_log_errors(false);
	options.set_longest_match(false);
	options.set_max_mem(memory_max_bytes);
	return options;
}

re2::StringPiece piece(struct str text) {
	return { text.ptr ? text.ptr : "", text.len };
}

} // namespace

struct re2_pattern {
	RE2 re2;

	explicit re2_pattern(struct str text) : re2(piece(text), options()) {
	}
};

int re2_new(struct str pattern, struct re2_pattern **out, struct err *err) {
	try {
		struct re2_pattern *re = new struct re2_pattern(pattern);
		if (re->re2.ok()) {
			*out = re;
			return 0;
		}
		int code =
			re->re2.error_code() == RE2::ErrorPatternTooLarge ? ERR_LIMIT : ERR_INVAL;
		err_set(err, code, "%s", re->re2.error().c_str());
		delete re;
		return code;
	} catch (const std::exception &e) {
		return err_set(err, ERR_LIMIT, "regular expression: %s", e.what());
	}
}

void re2_free(struct re2_pattern *re) {
	delete re;
}

bool re2_match_full(const struct re2_pattern *re, struct str text) {
	return re2_match_groups(re, text, nullptr, 0);
}

bool re2_match_groups(
	const struct re2_pattern *re, struct str text, struct str *groups, size_t max) {
	try {
		re2::StringPiece few[groups_on_stack];
		std::vector<re2::StringPiece> many(max > groups_on_stack ? max : 0);
		re2::StringPiece *found = max > groups_on_stack ? many.data() : few;
		if (!re->re2.Match(piece(text), 0, text.len, RE2::ANCHOR_BOTH, found,
			    static_cast<int>(max))) {
			return false;
		}
		for (size_t i = 0; i < max; i++) {
			groups[i] = { found[i].data(), found[i].size() };
		}
		return true;
	} catch (const std::exception &) {
		/* Only the memory for many groups can be refused. */
		std::abort();
	}
}

size_t re2_group_count(const struct re2_pattern *re) {
	return static_cast<size_t>(re->re2.NumberOfCapturingGroups());
}

int re2_group_index(const struct re2_pattern *re, struct str name) {
	try {
		const auto &groups = re->re2.NamedCapturingGroups();
		auto found = groups.find(std::string(name.ptr ? name.ptr : "", name.len));
		return found == groups.end() ? -1 : found->second;
	} catch (const std::exception &) {
		std::abort();
	}
}
