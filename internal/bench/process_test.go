//go:build linux

package bench

import (
	"os"
	"testing"
)

func TestProcess(t *testing.T) {
	before, _, err := memory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 20
	block := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		block[i] = 1
	}
	now, peak, err := memory(os.Getpid())
	if err != nil || now-before < size*9/10 || peak < now {
		t.Errorf("%d bytes before, %d now, %d at most, %v", before, now, peak, err)
	}
	if block[4096] != 1 {
		t.Error("unused")
	}
	used, err := cpuTime(os.Getpid())
	b, errBusy := busyNow()
	if err != nil || errBusy != nil || used <= 0 || b.ours < used || b.all < b.ours {
		t.Errorf("used %v, %v; %+v, %v", used, err, b, errBusy)
	}
	const nobody = 1 << 22 // above the largest process id
	if _, err := cpuTime(nobody + 1); err == nil {
		t.Error("a process that is not there uses CPU time")
	}
	if _, _, err := memory(nobody + 1); err == nil {
		t.Error("a process that is not there has memory")
	}
}
