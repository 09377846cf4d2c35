package pyfind

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"errors"
	"fmt"
	"os"
	"runtime"
)

// A symbol that every libpython from 3.8 on defines, and the stub libpython3.so does not.
const landmark = "Py_InitializeFromConfig"

var errNotLibrary = errors.New("not a shared library of this machine")

// isLibpython checks that path is a shared object of this machine which holds the interpreter itself. An executable
// does too, but cannot be loaded; a link to nothing, a static library or a linker script are not even objects.
func isLibpython(path string) error {
	if runtime.GOOS == "darwin" {
		return isMachO(path)
	}
	file, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if file.Type != elf.ET_DYN || file.Machine != elfMachine() || isPIE(file) {
		return fmt.Errorf("%s: %w", path, errNotLibrary)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return err
	}
	for _, s := range symbols {
		if s.Name == landmark && s.Section != elf.SHN_UNDEF {
			return nil
		}
	}
	return fmt.Errorf("%s: no %s in it", path, landmark)
}

// isPIE tells a position-independent executable, which has the type of a library.
func isPIE(file *elf.File) bool {
	flags, err := file.DynValue(elf.DT_FLAGS_1)
	return err == nil && len(flags) > 0 && elf.DynFlag1(flags[0])&elf.DF_1_PIE != 0
}

func elfMachine() elf.Machine {
	switch runtime.GOARCH {
	case "amd64":
		return elf.EM_X86_64
	case "arm64":
		return elf.EM_AARCH64
	case "riscv64":
		return elf.EM_RISCV
	case "ppc64le":
		return elf.EM_PPC64
	case "s390x":
		return elf.EM_S390
	}
	return elf.EM_NONE
}

func isMachO(path string) error {
	cpu := macho.CpuAmd64
	if runtime.GOARCH == "arm64" {
		cpu = macho.CpuArm64
	}
	if fat, err := macho.OpenFat(path); err == nil {
		defer fat.Close()
		for _, arch := range fat.Arches {
			if arch.Cpu == cpu && arch.Type == macho.TypeDylib {
				return nil
			}
		}
		return fmt.Errorf("%s: %w", path, errNotLibrary)
	}
	file, err := macho.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if file.Cpu != cpu || file.Type != macho.TypeDylib {
		return fmt.Errorf("%s: %w", path, errNotLibrary)
	}
	return nil
}

// mentions reports whether the library holds the release as a C string, which is how Py_GetVersion has it: without
// loading a library there is no better way to ask for its version.
func mentions(path, release string) bool {
	content, err := os.ReadFile(path)
	return err == nil && release != "" && bytes.Contains(content, []byte(release+"\x00"))
}
