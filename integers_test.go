package erlpy_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/erlpy/erlpy"
)

// inFrame reports whether the function that asks was called the long way, by what is on its stack.
func inFrame() bool {
	var stack [4096]byte
	return !strings.Contains(string(stack[:runtime.Stack(stack[:], false)]), "(*Engine).integers")
}

// Functions of integers are called without a frame, and it makes no difference.
func TestFunctionsOfIntegers(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		framed := map[string]bool{}
		for name, fn := range map[string]any{
			"one":     func(x int) int { framed["one"] = inFrame(); return x },
			"two":     func(a, b int) int { framed["two"] = inFrame(); return a - b },
			"maybe":   func(x int) (int, error) { framed["maybe"] = inFrame(); return x, odd(x) },
			"maybe2":  func(a, b int) (int, error) { framed["maybe2"] = inFrame(); return a + b, odd(a) },
			"half":    func(x float64) float64 { framed["half"] = inFrame(); return x / 2 },
			"panics":  func(x int) int { panic(x) },
			"int32":   func(x int32) int { framed["int32"] = inFrame(); return int(x) },
			"nothing": func(x int) { framed["nothing"] = inFrame() },
		} {
			if err := rt.Register(name, fn); err != nil {
				t.Fatal(err)
			}
		}
		must(t, rt, `
import erlang, enum
def fails(f, *args):
    try:
        f(*args)
    except Exception as e:
        return type(e).__name__, str(e).splitlines()[0]

for _ in range(3):  # the first has no session yet, the third knows what the second has found out
    for x in (0, -1, 255, 2**31, 2**63 - 1, -2**63):
        assert erlang.one(x) == x and type(erlang.one(x)) is int, x
        assert erlang.call('one', x) == x
    assert erlang.two(2, 5) == -3
    assert erlang.two(-2**63, -1) == -2**63 + 1
    assert erlang.maybe(2) == 2 and erlang.maybe2(2, 3) == 5
    assert fails(erlang.maybe, 3) == ('CallError', '3 is odd'), fails(erlang.maybe, 3)
    assert fails(erlang.maybe2, 3, 4) == ('CallError', '3 is odd')
    assert fails(erlang.panics, 7) == ('CallError', 'panic: 7'), fails(erlang.panics, 7)
    assert erlang.half(5) == 2.5 and erlang.int32(5) == 5 and erlang.nothing(5) is None
`)
		for name, want := range map[string]bool{
			"one": false, "two": false, "maybe": false, "maybe2": false, "half": true, "int32": true, "nothing": true,
		} {
			if framed[name] != want {
				t.Errorf("%s was called in a frame: %v, want %v", name, framed[name], want)
			}
		}
		must(t, rt, `
class Number(int): pass
class Few(enum.IntEnum): ONE = 1
for x in (Number(3), Few.ONE):
    assert erlang.one(x) == int(x) and type(erlang.one(x)) is int
assert erlang.one(4, timeout=60) == 4
for bad in (2**63, -2**63 - 1, True, 1.5, 'x', None, [1]):
    kind, text = fails(erlang.one, bad)
    assert kind == 'CallError' and text.startswith('one: args[0]: '), (bad, kind, text)
assert fails(erlang.one) == ('CallError', 'one takes 1 argument, got 0'), fails(erlang.one)
assert fails(erlang.one, 1, 2) == ('CallError', 'one takes 1 argument, got 2'), fails(erlang.one, 1, 2)
assert fails(erlang.two, 1)  == ('CallError', 'two takes 2 arguments, got 1'), fails(erlang.two, 1)
assert erlang.one(9) == 9
`)
	})
}

func odd(x int) error {
	if x%2 == 0 {
		return nil
	}
	return errors.New("3 is odd")
}

// What has been found out of a name is good until something is registered.
func TestFunctionsOfIntegersChange(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		register := func(fn any) {
			t.Helper()
			if err := rt.Register("f", fn); err != nil {
				t.Fatal(err)
			}
		}
		if err := rt.Register("other", func() {}); err != nil { // with no function at all the error is another
			t.Fatal(err)
		}
		register(func(x int) int { return x })
		must(t, rt, "import erlang\nf = erlang.f\nassert [f(3) for _ in range(3)] == [3, 3, 3]")
		register(func(x float64) float64 { return x / 2 })
		must(t, rt, "assert [f(3) for _ in range(3)] == [1.5, 1.5, 1.5]")
		var framed bool
		register(func(x int) int { framed = inFrame(); return -x })
		must(t, rt, "assert [f(3) for _ in range(3)] == [-3, -3, -3]")
		if framed {
			t.Error("a function of integers in place of another is called in a frame")
		}
		if err := rt.Unregister("f"); err != nil {
			t.Fatal(err)
		}
		must(t, rt, `
for _ in range(3):
    try:
        f(3)
    except erlang.NotRegistered as e:
        assert 'f' in str(e)
    else:
        raise AssertionError('it is still there')
before = erlang.stats()['calls']
`)
		register(func(x int) int { return 2 * x })
		must(t, rt, "assert [f(3) for _ in range(3)] == [6, 6, 6]\nassert erlang.stats()['calls'] == before + 3, erlang.stats()")
	})
}
