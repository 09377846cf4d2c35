package funcs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// ErrUnknown is returned, wrapped, for a name that nothing is registered under.
var ErrUnknown = errors.New("no such function")

// Registry maps names to functions. The zero Registry is empty and ready. Any goroutine may call its methods; a look-up takes
// no lock, since every change makes a new map.
type Registry struct {
	mu    sync.Mutex // held by writers
	funcs atomic.Pointer[map[string]*Func]
}

// Register makes fn callable under name, in place of what was there before. Calls under way are not disturbed. fn is a
// function of any type whose parameters and results have Erlang terms; a context.Context as first parameter and an error as last
// result are understood. The error says what is wrong with the name or the type.
func (r *Registry) Register(name string, fn any) error {
	switch {
	case name == "":
		return errors.New("register: the name is empty")
	case !utf8.ValidString(name):
		return fmt.Errorf("register %q: the name is not UTF-8", name)
	}
	f, err := newFunc(name, fn)
	if err != nil {
		return fmt.Errorf("register %s: %w", name, err)
	}
	r.change(func(m map[string]*Func) { m[name] = f })
	return nil
}

// Unregister removes name. Calls under way are not disturbed.
func (r *Registry) Unregister(name string) error {
	known := false
	r.change(func(m map[string]*Func) {
		_, known = m[name]
		delete(m, name)
	})
	if !known {
		return fmt.Errorf("unregister %s: %w", name, ErrUnknown)
	}
	return nil
}

func (r *Registry) change(edit func(map[string]*Func)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := maps.Clone(r.all())
	if m == nil {
		m = make(map[string]*Func)
	}
	edit(m)
	r.funcs.Store(&m)
}

// all returns the current map, which nobody may change.
func (r *Registry) all() map[string]*Func {
	if m := r.funcs.Load(); m != nil {
		return *m
	}
	return nil
}

// Lookup returns the function registered under name, or nil. It neither locks nor allocates.
func (r *Registry) Lookup(name []byte) *Func { return r.all()[string(name)] }

// Last is a look-up that remembers the last one, for a thread that calls the same function again and again. The zero Last is ready. It is for
// one goroutine at a time.
type Last struct {
	in *map[string]*Func
	f  *Func
}

// Lookup is r.Lookup(name), in half the time when it is the name of the last look-up and nothing has been registered since.
func (l *Last) Lookup(r *Registry, name []byte) *Func {
	in := r.funcs.Load()
	if l.in != in || l.f == nil || l.f.name != string(name) {
		l.in, l.f = in, r.Lookup(name)
	}
	return l.f
}

// Name returns the name of the last function found; "" before.
func (l *Last) Name() string {
	if l.f == nil {
		return ""
	}
	return l.f.name
}

// Names returns the registered names, sorted.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.all())) }
