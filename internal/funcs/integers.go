package funcs

import (
	"runtime/debug"
	"strconv"
)

// integers returns how to call a function of one or two integers that gives one, and how many it takes; 0 and nil for another. Where an int
// is smaller than what Python may pass, there are none.
func integers(fn any) (count int, call func(a, b int) (int, error)) {
	if strconv.IntSize < 64 {
		return 0, nil
	}
	switch fn := fn.(type) {
	case func(int) int:
		return 1, func(a, _ int) (int, error) { return fn(a), nil }
	case func(int) (int, error):
		return 1, func(a, _ int) (int, error) { return fn(a) }
	case func(int, int) int:
		return 2, func(a, b int) (int, error) { return fn(a, b), nil }
	case func(int, int) (int, error):
		return 2, fn
	}
	return 0, nil
}

// Integers returns how many integers the function takes if it is one of nothing but integers that CallIntegers calls; else 0.
func (f *Func) Integers() int { return f.ints }

// CallIntegers is Call for a function that takes Integers. Of two arguments one that takes one gets the first.
func (f *Func) CallIntegers(a, b int64) (result int64, err error) {
	defer func() {
		if v := recover(); v != nil {
			result, err = 0, &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	n, err := f.callInts(int(a), int(b))
	return int64(n), err
}
