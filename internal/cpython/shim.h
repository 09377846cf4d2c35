/* What the C files of this room and Go share. */
#ifndef ERLPY_SHIM_H
#define ERLPY_SHIM_H

#include <stddef.h>
#include <stdint.h>

/* Room in front of a payload for the frame's header, so that a frame leaves with one write. See PROTOCOL.md section 2. */
enum { ERLPY_HEADER = 9 };

/* What happened, told to Go with each step of a call. */
enum {
    ERLPY_EV_CALL = 1, /* the frame holds {Target, Args}: begin a call */
    ERLPY_EV_RESUME,   /* what the thread slept for may be there */
    ERLPY_EV_REPLY,    /* a nested call is done: the frame holds its result, reply_ok says which */
    ERLPY_EV_SERVE,    /* the frame holds {Role, Token}: begin to serve calls */
    ERLPY_EV_ABORT,    /* an exception (Ctrl-C) ends the wait: forget the call */
    ERLPY_EV_TIMEOUT,  /* the call's time has run out */
    ERLPY_EV_CAST,     /* the frame holds {Target, Args}: a call that nobody answers */
    ERLPY_EV_SUBMIT,   /* the same, to be answered by a completion with this token. Waits until there is room for it, answered with true */
    ERLPY_EV_CANCEL,   /* take the submitted call with this token back */
    ERLPY_EV_REAP,     /* wait for completions; they come again until REAPED */
    ERLPY_EV_MAP_BEGIN,   /* the frame holds a name, token the window: answered with the map's number in token */
    ERLPY_EV_MAP_ITEM,    /* the frame holds an item, a term without version byte. REFUSED: it is to come again after a result. With the GIL held */
    ERLPY_EV_MAP_RESULTS, /* results, or wait for them. May be asked with the GIL held, until it is to sleep */
    ERLPY_EV_MAP_END,     /* take back what is in the map */
    ERLPY_EV_INTEGERS,    /* begin a call of integers, see erlpy_integers */
    ERLPY_EV_OFFER,       /* as SUBMIT, but if there is no room: answered with false, and a completion when there is */
    ERLPY_EV_REAPED,      /* the completions of the last REAP are Python's. Asked with the GIL held */
    ERLPY_EV_LENT,        /* a call has been begun on the lent channel: go on with it. See erlpy_loan */
};

/* What to do next, told by Go. */
enum {
    ERLPY_ACT_DONE = 1, /* the frame holds the result */
    ERLPY_ACT_FAILED,   /* the frame holds an error payload, PROTOCOL.md section 5 */
    ERLPY_ACT_SLEEP,    /* wait on fd, wake_fd, for at most wait_ns; then ask again */
    ERLPY_ACT_NESTED,   /* the frame holds a call for Python: run it, put the result into the frame, go on with REPLY */
    ERLPY_ACT_CLOSED,   /* serving has ended in good order */
    ERLPY_ACT_INTEGER,  /* the call of integers is done: its result is the first of them */
    ERLPY_ACT_REFUSED,  /* nothing has been done: there is no Go function of so many integers, no room for an item of a map */
};

/* Completions come as a batch in the frame, behind the header: token (8 bytes), ok (1), length (4), payload; all big-endian. */
enum { ERLPY_COMPLETION = 13 };

/* A large binary that is not copied into the frame: it stays where it is in Python's memory, and is sent from there. */
typedef struct {
    size_t at; /* how many of the frame's own bytes come before it */
    const uint8_t *p;
    size_t n;
    void *owner; /* C's business: a reference to the object whose memory it is */
} erlpy_part;

typedef struct {
    size_t count; /* of those that belong to what is in the frame; Go sets it to 0 when they have been sent, or the frame holds something else */
    size_t bytes; /* of those, while there are any */
    size_t held;  /* of those whose owners C has to drop, as soon as it has the GIL */
    size_t cap;
    erlpy_part list[];
} erlpy_parts;

/* Results of a map come as records in the frame, behind the header: good (1 byte), count (4), length (4), and count terms without version
 * byte, which are results, or one that says how its call failed. */
enum { ERLPY_RECORD = 9 };

/* A thread's frame: C memory, so that Go may keep no pointer into Python's and Python none into Go's. */
typedef struct {
    uint8_t *p;
    size_t len;  /* header and payload, but for the parts */
    size_t cap;
    size_t room; /* how far it may be written: cap, or the limit of a frame. Kept by buf.c, for the time of writing */
    erlpy_parts *parts; /* NULL: none */
    uint8_t apart;      /* there may be parts: see buf.h */
} erlpy_buf;

/* A channel that Go has lent to its thread, so that the shim makes a call of the node all by itself, as long as that is one send and one receive.
 * Go takes it back whenever it is entered, and lends it anew after the next call that went well. */
typedef struct {
    int32_t fd;
    uint32_t id;    /* of the last call made on the channel */
    uint32_t last;  /* of the last call that may be made: the next number may be in use */
    uint32_t polls; /* how often to look for the answer */
    uint32_t limit; /* the largest frame, either way, with its length field */
    uint8_t open;   /* lent, and not taken back */
    /* With ERLPY_EV_LENT: how much of the frame has been sent, how much of the answer is in its place, and the errno of that. */
    uint32_t sent, got;
    int32_t error;
    uint64_t calls, bytes_in, bytes_out; /* of all loans so far. Only its own thread writes them, any may read them */
} erlpy_loan;

/* A call of a Go function of one or two integers: in no frame, since writing, reading and answering one costs as much as all the rest. */
typedef struct {
    const char *name; /* UTF-8 in Python's memory: good for the one step */
    size_t size;
    int64_t args[2];
    uint32_t count;
} erlpy_integers;

/* Whether there is a Go function for such calls of that name, as of so many changes; see integers.c. */
enum { ERLPY_KNOWN = 4 };
typedef struct {
    const char *name;
    uint32_t count, changes;
    uint8_t taken;
} erlpy_known;

/* One Python thread as Go sees it. Made on the thread's first call, gone with the thread. Only its own thread touches it, but
 * for wake_fd, which any thread may write to. */
typedef struct {
    uint64_t handle; /* Go's number for what it keeps of this thread; 0: nothing yet */
    uint64_t outer;  /* of a state beside the thread's own, for a call within a call: the handle of that one; else 0 */
    erlpy_buf frame;
    int64_t wait_ns; /* longest sleep; negative: no limit */
    int64_t timeout_ns; /* of the call that begins; negative: none */
    uint64_t token;     /* of the call that is submitted or cancelled; a map's number */
    int32_t fd;      /* what to sleep on; -1: nothing */
    int32_t wake_fd; /* an eventfd that ends the sleep; -1: none. Go makes it, C closes it */
    uint8_t want_write;
    uint8_t reply_ok;
    uint8_t busy;    /* a call is under way: the frame is taken */
    uint8_t waits;   /* on its way into Go, or has let others go first there. Read by all */
    uint32_t nested; /* calls of Python that run on this thread for a channel */
    uint64_t calls, in_flight; /* of functions: done, and under way. Only its own thread writes them, any may read them */
    erlpy_integers integers;
    erlpy_known known[ERLPY_KNOWN]; /* C's business */
    erlpy_loan loan;
    struct erlpy_turn *turn; /* its turn, unless that was taken from it: turn.c. NULL: none */
    uint32_t streak;         /* calls in it */
    uint32_t late;           /* answers in a row that came after the looks for them; 0 again in a turn that was waited for */
} erlpy_thread;

/* Makes room for size bytes in all; keeps what is there. Returns 0, or -1 when there is no memory. Needs no GIL. */
int erlpy_buf_grow(erlpy_buf *b, size_t size);

/* Whether other threads wait to get into Go, or to go on there. Any thread, no GIL needed. */
int erlpy_others_wait(void);

/* From now on no call of that name does without Go, which has a function of it. Any thread, no GIL needed. */
void erlpy_claim(const uint8_t *name, size_t n);

/* How many threads may make calls on loans at a time; 1 before. Any thread, before the first call. */
void erlpy_turns(int n);

/* A frame that nobody needs any more need not stay large. Without the GIL. */
enum { ERLPY_FRAME_KEEP = 64 << 10 };
void erlpy_buf_trim(erlpy_buf *b);

/* Copies the parts into the frame, each to its place. Returns 0, or -1 when there is no memory. Needs no GIL. */
int erlpy_buf_join(erlpy_buf *b);

/* Loads libpython, starts the interpreter on the calling thread, makes the module `_erlang` and runs boot.py with the sources.
 * Returns 0 with the GIL held by this thread, or -1 with a message in err. Once per process. */
typedef struct {
    const char *library;
    const char *executable; /* argv[0]: decides sys.prefix, venv included */
    const char *version;    /* sys.version as probed: another library is refused */
    const char *boot;       /* text of boot.py */
    const char *const *names;
    const char *const *texts;
    int sources;
    int main; /* this is the OS main thread of a command: Python takes SIGINT */
} erlpy_config;
int erlpy_init(const erlpy_config *c, char *err, size_t errsize);

/* Calls module.function(arg, argv), or function(arg) when argc is negative, on the thread that called erlpy_init, and returns the int that it
 * returns; 1 when it raised, which is printed. */
int erlpy_run(const char *module, const char *function, const char *arg, int argc, char *const *argv);

/* Serves on the thread that called erlpy_init until that channel or the program ends. 0, or 1 when it failed (printed). */
int erlpy_serve_main(const char *role, const char *token);

/* Ends the interpreter, on the thread that called erlpy_init. Afterwards no thread gets into Python any more. */
int erlpy_finalize(void);

/* From now on calls fail, and every waiting thread is woken to hear it. Any thread, no GIL needed. Idempotent. */
void erlpy_close(void);

/* Sets the limits that conversions keep; 0 leaves one as it is. Any thread. */
void erlpy_limits(size_t max_frame, size_t max_depth);

/* The major.minor.micro of the loaded library, "" before. */
const char *erlpy_version(void);

/* Made by Go (trampolines.go). They need no GIL, and must not hold it, since they may run Go functions; but for the events of a map. */
int erlpy_go_step(erlpy_thread *t, int event);
void erlpy_go_exit(erlpy_thread *t);
void erlpy_go_closing(void);

#endif
