/*
 * spinner RECORDS MICROSECONDS: on each processor a thread of its own calls
 * getrandom(2) for 16 bytes, with so long a pause between two calls (0: none). It
 * keeps its last RECORDS calls in memory, and writes them to its output when it is
 * ended with SIGTERM: nothing but the calls goes on before.
 *
 * The output, in the machine's byte order: of each thread 8 bytes, how many records,
 * and then these, the oldest first: 8 bytes CLOCK_MONOTONIC in nanoseconds before the
 * call, 8 after it, 16 that it gave.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

struct record {
	uint64_t before, after;
	unsigned char output[16];
};

struct thread {
	pthread_t id;
	long cpu;
	struct record *ring;
	uint64_t calls;
};

static size_t records;
static long micros;
static volatile int stopped;

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *spin(void *arg)
{
	struct thread *t = arg;
	struct timespec pause = { 0, micros * 1000 };
	uint64_t before;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(t->cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set)) {
		perror("spinner: sched_setaffinity");
		exit(1);
	}
	for (before = now(); !stopped; t->calls++) {
		struct record *r = &t->ring[t->calls % records];
		r->before = before;
		if (getrandom(r->output, sizeof r->output, 0) != sizeof r->output) {
			perror("spinner: getrandom");
			exit(1);
		}
		/* The end of one call is the beginning of the next: reading the
		 * clock takes as long as the call. */
		before = r->after = now();
		if (micros) {
			nanosleep(&pause, NULL);
			before = now();
		}
	}
	return NULL;
}

static void put(const void *data, size_t n)
{
	const char *p = data;
	while (n > 0) {
		ssize_t done = write(STDOUT_FILENO, p, n);
		if (done <= 0) {
			perror("spinner: write");
			exit(1);
		}
		p += done;
		n -= done;
	}
}

static void put_thread(const struct thread *t)
{
	uint64_t n = t->calls < records ? t->calls : records;
	size_t oldest = (t->calls - n) % records, first = n < records - oldest ? n : records - oldest;

	put(&n, sizeof n);
	put(t->ring + oldest, first * sizeof *t->ring);
	put(t->ring, (n - first) * sizeof *t->ring);
}

int main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct thread *threads = calloc(cpus, sizeof *threads);
	sigset_t ends;
	int signal;

	if (argc != 3 || (records = strtoul(argv[1], NULL, 10)) == 0) {
		fprintf(stderr, "usage: spinner RECORDS MICROSECONDS\n");
		return 2;
	}
	micros = atol(argv[2]);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	for (long i = 0; i < cpus; i++) {
		threads[i].cpu = i;
		threads[i].ring = malloc(records * sizeof(struct record));
		memset(threads[i].ring, 0, records * sizeof(struct record)); /* no page comes later */
		if (pthread_create(&threads[i].id, NULL, spin, &threads[i])) {
			perror("spinner: pthread_create");
			return 1;
		}
	}
	sigwait(&ends, &signal);
	stopped = 1;
	for (long i = 0; i < cpus; i++)
		pthread_join(threads[i].id, NULL);
	for (long i = 0; i < cpus; i++)
		put_thread(&threads[i]);
	return 0;
}
