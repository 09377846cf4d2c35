package cpython

// #include "shim.h"
import "C"

import (
	"fmt"
	"os"
	"runtime/debug"
)

// The functions that C calls. Each recovers: a panic must not unwind through C frames.

//export erlpy_go_step
func erlpy_go_step(t *C.erlpy_thread, event C.int) (action C.int) {
	t.waits = 0
	defer func() {
		if r := recover(); r != nil {
			action = C.int(stepPanicked((*Thread)(t), r))
		} else if action == 0 {
			stepExited((*Thread)(t))
		}
	}()
	// SAFETY: t is the calling thread's own state; it outlives the call, and no other thread touches it.
	return C.int(stepper.Step((*Thread)(t), Event(event)))
}

//export erlpy_go_exit
func erlpy_go_exit(t *C.erlpy_thread) {
	defer report("a thread's end")
	// SAFETY: as above; C frees t only after this returns.
	stepper.Exit((*Thread)(t))
}

//export erlpy_go_closing
func erlpy_go_closing() {
	defer report("closing")
	stepper.Closing()
}

// stepPanicked turns a defect of ours into an error of this one call.
func stepPanicked(t *Thread, r any) Action {
	fmt.Fprintf(os.Stderr, "erlpy: internal error: %v\n%s", r, debug.Stack())
	if err := t.SetFrame(internalError); err != nil {
		panic(err) // no memory for a few bytes
	}
	return Failed
}

// stepExited ends the program: runtime.Goexit cannot be stopped, and this goroutine has to return
// to C. Go's own message would name neither the function nor a remedy.
func stepExited(t *Thread) {
	fmt.Fprintf(os.Stderr, "erlpy: fatal: the Go function %q, called from Python, has ended its goroutine by runtime.Goexit, as FailNow and Fatal of package "+
		"testing do. A function without a context runs on the Python thread that calls it, where it must return or panic: return an error, or "+
		"register a function whose first parameter is a context.Context, which has a goroutine of its own\n%s", stepper.Running(t), debug.Stack())
	os.Exit(2)
}

func report(what string) {
	if r := recover(); r != nil {
		fmt.Fprintf(os.Stderr, "erlpy: internal error at %s: %v\n%s", what, r, debug.Stack())
	}
}

// internalError is a frame whose payload is {disconnected, <<"internal error">>}; see PROTOCOL.md section 5.
var internalError = []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x83h\x02w\x0cdisconnectedm\x00\x00\x00\x0einternal error")
