// Package erlpy runs Python in a Go program, and lets Python threads call functions of Go and of Erlang: concurrently, from any
// thread, in less than a microsecond (Go) or a few (Erlang).
//
// # Lifecycle
//
// [Start] finds a CPython (3.9 or later, free-threaded ones too), loads its shared library and starts it; [Runtime.Close] ends it. CPython
// can be started once in a process. Nothing of Python is needed to build a program.
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
// [Runtime.Exec], [Runtime.Eval] and [Runtime.Call] run on Python threads that the runtime keeps for that, as many at once as there are callers, up
// to Options.MaxContexts. [Runtime.RunFile] runs a script on Python's main thread. Values are converted as package etf says.
//
// # Contexts
//
// When its ctx ends, a method returns ctx.Err() at once. A call that has not begun never does. One that has is ended: erlang.Interrupted,
// a KeyboardInterrupt, is raised in its Python code, and again after a while in code that catches it. The functions that this code
// waits in end with it: an Erlang one is killed, a Go one has its ctx cancelled, a submitted one is cancelled. The ctx of a
// Go function comes from that of the method whose Python code has called it, with its values and deadline; on a thread of Python's own, it
// ends with the runtime. No interrupt reaches another call than its own.
//
// Code in C, such as time.sleep, and a Go function without a ctx are between two lines of Python for as long as they take. A thread that has
// not come back after 5 s is replaced by a new one, as many times as there are MaxContexts, and serves again if it does come back. Beyond
// that, and on the main thread, calls fail with [ErrBusy].
//
// # Threads
//
// Python has OS threads of its own; no goroutine ever holds the GIL. A Go function runs on the goroutine that Go gives the calling Python
// thread, so it may block, and any number may run at once. One that takes a context.Context runs on a new goroutine instead.
//
// # Errors
//
// Python exceptions are [*PythonError]. An error that a Go function returns is raised in Python as erlang.CallError with the error's text; so is a
// panic, with its stack.
//
// # Shutdown
//
// Close interrupts the Python code that runs for the methods, makes every call fail, the waiting ones included, and ends the interpreter. It
// waits for Python threads that are not daemons. For code that no interrupt ends it waits 5 s and returns [ErrNotEnded].
//
// Python shares the process with the program: a crash of Python, or of an extension module, ends both. The OTP application runs Python in
// a process of its own instead.
package erlpy
