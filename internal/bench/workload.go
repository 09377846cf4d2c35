package bench

import "context"

// workload is one part of the benchmark.
type workload struct {
	name, title string
	run         func(ctx context.Context, l *lab, s *sheet) error
}

// workloads in the order in which they run.
var workloads = []workload{
	{"call", "one thread, erlang.call('double_it', i)", runCall},
	{"threads", "the same from many threads", runThreads},
	{"idle", "threads that do not call", runIdle},
	{"paced", "1,000 calls a second", runPaced},
	{"go", "a Go function in the same process", runGo},
	{"terms", "larger values, there and back", runTerms},
	{"pipeline", "many calls in flight", runPipeline},
	{"memory", "what a thread that has called takes", runMemory},
	{"parallel", "Python loops in {hosts, 2}", runParallel},
	{"py_call", "Erlang calls Python", runPyCall},
}

// Names returns the names of all workloads.
func Names() []string {
	names := make([]string, len(workloads))
	for i, w := range workloads {
		names[i] = w.name
	}
	return names
}
