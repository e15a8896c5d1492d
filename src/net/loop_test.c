#include "net/testing.h"

#include "net/loop_private.h"

#include "base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

/* Posts from other threads: all arrive, in order per thread, on the loop's thread. */

enum { POSTERS = 4, POSTS_EACH = 5000 };

struct counted {
	struct loop *loop;
	pthread_t loop_thread;
	unsigned expected[POSTERS];
	unsigned left;
};
struct numbered {
	struct loop_task task;
	struct counted *counted;
	unsigned poster, number;
};

static void count_one(struct loop_task *task)
{
	struct numbered *n = LIST_ENTRY(task, struct numbered, task);
	struct counted *counted = n->counted;
	assert_true(pthread_equal(pthread_self(), counted->loop_thread));
	assert_int_equal(n->number, counted->expected[n->poster]++);
	mem_free(n);
	if (--counted->left == 0)
		loop_stop(counted->loop);
}

struct poster {
	struct counted *counted;
	unsigned number;
};

static void *post_many(void *arg)
{
	struct poster *poster = arg;
	for (unsigned i = 0; i < POSTS_EACH; i++) {
		struct numbered *n = mem_alloc(sizeof *n);
		n->counted = poster->counted;
		n->poster = poster->number;
		n->number = i;
		n->task.run = count_one;
		loop_post(poster->counted->loop, &n->task);
	}
	return NULL;
}

static void posts_arrive_in_order(void **state)
{
	(void)state;
	struct counted counted = {
		.loop = loop_new("test"), .loop_thread = pthread_self(), .left = POSTERS * POSTS_EACH
	};
	assert_non_null(counted.loop);
	assert_string_equal(loop_name(counted.loop), "test");
	struct poster posters[POSTERS];
	pthread_t threads[POSTERS];
	for (unsigned i = 0; i < POSTERS; i++) {
		posters[i] = (struct poster){ &counted, i };
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
	}
	loop_run(counted.loop);
	for (unsigned i = 0; i < POSTERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(counted.expected[i], POSTS_EACH);
	}
	loop_free(counted.loop);
}

/* Two loops that answer each other: every wake-up from sleep must work, or this hangs. */

struct ball {
	struct loop_task task;
	struct loop *loops[2];
	unsigned hits;
};

static void hit(struct loop_task *task)
{
	struct ball *ball = LIST_ENTRY(task, struct ball, task);
	if (++ball->hits == 2000) {
		loop_stop(ball->loops[0]);
		loop_stop(ball->loops[1]);
		return;
	}
	loop_post(ball->loops[ball->hits % 2], task);
}

static void *run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

static void loops_wake_each_other(void **state)
{
	(void)state;
	struct ball ball = { .task.run = hit, .loops = { loop_new("a"), loop_new("b") } };
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, run_loop, ball.loops[1]), 0);
	loop_post(ball.loops[0], &ball.task);
	loop_run(ball.loops[0]);
	pthread_join(thread, NULL);
	assert_int_equal(ball.hits, 2000);
	loop_free(ball.loops[0]);
	loop_free(ball.loops[1]);
}

/* From the loop's own thread a post is later, too. */

struct order {
	struct loop *loop;
	struct loop_task first, second;
	struct loop_defer defer;
	char seen[8];
	size_t count;
};

static void second_task(struct loop_task *task)
{
	struct order *order = LIST_ENTRY(task, struct order, second);
	order->seen[order->count++] = '2';
	loop_stop(order->loop);
}

static void deferred(struct loop_defer *defer)
{
	struct order *order = LIST_ENTRY(defer, struct order, defer);
	order->seen[order->count++] = 'd';
}

static void first_task(struct loop_task *task)
{
	struct order *order = LIST_ENTRY(task, struct order, first);
	order->second.run = second_task;
	loop_post(order->loop, &order->second);
	order->defer.run = deferred;
	loop_defer(order->loop, &order->defer);
	loop_defer(order->loop, &order->defer);
	order->seen[order->count++] = '1';
}

static void own_posts_are_later(void **state)
{
	(void)state;
	struct order order = { .loop = loop_new("test"), .first.run = first_task };
	loop_post(order.loop, &order.first);
	assert_int_equal(order.count, 0);
	loop_run(order.loop);
	assert_string_equal(order.seen, "1d2");
	loop_free(order.loop);
}

static void free_runs_what_is_waiting(void **state)
{
	(void)state;
	struct order order = { .loop = loop_new("test"), .first.run = first_task };
	loop_post(order.loop, &order.first);
	loop_free(order.loop);
	assert_int_equal(order.count, 3);
}

static void cancelled_deferral_does_not_run(void **state)
{
	(void)state;
	struct order order = { .loop = loop_new("test"), .defer.run = deferred };
	loop_defer(order.loop, &order.defer);
	loop_defer_cancel(&order.defer);
	loop_defer_cancel(&order.defer);
	order.second.run = second_task;
	loop_post(order.loop, &order.second);
	loop_run(order.loop);
	assert_string_equal(order.seen, "2");
	loop_free(order.loop);
}

static void stop_before_run_counts(void **state)
{
	(void)state;
	struct loop *loop = loop_new("test");
	loop_stop(loop);
	loop_run(loop); /* comes back at once */
	struct order order = { .loop = loop, .second.run = second_task };
	loop_post(loop, &order.second);
	loop_run(loop); /* and runs again afterwards */
	assert_int_equal(order.count, 1);
	loop_free(loop);
}

/* Timers: each fires once and never early; how late it fires is the machine's business. */

struct timed {
	struct loop *loop;
	struct loop_timer timer;
	int64_t due_ms;
	unsigned fired;
	unsigned *left;
};

static void timer_fired(void *owner)
{
	struct timed *timed = owner;
	assert_true(loop_now_ms(timed->loop) >= timed->due_ms);
	timed->fired++;
	if (--*timed->left == 0)
		loop_stop(timed->loop);
}

static void set_timed(struct timed *timed, int64_t due_ms)
{
	timed->due_ms = due_ms;
	loop_timer_set(&timed->timer, due_ms);
}

static void timers_fire_once_and_not_early(void **state)
{
	(void)state;
	enum { A, LATER, EARLIER, UNSET, PAST, COUNT };
	struct loop *loop = loop_new("test");
	unsigned left = COUNT - 1;
	struct timed t[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		t[i] = (struct timed){ .loop = loop, .left = &left };
		loop_timer_init(&t[i].timer, loop, timer_fired, &t[i]);
	}
	int64_t now = loop_now_ms(loop);
	set_timed(&t[A], now + 30);
	set_timed(&t[LATER], now + 5);
	set_timed(&t[LATER], now + 100);
	set_timed(&t[EARLIER], now + 100000000);
	set_timed(&t[EARLIER], now + 60);
	set_timed(&t[UNSET], now + 10);
	loop_timer_set(&t[UNSET].timer, INT64_MAX);
	set_timed(&t[PAST], now - 1000);
	loop_run(loop);
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(t[i].fired, i == UNSET ? 0 : 1);
		loop_timer_clear(&t[i].timer);
	}
	loop_free(loop);
}

static void timer_again(void *owner)
{
	struct timed *timed = owner;
	if (++timed->fired < 3) {
		loop_timer_set(&timed->timer, loop_now_ms(timed->loop) + 1);
		return;
	}
	loop_timer_clear(&timed->timer); /* inside its own call */
	loop_stop(timed->loop);
}

static void timer_sets_itself_again(void **state)
{
	(void)state;
	struct timed a = { .loop = loop_new("test") };
	loop_timer_init(&a.timer, a.loop, timer_again, &a);
	loop_timer_set(&a.timer, loop_now_ms(a.loop));
	loop_run(a.loop);
	assert_int_equal(a.fired, 3);
	loop_timer_clear(&a.timer);
	loop_free(a.loop);
}

static void on_usr1(void *owner, int number)
{
	struct order *order = owner;
	assert_int_equal(number, SIGUSR1);
	order->count++;
	loop_stop(order->loop);
}

static void signals_arrive(void **state)
{
	(void)state;
	struct order order = { .loop = loop_new("test") };
	loop_on_signal(order.loop, SIGUSR1, on_usr1, &order);
	for (size_t i = 1; i <= 2; i++) {
		raise(SIGUSR1);
		loop_run(order.loop);
		assert_int_equal(order.count, i);
	}
	loop_free(order.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(posts_arrive_in_order),
		cmocka_unit_test(loops_wake_each_other),
		cmocka_unit_test(own_posts_are_later),
		cmocka_unit_test(free_runs_what_is_waiting),
		cmocka_unit_test(cancelled_deferral_does_not_run),
		cmocka_unit_test(stop_before_run_counts),
		cmocka_unit_test(timers_fire_once_and_not_early),
		cmocka_unit_test(timer_sets_itself_again),
		cmocka_unit_test(signals_arrive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
