package pyfind

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed probe.py
var probeSource string

// The line that the probe writes begins with this, so that what a startup file prints does no harm.
const probeMark = "\nerlpy-probe:"

const probeLimit = 30 * time.Second

// probe is what a Python says about itself.
type probe struct {
	Version        string            `json:"version"`
	VersionInfo    [3]int            `json:"version_info"`
	Implementation string            `json:"implementation"`
	Executable     string            `json:"executable"`
	BaseExecutable string            `json:"base_executable"`
	Prefix         string            `json:"prefix"`
	BasePrefix     string            `json:"base_prefix"`
	BaseExecPrefix string            `json:"base_exec_prefix"`
	Bits           int               `json:"bits"`
	Config         map[string]string `json:"config"`
}

// ask runs the probe. The options keep the environment and the user's packages out of it, and, unlike -I, are known to
// Python 2 as well.
func ask(ctx context.Context, path string) (*probe, error) {
	limited, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	cmd := exec.CommandContext(limited, path, "-B", "-E", "-s", "-c", probeSource)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second // a grandchild may hold the pipes
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if limited.Err() != nil {
		return nil, noPython(path, fmt.Sprintf("did not answer within %v", probeLimit))
	}
	_, answer, found := strings.Cut("\n"+stdout.String(), probeMark)
	if !found {
		return nil, noPython(path, "is not a working Python: "+complaint(err, stderr.String()))
	}
	line, _, _ := strings.Cut(answer, "\n")
	p := new(probe)
	if err := json.Unmarshal([]byte(line), p); err != nil {
		return nil, noPython(path, fmt.Sprintf("is not a working Python: its answer is %v", err))
	}
	return p, nil
}

// complaint returns the one line that says most about a failed run: the last of a traceback, else the first.
func complaint(err error, stderr string) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	line := lines[0]
	if strings.HasPrefix(line, "Traceback") {
		line = lines[len(lines)-1]
	}
	for _, l := range lines {
		if strings.HasPrefix(l, "Fatal Python error") {
			line = l
		}
	}
	if line = strings.TrimRight(line, ". \r"); line != "" {
		return line
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.String() + ", without a word"
	case err != nil:
		return err.Error()
	}
	return "it ran, but not the program it was given"
}

func (p *probe) install(path string) *Install {
	i := &Install{
		Executable:     p.Executable,
		BaseExecutable: p.BaseExecutable,
		Prefix:         p.Prefix,
		BasePrefix:     p.BasePrefix,
		Version:        p.VersionInfo,
		VersionText:    p.Version,
	}
	if i.Executable == "" {
		i.Executable = path
	}
	if i.BaseExecutable == "" {
		i.BaseExecutable = i.Executable
	}
	// Before 3.11, _base_executable of a virtual environment is its own link.
	if real, err := filepath.EvalSymlinks(i.BaseExecutable); err == nil {
		i.BaseExecutable = real
	}
	if i.BasePrefix == "" {
		i.BasePrefix = i.Prefix
	}
	return i
}

// supported checks what can never work, whatever library there is.
func (p *probe) supported() error {
	v := p.VersionInfo
	switch {
	case v[0] < 3 || v[0] == 3 && v[1] < 9:
		return unsupported(p, fmt.Sprintf("is Python %d.%d.%d", v[0], v[1], v[2]))
	case p.Implementation != "CPython":
		return unsupported(p, "is "+p.Implementation)
	case p.Bits != 64:
		return unsupported(p, fmt.Sprintf("is a %d-bit Python", p.Bits))
	case p.Config["Py_GIL_DISABLED"] == "1":
		return unsupported(p, fmt.Sprintf("is Python %d.%d.%dt, a free-threaded build", v[0], v[1], v[2]))
	}
	return nil
}

// release returns the first word of sys.version: 3.11.7, 3.14.0rc1, 3.13.0+.
func (p *probe) release() string {
	release, _, _ := strings.Cut(p.Version, " ")
	return release
}
