/*
 * peer is one side of a vchan over Xen's own libxenvchan, for the tests of
 * xen/vchan to talk with and to be measured beside. gopeer does the same over
 * xen/vchan; see there for the arguments.
 */
#include <libxenvchan.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PERIOD 65521 /* a prime: no shift by a ring's size goes unnoticed */
#define PIECE 16384
#define REQUEST 64
#define ROUNDS 100000

static unsigned char pattern[PERIOD + PIECE];
static long long times[ROUNDS];

static void die(const char *what)
{
	fprintf(stderr, "peer: %s\n", what);
	exit(1);
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fill(void)
{
	uint32_t x = 1;
	size_t i;

	for (i = 0; i < PERIOD; i++) {
		x = x * 1664525u + 1013904223u;
		pattern[i] = x >> 24;
	}
	memcpy(pattern + PERIOD, pattern, PIECE);
}

static void put(struct libxenvchan *c, const void *p, size_t n)
{
	if (libxenvchan_send(c, p, n) != (int)n)
		die("write");
}

static void source(struct libxenvchan *c, long long n)
{
	long long at = 0, begin = now();

	while (at < n) {
		size_t k = n - at < PIECE ? n - at : PIECE;
		int w = libxenvchan_write(c, pattern + at % PERIOD, k);

		if (w <= 0)
			die("write");
		at += w;
	}
	printf("source %lld %lld\n", n, now() - begin);
}

static void sink(struct libxenvchan *c, long long n)
{
	static unsigned char buf[PIECE];
	long long at = 0, begin = now();

	while (at < n) {
		size_t k = n - at < PIECE ? n - at : PIECE;
		int r = libxenvchan_read(c, buf, k);

		if (r <= 0)
			die("read");
		if (memcmp(buf, pattern + at % PERIOD, r) != 0)
			die("a byte is wrong");
		at += r;
	}
	printf("sink %lld %lld\n", n, now() - begin);
}

static int earlier(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;

	return x < y ? -1 : x > y;
}

static void ping(struct libxenvchan *c, long long n)
{
	unsigned char buf[REQUEST];
	long long i;

	if (n > ROUNDS)
		die("too many rounds");
	for (i = 0; i < n; i++) {
		long long begin = now();

		put(c, pattern + i % 1000, REQUEST);
		if (libxenvchan_recv(c, buf, REQUEST) != REQUEST)
			die("read");
		times[i] = now() - begin;
		if (memcmp(buf, pattern + i % 1000, REQUEST) != 0)
			die("an answer is wrong");
	}
	qsort(times, n, sizeof(times[0]), earlier);
	printf("ping %lld %lld\n", n, times[n / 2]);
}

static void echo(struct libxenvchan *c, long long n)
{
	unsigned char buf[REQUEST];

	for (; n != 0; n--)
		if (libxenvchan_recv(c, buf, REQUEST) != REQUEST ||
		    libxenvchan_send(c, buf, REQUEST) != REQUEST)
			return;
}

static void wait_line(void)
{
	int c;

	do {
		c = getchar();
	} while (c != '\n' && c != EOF);
	if (c == EOF)
		exit(0);
}

int main(int argc, char **argv)
{
	struct libxenvchan *c = NULL;
	int i, tries;

	if (argc < 7)
		die("usage: server|client DOMID PATH READ WRITE MODE...");
	setvbuf(stdout, NULL, _IOLBF, 0);
	fill();
	if (strcmp(argv[1], "server") == 0) {
		c = libxenvchan_server_init(NULL, atoi(argv[2]), argv[3], atoi(argv[4]), atoi(argv[5]));
	} else {
		for (tries = 0; tries < 500 && c == NULL; tries++) {
			c = libxenvchan_client_init(NULL, atoi(argv[2]), argv[3]);
			if (c == NULL)
				usleep(20000);
		}
	}
	if (c == NULL)
		die("no vchan");
	c->blocking = 1;
	printf("open\n");
	for (i = 6; i < argc; i++) {
		const char *arg = strchr(argv[i], ':');
		long long n = arg ? atoll(arg + 1) : 0;

		switch (argv[i][0] << 8 | argv[i][1]) {
		case 's' << 8 | 'o': source(c, n); break;
		case 's' << 8 | 'i': sink(c, n); break;
		case 'p' << 8 | 'i': ping(c, n); break;
		case 'e' << 8 | 'c': echo(c, arg ? n : -1); break;
		case 'w' << 8 | 'a': wait_line(); break;
		default: die("no such mode");
		}
	}
	libxenvchan_close(c);
	return 0;
}
