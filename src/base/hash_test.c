#include "base/hash.h"

#include "base/rand.h"
#include "base/test.h"

static void gives_the_same_hash_on_every_machine(void **state) {
	(void)state;
	assert_true(hash_str(STR_EMPTY, 0) == 0x2d06800538d394c2U);
	assert_true(hash_str(STR("atoll"), 0) == hash_bytes("atoll", 5, 0));
	assert_true(hash_str(STR("atoll"), 0) != hash_str(STR("atoll"), 1));
}

static void knows_the_published_fnv_values(void **state) {
	(void)state;
	assert_true(hash_fnv64a(HASH_FNV_INIT, STR_EMPTY) == 0xcbf29ce484222325U);
	assert_true(hash_fnv64a(HASH_FNV_INIT, STR("a")) == 0xaf63dc4c8601ec8cU);
	assert_true(hash_fnv64a(hash_fnv64a(HASH_FNV_INIT, STR("foo")), STR("bar")) ==
		    0x85944171f73967e8U);
}

static void knows_the_published_crc_values(void **state) {
	(void)state;
	char zeros[32] = { 0 };
	char ones[32];
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(hash_crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(hash_crc32c(0, zeros, sizeof(zeros)), 0x8a9136aa);
	assert_int_equal(hash_crc32c(0, ones, sizeof(ones)), 0x62a8ab43);
	assert_int_equal(hash_crc32c(0, "", 0), 0);
}

static void gives_the_same_crc_with_and_without_the_processor(void **state) {
	(void)state;
	char bytes[1000];
	struct rand rand;
	rand_init(&rand, 5);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (char)rand_next(&rand);
	}
	for (size_t len = 0; len < 200; len++) {
		size_t from = (size_t)rand_below(&rand, 800);
		assert_int_equal(hash_crc32c(7, bytes + from, len),
			hash_crc32c_portable(7, bytes + from, len));
	}
}

static void goes_on_from_an_earlier_crc(void **state) {
	(void)state;
	uint32_t crc = hash_crc32c(0, "12345", 5);
	assert_int_equal(hash_crc32c(crc, "6789", 4), 0xe3069283);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(gives_the_same_hash_on_every_machine),
		TEST(knows_the_published_fnv_values),
		TEST(knows_the_published_crc_values),
		TEST(gives_the_same_crc_with_and_without_the_processor),
		TEST(goes_on_from_an_earlier_crc),
	};
	return TEST_RUN(tests);
}
