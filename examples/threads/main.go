// Command threads runs examples/threads.py with Go functions to call.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"time"

	"github.com/erlpy/erlpy"
)

func main() {
	python := flag.String("python", "", "Python executable or venv")
	script := flag.String("script", "examples/threads.py", "what to run")
	flag.Parse()
	if err := run(context.Background(), *python, *script); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, python, script string) error {
	rt, err := erlpy.Start(ctx, erlpy.Options{Python: python})
	if err != nil {
		return err
	}
	defer rt.Close()
	functions := map[string]any{
		"double_it":  func(x int) int { return 2 * x },
		"add_one":    func(x int) int { return x + 1 },
		"slow":       slow,
		"maybe_fail": maybeFail,
	}
	for name, fn := range functions {
		if err := rt.Register(name, fn); err != nil {
			return err
		}
	}
	return rt.RunFile(ctx, script)
}

// slow takes a context, and so gets a goroutine of its own while the Python thread sleeps.
func slow(ctx context.Context, milliseconds int) (int, error) {
	select {
	case <-time.After(time.Duration(milliseconds) * time.Millisecond):
		return milliseconds, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func maybeFail(x int) (int, error) {
	if x >= 42 {
		return 0, fmt.Errorf("%d is too large", x)
	}
	return x, nil
}
