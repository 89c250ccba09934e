/*
 * What the tests call the shim with: probe ADDRESS TIMEOUT-MS, then one operation a line
 * on standard input. Each prints a line: the operation, what it returned, and the bytes
 * that came. A failed open ends it.
 */
#define _POSIX_C_SOURCE 200809L
#define _XOPEN_SOURCE 700 /* setitimer */
#include "shim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static ustd_bus *bus;
static int edges;
static uint8_t w[300000], r[300000];

static void edge(void)
{
	__atomic_add_fetch(&edges, 1, __ATOMIC_SEQ_CST);
}

static void on_edge(void *arg)
{
	if (arg == &edges)
		edge();
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* storm interrupts every system call, every us microseconds. */
static int storm(int us)
{
	struct sigaction a;
	struct itimerval t;
	memset(&a, 0, sizeof a);
	a.sa_handler = on_alarm; /* no SA_RESTART */
	t.it_interval.tv_sec = t.it_value.tv_sec = 0;
	t.it_interval.tv_usec = t.it_value.tv_usec = us;
	return sigaction(SIGALRM, &a, NULL) != 0 || setitimer(ITIMER_REAL, &t, NULL) != 0;
}

static size_t unhex(const char *s)
{
	size_t n = 0;
	unsigned v;
	while (n < sizeof w && sscanf(s, "%2x", &v) == 1) {
		w[n++] = (uint8_t)v;
		s += 2;
	}
	return n;
}

static void show(const char *op, int rc, size_t n)
{
	size_t i;
	printf("%s %d", op, rc);
	for (i = 0; i < n && rc >= 0; i++)
		printf(i == 0 ? " %02x" : "%02x", r[i]);
	printf("\n");
	fflush(stdout);
}

/* one does one operation; s is its argument. */
static void one(const char *op, const char *s)
{
	ustd_board_config c = {NULL, 0, 0, 0};
	size_t n = (size_t)strtoul(s, NULL, 10);
	int v = (int)n;
	memset(r, 0x5a, sizeof r);
	if (strcmp(op, "tx") == 0) { /* full duplex, one buffer */
		n = unhex(s);
		memcpy(r, w, n);
		show(op, ustd_transfer(bus, r, r, n), n);
	} else if (strcmp(op, "write") == 0) {
		n = unhex(s);
		show(op, ustd_transfer(bus, w, NULL, n), 0);
	} else if (strcmp(op, "read") == 0)
		show(op, ustd_transfer(bus, NULL, r, n), n);
	else if (strcmp(op, "big") == 0) { /* n bytes of noise both ways; the answer is checked with a sum */
		unsigned long sum = 0;
		size_t i;
		int rc;
		for (i = 0; i < n; i++)
			w[i] = (uint8_t)(i * 7 + i / 256 + 1);
		rc = ustd_transfer(bus, w, r, n);
		for (i = 0; i < n; i++)
			sum = (sum * 31 + r[i]) & 0xffffffffUL;
		printf("big %d %lu\n", rc, sum);
	} else if (strcmp(op, "irq") == 0)
		show(op, ustd_irq(bus), 0);
	else if (strcmp(op, "reset") == 0)
		show(op, ustd_reset(bus, v), 0);
	else if (strcmp(op, "enable") == 0)
		show(op, ustd_enable(bus, v), 0);
	else if (strcmp(op, "poll") == 0)
		show(op, ustd_poll(bus, v), 0);
	else if (strcmp(op, "start") == 0)
		show(op, ustd_start(bus), 0);
	else if (strcmp(op, "stop") == 0)
		show(op, ustd_stop(bus), 0);
	else if (strcmp(op, "sleep") == 0)
		ustd_sleep((unsigned)v);
	else if (strcmp(op, "storm") == 0)
		show(op, storm(v), 0);
	else if (strcmp(op, "detail") == 0)
		printf("detail %s\n", ustd_detail(bus));
	else if (strcmp(op, "edges") == 0)
		printf("edges %d\n", __atomic_load_n(&edges, __ATOMIC_SEQ_CST));
	else if (strcmp(op, "await") == 0) { /* edges, n of them, however they are told */
		int i;
		for (i = 0; i < 5000 && __atomic_load_n(&edges, __ATOMIC_SEQ_CST) < v; i++)
			ustd_sleep(1);
		printf("await %d\n", __atomic_load_n(&edges, __ATOMIC_SEQ_CST) >= v);
	} else if (strcmp(op, "board") == 0 || strcmp(op, "exact") == 0 || strcmp(op, "threaded") == 0) {
		c.exact = op[0] == 'e';
		c.threaded = op[0] == 't';
		c.address = s;
		c.timeout_ms = 3000;
		ustd_board_isr(edge);
		show("board", ustd_board_init(&c), 0);
	} else if (strcmp(op, "bwrite") == 0) {
		n = unhex(s);
		show(op, ustd_board_write(w, n), 0);
	} else if (strcmp(op, "bread") == 0)
		show(op, ustd_board_read(r, n), n);
	else if (strcmp(op, "bexchange") == 0) {
		n = unhex(s);
		show(op, ustd_board_exchange(w, r, n), n);
	} else if (strcmp(op, "bint") == 0)
		ustd_board_interrupt(v);
	else if (strcmp(op, "bpoll") == 0)
		show(op, ustd_board_poll(v), 0);
	else if (strcmp(op, "bsleep") == 0)
		ustd_board_sleep((unsigned)v);
	else if (strcmp(op, "breset") == 0)
		show(op, ustd_board_reset(), 0);
	else if (strcmp(op, "bclose") == 0)
		show(op, ustd_board_deinit(), 0);
	else
		printf("%s: unknown\n", op);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static char line[700000], op[16];
	int rc, at;
	if (argc != 3)
		return 2;
	if (strcmp(argv[1], "-") != 0) { /* else the board opens the bus */
		rc = ustd_open(&bus, argv[1], atoi(argv[2]));
		show("open", rc, 0);
		if (rc != USTD_OK)
			return bus != NULL;
		ustd_on_irq(bus, on_edge, &edges);
	}
	while (fgets(line, sizeof line, stdin) != NULL) {
		line[strcspn(line, "\n")] = 0;
		at = 0;
		if (sscanf(line, "%15s %n", op, &at) == 1)
			one(op, line + at);
	}
	ustd_board_deinit();
	ustd_close(bus);
	return 0;
}
