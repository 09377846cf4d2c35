package pyfind

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// names returns what the library may be called. sysconfig comes first, where it names a shared library at all: some
// builds name the static one although the shared one is there too.
func (p *probe) names() []string {
	version := p.Config["LDVERSION"] // with the d of a debug build
	if version == "" {
		version = fmt.Sprintf("%d.%d", p.VersionInfo[0], p.VersionInfo[1])
	}
	stem := "libpython" + version
	var names []string
	for _, name := range []string{p.Config["INSTSONAME"], p.Config["LDLIBRARY"], stem + ".so.1.0", stem + ".so", stem + ".dylib"} {
		// libpython3.so only passes on to the library that is wanted, and is too small to load from.
		if name = filepath.Base(name); isSharedName(name) && name != "libpython3.so" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func isSharedName(name string) bool {
	return strings.HasSuffix(name, ".so") || strings.Contains(name, ".so.") || strings.HasSuffix(name, ".dylib")
}

// candidates returns the places where this very Python's own library may be, the likeliest first.
func (p *probe) candidates() []string {
	var paths []string
	add := func(path string) {
		if path = filepath.Clean(path); filepath.IsAbs(path) && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	if p.Config["PYTHONFRAMEWORK"] != "" {
		add(filepath.Join(p.Config["PYTHONFRAMEWORKPREFIX"], p.Config["LDLIBRARY"]))
	}
	for _, dir := range p.dirs() {
		for _, name := range p.names() {
			add(filepath.Join(dir, name))
		}
	}
	return paths
}

func (p *probe) dirs() []string {
	var dirs []string
	add := func(dir string, below ...string) {
		if dir != "" {
			dirs = append(dirs, filepath.Join(append([]string{dir}, below...)...))
		}
	}
	libdir := p.Config["LIBDIR"]
	add(libdir)
	if multiarch := p.Config["MULTIARCH"]; multiarch != "" {
		add(libdir, multiarch)
	}
	add(p.BasePrefix, "lib")
	add(p.BasePrefix, "lib64")
	add(p.BaseExecPrefix, "lib")
	// A build that was moved after it was made knows wrong places; the executable's own is right.
	if base := p.install("").BaseExecutable; base != "" {
		add(filepath.Dir(base), "..", "lib")
	}
	add(p.Config["LIBPL"])
	return dirs
}

// linkerCandidates returns where the dynamic linker would find the names. Such a library may come with another
// installation, so the caller checks its version.
func linkerCandidates(ctx context.Context, names []string) []string {
	var paths []string
	variable := "LD_LIBRARY_PATH"
	if runtime.GOOS == "darwin" {
		variable = "DYLD_LIBRARY_PATH"
	}
	for _, dir := range filepath.SplitList(os.Getenv(variable)) {
		for _, name := range names {
			if filepath.IsAbs(dir) {
				paths = append(paths, filepath.Join(dir, name))
			}
		}
	}
	cache := linkerCache(ctx)
	for _, name := range names {
		paths = append(paths, cache[name]...)
	}
	return paths
}

// linkerCache returns the libraries that ldconfig knows; on systems without it, none.
func linkerCache(ctx context.Context) map[string][]string {
	cache := make(map[string][]string)
	if runtime.GOOS != "linux" {
		return cache
	}
	path, err := exec.LookPath("ldconfig")
	if err != nil {
		path = "/sbin/ldconfig" // not on every user's PATH
	}
	out, err := exec.CommandContext(ctx, path, "-p").Output()
	if err != nil {
		return cache
	}
	for line := range strings.Lines(string(out)) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if _, path, arrow := strings.Cut(rest, "=> "); ok && arrow {
			cache[name] = append(cache[name], path)
		}
	}
	return cache
}
