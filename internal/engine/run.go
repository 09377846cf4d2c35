package engine

import "github.com/erlpy/erlpy/internal/cpython"

// RunScript runs a Python file as the main program, on the calling thread, which must be the OS main thread when o.Main is set. It
// returns the script's exit status once Python has ended; err when Python did not start.
func RunScript(o Options, script string, args []string) (status int, err error) {
	return run(o, func() int { return cpython.RunScript(script, args) })
}

// RunHost serves the node at o.BEAM that gave out token, on the calling thread, until the node is gone.
func RunHost(o Options, token string) (status int, err error) {
	return run(o, func() int { return cpython.RunHost(token) })
}

func run(o Options, main func() int) (int, error) {
	e, err := New(o)
	if err != nil {
		return 1, err
	}
	if err := e.Init(); err != nil {
		return 1, err
	}
	status := main()
	// 120 is what python3 exits with when the end itself fails, as flushing a closed stdout does.
	if cpython.Finalize() < 0 && status == 0 {
		status = 120
	}
	e.pool.Close()
	return status, nil
}

// ServeMain makes the calling thread Python's main thread: it starts Python, tells ready how that went, serves Do until Close, and ends
// Python.
func (e *Engine) ServeMain(ready func(error)) {
	err := e.Init()
	ready(err)
	if err != nil {
		return
	}
	cpython.ServeMain("go", tokens[onMain])
	cpython.Finalize()
	e.pool.Close()
}
