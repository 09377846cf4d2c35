// Package erlpy runs Python in a Go program, and lets Python threads call functions of Go and of
// Erlang: concurrently, from any thread, in less than a microsecond (Go) or a few (Erlang).
//
// # Lifecycle
//
// [Start] finds a CPython (3.9 or later, with a GIL), loads its shared library and starts it;
// [Runtime.Close] ends it. CPython can be started once in a process. Nothing of Python is needed to
// build a program.
//
// # Safety
//
// Python runs in this process: a crash of Python or of an extension module ends the program, and
// Python code may do all that the program may. An Erlang node at Options.BEAM is isolated from such
// crashes, but not from hostile code; see SECURITY.md.
//
// # Calling Go and Erlang from Python
//
// What [Runtime.Register] registers, Python calls:
//
//	import erlang
//	erlang.call('double_it', 21)
//	erlang.double_it(21)
//
// A name is looked up among the Go functions first, then on the Erlang node at Options.BEAM, if there is one. The GIL is released for the
// time of the call.
//
// # Calling Python from Go
//
// [Runtime.Exec], [Runtime.Eval] and [Runtime.Call] run on Python threads that the runtime keeps
// for that, as many at once as there are callers, up to Options.MaxContexts. [Runtime.RunFile]
// runs a script on Python's main thread. Values are converted as package etf says.
//
// # Contexts
//
// At the end of its ctx, a method returns ctx.Err() at once. A call not yet begun never begins. A
// running one is interrupted: erlang.Interrupted, a KeyboardInterrupt, is raised in its Python
// code, and again after a while if the code catches it. The functions it waits for end too: an
// Erlang function is killed, a Go function's ctx is cancelled, a submitted call is cancelled. A Go
// function's ctx is a child of the ctx of its call of Python, with values and deadline; on other
// Python threads it ends with the runtime. An interrupt reaches no other call, however late it is.
//
// No interrupt reaches code in C, such as time.sleep, or a Go function without a ctx, before it
// returns. After 5 s the thread is replaced, up to MaxContexts times; it serves again when it comes
// back. Beyond that, and on the main thread, calls fail with [ErrBusy]. So do calls after 10 s
// without any event, when each context waits for a function.
//
// # Threads
//
// Python has OS threads of its own; no goroutine ever holds the GIL. A Go function runs on the goroutine that Go gives the calling Python
// thread, so it may block, and any number may run at once; but it must not end that goroutine by
// runtime.Goexit. One that takes a context.Context runs on a new goroutine instead.
//
// # Errors
//
// Python exceptions are [*PythonError]. An error that a Go function returns is raised in Python as erlang.CallError with the error's text; so is a
// panic, with its stack.
//
// # Shutdown
//
// Close interrupts the Python code of the methods, makes every call fail, the waiting ones
// included, and ends the interpreter. It waits for Python's non-daemon threads. If code outlives
// its interrupt, Close returns [ErrNotEnded] after some seconds.
//
// Python shares the process with the program: a crash of Python, or of an extension module, ends
// both. The OTP application runs Python in a process of its own instead.
package erlpy
