#include "http/uri.h"

#include "base/test.h"

static void decodes_escapes_and_plus(void **state) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	struct str out;

	(void)state;
	assert_ok(uri_decode(&arena, STR("a%2Bb+c%00%ff"), true, &out, &err), err);
	assert_str_equal(out, STR("a+b c\0\xff"));
	assert_ok(uri_decode(&arena, STR("a+b"), false, &out, &err), err);
	assert_str_equal(out, STR("a+b"));
}

static void refuses_broken_escapes(void **state) {
	static const char *const broken[] = { "%", "a%2", "%zz", "%%20", "%2g" };
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct err err = { 0 };
	struct str out;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
		if (uri_decode(&arena, str_of(broken[i]), true, &out, &err) != ERR_INVAL) {
			fail_msg("%s", broken[i]);
		}
	}
	assert_string_equal(err.text, "invalid URL escape \"%2g\"");
}

static void reads_parameters(void **state) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct uri_params params = { 0 };
	struct err err = { 0 };
	bool found = true;

	(void)state;
	assert_ok(uri_params_parse(&arena,
			  STR("query=up%7Ba%3D%22b%22%7D&&match[]=1&match[]=2&flag&x=a=b&="),
			  &params, &err),
		err);
	assert_int_equal(params.count, 6);
	assert_str_equal(uri_params_get(&params, STR("query"), NULL), STR("up{a=\"b\"}"));
	assert_str_equal(uri_params_get(&params, STR("match[]"), NULL), STR("1"));
	assert_str_equal(params.items[2].value, STR("2"));
	assert_str_equal(uri_params_get(&params, STR("x"), NULL), STR("a=b"));
	assert_str_equal(uri_params_get(&params, STR("flag"), &found), STR_EMPTY);
	assert_true(found);
	assert_str_equal(uri_params_get(&params, STR("none"), &found), STR_EMPTY);
	assert_false(found);
}

static void refuses_semicolons_and_too_many_parameters(void **state) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	struct uri_params params = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(uri_params_parse(&arena, STR("a=1;b=2"), &params, &err), ERR_INVAL);
	for (int i = 0; i <= URI_PARAMS_MAX; i++) {
		buf_add_text(&text, "a&");
	}
	params = (struct uri_params){ 0 };
	assert_int_equal(uri_params_parse(&arena, buf_str(&text), &params, &err), ERR_LIMIT);
}

static void encoding_survives_decoding(void **state) {
	AUTO(arena_deinit) struct arena arena = { 0 };
	AUTO(buf_deinit) struct buf text = { 0 };
	struct err err = { 0 };
	char bytes[256];
	struct str out;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (char)i;
	}
	uri_encode((struct str){ bytes, sizeof(bytes) }, &text);
	assert_ok(uri_decode(&arena, buf_str(&text), true, &out, &err), err);
	assert_str_equal(out, ((struct str){ bytes, sizeof(bytes) }));
	buf_reset(&text);
	uri_encode(STR("a b/~-._"), &text);
	assert_string_equal(buf_text(&text), "a%20b%2F~-._");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(decodes_escapes_and_plus),
		TEST(refuses_broken_escapes),
		TEST(reads_parameters),
		TEST(refuses_semicolons_and_too_many_parameters),
		TEST(encoding_survives_decoding),
	};

	return TEST_RUN(tests);
}
