/*
 * The least of a host: it boots a device over the shim in raw SPI, prints what the
 * device is, and sends it one request, whose answer comes with an interrupt.
 *
 *     cc -std=c99 -I.. -o example main.c ../shim.c -lpthread
 *     understudy run --bus unix:/tmp/winc.sock &
 *     ./example unix:/tmp/winc.sock
 *
 * By default an access is clocked in one window. With --phases it is clocked piece by
 * piece through the board layer, as host drivers do; --exact adds that nothing is
 * clocked ahead, --thread that the interrupt comes on a thread.
 */
#include "shim.h"

#include <stdio.h>
#include <string.h>

/* Registers, and what is in them. */
enum {
	CLOCKLESS_READ_MAX = 0xff, /* up to here registers answer without the core clock */
	CLOCKLESS_WRITE_MAX = 0x30,
	CHIP_ID = 0x1000,
	EFUSE_CONTROL = 0x1014,
	RCV_CTRL_3 = 0x106c,
	RCV_CTRL_0 = 0x1070,
	RCV_CTRL_2 = 0x1078,
	RCV_CTRL_1 = 0x1084,
	NMI_STATE = 0x108c,
	PIN_MUX_0 = 0x1408,
	GP_REG_1 = 0x14a0,
	INTR_ENABLE = 0x1a00,
	SPI_CONFIG = 0xe824,
	WAIT_FOR_HOST = 0x207bc,
	DATA_MEMORY = 0x30000,
	GP_REG_2 = 0xc0008,
	BOOTROM = 0xc000c,
	RCV_CTRL_4 = 0x150400
};
#define EFUSE_LOADED 0x80000000u
#define BOOTROM_FINISHED 0x10add09eu
#define START_FIRMWARE 0xef522f61u
#define FIRMWARE_READY 0x02532636u
#define DRIVER_VERSION 0x13301377u /* this driver is 19.7.7 and takes firmware from 19.3.0 on */
#define SPI_PLAIN 0x52u            /* no checksums, packets of 8192 bytes */
#define GET_CONN_INFO 0x00080501u  /* group 1, opcode 5, 8 bytes */

static ustd_bus *bus;    /* for whole accesses */
static int phases;       /* the board layer is in use instead */
static int checksums = 1;
static volatile int interrupts;

static int fail(const char *what, int rc)
{
	fprintf(stderr, "example: %s: %s\n", what, ustd_error(rc));
	if (rc == USTD_ERR_BUS)
		fprintf(stderr, "example: the server says: %s\n", ustd_detail(phases ? ustd_board_bus() : bus));
	return -1;
}

static int odd(const char *what)
{
	fprintf(stderr, "example: %s\n", what);
	return -1;
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* crc7 is the checksum of a command: x^7 + x^3 + 1, from 0x7f, shifted left by one. */
static uint8_t crc7(const uint8_t *p, size_t n)
{
	unsigned crc = 0x7f;
	while (n-- > 0) {
		int i;
		unsigned byte = *p++;
		for (i = 0; i < 8; i++, byte <<= 1) {
			unsigned top = crc >> 6 ^ (byte >> 7 & 1);
			crc = (crc << 1 ^ ((top & 1) ? 0x09 : 0)) & 0x7f;
		}
	}
	return (uint8_t)(crc << 1);
}

/*
 * An access: a command, and then data in one direction, or none. Data out stands in
 * out[], data in goes to in[].
 */
typedef struct {
	uint8_t cmd[9];
	size_t ncmd;
	const uint8_t *out;
	uint8_t *in;
	size_t n;
	int silent; /* data from a clockless register has no CRC16 */
} access_t;

enum { MAX_DATA = 2048, SLACK = 10 };

/* find looks for a byte among fillers; its place, or -1. */
static int find(const uint8_t *p, size_t n, uint8_t mask, uint8_t want)
{
	size_t i;
	for (i = 0; i < n; i++)
		if ((p[i] & mask) == want)
			return (int)i;
	return -1;
}

/* whole clocks an access in one window and looks for the answers in it afterwards. */
static int whole(const access_t *a)
{
	static uint8_t w[MAX_DATA + 64], r[MAX_DATA + 64];
	size_t n = a->ncmd, at = n, end;
	int i, rc;
	if (a->n > MAX_DATA)
		return odd("too much data for one access");
	memset(w, 0, sizeof w);
	memcpy(w, a->cmd, n);
	n += 2 + SLACK; /* echo, state, fillers */
	if (a->out != NULL) {
		w[n++] = 0xf3;
		memcpy(w + n, a->out, a->n);
		n += a->n + (checksums ? 2u : 0u);
	} else if (a->in != NULL) {
		n += 1 + a->n + 2;
	}
	end = n;
	n += SLACK;
	if ((rc = ustd_transfer(bus, w, r, n)) != USTD_OK)
		return fail("transfer", rc);
	i = find(r + at, SLACK, 0xff, a->cmd[0]);
	if (i < 0 || r[at + (size_t)i + 1] != 0)
		return odd("no good answer to a command");
	at += (size_t)i + 2;
	if (a->in != NULL) {
		if ((i = find(r + at, SLACK, 0xf0, 0xf0)) < 0)
			return odd("no data");
		memcpy(a->in, r + at + (size_t)i + 1, a->n);
	} else if (a->out != NULL) {
		i = find(r + end, SLACK, 0xff, 0xc3);
		if (i < 0 || r[end + (size_t)i + 1] != 0)
			return odd("the data was not accepted");
	}
	return 0;
}

/* until reads byte after byte, as host drivers do. */
static int until(uint8_t mask, uint8_t want)
{
	int i, rc;
	for (i = 0; i <= SLACK; i++) {
		uint8_t b;
		if ((rc = ustd_board_read(&b, 1)) != USTD_OK)
			return fail("read", rc);
		if ((b & mask) == want)
			return 0;
	}
	return odd("no good answer");
}

/* pieces clocks an access phase by phase, each in a window of its own. */
static int pieces(const access_t *a)
{
	uint8_t token = 0xf3, b[3] = {0, 0, 0};
	size_t n = checksums ? 2 : 3;
	int rc = ustd_board_write(a->cmd, a->ncmd);
	if (rc != USTD_OK)
		return fail("write", rc);
	if (until(0xff, a->cmd[0]) != 0 || until(0xff, 0) != 0)
		return -1;
	if (a->in != NULL) {
		if (until(0xf0, 0xf0) != 0)
			return -1;
		rc = ustd_board_read(a->in, a->n);
		if (rc == USTD_OK && checksums && !a->silent)
			rc = ustd_board_read(b, 2);
		return rc == USTD_OK ? 0 : fail("read", rc);
	}
	if (a->out == NULL)
		return 0;
	if ((rc = ustd_board_write(&token, 1)) == USTD_OK)
		rc = ustd_board_write(a->out, a->n);
	if (rc == USTD_OK && checksums)
		rc = ustd_board_write(b, 2);
	if (rc == USTD_OK)
		rc = ustd_board_read(b, n);
	if (rc != USTD_OK)
		return fail("block write", rc);
	return b[n - 2] == 0xc3 && b[n - 1] == 0 ? 0 : odd("the data was not accepted");
}

static int run(access_t *a)
{
	if (checksums) {
		a->cmd[a->ncmd] = crc7(a->cmd, a->ncmd);
		a->ncmd++;
	}
	return phases ? pieces(a) : whole(a);
}

static int read_reg(uint32_t addr, uint32_t *v)
{
	access_t a = {{0xca, (uint8_t)(addr >> 16), (uint8_t)(addr >> 8), (uint8_t)addr}, 4, NULL, NULL, 4, 0};
	uint8_t b[4];
	if (addr <= CLOCKLESS_READ_MAX) {
		a.cmd[0] = 0xc4;
		a.cmd[1] = (uint8_t)(0x80 | addr >> 8);
		a.cmd[2] = (uint8_t)addr;
		a.cmd[3] = 0;
		a.silent = 1;
	}
	a.in = b;
	if (run(&a) != 0)
		return -1;
	*v = le32(b);
	return 0;
}

static int write_reg(uint32_t addr, uint32_t v)
{
	access_t a = {{0xc9, (uint8_t)(addr >> 16), (uint8_t)(addr >> 8), (uint8_t)addr, (uint8_t)(v >> 24),
		       (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v}, 8, NULL, NULL, 0, 0};
	if (addr <= CLOCKLESS_WRITE_MAX) {
		a.cmd[0] = 0xc3;
		a.cmd[1] = (uint8_t)(0x80 | addr >> 8);
		memmove(a.cmd + 2, a.cmd + 3, 5);
		a.ncmd = 7;
	}
	return run(&a);
}

/* block moves n bytes, never one alone: the chip cannot (spec/host-bus.md 2.11). */
static int block(uint8_t cmd, uint32_t addr, const uint8_t *out, uint8_t *in, size_t n)
{
	access_t a = {{cmd, (uint8_t)(addr >> 16), (uint8_t)(addr >> 8), (uint8_t)addr, (uint8_t)(n >> 16),
		       (uint8_t)(n >> 8), (uint8_t)n}, 7, out, in, n, 0};
	return run(&a);
}

static int read_block(uint32_t addr, uint8_t *p, size_t n)
{
	return block(0xc8, addr, NULL, p, n);
}

static int write_block(uint32_t addr, const uint8_t *p, size_t n)
{
	return block(0xc7, addr, p, NULL, n);
}

/* wait_reg reads a register until (value & mask) == want, for some seconds. */
static int wait_reg(const char *what, uint32_t addr, uint32_t mask, uint32_t want)
{
	uint32_t v;
	int i;
	for (i = 0; i < 4000; i++) {
		if (read_reg(addr, &v) != 0)
			return -1;
		if ((v & mask) == want)
			return 0;
		ustd_sleep(2);
	}
	fprintf(stderr, "example: %s: register 0x%lx stays 0x%lx\n", what, (unsigned long)addr, (unsigned long)v);
	return -1;
}

static int set_bits(uint32_t addr, uint32_t bits)
{
	uint32_t v;
	return read_reg(addr, &v) != 0 ? -1 : write_reg(addr, v | bits);
}

/* boot brings the firmware up, in the order of spec/host-bus.md 4.1. */
static int boot(void)
{
	uint32_t id, v;
	if (read_reg(CHIP_ID, &id) != 0)
		return -1;
	printf("chip      0x%lx\n", (unsigned long)id);
	if (write_reg(SPI_CONFIG, SPI_PLAIN) != 0) /* the last command with a checksum */
		return -1;
	checksums = 0;
	if (read_reg(CHIP_ID, &v) != 0 || v != id)
		return odd("the chip has another id without checksums");
	if (wait_reg("efuse", EFUSE_CONTROL, EFUSE_LOADED, EFUSE_LOADED) != 0 || read_reg(WAIT_FOR_HOST, &v) != 0)
		return -1;
	if ((v & 1) == 0 && wait_reg("boot ROM", BOOTROM, 0xffffffffu, BOOTROM_FINISHED) != 0)
		return -1;
	if (write_reg(NMI_STATE, DRIVER_VERSION) != 0 || write_reg(GP_REG_1, 0x102) != 0 ||
	    wait_reg("configuration", GP_REG_1, 0xffffffffu, 0x102) != 0 || write_reg(BOOTROM, START_FIRMWARE) != 0 ||
	    wait_reg("firmware", NMI_STATE, 0xffffffffu, FIRMWARE_READY) != 0 || write_reg(NMI_STATE, 0) != 0)
		return -1;
	return set_bits(PIN_MUX_0, 0x100) != 0 ? -1 : set_bits(INTR_ENABLE, 0x10000);
}

/* identify prints what the firmware says about itself (spec/host-bus.md 4.5). */
static int identify(void)
{
	uint32_t at;
	uint8_t gp[8], rev[40], mac[6];
	if (read_reg(GP_REG_2, &at) != 0 || read_block(DATA_MEMORY | (at & 0xffff), gp, sizeof gp) != 0 ||
	    read_block(DATA_MEMORY | (le32(gp + 4) & 0xffff), rev, sizeof rev) != 0 ||
	    read_block(DATA_MEMORY | (le32(gp) & 0xffff), mac, sizeof mac) != 0)
		return -1;
	printf("firmware  %u.%u.%u, for drivers from %u.%u.%u on, built %.11s %.8s\n", rev[4], rev[5], rev[6], rev[7],
	       rev[8], rev[9], (const char *)rev + 10, (const char *)rev + 22);
	printf("mac       %02x:%02x:%02x:%02x:%02x:%02x\n", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return 0;
}

static void isr(void)
{
	interrupts++;
}

static void on_irq(void *unused)
{
	(void)unused;
	isr();
}

/* ask sends "get connection info" (spec/host-bus.md 5.2). */
static int ask(void)
{
	static const uint8_t header[8] = {1, 5, 8, 0};
	uint32_t at;
	if (write_reg(NMI_STATE, GET_CONN_INFO) != 0 || write_reg(RCV_CTRL_2, 2) != 0 ||
	    wait_reg("buffer", RCV_CTRL_2, 2, 0) != 0 || read_reg(RCV_CTRL_4, &at) != 0)
		return -1;
	if (at == 0)
		return odd("the device has no buffer");
	return write_block(at, header, sizeof header) != 0 ? -1 : write_reg(RCV_CTRL_3, at << 2 | 2);
}

/* hear waits for the interrupt and takes the message (spec/host-bus.md 5.3). */
static int hear(void)
{
	uint32_t v, at;
	uint8_t m[1600];
	size_t size;
	int i, rc = 0;
	for (i = 0; i < 100 && interrupts == 0; i++) {
		if (phases)
			ustd_board_sleep(20);
		else if ((rc = ustd_poll(bus, 20)) < 0)
			return fail("interrupt", rc);
	}
	if (interrupts == 0)
		return odd("no interrupt");
	if (read_reg(RCV_CTRL_0, &v) != 0)
		return -1;
	size = v >> 2 & 0xfff;
	if ((v & 1) == 0 || size < 8 || size > sizeof m)
		return odd("an interrupt without a message");
	if (write_reg(RCV_CTRL_0, v & ~1u) != 0 || read_reg(RCV_CTRL_1, &at) != 0 || read_block(at, m, size) != 0)
		return -1;
	printf("message   group %u, opcode %u, %u bytes\n", m[0], m[1], (unsigned)m[2] | (unsigned)m[3] << 8);
	return read_reg(RCV_CTRL_0, &v) != 0 ? -1 : write_reg(RCV_CTRL_0, v | 2); /* RX done */
}

/* open_bus connects and makes the hard reset, which also turns checksums on. */
static int open_bus(const char *address, ustd_board_config *c)
{
	int rc;
	if (phases) {
		c->address = address;
		ustd_board_isr(isr);
		rc = ustd_board_init(c);
		return rc == USTD_OK ? 0 : fail(address, rc);
	}
	if ((rc = ustd_open(&bus, address, 0)) != USTD_OK)
		return fail(address, rc);
	ustd_on_irq(bus, on_irq, NULL);
	if ((rc = ustd_enable(bus, 0)) != USTD_OK || (rc = ustd_reset(bus, 0)) != USTD_OK)
		return fail("reset", rc);
	ustd_sleep(5);
	if ((rc = ustd_enable(bus, 1)) != USTD_OK)
		return fail("enable", rc);
	ustd_sleep(5);
	if ((rc = ustd_reset(bus, 1)) != USTD_OK)
		return fail("reset", rc);
	ustd_sleep(10);
	return 0;
}

int main(int argc, char **argv)
{
	ustd_board_config c = {NULL, 0, 0, 0};
	const char *address = NULL;
	int i, rc;
	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--phases") == 0)
			phases = 1;
		else if (strcmp(argv[i], "--exact") == 0)
			phases = c.exact = 1;
		else if (strcmp(argv[i], "--thread") == 0)
			phases = c.threaded = 1;
		else
			address = argv[i];
	}
	if (address == NULL) {
		fprintf(stderr, "usage: %s [--phases] [--exact] [--thread] unix:PATH|tcp:HOST:PORT\n", argv[0]);
		return 2;
	}
	rc = open_bus(address, &c) == 0 && boot() == 0 && identify() == 0 && ask() == 0 && hear() == 0 ? 0 : 1;
	if (phases)
		ustd_board_deinit();
	ustd_close(bus);
	return rc;
}
