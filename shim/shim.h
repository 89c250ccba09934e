/*
 * shim.h - the bus of an Understudy device for programs in C.
 *
 * A device runs in another process ("understudy run --bus unix:/tmp/winc.sock").
 * This is the host's end of its bus: SPI transfers, the reset and enable lines
 * and the interrupt line, over a Unix or TCP socket as docs/bus-socket.md says.
 * Two files, shim.h and shim.c; C99 and the POSIX sockets of any Unix.
 *
 *     ustd_bus *bus;
 *     uint8_t w[14] = {0xca, 0x00, 0x10, 0x00, 0xca}, r[14];
 *     if (ustd_open(&bus, "unix:/tmp/winc.sock", 0) == USTD_OK) {
 *         ustd_reset(bus, 0); ustd_enable(bus, 0); ustd_sleep(5);
 *         ustd_enable(bus, 1); ustd_sleep(5);
 *         ustd_reset(bus, 1); ustd_sleep(10);
 *         ustd_transfer(bus, w, r, sizeof w);       -- the chip id, in r[8..11]
 *         ustd_close(bus);
 *     }
 *
 * The second half, ustd_board_..., has the functions that the board layer of a
 * host driver is made of. docs/firmware.md shows how to plug them in.
 *
 * No call waits for longer than the time-out given to ustd_open. A server that
 * goes away or talks nonsense ends the connection: the call at work and all later
 * ones return the same code below zero, and only ustd_close is left to do.
 */
#ifndef USTD_SHIM_H
#define USTD_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What functions return: these, or 0 and more. */
enum {
	USTD_OK = 0,
	USTD_ERR_ARGUMENT = -1, /* null where it must not be, called too early or from the wrong thread */
	USTD_ERR_ADDRESS = -2,  /* neither unix:PATH nor tcp:HOST:PORT, or no such host */
	USTD_ERR_CONNECT = -3,  /* nobody listens there; errno says more */
	USTD_ERR_BUSY = -4,     /* another host has the bus: close that one first */
	USTD_ERR_REFUSED = -5,  /* it is no bus server, or speaks another version */
	USTD_ERR_TIMEOUT = -6,  /* no answer in time; the connection is given up */
	USTD_ERR_GONE = -7,     /* the server closed the connection, or died */
	USTD_ERR_PROTOCOL = -8, /* the server said what makes no sense; the connection is given up */
	USTD_ERR_BUS = -9,      /* the device's end failed, see ustd_detail; the connection goes on */
	USTD_ERR_SYSTEM = -10   /* no memory, descriptors or threads; errno says more */
};

/* A text for each code. */
const char *ustd_error(int code);

typedef struct ustd_bus ustd_bus;

/* The time-out that 0 stands for, in milliseconds. */
#define USTD_DEFAULT_TIMEOUT 10000

/*
 * ustd_open connects to the server at address, "unix:PATH", "tcp:HOST:PORT" or
 * "tcp:[IPV6]:PORT", and gets the bus. timeout_ms bounds this and each later call;
 * looking up the name of a HOST takes as long as the system likes. On failure *bus
 * is NULL.
 *
 * The lines and registers are as the last host left them: begin with a reset.
 */
int ustd_open(ustd_bus **bus, const char *address, int timeout_ms);

/* ustd_close gives the bus back and ends the thread of ustd_start. NULL is fine.
 * No other call may be at work or follow; it must not be called from the callback. */
void ustd_close(ustd_bus *bus);

/*
 * ustd_transfer clocks one chip-select window of n bytes. w goes to the chip
 * (NULL: zeros), what comes from it to r (NULL: dropped); they may be the same
 * buffer. With r it takes a round trip to the server, without r none: it is on its
 * way when the function returns, and an error of the device's end comes with a
 * later call. Windows longer than the server takes are cut, which the chip does
 * not notice.
 *
 * So it is cheapest to clock a whole access, command, dummies and data, in one window.
 */
int ustd_transfer(ustd_bus *bus, const uint8_t *w, uint8_t *r, size_t n);

/* ustd_reset drives RESET_N, ustd_enable CHIP_EN: level 0 is low, others high. */
int ustd_reset(ustd_bus *bus, int level);
int ustd_enable(ustd_bus *bus, int level);

/* ustd_irq reads the interrupt line: 1 if it is asserted (low), 0 if not. */
int ustd_irq(ustd_bus *bus);

/*
 * ustd_on_irq sets the function that is told of falling edges of the interrupt
 * line, NULL for none. Edges that come faster than they are told merge into one.
 * It is called by ustd_poll, or by the thread of ustd_start; no lock is held, so it
 * may use the bus, but it must not close it.
 */
int ustd_on_irq(ustd_bus *bus, void (*fn)(void *arg), void *arg);

/*
 * ustd_poll waits for an edge, for at most timeout_ms (0: only looks, below 0:
 * for ever), calls the function and returns 1; 0 if there was none. After a lost
 * connection it returns the error at once.
 */
int ustd_poll(ustd_bus *bus, int timeout_ms);

/*
 * ustd_start makes a thread that calls the function of ustd_on_irq, until
 * ustd_stop or ustd_close. ustd_stop waits for a call of the function that is under
 * way. Built with -DUSTD_NO_THREADS there are no threads and no locks:
 * ustd_start returns USTD_ERR_SYSTEM.
 */
int ustd_start(ustd_bus *bus);
int ustd_stop(ustd_bus *bus);

/* ustd_detail is what the server said about the last USTD_ERR_BUS; never NULL, and
 * valid until the next call. */
const char *ustd_detail(const ustd_bus *bus);

/* ustd_sleep waits, signals or not. */
void ustd_sleep(unsigned ms);

/*
 * The board layer of a host driver
 * --------------------------------
 *
 * Host drivers reach their chip through a handful of functions of the board: start
 * the bus, write, read, exchange, reset, sleep, switch the interrupt. These are
 * they, with one bus for the program, as drivers have it. Return 0 or a USTD_ERR
 * code; docs/firmware.md shows the glue to the names of a driver.
 *
 * Drivers clock an access in five or six windows, and each that reads would be a
 * round trip. So a write that is a whole command clocks the answer as well, which
 * is known in length, and the reads that follow are served from it. The chip sees
 * the same bytes, since dummies are zero; accesses are a few times faster. See
 * ustd_board_config.exact.
 *
 * Call them from one thread. The interrupt function is called
 *   - within ustd_board_poll, ustd_board_sleep and at the end of each transfer, on
 *     the thread that called, like an interrupt that comes just then; so a program
 *     that waits without touching the bus calls ustd_board_poll; or
 *   - with threaded set, on a thread of its own, at any time: it may only set a flag
 *     or post a semaphore, and use ustd_board_interrupt.
 */
typedef struct {
	const char *address; /* NULL: the environment's UNDERSTUDY_BUS, or USTD_BOARD_ADDRESS */
	int timeout_ms;      /* 0: USTD_DEFAULT_TIMEOUT */
	int threaded;        /* the interrupt comes on a thread of its own */
	int exact;           /* clock windows as they are asked for, nothing ahead */
} ustd_board_config;

#define USTD_BOARD_ADDRESS "unix:/tmp/understudy.sock"

/* ustd_board_init opens the bus and resets the chip; config NULL: all defaults. If the
 * bus is open already it only resets, since drivers initialise it more than once. */
int ustd_board_init(const ustd_board_config *config);

/* ustd_board_deinit holds the chip in reset and closes the bus. */
int ustd_board_deinit(void);

/* The hard reset: enable and reset low, 5 ms, enable high, 5 ms, reset high, 10 ms. */
int ustd_board_reset(void);

/* One chip-select window: to the chip, from the chip, or both ways at once. */
int ustd_board_write(const uint8_t *w, size_t n);
int ustd_board_read(uint8_t *r, size_t n);
int ustd_board_exchange(const uint8_t *w, uint8_t *r, size_t n);

/* ustd_board_sleep waits, and lets interrupts in meanwhile. */
void ustd_board_sleep(unsigned ms);

/* ustd_board_isr sets the function for falling edges of the interrupt line and
 * enables the interrupt; NULL sets none. It may be set before ustd_board_init. */
void ustd_board_isr(void (*isr)(void));

/* ustd_board_interrupt enables (1) or disables (0) the interrupt. An edge that comes
 * while it is disabled is told once it is enabled, if the line is still low. */
void ustd_board_interrupt(int enable);

/* ustd_board_poll waits for an interrupt, for at most timeout_ms (0: only looks),
 * and calls the function: 1 if it was called, 0 if not, or an error. */
int ustd_board_poll(int timeout_ms);

/* The bus underneath, NULL while it is closed. */
ustd_bus *ustd_board_bus(void);

#ifdef __cplusplus
}
#endif

#endif
