#include "scrape/cache.h"

#include "base/test.h"

/* Scrapes the series named by the letters of 'names', as an ingest does it. */
static void scrape(struct scrape_cache *cache, const char *names) {
	cache_begin(cache);
	for (const char *name = names; *name; name++) {
		struct str bytes = { name, 1 };
		struct cache_item *item = cache_find(cache, bytes, EXPOSITION_SERIES);
		if (!item) {
			item = cache_add(cache, bytes, EXPOSITION_SERIES, METRIC_TYPE_UNKNOWN);
			item->ref.v = (uint64_t)(*name - 'a' + 1);
		}
		(void)cache_see(cache, item);
	}
}

struct ended {
	char names[64];
	size_t count;
};

static int on_end(void *context, struct series_ref ref, struct err *err) {
	struct ended *ended = context;
	(void)err;
	ended->names[ended->count++] = (char)('a' + ref.v - 1);
	return 0;
}

/* The letters of the series that ended, in order. */
static const char *ends(struct scrape_cache *cache, bool failed) {
	static struct ended ended;
	struct err err = { 0 };
	ended = (struct ended){ 0 };
	assert_ok(cache_end_series(cache, failed, on_end, &ended, &err), err);
	(void)cache_commit(cache, failed);
	return ended.names;
}

static void expects_the_order_of_the_last_scrape(void **state) {
	(void)state;
	struct scrape_cache cache;
	cache_init(&cache, 7);
	scrape(&cache, "abc");
	(void)ends(&cache, false);
	cache_begin(&cache);
	for (const char *name = "abc"; *name; name++) {
		assert_non_null(cache_hint(&cache));
		struct cache_item *item = cache_follow(&cache);
		assert_int_equal(item->ref.v, *name - 'a' + 1);
	}
	assert_null(cache_hint(&cache));
	cache_deinit(&cache);
}

static void learns_a_new_order(void **state) {
	(void)state;
	struct scrape_cache cache;
	cache_init(&cache, 7);
	scrape(&cache, "abcd");
	(void)ends(&cache, false);
	scrape(&cache, "axbdc");
	(void)ends(&cache, false);
	cache_begin(&cache);
	assert_int_equal(cache_follow(&cache)->ref.v, 'a' - 'a' + 1);
	assert_int_equal(cache_follow(&cache)->ref.v, 'x' - 'a' + 1);
	assert_int_equal(cache_follow(&cache)->ref.v, 'b' - 'a' + 1);
	assert_int_equal(cache_follow(&cache)->ref.v, 'd' - 'a' + 1);
	assert_int_equal(cache_follow(&cache)->ref.v, 'c' - 'a' + 1);
	cache_deinit(&cache);
}

static void tells_which_series_ended_once(void **state) {
	(void)state;
	struct scrape_cache cache;
	cache_init(&cache, 7);
	scrape(&cache, "abcdefghij");
	assert_string_equal(ends(&cache, false), "");
	scrape(&cache, "abdefghij");
	assert_string_equal(ends(&cache, false), "c");
	scrape(&cache, "abdefghij");
	assert_string_equal(ends(&cache, false), "");
	scrape(&cache, "abcdefghij");
	assert_string_equal(ends(&cache, false), "");
	scrape(&cache, "");
	assert_string_equal(ends(&cache, false), "abcdefghij");
	cache_deinit(&cache);
}

static void a_failed_scrape_ends_all_that_lived(void **state) {
	(void)state;
	struct scrape_cache cache;
	cache_init(&cache, 7);
	scrape(&cache, "ab");
	(void)ends(&cache, false);
	scrape(&cache, "ac"); /* Then the body breaks off. */
	assert_string_equal(ends(&cache, true), "ab");
	scrape(&cache, "");
	assert_string_equal(ends(&cache, true), "");
	scrape(&cache, "ac");
	assert_string_equal(ends(&cache, false), "");
	scrape(&cache, "c");
	assert_string_equal(ends(&cache, false), "a");
	cache_deinit(&cache);
}

static void a_series_spelled_anew_goes_on(void **state) {
	(void)state;
	struct scrape_cache cache;
	cache_init(&cache, 7);
	scrape(&cache, "ab");
	(void)ends(&cache, false);
	cache_begin(&cache);
	(void)cache_see(&cache, cache_find(&cache, STR("b"), EXPOSITION_SERIES));
	struct cache_item *item =
		cache_add(&cache, STR("A"), EXPOSITION_SERIES, METRIC_TYPE_UNKNOWN);
	item->ref.v = 1;
	(void)cache_see(&cache, item);
	assert_string_equal(ends(&cache, false), "");
	scrape(&cache, "b");
	assert_string_equal(ends(&cache, false), "a");
	cache_deinit(&cache);
}

static void a_series_with_its_own_time_is_not_waited_for(void **state) {
	(void)state;
	struct scrape_cache cache;
	cache_init(&cache, 7);
	scrape(&cache, "ab");
	cache_untrack(&cache, cache_find(&cache, STR("a"), EXPOSITION_SERIES));
	assert_string_equal(ends(&cache, false), "");
	scrape(&cache, "b");
	assert_string_equal(ends(&cache, false), "");
	scrape(&cache, "ab");
	cache_untrack(&cache, cache_find(&cache, STR("b"), EXPOSITION_SERIES));
	assert_string_equal(ends(&cache, false), "b");
	cache_deinit(&cache);
}

static void sees_a_repetition(void **state) {
	(void)state;
	struct scrape_cache cache;
	cache_init(&cache, 7);
	scrape(&cache, "a");
	assert_false(cache_see(&cache, cache_find(&cache, STR("a"), EXPOSITION_SERIES)));
	cache_deinit(&cache);
}

static void forgets_what_is_gone(void **state) {
	(void)state;
	struct scrape_cache cache;
	cache_init(&cache, 7);
	scrape(&cache, "abcdefghijklmnopqrstuvwxyz");
	(void)ends(&cache, false);
	scrape(&cache, "zab");
	(void)ends(&cache, false);
	assert_int_equal(cache.count, 4);
	cache_begin(&cache);
	assert_int_equal(cache_follow(&cache)->ref.v, 26);
	assert_int_equal(cache_follow(&cache)->ref.v, 1);
	assert_int_equal(cache_follow(&cache)->ref.v, 2);
	cache_deinit(&cache);
}

static void failing_scrapes_do_not_grow_it_for_ever(void **state) {
	(void)state;
	struct scrape_cache cache;
	bool was_forced = false;
	cache_init(&cache, 7);
	for (int i = 0; i < 50 && !was_forced; i++) {
		cache_begin(&cache);
		for (int j = 0; j < 100; j++) {
			char name[32];
			int len = snprintf(name, sizeof(name), "m%d_%d", i, j);
			struct str bytes = { name, (size_t)len };
			(void)cache_see(&cache,
				cache_add(&cache, bytes, EXPOSITION_SERIES, METRIC_TYPE_UNKNOWN));
		}
		was_forced = cache_commit(&cache, true);
	}
	assert_true(was_forced);
	assert_int_equal(cache.count, 101);
	cache_deinit(&cache);
}

static void lets_the_index_go_when_it_is_of_no_use(void **state) {
	(void)state;
	struct scrape_cache cache;
	cache_init(&cache, 7);
	scrape(&cache, "abc");
	(void)ends(&cache, false);
	assert_true(cache.index.count > 0);
	for (int i = 0; i < 20; i++) {
		cache_begin(&cache);
		while (cache_hint(&cache)) {
			(void)cache_see(&cache, cache_follow(&cache));
		}
		assert_string_equal(ends(&cache, false), "");
	}
	assert_int_equal(cache.index.count, 0);
	scrape(&cache, "cab");
	assert_string_equal(ends(&cache, false), "");
	cache_deinit(&cache);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(expects_the_order_of_the_last_scrape),
		TEST(learns_a_new_order),
		TEST(tells_which_series_ended_once),
		TEST(a_failed_scrape_ends_all_that_lived),
		TEST(a_series_spelled_anew_goes_on),
		TEST(a_series_with_its_own_time_is_not_waited_for),
		TEST(sees_a_repetition),
		TEST(forgets_what_is_gone),
		TEST(failing_scrapes_do_not_grow_it_for_ever),
		TEST(lets_the_index_go_when_it_is_of_no_use),
	};
	return TEST_RUN(tests);
}
