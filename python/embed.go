// Package python carries the pure-Python half of the module erlang in the binary, so that no Python installation has to
// be told about it.
package python

import (
	"embed"
	"io/fs"
	"strings"
)

// Files holds the package erlang and boot.py, which makes it importable. The built-in half, _erlang, is the C shim's.
//
//go:embed erlang/*.py boot.py
var Files embed.FS

// Sources returns the text of each module by its name, such as "erlang" or "erlang._types": what boot in boot.py takes.
// It panics when the embedded files cannot be read, which only a broken build can cause.
func Sources() map[string]string {
	files, err := fs.Glob(Files, "erlang/*.py")
	if err != nil {
		panic(err)
	}
	sources := make(map[string]string, len(files))
	for _, file := range files {
		sources[moduleName(file)] = read(file)
	}
	return sources
}

// Boot returns the text of boot.py, which defines boot(sources).
func Boot() string { return read("boot.py") }

func moduleName(file string) string {
	name := strings.TrimSuffix(strings.TrimSuffix(file, ".py"), "/__init__")
	return strings.ReplaceAll(name, "/", ".")
}

func read(file string) string {
	text, err := Files.ReadFile(file)
	if err != nil {
		panic(err)
	}
	return string(text)
}
