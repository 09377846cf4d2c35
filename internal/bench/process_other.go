//go:build !linux

package bench

import (
	"errors"
	"syscall"
	"time"
)

func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func cpuTime(int) (time.Duration, error) { return 0, errors.ErrUnsupported }

func busyNow() (busy, error) { return busy{}, errors.ErrUnsupported }

func memory(int) (now, peak int, err error) { return 0, 0, errors.ErrUnsupported }
