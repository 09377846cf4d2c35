/* Calls of the node that do without Go (erlpy_loan in shim.h). */
#ifndef ERLPY_LOAN_H
#define ERLPY_LOAN_H

#include "thread.h"

/* Whether the call in the frame may go on the lent channel. Needs the GIL. */
int loan_fits(const erlpy_thread *t);

/* Makes it, in a turn (turn.h), without the GIL. Returns DONE or FAILED with the answer in the frame, or 0: Go is to be asked, with *event. */
int loan_call(erlpy_thread *t, int *event);

/* Whether a Go function has or had that name, or another one with its hash. */
int loan_claimed(const uint8_t *name, size_t n);

/* How many names Go functions have had so far: whatever Go has said of one may be otherwise after the next. */
uint32_t loan_changes(void);

#endif
