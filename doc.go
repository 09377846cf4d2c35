// Package erlpy runs Python in a Go program, and lets Python threads call functions of Go and of Erlang: concurrently, from any
// thread, in less than a microsecond (Go) or a few (Erlang).
//
// # Lifecycle
//
// [Start] finds a CPython (3.9 or later, with a GIL), loads its shared library and starts it; [Runtime.Close] ends it. CPython
// can be started once in a process. Nothing of Python is needed to build a program.
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
// [Runtime.Exec], [Runtime.Eval] and [Runtime.Call] run on Python threads that the runtime keeps for that, as many at once as there are callers, up
// to Options.MaxContexts. [Runtime.RunFile] runs a script on Python's main thread. Values are converted as package etf says. When the
// context ends first, the method returns at once; the Python code runs on, and its result is dropped.
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
// Close makes every call fail, the waiting ones included, and ends the interpreter. It waits for Python threads that are not daemons.
package erlpy
