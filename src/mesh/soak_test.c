/*
 * A day in the life of a link, by a clock that runs some hundred times faster: certificates are
 * renewed, exports come and go, the gateway restarts, connections age, and all the while somebody
 * asks. What is allocated and open at its end is what was after the first hours.
 */
#include "mesh/test_world.h"
#include "trust/keeper.h"

#include <dirent.h>
#include <malloc.h>
#include <stdlib.h>

#define STEP_MS 500
#define MINUTE_MS (INT64_C(60) * MS_PER_S)
#define HOUR_MS (60 * MINUTE_MS)
/* Every leaf is renewed some 36 times a day. */
#define LEAF_MS HOUR_MS
/* Allocators, pools and hash tables settle in that time. */
#define SETTLED_HOURS 2
#define HOURS 4
#define HOURS_LONG 24
/* The gateway is down twice an hour for a minute: so many requests of an hour may fail. */
#define FAILED_PER_HOUR 5
#define GROWTH_BYTES_MAX ((size_t)64 * 1024)
#define NOW_MS INT64_C(1795341600000)

/* Of the address sanitizer, where there is one: its malloc knows nothing of mallinfo2. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

struct soak {
	struct world world;
	struct clock clock;
	struct keeper *keepers[2];
	pthread_t asker;
	/* Below the world's lock. */
	unsigned minute;
	unsigned answered;
	unsigned failed;
	bool is_over;
};

static size_t allocated_bytes(void) {
	if (__sanitizer_get_current_allocated_bytes) {
		return __sanitizer_get_current_allocated_bytes();
	}
	return mallinfo2().uordblks;
}

static size_t open_descriptors(void) {
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	size_t count = 0;
	while (readdir(dir)) { // NOLINT(concurrency-mt-unsafe): nobody else reads 'dir'
		count++;
	}
	(void)closedir(dir);
	return count;
}

/* Asks once a minute. */
static void ask(void *context) {
	struct soak *soak = context;
	struct world *world = &soak->world;
	unsigned asked = 0;
	lock_take(&world->lock);
	while (!soak->is_over) {
		if (soak->minute == asked) {
			(void)condition_wait_for(&world->changed, &world->lock, NS_PER_S);
			continue;
		}
		asked = soak->minute;
		lock_drop(&world->lock);
		AUTO(arena_deinit) struct arena arena = { 0 };
		struct link_response response;
		struct err err = { 0 };
		struct link_request request = world_request("/api/v1/query?query=up");
		struct link_call *call = link_call_start(world->links, &request);
		int rc = link_call_wait(call, &arena, &response, &err);
		lock_take(&world->lock);
		soak->answered += rc == 0 && response.status == 200;
		soak->failed += rc != 0 || response.status != 200;
	}
	lock_drop(&world->lock);
}

static void nothing(struct world *world) {
	(void)world;
}

/* Lets time pass and what is due then happen; sockets and files of this machine are as fast as
 * ever. */
static void pass(struct soak *soak) {
	clock_advance_ms(&soak->clock, STEP_MS);
	loop_wake(soak->world.loop);
	for (int i = 0; i < 3; i++) {
		world_do(&soak->world, nothing);
	}
}

static void start_keepers(struct world *world) {
	static const char *const issuers[] = { "west-issuer", "hub-issuer" };
	static const char *const leaves[] = { "gateway-tls", "hub-tls" };
	struct soak *soak = CONTAINER_OF(world, struct soak, world);
	for (size_t i = 0; i < ARRAY_COUNT(leaves); i++) {
		struct err err = { 0 };
		char leaf[512];
		const char *directories[] = { leaf };
		(void)snprintf(leaf, sizeof(leaf), "%s", world_path(world, leaves[i]));
		assert_ok(authority_save(world->issuers[i], world_path(world, issuers[i]), &err),
			err);
		const struct keeper_options options = {
			.issuer_directory = world_path(world, issuers[i]),
			.leaf_directories = directories,
			.leaf_count = 1,
			.lifetime_ms = LEAF_MS,
		};
		assert_ok(keeper_start(world->loop, &options, &soak->keepers[i], &err), err);
	}
}

static void stop_keepers(struct world *world) {
	struct soak *soak = CONTAINER_OF(world, struct soak, world);
	for (size_t i = 0; i < ARRAY_COUNT(soak->keepers); i++) {
		keeper_stop(soak->keepers[i]);
	}
}

/* What happens in a minute of the day. */
static void churn(struct soak *soak, unsigned minute) {
	struct world *world = &soak->world;
	if (minute % 5 == 1) {
		world_write_exports(world, "prometheus", minute % 10 == 1 ? "second" : NULL);
	}
	if (minute % 30 == 17) {
		world_do(world, world_close_gateway);
	}
	if (minute % 30 == 18) {
		world_do(world, world_open_gateway);
	}
	if (minute % 60 == 40) {
		world_write_link(world, "brief", GATEWAY_IDENTITY, world->gateway_port);
	}
	if (minute % 60 == 50) {
		struct err err = { 0 };
		assert_ok(file_remove(world_path(world, "links/brief.yaml"), &err), err);
	}
	lock_take(&world->lock);
	soak->minute++;
	condition_broadcast(&world->changed);
	lock_drop(&world->lock);
}

static void live(struct soak *soak, unsigned hours) {
	for (unsigned minute = 0; minute < hours * 60; minute++) {
		churn(soak, minute);
		for (int64_t ms = 0; ms < MINUTE_MS; ms += STEP_MS) {
			pass(soak);
		}
	}
}

static double renewals(struct world *world) {
	struct tls_identity *own = tls_slot_get(trust_identity_slot(world->hub_identity));
	int64_t not_after_ms = tls_identity_not_after_ms(own);
	tls_identity_unref(own);
	return (double)(not_after_ms - NOW_MS) / LEAF_MS;
}

static void a_day_leaves_nothing_behind(void **state) {
	(void)state;
	static struct soak soak;
	// NOLINTNEXTLINE(concurrency-mt-unsafe): tests only
	unsigned hours = getenv("LONG") ? HOURS_LONG : HOURS;
	clock_init_manual(&soak.clock, NOW_MS);
	world_init_at(&soak.world, &soak.clock);
	world_do(&soak.world, start_keepers);
	soak.asker = thread_start(THREAD_QUERY, "asker", ask, &soak);

	live(&soak, SETTLED_HOURS);
	size_t bytes = allocated_bytes();
	size_t descriptors = open_descriptors();
	unsigned answered = soak.answered;
	live(&soak, hours - SETTLED_HOURS);

	print_message("%u simulated hours: %u answered, %u not; %zu bytes allocated, %zu after %d "
		      "hours; %zu descriptors, %zu\n",
		hours, soak.answered, soak.failed, allocated_bytes(), bytes, SETTLED_HOURS,
		open_descriptors(), descriptors);
	assert_true(allocated_bytes() <= bytes + GROWTH_BYTES_MAX);
	assert_true(open_descriptors() <= descriptors);
	assert_true(soak.answered > answered + 50 * (hours - SETTLED_HOURS));
	assert_true(soak.failed <= FAILED_PER_HOUR * hours);
	assert_true(renewals(&soak.world) > hours - 1);
	lock_take(&soak.world.lock);
	soak.is_over = true;
	condition_broadcast(&soak.world.changed);
	lock_drop(&soak.world.lock);
	thread_join(soak.asker);
	world_do(&soak.world, stop_keepers);
	world_deinit(&soak.world);
}

int main(void) {
	const struct CMUnitTest tests[] = { TEST(a_day_leaves_nothing_behind) };
	return TEST_RUN(tests);
}
