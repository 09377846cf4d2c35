package channel

import (
	"net"
	"syscall"
)

// direct writes to a connection of Go's from wherever it is called, without waiting.
type direct struct {
	raw  syscall.RawConn
	push func(fd uintptr) // made once: a call of it allocates nothing
	b    []byte
}

// newDirect returns nil when the connection has no descriptor.
func newDirect(conn net.Conn) *direct {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	d := &direct{raw: raw}
	d.push = func(fd uintptr) {
		for len(d.b) > 0 {
			n, errno := sendto(int(fd), d.b)
			if errno == syscall.EINTR {
				continue
			}
			if errno != 0 {
				return // no room, or the end, of which the reader hears
			}
			d.b = d.b[n:]
		}
	}
	return d
}

// write writes as much of b as there is room for, and returns the rest.
func (d *direct) write(b []byte) []byte {
	d.b = b
	if err := d.raw.Control(d.push); err == nil {
		b = d.b
	}
	d.b = nil
	return b
}
