/* Turns to make calls on loans (loan.h), of which there are only so many: who polls takes a core. */
#ifndef ERLPY_TURN_H
#define ERLPY_TURN_H

#include "shim.h"

/* Begins a call in a turn: the thread's own of before, or one that it waits for, first come, first served, until that time on the monotonic clock
 * (negative: no limit). 0: the time is up, and it has none. No GIL. */
int turn_begin(erlpy_thread *t, int64_t deadline);

/* Ends the call. The turn is kept for the next, unless that is long in coming and others wait. */
void turn_pause(erlpy_thread *t);

/* Gives the turn up, if the thread has one. */
void turn_leave(erlpy_thread *t);

#endif
