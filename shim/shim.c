/*
 * shim.c - the host's end of the bus of an Understudy device; see shim.h. The
 * protocol on the socket is that of docs/bus-socket.md, version 1.
 *
 * Contents: codes and time; the socket; frames; opening and closing; requests;
 * edges and the thread; the board layer.
 */
#define _POSIX_C_SOURCE 200809L
#ifdef __APPLE__
#define _DARWIN_C_SOURCE /* SO_NOSIGPIPE */
#endif

#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef USTD_NO_THREADS
#include <pthread.h>
typedef pthread_mutex_t mutex;
#define LOCK(m) pthread_mutex_lock(m)
#define UNLOCK(m) pthread_mutex_unlock(m)
#else
typedef char mutex;
#define LOCK(m) ((void)(m))
#define UNLOCK(m) ((void)(m))
#endif

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* then SO_NOSIGPIPE keeps the signal away */
#endif

/* Frames. */
enum {
	HEADER = 8, /* u8 kind, u8 flags, u16 0, u32 length of the payload */
	TX_HEAD = 4,
	VERSION = 1,
	FLAG_ANSWER = 1, /* of a request: an answer is wanted */
	FLAG_FAILED = 1, /* of an answer: the payload is a text */
	KIND_HELLO = 1,
	KIND_TX = 2,
	KIND_RESET = 3,
	KIND_ENABLE = 4,
	KIND_IRQ = 5,
	KIND_ANSWER = 0x80,
	KIND_EDGE = 0xc0,
	KIND_REFUSE = 0xfe,
	REASON_BUSY = 1,
	MAX_TEXT = 1024,
	MIN_SLOTS = 8192,
	MAX_SLOTS = 262144
};

struct ustd_bus {
	int fd;
	int wake[2]; /* a byte in this pipe ends a wait for edges */
	int timeout_ms;
	size_t slots; /* of the longest window that the server takes */

	mutex lock; /* of all below; held during a request, not during a wait for edges */
	int dead;   /* the code that ended the connection, or 0 */
	int edge;   /* the line fell, and nobody was told yet */
	void (*fn)(void *);
	void *arg;
	char detail[256];

	size_t from, to; /* what is in in[] and was not taken yet */
	uint8_t in[4096];

#ifndef USTD_NO_THREADS
	pthread_t thread;
	int threaded; /* the thread is there */
	int stop;     /* it is to end */
#endif
};

/* Codes and time. */

const char *ustd_error(int code)
{
	switch (code) {
	case USTD_OK:
		return "no error";
	case USTD_ERR_ARGUMENT:
		return "the call makes no sense here";
	case USTD_ERR_ADDRESS:
		return "the address is neither unix:PATH nor tcp:HOST:PORT, or there is no such host";
	case USTD_ERR_CONNECT:
		return "nobody listens there; start a device with: understudy run --bus ADDRESS";
	case USTD_ERR_BUSY:
		return "another host has the bus";
	case USTD_ERR_REFUSED:
		return "it is no bus server, or speaks another version of the protocol";
	case USTD_ERR_TIMEOUT:
		return "no answer in time";
	case USTD_ERR_GONE:
		return "the server went away";
	case USTD_ERR_PROTOCOL:
		return "the server said what makes no sense";
	case USTD_ERR_BUS:
		return "the device's end of the bus failed";
	case USTD_ERR_SYSTEM:
		return "no memory, descriptors or threads";
	}
	return "unknown error";
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* left_ms is what poll is told of a deadline; below 0 is none. */
static int left_ms(int64_t deadline)
{
	int64_t left;
	if (deadline < 0)
		return -1;
	left = deadline - now_ms();
	return left < 0 ? 0 : left > 1000000 ? 1000000 : (int)left;
}

void ustd_sleep(unsigned ms)
{
	struct timespec t;
	t.tv_sec = (time_t)(ms / 1000);
	t.tv_nsec = (long)(ms % 1000) * 1000000L;
	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v & 0xffff);
	put16(p + 2, v >> 16);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The socket. It never blocks; waiting is done in await, until a deadline. */

/* await waits until fd can be read or written. */
static int await(int fd, short events, int64_t deadline)
{
	struct pollfd p;
	p.fd = fd;
	p.events = events;
	for (;;) {
		int left = left_ms(deadline), n;
		if (left == 0) /* even if something is there by now: who dribbles gets no more time */
			return USTD_ERR_TIMEOUT;
		p.revents = 0;
		n = poll(&p, 1, left);
		if (n > 0)
			return USTD_OK; /* an error shows in the call that follows */
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return USTD_ERR_SYSTEM;
	}
}

static int would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK;
}

/* send_all writes two pieces, whole. */
static int send_all(int fd, const uint8_t *a, size_t na, const uint8_t *b, size_t nb, int64_t deadline)
{
	struct iovec v[2];
	struct msghdr m;
	memset(&m, 0, sizeof m);
	v[0].iov_base = (void *)(uintptr_t)a;
	v[0].iov_len = na;
	v[1].iov_base = (void *)(uintptr_t)b;
	v[1].iov_len = nb;
	while (v[0].iov_len + v[1].iov_len > 0) {
		ssize_t n;
		int i = v[0].iov_len == 0, rc;
		m.msg_iov = v + i;
		m.msg_iovlen = i || v[1].iov_len == 0 ? 1 : 2;
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (n < 0 && would_block()) {
			if ((rc = await(fd, POLLOUT, deadline)) != USTD_OK)
				return rc;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return USTD_ERR_GONE;
		for (i = 0; i < 2; i++) {
			size_t k = (size_t)n < v[i].iov_len ? (size_t)n : v[i].iov_len;
			v[i].iov_base = (uint8_t *)v[i].iov_base + k;
			v[i].iov_len -= k;
			n -= (ssize_t)k;
		}
	}
	return USTD_OK;
}

/* receive reads what is there, at most n bytes, into p: their number, 0 if there is
 * nothing yet, or an error. */
static int receive(int fd, uint8_t *p, size_t n)
{
	for (;;) {
		ssize_t k = recv(fd, p, n, 0);
		if (k > 0)
			return (int)k;
		if (k < 0 && would_block())
			return 0;
		if (k < 0 && errno == EINTR)
			continue;
		return USTD_ERR_GONE;
	}
}

/* fill adds to in[] what is there: the number of bytes, or an error. */
static int fill(ustd_bus *b)
{
	int n;
	if (b->from > 0) {
		memmove(b->in, b->in + b->from, b->to - b->from);
		b->to -= b->from;
		b->from = 0;
	}
	n = receive(b->fd, b->in + b->to, sizeof b->in - b->to);
	if (n > 0)
		b->to += (size_t)n;
	return n;
}

/* need waits until in[] holds n bytes. */
static int need(ustd_bus *b, size_t n, int64_t deadline)
{
	while (b->to - b->from < n) {
		int k = fill(b);
		if (k == 0)
			k = await(b->fd, POLLIN, deadline);
		if (k < 0)
			return k;
	}
	return USTD_OK;
}

/* take moves n bytes of a payload to p; NULL drops them. */
static int take(ustd_bus *b, uint8_t *p, size_t n, int64_t deadline)
{
	while (n > 0) {
		size_t k = b->to - b->from;
		int rc;
		if (k == 0 && p != NULL && n >= sizeof b->in) { /* much is to come: read it where it belongs */
			rc = receive(b->fd, p, n);
			if (rc == 0)
				rc = await(b->fd, POLLIN, deadline);
			if (rc < 0)
				return rc;
			p += rc;
			n -= (size_t)rc;
			continue;
		}
		if (k == 0) {
			if ((rc = need(b, 1, deadline)) != USTD_OK)
				return rc;
			continue;
		}
		k = k < n ? k : n;
		if (p != NULL) {
			memcpy(p, b->in + b->from, k);
			p += k;
		}
		b->from += k;
		n -= k;
	}
	return USTD_OK;
}

/* Frames. */

typedef struct {
	unsigned kind, flags;
	size_t len; /* of the payload, which is still to be taken */
} frame;

/* peek reads the header in in[], if it is whole: 1, 0, or an error. */
static int peek(const ustd_bus *b, frame *f)
{
	const uint8_t *h = b->in + b->from;
	if (b->to - b->from < HEADER)
		return 0;
	f->kind = h[0];
	f->flags = h[1];
	f->len = get32(h + 4);
	if (h[2] != 0 || h[3] != 0 || f->len > TX_HEAD + MAX_SLOTS)
		return USTD_ERR_PROTOCOL;
	return 1;
}

/* refused takes the payload of REFUSE and returns what it means. */
static int refused(ustd_bus *b, const frame *f, int64_t deadline)
{
	uint8_t reason;
	int rc;
	if (f->len < 1 || f->len > MAX_TEXT)
		return USTD_ERR_PROTOCOL;
	if ((rc = take(b, &reason, 1, deadline)) != USTD_OK)
		return rc;
	return reason == REASON_BUSY ? USTD_ERR_BUSY : USTD_ERR_REFUSED;
}

/* unasked handles a frame that the server sends on its own: 1 if it was one, 0 if
 * not, or an error. Its header is still in in[] if it was none. */
static int unasked(ustd_bus *b, const frame *f, int64_t deadline)
{
	if (f->kind == KIND_EDGE) {
		if (f->len != 0 || f->flags != 0)
			return USTD_ERR_PROTOCOL;
		b->from += HEADER;
		b->edge = 1;
		return 1;
	}
	if (f->kind == KIND_REFUSE) {
		b->from += HEADER;
		return refused(b, f, deadline);
	}
	return 0;
}

/* answer waits for the answer to a request and takes its header. */
static int answer(ustd_bus *b, unsigned kind, frame *f, int64_t deadline)
{
	for (;;) {
		int rc = need(b, HEADER, deadline);
		if (rc == USTD_OK)
			rc = peek(b, f);
		if (rc < 0)
			return rc;
		if ((rc = unasked(b, f, deadline)) < 0)
			return rc;
		if (rc > 0) {
			if (left_ms(deadline) == 0)
				return USTD_ERR_TIMEOUT;
			continue;
		}
		if (f->kind != (kind | KIND_ANSWER) || (f->flags & ~(unsigned)FLAG_FAILED) != 0)
			return USTD_ERR_PROTOCOL;
		b->from += HEADER;
		return USTD_OK;
	}
}

/* failure takes the text of an answer that says that the request failed. */
static int failure(ustd_bus *b, const frame *f, int64_t deadline)
{
	size_t k = f->len < sizeof b->detail - 1 ? f->len : sizeof b->detail - 1;
	int rc;
	if (f->len > MAX_TEXT)
		return USTD_ERR_PROTOCOL;
	rc = take(b, (uint8_t *)b->detail, k, deadline);
	b->detail[rc == USTD_OK ? k : 0] = 0;
	if (rc == USTD_OK)
		rc = take(b, NULL, f->len - k, deadline);
	return rc == USTD_OK ? USTD_ERR_BUS : rc;
}

static void wake(ustd_bus *b)
{
	ssize_t n = write(b->wake[1], "", 1);
	(void)n; /* a full pipe wakes as well */
}

/* Opening and closing. */

static int set_flags(int fd)
{
	int f = fcntl(fd, F_GETFL);
	if (f < 0 || fcntl(fd, F_SETFL, f | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return USTD_ERR_SYSTEM;
	return USTD_OK;
}

/* connect_to makes a connected socket, or an error. */
static int connect_to(int family, const struct sockaddr *a, socklen_t n, int64_t deadline, int *fd)
{
	int s = socket(family, SOCK_STREAM, 0), rc, err = 0, one = 1;
	socklen_t len = sizeof err;
	if (s < 0)
		return USTD_ERR_SYSTEM;
	rc = set_flags(s);
	if (rc == USTD_OK && connect(s, a, n) != 0) {
		if (errno != EINPROGRESS && errno != EINTR)
			rc = USTD_ERR_CONNECT;
		else if ((rc = await(s, POLLOUT, deadline)) == USTD_OK) {
			if (getsockopt(s, SOL_SOCKET, SO_ERROR, &err, &len) != 0 || err != 0) {
				errno = err;
				rc = USTD_ERR_CONNECT;
			}
		}
	}
	if (rc != USTD_OK) {
		err = errno;
		close(s);
		errno = err;
		return rc;
	}
	if (family != AF_UNIX) /* small requests must not wait for company; best effort */
		(void)setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
#ifdef SO_NOSIGPIPE
	(void)setsockopt(s, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one);
#endif
	*fd = s;
	return USTD_OK;
}

static int connect_unix(const char *path, int64_t deadline, int *fd)
{
	struct sockaddr_un a;
	size_t n = strlen(path);
	memset(&a, 0, sizeof a);
	a.sun_family = AF_UNIX;
	if (n == 0 || n >= sizeof a.sun_path)
		return USTD_ERR_ADDRESS;
	memcpy(a.sun_path, path, n);
	return connect_to(AF_UNIX, (const struct sockaddr *)&a, sizeof a, deadline, fd);
}

/* connect_tcp takes HOST:PORT or [HOST]:PORT. */
static int connect_tcp(const char *at, int64_t deadline, int *fd)
{
	char host[256];
	const char *port = strrchr(at, ':');
	size_t n = port == NULL ? 0 : (size_t)(port - at);
	struct addrinfo hints, *all, *i;
	int rc = USTD_ERR_ADDRESS;
	if (n > 1 && at[0] == '[' && at[n - 1] == ']') {
		at++;
		n -= 2;
	} else if (n > 0 && memchr(at, ':', n) != NULL) {
		return USTD_ERR_ADDRESS; /* IPv6 wants brackets */
	}
	if (n == 0 || n >= sizeof host || port[1] == 0)
		return USTD_ERR_ADDRESS;
	memcpy(host, at, n);
	host[n] = 0;
	memset(&hints, 0, sizeof hints);
	hints.ai_socktype = SOCK_STREAM;
	if (getaddrinfo(host, port + 1, &hints, &all) != 0)
		return USTD_ERR_ADDRESS;
	for (i = all; i != NULL; i = i->ai_next) {
		rc = connect_to(i->ai_family, i->ai_addr, i->ai_addrlen, deadline, fd);
		if (rc == USTD_OK || rc == USTD_ERR_TIMEOUT)
			break;
	}
	freeaddrinfo(all);
	return rc;
}

/* greet says hello. A server that is busy may say so before it has read anything. */
static int greet(ustd_bus *b, int64_t deadline)
{
	uint8_t m[HEADER + 8] = {KIND_HELLO, FLAG_ANSWER, 0, 0, 8, 0, 0, 0, 'U', 'S', 'T', 'B', VERSION, 0, 0, 0};
	frame f;
	int sent = send_all(b->fd, m, sizeof m, NULL, 0, deadline);
	int rc = answer(b, KIND_HELLO, &f, deadline);
	if (rc == USTD_OK && ((f.flags & FLAG_FAILED) != 0 || f.len < 8 || f.len > MAX_TEXT))
		rc = USTD_ERR_PROTOCOL;
	if (rc == USTD_ERR_PROTOCOL)
		rc = USTD_ERR_REFUSED; /* not a server of this kind */
	if (rc != USTD_OK)
		return rc;
	if ((rc = take(b, m, 8, deadline)) != USTD_OK || (rc = take(b, NULL, f.len - 8, deadline)) != USTD_OK)
		return rc;
	if (m[0] != VERSION || m[1] != 0 || get32(m + 4) < MIN_SLOTS)
		return USTD_ERR_REFUSED;
	b->slots = get32(m + 4) < MAX_SLOTS ? get32(m + 4) : MAX_SLOTS;
	return sent;
}

/* dispose frees what ustd_open made, whatever there is of it; errno stays. */
static void dispose(ustd_bus *b)
{
	int e = errno;
	if (b->fd >= 0)
		close(b->fd);
	if (b->wake[0] >= 0)
		close(b->wake[0]);
	if (b->wake[1] >= 0)
		close(b->wake[1]);
#ifndef USTD_NO_THREADS
	pthread_mutex_destroy(&b->lock);
#endif
	free(b);
	errno = e;
}

int ustd_open(ustd_bus **bus, const char *address, int timeout_ms)
{
	ustd_bus *b;
	int64_t deadline;
	int rc;
	if (bus == NULL)
		return USTD_ERR_ARGUMENT;
	*bus = NULL;
	if (address == NULL || timeout_ms < 0)
		return USTD_ERR_ARGUMENT;
	if ((b = calloc(1, sizeof *b)) == NULL)
		return USTD_ERR_SYSTEM;
	b->fd = b->wake[0] = b->wake[1] = -1;
	b->timeout_ms = timeout_ms == 0 ? USTD_DEFAULT_TIMEOUT : timeout_ms;
	deadline = now_ms() + b->timeout_ms;
#ifndef USTD_NO_THREADS
	if (pthread_mutex_init(&b->lock, NULL) != 0) {
		free(b);
		return USTD_ERR_SYSTEM;
	}
#endif
	if (pipe(b->wake) != 0 || set_flags(b->wake[0]) != USTD_OK || set_flags(b->wake[1]) != USTD_OK)
		rc = USTD_ERR_SYSTEM;
	else if (strncmp(address, "unix:", 5) == 0)
		rc = connect_unix(address + 5, deadline, &b->fd);
	else if (strncmp(address, "tcp:", 4) == 0)
		rc = connect_tcp(address + 4, deadline, &b->fd);
	else
		rc = USTD_ERR_ADDRESS;
	if (rc == USTD_OK)
		rc = greet(b, deadline);
	if (rc != USTD_OK) {
		dispose(b);
		return rc;
	}
	*bus = b;
	return USTD_OK;
}

void ustd_close(ustd_bus *bus)
{
	if (bus == NULL)
		return;
	ustd_stop(bus);
	dispose(bus);
}

/* Requests. */

/* finish ends a request: an error other than USTD_ERR_BUS ends the connection too.
 * Edges that came with the answer are noted here: nothing on the socket would wake the
 * thread for them. It gives the lock back. */
static int finish(ustd_bus *b, int rc, int had_edge)
{
	int tell;
	frame f;
	while ((rc == USTD_OK || rc == USTD_ERR_BUS) && peek(b, &f) > 0 && f.kind == KIND_EDGE) {
		int odd = unasked(b, &f, 0);
		if (odd < 0)
			rc = odd;
	}
	if (rc < 0 && rc != USTD_ERR_BUS) {
		b->dead = rc;
		shutdown(b->fd, SHUT_RDWR); /* the descriptor stays, somebody may be waiting on it */
	}
	tell = b->dead || (b->edge && !had_edge);
	UNLOCK(&b->lock);
	if (tell)
		wake(b);
	return rc;
}

/* received takes the payload of an answer to TX: of n slots the first skip are dropped,
 * the rest goes to r. The server leaves out the zeros at both ends. */
static int received(ustd_bus *b, const frame *f, uint8_t *r, size_t skip, size_t n, int64_t deadline)
{
	uint8_t head[TX_HEAD];
	size_t off, len, drop = 0;
	int rc;
	if (f->len < TX_HEAD)
		return USTD_ERR_PROTOCOL;
	if ((rc = take(b, head, TX_HEAD, deadline)) != USTD_OK)
		return rc;
	off = get32(head);
	len = f->len - TX_HEAD;
	if (off > n || len > n - off)
		return USTD_ERR_PROTOCOL;
	memset(r, 0, n - skip);
	if (off < skip)
		drop = len < skip - off ? len : skip - off;
	if ((rc = take(b, NULL, drop, deadline)) != USTD_OK || drop == len)
		return rc;
	return take(b, r + (off + drop - skip), len - drop, deadline);
}

/* window clocks one window of n slots, with nw bytes to the chip and zeros after them.
 * What comes from the chip after the first skip slots goes to r. */
static int window(ustd_bus *b, const uint8_t *w, size_t nw, uint8_t *r, size_t skip, size_t n)
{
	uint8_t head[HEADER + TX_HEAD] = {KIND_TX};
	int64_t deadline = now_ms() + b->timeout_ms;
	frame f;
	int rc, had_edge;
	while (nw > 0 && w[nw - 1] == 0)
		nw--;
	head[1] = r != NULL ? FLAG_ANSWER : 0;
	put32(head + 4, (uint32_t)(TX_HEAD + nw));
	put32(head + HEADER, (uint32_t)n);
	LOCK(&b->lock);
	had_edge = b->edge;
	rc = b->dead;
	if (rc == USTD_OK)
		rc = send_all(b->fd, head, sizeof head, w, nw, deadline);
	if (rc == USTD_OK && r != NULL) {
		rc = answer(b, KIND_TX, &f, deadline);
		if (rc == USTD_OK && (f.flags & FLAG_FAILED) != 0)
			rc = failure(b, &f, deadline);
		else if (rc == USTD_OK)
			rc = received(b, &f, r, skip, n, deadline);
	}
	return finish(b, rc, had_edge);
}

int ustd_transfer(ustd_bus *bus, const uint8_t *w, uint8_t *r, size_t n)
{
	if (bus == NULL || (w == NULL && r == NULL && n > 0))
		return USTD_ERR_ARGUMENT;
	while (n > 0) {
		size_t k = n < bus->slots ? n : bus->slots;
		int rc = window(bus, w, w == NULL ? 0 : k, r, 0, k);
		if (rc != USTD_OK)
			return rc;
		w = w == NULL ? NULL : w + k;
		r = r == NULL ? NULL : r + k;
		n -= k;
	}
	return USTD_OK;
}

/* ask sends a small request; level below 0 is none. The answer has want bytes, of which
 * the first is returned. */
static int ask(ustd_bus *b, unsigned kind, int level, size_t want)
{
	uint8_t m[HEADER + 1] = {0}, v = 0;
	int64_t deadline;
	frame f;
	int rc, had_edge;
	if (b == NULL)
		return USTD_ERR_ARGUMENT;
	deadline = now_ms() + b->timeout_ms;
	m[0] = (uint8_t)kind;
	m[1] = FLAG_ANSWER;
	m[4] = level >= 0;
	m[HEADER] = level > 0;
	LOCK(&b->lock);
	had_edge = b->edge;
	rc = b->dead;
	if (rc == USTD_OK)
		rc = send_all(b->fd, m, HEADER + (size_t)m[4], NULL, 0, deadline);
	if (rc == USTD_OK)
		rc = answer(b, kind, &f, deadline);
	if (rc == USTD_OK && (f.flags & FLAG_FAILED) != 0)
		rc = failure(b, &f, deadline);
	else if (rc == USTD_OK && f.len != want)
		rc = USTD_ERR_PROTOCOL;
	else if (rc == USTD_OK)
		rc = take(b, &v, want, deadline);
	if (rc == USTD_OK && v > 1)
		rc = USTD_ERR_PROTOCOL;
	rc = finish(b, rc, had_edge);
	return rc == USTD_OK ? v : rc;
}

int ustd_reset(ustd_bus *bus, int level)
{
	return ask(bus, KIND_RESET, level != 0, 0);
}

int ustd_enable(ustd_bus *bus, int level)
{
	return ask(bus, KIND_ENABLE, level != 0, 0);
}

int ustd_irq(ustd_bus *bus)
{
	return ask(bus, KIND_IRQ, -1, 1);
}

const char *ustd_detail(const ustd_bus *bus)
{
	return bus == NULL ? "" : bus->detail;
}

/* Edges and the thread. */

int ustd_on_irq(ustd_bus *bus, void (*fn)(void *), void *arg)
{
	if (bus == NULL)
		return USTD_ERR_ARGUMENT;
	LOCK(&bus->lock);
	bus->fn = fn;
	bus->arg = arg;
	UNLOCK(&bus->lock);
	return USTD_OK;
}

/* drain takes what the server has said on its own, up to some number of frames. Lock
 * held. */
static int drain(ustd_bus *b)
{
	int i;
	for (i = 0; i < 256; i++) {
		frame f;
		int rc = peek(b, &f);
		if (rc == 0) {
			if ((rc = fill(b)) == 0)
				return USTD_OK;
		} else if (rc > 0) {
			rc = unasked(b, &f, now_ms() + b->timeout_ms);
			if (rc == 0)
				rc = USTD_ERR_PROTOCOL; /* nobody has asked */
		}
		if (rc < 0)
			return rc;
	}
	return USTD_OK;
}

/* look takes what has come and calls the function if the line fell: 1, 0, or an
 * error. */
static int look(ustd_bus *b)
{
	void (*fn)(void *);
	void *arg;
	char c[16];
	int rc, edge;
	LOCK(&b->lock);
	while (read(b->wake[0], c, sizeof c) > 0)
		;
	if (!b->dead && (rc = drain(b)) < 0) {
		b->dead = rc;
		shutdown(b->fd, SHUT_RDWR);
	}
	rc = b->dead;
	edge = b->edge;
	b->edge = 0;
	fn = b->fn;
	arg = b->arg;
	UNLOCK(&b->lock);
	if (!edge)
		return rc;
	if (fn != NULL)
		fn(arg);
	return 1;
}

/* pump is ustd_poll, until stop says so. */
static int pump(ustd_bus *b, int timeout_ms, int (*stop)(ustd_bus *))
{
	int64_t deadline = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
	for (;;) {
		struct pollfd p[2];
		int rc = look(b);
		if (rc != 0 || (stop != NULL && stop(b)))
			return rc;
		if (timeout_ms == 0)
			return 0;
		p[0].fd = b->fd;
		p[1].fd = b->wake[0];
		p[0].events = p[1].events = POLLIN;
		p[0].revents = p[1].revents = 0;
		rc = poll(p, 2, left_ms(deadline));
		if (rc == 0 && left_ms(deadline) == 0)
			return look(b);
		if (rc < 0 && errno != EINTR && errno != EAGAIN)
			return USTD_ERR_SYSTEM;
	}
}

int ustd_poll(ustd_bus *bus, int timeout_ms)
{
	if (bus == NULL)
		return USTD_ERR_ARGUMENT;
#ifndef USTD_NO_THREADS
	if (bus->threaded)
		return USTD_ERR_ARGUMENT; /* the thread tells */
#endif
	return pump(bus, timeout_ms, NULL);
}

#ifndef USTD_NO_THREADS

static int stopping(ustd_bus *b)
{
	int stop;
	LOCK(&b->lock);
	stop = b->stop;
	UNLOCK(&b->lock);
	return stop;
}

static void *run(void *arg)
{
	ustd_bus *b = arg;
	while (!stopping(b) && pump(b, -1, stopping) >= 0)
		;
	return NULL;
}

int ustd_start(ustd_bus *bus)
{
	int err;
	if (bus == NULL || bus->threaded)
		return USTD_ERR_ARGUMENT;
	bus->stop = 0;
	if ((err = pthread_create(&bus->thread, NULL, run, bus)) != 0) {
		errno = err;
		return USTD_ERR_SYSTEM;
	}
	bus->threaded = 1;
	return USTD_OK;
}

int ustd_stop(ustd_bus *bus)
{
	if (bus == NULL)
		return USTD_ERR_ARGUMENT;
	if (!bus->threaded)
		return USTD_OK;
	if (pthread_equal(pthread_self(), bus->thread))
		return USTD_ERR_ARGUMENT; /* it cannot wait for itself */
	LOCK(&bus->lock);
	bus->stop = 1;
	UNLOCK(&bus->lock);
	wake(bus);
	pthread_join(bus->thread, NULL);
	bus->threaded = 0;
	return USTD_OK;
}

#else

int ustd_start(ustd_bus *bus)
{
	(void)bus;
	errno = ENOSYS;
	return USTD_ERR_SYSTEM;
}

int ustd_stop(ustd_bus *bus)
{
	return bus == NULL ? USTD_ERR_ARGUMENT : USTD_OK;
}

#endif

/* The board layer. */

/* AHEAD is the most that is clocked before it is asked for. */
enum { AHEAD = 8192, RESPONSE = 3 };

static struct {
	ustd_bus *bus;
	int threaded, exact;
	int telling; /* the interrupt function is at work, on the thread of the board */

	/* The answer that was clocked ahead: from[0..to). */
	size_t from, to;
	uint8_t ahead[AHEAD];

	/* What the host is writing, from its bytes alone. */
	size_t owed;     /* bytes of tokens, data and CRC16 that belong to a block write */
	int fresh;       /* none of them has come */
	uint32_t packet; /* size of a data packet */

	mutex lock; /* of the rest: the thread looks at it */
	void (*isr)(void);
	int enabled, latched;
} board = {
	.packet = 1024,
	.enabled = 1,
#ifndef USTD_NO_THREADS
	.lock = PTHREAD_MUTEX_INITIALIZER,
#endif
};

/* on_edge is told by the bus of a falling edge. */
static void on_edge(void *unused)
{
	void (*isr)(void);
	(void)unused;
	LOCK(&board.lock);
	isr = board.enabled ? board.isr : NULL;
	board.latched = isr == NULL;
	UNLOCK(&board.lock);
	if (isr != NULL)
		isr();
}

void ustd_board_interrupt(int enable)
{
	ustd_bus *b = board.bus;
	int again;
	LOCK(&board.lock);
	board.enabled = enable != 0;
	again = board.enabled && board.isr != NULL && board.latched;
	if (again)
		board.latched = 0;
	UNLOCK(&board.lock);
	/* A line that has risen again has nothing to say. */
	if (!again || b == NULL || ustd_irq(b) != 1)
		return;
	LOCK(&b->lock);
	b->edge = 1;
	UNLOCK(&b->lock);
	wake(b);
}

void ustd_board_isr(void (*isr)(void))
{
	LOCK(&board.lock);
	board.isr = isr;
	UNLOCK(&board.lock);
	ustd_board_interrupt(isr != NULL);
}

/* tell calls the interrupt function if the line fell, as an interrupt that comes just
 * now. */
static int tell(int timeout_ms)
{
	int rc;
	if (board.threaded || board.telling) {
		if (timeout_ms != 0)
			ustd_sleep(timeout_ms < 0 ? 0 : (unsigned)timeout_ms);
		return 0;
	}
	board.telling = 1;
	rc = ustd_poll(board.bus, timeout_ms);
	board.telling = 0;
	return rc;
}

int ustd_board_poll(int timeout_ms)
{
	return board.bus == NULL ? USTD_ERR_ARGUMENT : tell(timeout_ms);
}

void ustd_board_sleep(unsigned ms)
{
	int64_t end = now_ms() + (int64_t)ms;
	int left;
	while (board.bus != NULL && (left = left_ms(end)) > 0 && tell(left) >= 0)
		;
	if ((left = left_ms(end)) > 0) /* no bus: only wait */
		ustd_sleep((unsigned)left);
}

int ustd_board_reset(void)
{
	ustd_bus *b = board.bus;
	int rc;
	if (b == NULL)
		return USTD_ERR_ARGUMENT;
	board.from = board.to = board.owed = 0;
	board.packet = 1024;
	if ((rc = ustd_enable(b, 0)) != USTD_OK || (rc = ustd_reset(b, 0)) != USTD_OK)
		return rc;
	ustd_sleep(5);
	LOCK(&board.lock);
	board.latched = 0; /* of the time before */
	UNLOCK(&board.lock);
	if ((rc = ustd_enable(b, 1)) != USTD_OK)
		return rc;
	ustd_sleep(5);
	if ((rc = ustd_reset(b, 1)) != USTD_OK)
		return rc;
	ustd_sleep(10);
	return USTD_OK;
}

int ustd_board_init(const ustd_board_config *config)
{
	static const ustd_board_config defaults;
	const ustd_board_config *c = config == NULL ? &defaults : config;
	const char *at = c->address;
	int rc;
	if (board.bus != NULL)
		return ustd_board_reset();
	if (at == NULL)
		at = getenv("UNDERSTUDY_BUS");
	if (at == NULL || *at == 0)
		at = USTD_BOARD_ADDRESS;
	if ((rc = ustd_open(&board.bus, at, c->timeout_ms)) != USTD_OK)
		return rc;
	board.threaded = c->threaded != 0;
	board.exact = c->exact != 0;
	rc = ustd_board_reset();
	if (rc == USTD_OK)
		rc = ustd_on_irq(board.bus, on_edge, NULL);
	if (rc == USTD_OK && board.threaded)
		rc = ustd_start(board.bus);
	if (rc != USTD_OK) {
		ustd_close(board.bus);
		board.bus = NULL;
	}
	return rc;
}

int ustd_board_deinit(void)
{
	ustd_bus *b = board.bus;
	int rc;
	if (b == NULL)
		return USTD_OK;
	rc = ustd_reset(b, 0);
	if (rc == USTD_OK)
		rc = ustd_enable(b, 0);
	ustd_close(b);
	board.bus = NULL;
	board.from = board.to = board.owed = 0;
	return rc;
}

ustd_bus *ustd_board_bus(void)
{
	return board.bus;
}

/* dummies says whether a window has only dummies: zeros that are no data. */
static int dummies(const uint8_t *w, size_t n)
{
	if (board.owed > 0 && !board.fresh)
		return 0;
	while (n > 0 && w[n - 1] == 0)
		n--;
	return n == 0;
}

/*
 * command looks at a write that begins with a command and returns how many bytes the
 * chip has to say to it; 0 if it is no whole command. Lengths are without CRC7; whether
 * there is one is seen from the length of the write, since drivers write a command in
 * one go.
 */
static size_t command(const uint8_t *w, size_t n)
{
	static const uint8_t lengths[16] = {0, 6, 6, 7, 4, 4, 4, 7, 7, 8, 4, 0, 0, 0, 0, 4};
	size_t len = (w[0] & 0xf0) == 0xc0 ? lengths[w[0] & 15] : 0, crc, size, packets;
	if (len == 0 || n < len || n > len + 1)
		return 0;
	crc = n - len;
	switch (w[0]) {
	case 0xc4: /* register reads: echo, state, token, value, CRC16 */
	case 0xca:
		return 2 + 1 + 4 + 2 * crc;
	case 0xc3: /* register writes: echo, state */
	case 0xc9:
		if (w[0] == 0xc9 && w[1] == 0 && w[2] == 0xe8 && w[3] == 0x24) /* the size of packets */
			board.packet = (uint32_t)256 << (w[7] >> 4 & 7);
		return 2;
	case 0xcf: /* reset: a byte, echo, state */
	case 0xc5:
		return 3;
	case 0xc6:
		return 0; /* what is repeated has no known length */
	}
	size = n - crc == 6 ? (size_t)w[4] << 8 | w[5] : (size_t)w[4] << 16 | (size_t)w[5] << 8 | w[6];
	packets = (size + board.packet - 1) / board.packet;
	if (w[0] == 0xc1 || w[0] == 0xc7) { /* block writes: echo, state, and then it is the host's turn */
		board.owed = size + packets * (1 + 2 * crc);
		board.fresh = 1;
		return 2;
	}
	return 2 + size + packets * (1 + 2 * crc);
}

/* expect follows what the host writes and returns how many bytes of answer are to be
 * clocked with it. */
static size_t expect(const uint8_t *w, size_t n)
{
	size_t k;
	if (board.exact)
		return 0;
	if (board.owed > 0 && board.fresh) {
		while (n > 0 && *w == 0) { /* dummies before the first token */
			w++;
			n--;
		}
		if (n == 0)
			return 0;
		if (*w < 0xf0)
			board.owed = 0; /* no token: the host thought better of it */
	}
	if (board.owed == 0) {
		k = command(w, n);
		return k < AHEAD ? k : AHEAD;
	}
	board.fresh = 0;
	if (n < board.owed) {
		board.owed -= n;
		return 0;
	}
	board.owed = 0; /* the last of the data: the response follows */
	return RESPONSE;
}

/* served gives n bytes of what was clocked ahead, as far as there is any; r NULL drops
 * them. */
static size_t served(uint8_t *r, size_t n)
{
	size_t k = board.to - board.from;
	k = k < n ? k : n;
	if (r != NULL)
		memcpy(r, board.ahead + board.from, k);
	board.from += k;
	return k;
}

/* pass clocks a window as it is. */
static int pass(const uint8_t *w, uint8_t *r, size_t n)
{
	int rc = ustd_transfer(board.bus, w, r, n);
	if (rc == USTD_OK)
		(void)tell(0); /* an error shows in the next transfer */
	return rc;
}

int ustd_board_write(const uint8_t *w, size_t n)
{
	size_t k;
	int rc;
	if (board.bus == NULL || (w == NULL && n > 0))
		return USTD_ERR_ARGUMENT;
	if (n == 0)
		return USTD_OK;
	if (dummies(w, n)) {
		k = served(NULL, n);
		return k == n ? USTD_OK : pass(w + k, NULL, n - k);
	}
	board.from = board.to = 0; /* the chip drops what was not read, too */
	k = expect(w, n);
	if (k == 0 || n > board.bus->slots - k)
		return pass(w, NULL, n);
	if ((rc = window(board.bus, w, n, board.ahead, n, n + k)) != USTD_OK)
		return rc;
	board.to = k;
	(void)tell(0); /* an error shows in the next transfer */
	return USTD_OK;
}

int ustd_board_read(uint8_t *r, size_t n)
{
	size_t k;
	if (board.bus == NULL || (r == NULL && n > 0))
		return USTD_ERR_ARGUMENT;
	k = served(r, n);
	return k == n ? USTD_OK : pass(NULL, r + k, n - k);
}

int ustd_board_exchange(const uint8_t *w, uint8_t *r, size_t n)
{
	if (w == NULL)
		return ustd_board_read(r, n);
	if (r == NULL)
		return ustd_board_write(w, n);
	if (board.bus == NULL)
		return USTD_ERR_ARGUMENT;
	if (n == 0)
		return USTD_OK;
	if (dummies(w, n))
		return ustd_board_read(r, n);
	/* A host that exchanges clocks dummies itself. */
	board.from = board.to = 0;
	(void)expect(w, n);
	return pass(w, r, n);
}
