/* Forked children. A child has one thread, its parent's memory and its parent's descriptors: the
 * channels are the parent's, and Go cannot be entered, since none of its threads are there. So
 * new calls of a child are refused, and going on with one of its parent's ends the child. */
#ifndef ERLPY_FORK_H
#define ERLPY_FORK_H

/* This process is a child. */
extern int erlpy_forked;

/* Once, before the first call. Returns 0 or an errno. */
int fork_setup(void);

/* Raises RuntimeError and returns 0. Needs the GIL. */
int fork_refuse(void);

/* Whether a call may begin; raises when not. Needs the GIL. */
static inline int fork_may_call(void) { return !erlpy_forked || fork_refuse(); }

/* Ends the child with status 0, as the end of its only thread does under python3. Prints the
 * current exception and writes out sys.stdout and sys.stderr before. Needs the GIL. */
_Noreturn void fork_end(void);

#endif
